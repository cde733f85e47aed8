"""Modules that are imported, and things that are made, when they are first used.

`special = lazy_module("scipy.special")` at the top of a file keeps `import headrace` short and
imports out of functions. `@once` on a function without arguments makes its result once.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class LazyModule(ModuleType):
    """Stands for a module until one of its attributes is asked for."""

    def __getattr__(self, name: str) -> Any:
        if name == "__wrapped__":  # tools that look for decorators must not cause an import
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(self.__name__), name)
        self.__dict__[name] = value
        return value

    def __dir__(self) -> list[str]:
        return dir(importlib.import_module(self.__name__))

    def __repr__(self) -> str:
        return f"<lazy module {self.__name__!r}>"


def lazy_module(name: str) -> Any:
    """A stand-in for the module `name` that imports it at the first attribute access."""
    return LazyModule(name)


class once(Generic[T]):
    """A function whose result is made by its first caller, even if many come at once."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.RLock()
        self._found: list[T] = []
        self.__doc__ = make.__doc__

    @property
    def made(self) -> bool:
        """Whether anybody has asked yet."""
        return bool(self._found)

    def __call__(self) -> T:
        if not self._found:
            with self._lock:
                if not self._found:
                    self._found.append(self._make())
        return self._found[0]
