"""Kernel tables, one for each TensorFlow version that can be simulated."""
