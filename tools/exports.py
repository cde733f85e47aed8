"""All public names, whichever of the package's modules have been imported so far."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import headrace
from headrace.base.export import EXPORTS


def public_names() -> dict[str, Any]:
    """Every public name below `tf.` with its object, in alphabetical order."""
    for module in pkgutil.walk_packages(headrace.__path__, "headrace."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return dict(sorted(EXPORTS.items()))


def canonical_names() -> dict[int, str]:
    """For each public object, by its id, the first of the names that it was given."""
    public_names()
    names: dict[int, str] = {}
    for name, value in EXPORTS.items():
        if callable(value):
            names.setdefault(id(value), name)
    return names
