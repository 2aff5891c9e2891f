"""Sources of events in PyTorch programs."""
