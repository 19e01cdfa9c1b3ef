"""Records -> what people and programs read."""
