"""PA1xx: copies that could go."""
