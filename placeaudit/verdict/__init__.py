"""What becomes of findings: which are silenced, and why."""
