"""Run the auto-encoder experiment: how one up-sampling layer changes the spectrum, and the spectral loss with it."""
