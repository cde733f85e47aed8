"""Public names, written beside the definitions they belong to.

`@export("math.tanh", "tanh")` enters an object under its public names; `headrace/api` builds
the namespaces from this one table. The first name is the canonical one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
EXPORTS: dict[str, Any] = {}


def export(*names: str) -> Callable[[T], T]:
    """Decorator: make the object public under `names` (below `tf.`).

    Raises:
        ValueError: a name that another object has.
    """

    def register(value: T) -> T:
        for name in names:
            export_value(name, value)
        return value

    return register


def export_value(name: str, value: T) -> T:
    """Make a constant, or an object made elsewhere, public under `name`.

    Raises:
        ValueError: another object has this name.
    """
    if EXPORTS.setdefault(name, value) is not value:
        raise ValueError(
            f"The public name 'tf.{name}' is given to two objects: "
            f"{EXPORTS[name]!r} and {value!r}"
        )
    return value


PUBLISHERS: list[Callable[[str], None]] = []
"""What enters exported names into namespaces; `headrace/api` puts itself here."""


def publish(prefix: str) -> None:
    """Enter the names that begin with `prefix` into their namespaces now."""
    for publisher in PUBLISHERS:
        publisher(prefix)
