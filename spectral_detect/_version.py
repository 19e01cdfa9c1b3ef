"""The name and the version of the program, in the one place that states them."""

__version__ = "0.1.0"
PROGRAM = "spectral-detect"  # also the Software in the pictures that it draws, which it may overwrite
