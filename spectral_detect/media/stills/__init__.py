"""The parts of reading a still: its file apart from its picture, its transparency, the reason why it is refused."""
