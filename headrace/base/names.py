"""Names: which TensorFlow allows in a graph, how it makes them unique, and snake case."""

from __future__ import annotations

import re

_ROOT = r"^[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*$"
_INNER = r"^[A-Za-z0-9_.\\/>-]*$"
_ROOT_PATTERN = re.compile(_ROOT)
_INNER_PATTERN = re.compile(_INNER)


def check_node_name(name: str) -> str:
    """`name` if a node of a graph may be called so.

    Raises:
        ValueError: it may not.
    """
    if not _ROOT_PATTERN.match(name):
        raise ValueError(
            f"`{name}` is not a valid node name. Accepted names conform to Regex "
            f"/{_ROOT_PATTERN!r}/"
        )
    return name


def check_scope_name(name: str, inner: bool = False) -> str:
    """`name` if a name scope (`inner`: inside another) may be called so.

    Raises:
        ValueError: it may not.
    """
    if not isinstance(name, str):
        raise ValueError("name for name_scope must be a string.")
    if inner and not _INNER_PATTERN.match(name):
        raise ValueError(
            f"'{name}' is not a valid scope name. A scope name has to match the following "
            f"pattern: {_INNER}"
        )
    if not inner and name and not _ROOT_PATTERN.match(name):
        raise ValueError(
            f"'{name}' is not a valid root scope name. A root scope name has to match the "
            f"following pattern: {_ROOT}"
        )
    return name


class UniqueNames:
    """Gives each name once: `dense`, `dense_1`, `dense_2`.

    As in a graph of TensorFlow's, names that differ in case only count as the same.
    """

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._counts

    def unique(self, name: str, mark_as_used: bool = True) -> str:
        """`name`, or `name_1`, `name_2`... if it is taken.

        Args:
            name: the wish.
            mark_as_used: whether the answer is taken from now on.
        """
        key = name.lower()
        count = self._counts.get(key, 0)
        if mark_as_used:
            self._counts[key] = count + 1
        if count == 0:
            return name
        candidate = key
        while candidate in self._counts:
            candidate = f"{key}_{count}"
            count += 1
        if mark_as_used:
            self._counts[candidate] = 1
            self._counts[key] = count
        return f"{name}_{count - 1}"


_BEFORE_WORD = re.compile(r"(.)([A-Z][a-z]+)")
_AFTER_LOWER = re.compile(r"([a-z])([A-Z])")


def snake_case(name: str) -> str:
    """The name of a class as the name of an object: `LSTMCell` is `lstm_cell`.

    A name that begins with `_` (no scope may) gets `private` before it.
    """
    snake = _AFTER_LOWER.sub(r"\1_\2", _BEFORE_WORD.sub(r"\1_\2", name)).lower()
    return f"private{snake}" if snake.startswith("_") else snake
