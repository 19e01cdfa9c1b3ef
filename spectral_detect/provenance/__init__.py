"""What a file says of its origin, read from its bytes and never mixed into a score."""
