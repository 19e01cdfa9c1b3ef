"""Rows on disk: written as they come, read back, gone on with, joined."""
