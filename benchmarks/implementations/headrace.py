"""The programs in Headrace: those of TensorFlow, word for word."""

from __future__ import annotations

from benchmarks.implementations import tensorflow


def cases() -> dict[str, tensorflow.Program]:
    """TensorFlow's programs on Headrace."""
    return tensorflow.cases("headrace")
