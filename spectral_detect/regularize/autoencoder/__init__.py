"""The auto-encoder experiment: what one up-sampling does to the spectrum, with the spectral loss and without."""
