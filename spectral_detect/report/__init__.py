"""Write results as text and pictures for people."""
