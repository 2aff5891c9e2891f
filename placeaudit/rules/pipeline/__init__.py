"""PA4xx: what holds up the steps as a whole."""
