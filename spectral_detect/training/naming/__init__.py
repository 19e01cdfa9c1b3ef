"""Learn to name the generators of images."""
