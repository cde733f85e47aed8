"""The table that the program modules fill: functions with sample arguments."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Program(NamedTuple):
    """A function, one idea each, and arguments to run it with.

    Attributes:
        function: plain Python that means the same for numbers and for tensors.
        samples: tuples of arguments.
        staged: whether it runs as a graph too (it has tensors and nothing but tensors vary).
    """

    function: Callable[..., Any]
    samples: tuple[tuple[Any, ...], ...]
    staged: bool

    def __repr__(self) -> str:
        return f"{self.function.__module__.rpartition('_')[2]}-{self.function.__name__}"


PROGRAMS: list[Program] = []


def program(*samples: Any, staged: bool = True) -> Callable[..., Any]:
    """Decorator: enter a function; a sample that is no tuple is its one argument."""
    given = tuple(s if isinstance(s, tuple) else (s,) for s in samples)

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        PROGRAMS.append(Program(function, given, staged))
        return function

    return enter
