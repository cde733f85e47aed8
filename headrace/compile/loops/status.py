"""What a program says when one of its checks fails: the status words, and what they mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from headrace.base import errors

STATUS_WORDS = 9
"""The failed check's number (from 1; 0: all is well), then its values."""


class Failure(NamedTuple):
    """What a check says: the name of a class of `errors` in snake case, and a text whose
    `{}` are the check's values."""

    error: str
    message: str


def error_of(
    failures: Sequence[Failure], name: str, status: int, values: Sequence[int]
) -> Exception:
    """The exception that belongs to a status that is not 0.

    Args:
        failures: `failures[k - 1]` belongs to status k.
        name: of the program.
    """
    error, message = failures[status - 1]
    text = message.format(*values) if values else message
    found: Exception = getattr(errors, error)(text, name)
    found.failure = status  # type: ignore[attr-defined]
    return found
