"""Turn labelled files into a model."""
