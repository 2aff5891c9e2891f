"""PA3xx: tensors and modules on another device than they should be."""
