"""TIFF files that Pillow does not read in full: more than 8 bits a channel, and cameras' raw files."""
