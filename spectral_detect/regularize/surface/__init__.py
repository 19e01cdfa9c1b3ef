"""Compute the loss of a trained generator on a plane through its weights."""
