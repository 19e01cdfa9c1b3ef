"""Turn bytes into pixels and facts of the file: stills, videos, edits, faces."""
