"""Recording in TensorFlow programs."""
