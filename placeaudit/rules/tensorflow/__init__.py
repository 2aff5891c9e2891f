"""Rules that speak of TensorFlow programs, under the codes of their PyTorch counterparts."""
