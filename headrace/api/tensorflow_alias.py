"""Makes the name `tensorflow` mean Headrace, at every depth, for the rest of the process.

Programs say `import tensorflow as tf`, `from tensorflow.keras.layers import Dense`, `import
tensorflow.compat.v2 as tf`. A finder that stands first in `sys.meta_path` answers all of these
with Headrace's own module objects (`tensorflow.keras.layers` *is* `headrace.keras.layers`), and
never lets a question about `tensorflow` through to the finders behind it, so that a real
TensorFlow that is installed is not imported by accident. `tf_keras`, the separate package of
Keras 2, is answered likewise, and `keras` where no such package is installed.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

ROOTS = {"tensorflow": "headrace", "tf_keras": "headrace.keras", "keras": "headrace.keras"}
# Parts of TensorFlow's own package that are no public API.
INTERNALS = frozenset("python core compiler tsl include _api tools xla".split())
# Floors of Headrace that are no public API either.
FLOORS = frozenset("base core ops compile trace api cli".split())


class TensorFlowFinder:
    """Finder and loader of `tensorflow` and its parts, for `sys.meta_path`."""

    def __init__(self, roots: dict[str, str]) -> None:
        self.roots = roots

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of an aliased module; None for names that are not ours to answer.

        Raises:
            ModuleNotFoundError: Headrace has no such module. Passing the question on would let
                another finder load a part of a real TensorFlow.
        """
        if name.partition(".")[0] not in self.roots:
            return None
        found = self.resolve(name)
        return ModuleSpec(name, self, is_package=hasattr(found, "__path__"))

    def resolve(self, name: str) -> Any:
        """Headrace's own object for a dotted name such as `tensorflow.keras.layers`."""
        root, *parts = name.split(".")
        if root == "tensorflow" and parts and parts[0] in INTERNALS:
            raise ModuleNotFoundError(
                f"No module named {name!r}: tensorflow.{parts[0]} is the inside of "
                "TensorFlow's own package. Headrace stands for its public API; use the names "
                "below `tf.`.",
                name=name,
            )
        found: Any = import_module(self.roots[root])
        if root == "tensorflow" and parts and parts[0] in FLOORS:
            found = None
        for part in parts:
            found = attribute_or_submodule(found, part)
            if found is None:
                raise ModuleNotFoundError(
                    f"No module named {name!r}: Headrace stands for {root!r} in this process, "
                    f"and has no {'.'.join([self.roots[root], *parts])!r}.",
                    name=name,
                )
        return found

    def create_module(self, spec: ModuleSpec) -> None:
        """Let the import system make its default module, which `exec_module` replaces."""

    def exec_module(self, module: ModuleType) -> None:
        """Put Headrace's module where the import system has put its new one."""
        sys.modules[module.__name__] = self.resolve(module.__name__)


def attribute_or_submodule(module: Any, name: str) -> Any:
    """The module that is the attribute or submodule `name` of another one, or None."""
    found = getattr(module, name, None)
    if found is None and hasattr(module, "__path__"):
        try:
            found = import_module(f"{module.__name__}.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"{module.__name__}.{name}":
                raise
    return found if isinstance(found, ModuleType) else None


_lock = threading.Lock()


def install() -> None:
    """What `headrace.install_as_tensorflow()` does: `import tensorflow` gives Headrace, in this
    process, from now on.

    `tensorflow.keras`, `tensorflow.keras.layers` and all other parts are Headrace's own
    modules. `tf_keras` means `headrace.keras`, and so does `keras` where no package of that
    name is installed. A second call changes nothing.

    Raises:
        ImportError: a real TensorFlow has been imported already.
    """
    with _lock:
        if any(isinstance(finder, TensorFlowFinder) for finder in sys.meta_path):
            return
        if "tensorflow" in sys.modules:
            place = getattr(sys.modules["tensorflow"], "__file__", None)
            raise ImportError(
                f"TensorFlow itself has been imported already (from {place}). Call "
                "headrace.install_as_tensorflow() before the first `import tensorflow`, and "
                "before importing a library that imports it."
            )
        roots = dict(ROOTS)
        if "keras" in sys.modules or PathFinder.find_spec("keras") is not None:
            del roots["keras"]
        sys.meta_path.insert(0, TensorFlowFinder(roots))
