"""Reporters: pure functions from an analysed run to text."""
