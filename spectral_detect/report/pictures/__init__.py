"""Draw the figures of `spectral-detect plot`."""
