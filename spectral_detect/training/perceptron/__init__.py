"""Train a perceptron, and go on from one."""
