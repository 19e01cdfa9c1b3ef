"""Turn arrays into feature vectors; opens no file, prints nothing, reads no clock."""
