"""The record on disk: its schema, and how it is written and read back."""
