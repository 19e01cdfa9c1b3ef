"""Generative adversarial networks, trained with the spectral loss or without."""
