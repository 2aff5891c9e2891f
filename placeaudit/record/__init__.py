"""What runs inside the audited process: sources of events, and where they go."""
