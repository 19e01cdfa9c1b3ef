"""What else than the generator tells two classes apart, and a copy in which it does not."""
