"""Describe whole folders of images: mean profiles, mean spectra, and where their features lie."""
