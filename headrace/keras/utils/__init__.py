"""Helpers: writing objects down, seeds, arrays."""
