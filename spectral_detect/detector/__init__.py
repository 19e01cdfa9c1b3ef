"""Hold a fitted model: its scores and their calibration, the images it has seen, its metrics, and its file."""
