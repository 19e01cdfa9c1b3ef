"""Find what else than the generator tells two classes apart, and write a copy in which nothing else does."""
