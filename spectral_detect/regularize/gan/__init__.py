"""Train generative adversarial networks, with the spectral loss or without."""
