"""Finding the layers, metrics and variables that an object holds.

Attributes that can hold such things are remembered when they are set; containers among them are
looked through when somebody asks, so that what is appended later is found too. `tf.Module`, the
base, looks through all attributes instead, and meets the list of the remembered ones first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import headrace as tf


class _Structure:
    """How often any tracked object's parts have changed; while it stands, kept lists hold."""

    version = 0


structure = _Structure()


class _Parts(list[Any]):
    """What an object holds, in the order of setting, variables that are not trained first.

    Each part goes by a key: an attribute's name, or for what `add_weight` made the id.
    """

    def __init__(self) -> None:
        self.keys: list[str | int] = []

    def put(self, key: str | int, value: Any) -> None:
        """Add a part, in place of what went by the key before."""
        if key in self.keys:
            if self[self.keys.index(key)] is value:
                return
            self.drop(key)
        place = len(self)
        if _is_fixed(value):
            place = next((i for i, part in enumerate(self) if not _is_fixed(part)), place)
        self.insert(place, value)
        self.keys.insert(place, key)
        structure.version += 1

    def drop(self, key: str | int) -> None:
        """Forget what goes by a key, if anything does, and that `add_weight` made it."""
        if key in self.keys:
            place = self.keys.index(key)
            del self.keys[place]
            self.drop(id(self.pop(place)))
            structure.version += 1


def _is_fixed(value: Any) -> bool:
    return isinstance(value, tf.Variable) and not value.trainable


class Tracked(tf.Module):
    """Base of what holds variables: layers, models, metrics."""

    _kept: dict[str, tuple[int, list[Any]]]
    _tracked: _Parts

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        if name not in _OWN:
            if isinstance(value, _HOLDERS):
                self._track(name, value)
            elif "_tracked" in self.__dict__:
                self._tracked.drop(name)

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        if "_tracked" in self.__dict__:
            self._tracked.drop(name)

    def _track(self, key: str | int, value: Any) -> None:
        if "_tracked" not in self.__dict__:
            self._tracked = _Parts()
        self._tracked.put(key, value)

    def _held(self) -> Iterator[Any]:
        """The modules and variables that it holds, each once."""
        seen: set[int] = set()
        for value in self.__dict__.get("_tracked", ()):
            for item in _inside(value):
                if id(item) not in seen:
                    seen.add(id(item))
                    yield item

    def _keep(self, name: str, make: Callable[[], list[Any]]) -> list[Any]:
        """A list made of the parts below, kept as long as no object's parts change.

        A container that a user can append to, or a module that is none of Keras' own, gives no
        sign of it: with one below, nothing is kept.
        """
        kept = self.__dict__.setdefault("_kept", {})
        found = kept.get(name)
        if found is not None and found[0] == structure.version:
            return found[1]
        result = make()
        if _is_closed(self):
            kept[name] = structure.version, result
        return result


def _is_closed(value: Any) -> bool:
    """Whether all changes of what it holds are counted."""
    if isinstance(value, Tracked):
        return all(map(_is_closed, value.__dict__.get("_tracked", ())))
    if isinstance(value, tuple):
        return all(map(_is_closed, value))
    return not isinstance(value, (list, Mapping, tf.Module))


_HOLDERS = (tf.Module, tf.Variable, list, tuple, dict)
_OWN = frozenset(
    "_tracked _kept _losses _callable_losses _lossy _regularized _metrics "
    "_initial_weights "
    "_batch_input_shape _build_input_shape _shapes _result _fn_kwargs arguments".split()
)
"""Attributes of Keras' own classes that hold no parts of theirs."""
Tracked._TF_MODULE_IGNORED_PROPERTIES = _OWN - {"_tracked", "_metrics"}


def _inside(value: Any) -> Iterator[Any]:
    if isinstance(value, (tf.Module, tf.Variable)):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _inside(item)
    elif isinstance(value, Mapping):
        for key in sorted(value) if all(isinstance(k, str) for k in value) else value:
            yield from _inside(value[key])
