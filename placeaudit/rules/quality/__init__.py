"""PA9xx: what the record says about its own quality."""
