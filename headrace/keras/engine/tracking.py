"""Finding the layers, metrics and variables that an object holds.

Attributes that can hold such things are remembered when they are set; containers among them are
looked through when somebody asks, so that what is appended later is found too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import headrace as tf


class _Structure:
    """How often any tracked object's parts have changed; while it stands, kept lists hold."""

    version = 0


structure = _Structure()


class Tracked:
    """Base of what holds variables: layers, models, metrics."""

    _kept: dict[str, tuple[int, list[Any]]]

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _OWN:
            tracked = self.__dict__.get("_tracked")
            if isinstance(value, _HOLDERS):
                if tracked is None:
                    tracked = self.__dict__["_tracked"] = {}
                tracked[name] = value
                structure.version += 1
            elif tracked is not None and tracked.pop(name, None) is not None:
                structure.version += 1
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        if self.__dict__.get("_tracked", {}).pop(name, None) is not None:
            structure.version += 1
        object.__delattr__(self, name)

    def _held(self) -> Iterator[Any]:
        """The tracked objects and variables of the attributes, in the order of setting."""
        seen: set[int] = set()
        for value in self.__dict__.get("_tracked", {}).values():
            for item in _inside(value):
                if id(item) not in seen:
                    seen.add(id(item))
                    yield item

    def _keep(self, name: str, make: Callable[[], list[Any]]) -> list[Any]:
        """A list made of the parts below, kept as long as no object's parts change.

        A container that a user can append to gives no sign of it: with one below, nothing is
        kept.
        """
        kept = self.__dict__.setdefault("_kept", {})
        found = kept.get(name)
        if found is not None and found[0] == structure.version:
            return found[1]
        result = make()
        if not self._open_ended():
            kept[name] = structure.version, result
        return result

    def _open_ended(self) -> bool:
        for value in self.__dict__.get("_tracked", {}).values():
            if isinstance(value, (list, dict)):
                return True
            if isinstance(value, tuple) and not all(isinstance(v, _PARTS) for v in value):
                return True
        return any(part._open_ended() for part in self._held() if isinstance(part, Tracked))


_PARTS = (Tracked, tf.Variable)
_HOLDERS = (Tracked, tf.Variable, list, tuple, dict)
_OWN = frozenset(
    "_tracked _kept _losses _callable_losses _lossy _regularized _weights _metrics "
    "_initial_weights "
    "_batch_input_shape _build_input_shape _shapes _result _fn_kwargs arguments".split()
)
"""Attributes of Keras' own classes that hold no parts of theirs."""


def _inside(value: Any) -> Iterator[Any]:
    if isinstance(value, (Tracked, tf.Variable)):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _inside(item)
    elif isinstance(value, Mapping):
        for key in value:
            yield from _inside(value[key])
