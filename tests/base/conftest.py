"""Hypothesis draws from seeds that come from the tests' names, and takes its time."""

from hypothesis import settings

settings.register_profile("headrace", derandomize=True, deadline=None)
settings.load_profile("headrace")
