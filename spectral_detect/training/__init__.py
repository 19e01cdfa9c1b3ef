"""Labelled files become a model."""
