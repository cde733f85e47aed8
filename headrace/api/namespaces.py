"""From `EXPORTS` to modules: `tf.math.tanh` is found because somebody wrote its name.

Each dotted prefix becomes a module (`headrace.math`), registered so that `import headrace.math`
works. Where Headrace has a package of that name (`headrace.keras.layers`), the names are set on
it. Modules of names that are not needed at once are filled on the first access.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from headrace.base.export import EXPORTS, PUBLISHERS

ROOT = "headrace"


def install(prefix: str = "") -> None:
    """Enter all exported names that begin with `prefix` into their modules."""
    for name in sorted(EXPORTS):
        if name.startswith(prefix):
            _enter(name, EXPORTS[name])


def _enter(name: str, value: Any) -> None:
    space, _, last = name.rpartition(".")
    module = namespace(space)
    module.__dict__[last] = value
    public = module.__dict__.setdefault("__all__", [])
    if last not in public:
        public.append(last)


def namespace(path: str) -> ModuleType:
    """The module `headrace.<path>`, made if there is none."""
    full = f"{ROOT}.{path}" if path else ROOT
    module = sys.modules.get(full)
    if module is not None:
        return module
    parent_path, _, last = path.rpartition(".")
    parent = namespace(parent_path)
    if getattr(parent, "__path__", None) and importlib.util.find_spec(full) is not None:
        module = importlib.import_module(full)
    else:
        module = ModuleType(full, f"The public names below `tf.{path}`.")
        module.__path__ = []  # type: ignore[attr-defined]
        module.__getattr__ = _absent(path)  # type: ignore[method-assign]
        sys.modules[full] = module
    setattr(parent, last, module)
    return module


def _absent(path: str) -> Callable[[str], Any]:
    """What a namespace answers for a name that it does not have."""

    def __getattr__(name: str) -> Any:
        raise AttributeError(
            f"module '{ROOT}.{path}' has no attribute {name!r}: TensorFlow may have it, "
            "Headrace has it not (yet)"
        )

    return __getattr__


PUBLISHERS.append(install)
