"""Stray copies as failing tests: assertions, and the pytest plugin."""
