"""A fitted model: its scores, their calibration, what it has seen, the numbers of an evaluation, and its file."""
