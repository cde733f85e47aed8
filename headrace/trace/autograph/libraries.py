"""What is not converted: code that belongs to a library and not to the user.

Headrace itself, NumPy and other installed packages, and the standard library. A package whose
function is handed to `tf.function` itself is the user's.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from types import FunctionType

_PACKAGE = str(Path(__file__).parents[2])
_STANDARD = os.path.dirname(functools.__file__)
_INSTALLED = ("site-packages", "dist-packages")
_ROOTS = frozenset({"headrace", "numpy", "keras", "scipy", "matplotlib", "pandas"})
_owned: set[str] = set()


def is_library(function: FunctionType) -> bool:
    """Whether a function belongs to a library (an example in its documentation does not)."""
    if function.__code__.co_filename.startswith("<doctest "):
        return False
    root = (function.__module__ or "").partition(".")[0]
    return root in _ROOTS or _in_library(function.__code__.co_filename)


def own(function: FunctionType) -> None:
    """Let the installed package of a function count as the user's from now on."""
    package = _package(function.__code__.co_filename)
    if package is not None and package not in _owned:
        _owned.add(package)
        _in_library.cache_clear()


@functools.lru_cache(maxsize=4096)
def _in_library(filename: str) -> bool:
    if filename.startswith(("<frozen ", _PACKAGE)):
        return True
    package = _package(filename)
    if package is not None:
        return package not in _owned
    return filename.startswith(_STANDARD)


def _package(filename: str) -> str | None:
    """The installed package that a file belongs to, or None."""
    parts = Path(filename).parts
    for position, part in enumerate(parts[:-1]):
        if part in _INSTALLED:
            return parts[position + 1]
    return None


__all__ = ["is_library", "own"]
