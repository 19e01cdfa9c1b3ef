"""Which images come from one pipeline: clusters of features, without labels and without a number of clusters."""
