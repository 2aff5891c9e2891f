"""PA2xx: waits of the host that could go."""
