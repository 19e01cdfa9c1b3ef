"""The sheet that explains a verdict: as text, as a picture, as a page."""
