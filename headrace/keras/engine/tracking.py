"""Finding the layers, metrics and variables that an object holds.

Attributes that can hold such things are remembered when they are set; containers among them are
looked through when somebody asks, so that what is appended later is found too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import headrace as tf


class Tracked:
    """Base of what holds variables: layers, models, metrics."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _OWN and isinstance(value, _HOLDERS):
            tracked = self.__dict__.get("_tracked")
            if tracked is None:
                tracked = self.__dict__["_tracked"] = {}
            tracked[name] = value
        elif "_tracked" in self.__dict__:
            self._tracked.pop(name, None)
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        if "_tracked" in self.__dict__:
            self._tracked.pop(name, None)
        object.__delattr__(self, name)

    def _held(self) -> Iterator[Any]:
        """The tracked objects and variables of the attributes, in the order of their setting."""
        seen: set[int] = set()
        for value in self.__dict__.get("_tracked", {}).values():
            for item in _inside(value):
                if id(item) not in seen:
                    seen.add(id(item))
                    yield item


_HOLDERS = (Tracked, tf.Variable, list, tuple, dict)
_OWN = frozenset(
    "_tracked _losses _callable_losses _lossy _regularized _weights _metrics _initial_weights "
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
