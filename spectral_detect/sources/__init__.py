"""Which files there are, and their bytes; local or at a URL."""
