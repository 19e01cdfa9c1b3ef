"""What a verdict rests on: why it was given, what the file says of itself, and the manifest of a run."""
