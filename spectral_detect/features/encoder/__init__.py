"""An image encoder, a network in an ONNX file, as a source of features."""
