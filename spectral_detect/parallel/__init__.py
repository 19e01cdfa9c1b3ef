"""Apply a function to many items in worker processes or on a Dask cluster. Nothing here knows what an image is."""
