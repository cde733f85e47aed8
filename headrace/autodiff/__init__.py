"""Automatic differentiation: reverse (tape), forward, custom gradients, checks."""

from headrace.autodiff import check, custom, forward, tape

__all__ = ["check", "custom", "forward", "tape"]
