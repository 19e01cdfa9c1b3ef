"""Why a verdict: the evidence, the spectrum, the tiles, the nearest training images, and what to do next."""
