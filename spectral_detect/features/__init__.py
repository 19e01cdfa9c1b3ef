"""Numerics: an array becomes a vector. No file is opened here, nothing is printed, no clock is read."""
