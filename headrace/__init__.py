"""Headrace: TensorFlow 2 with Keras as the books teach it, in readable Python.

`import headrace as tf`, `from headrace import keras`. The public names are written beside the
definitions (`@export`) and entered here by `api/namespaces.py`. Begin with `docs/tour.md`.
"""

import importlib
import sys
import warnings
from typing import Any

from headrace.base.export import export_value

warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"headrace\.")
"""NumPy warns of overflow and NaN where TensorFlow is silent."""

from headrace import autodiff, ops, trace  # noqa: E402
from headrace.api import namespaces  # noqa: E402

__version__ = "2.21.0"
"""The level of TensorFlow's API that scripts ask for; Headrace's own is in its metadata."""

export_value("newaxis", None)
export_value("version.VERSION", __version__)
export_value("compat.v2", sys.modules[__name__])
namespaces.install()

_LAZY = {"keras": "headrace.keras"}


def install_as_tensorflow() -> None:
    """Let `import tensorflow` (and all below it) in this process give Headrace.

    Raises:
        ImportError: the real TensorFlow is imported already.
    """
    importlib.import_module("headrace.api.tensorflow_alias").install()


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return importlib.import_module(_LAZY[name])
    raise AttributeError(
        f"module 'headrace' has no attribute {name!r}: TensorFlow may have it, Headrace has it "
        "not (yet)"
    )


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})


__all__ = ["autodiff", "ops", "trace"]  # and all that `namespaces.install` has entered
