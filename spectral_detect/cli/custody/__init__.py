"""The manifest of a run: the option that writes one, and the command that verifies it."""
