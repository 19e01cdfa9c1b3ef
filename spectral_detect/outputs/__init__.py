"""Write rows to disk as they come, read them back, resume and join outputs."""
