"""Bytes become pixels, and facts of the file: stills, videos, edits, faces."""
