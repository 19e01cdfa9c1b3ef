"""Name the generator of an image, as far as a model knows it."""
