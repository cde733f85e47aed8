"""Public names, written beside the definitions they belong to.

`@export("math.tanh", "tanh")` enters an object under its public names; `headrace/api` builds the
namespaces from this one table. The first name is the canonical one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
EXPORTS: dict[str, Any] = {}


def export(*names: str) -> Callable[[T], T]:
    """Decorator: make the object public under `names` (below `tf.`)."""

    def register(value: T) -> T:
        for name in names:
            export_value(name, value)
        return value

    return register


def export_value(name: str, value: T) -> T:
    """Make a constant or an object made elsewhere public under `name`."""
    if EXPORTS.setdefault(name, value) is not value:
        raise ValueError(f"The public name {name!r} is given to two objects.")
    return value
