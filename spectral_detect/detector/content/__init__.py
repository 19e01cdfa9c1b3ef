"""What a model file holds: a model as plain values and arrays, and back, each part checked."""
