"""Imports go downward only (see `tools/floors.py`)."""

import pytest

from tools.floors import FLOORS, broken, violations
from tools.sizes import PACKAGE

pytestmark = pytest.mark.smoke


def test_no_import_goes_upward():
    assert list(violations()) == []


def test_every_folder_has_a_floor():
    folders = {path.parent.name for path in PACKAGE.glob("*/*.py")}
    assert folders <= set(FLOORS)


@pytest.mark.parametrize(
    "text",
    [
        "import headrace.keras",
        "from headrace import keras",
        "from headrace import constant",
        "import headrace as tf",
        "from ..compile import pipeline",
        "from ..compile.run import plan",
        "keras = lazy_module('headrace.keras')",
        "def f():\n    from headrace.keras import layers",
        "def f():\n    return importlib.import_module('headrace.trace.function')",
        "def f():\n    import os",
        "class C:\n    def f(self):\n        if self:\n            import scipy.special",
    ],
)
def test_a_wrong_import_is_found(text):
    assert list(broken(text, "headrace.ops.elementwise"))


def test_keras_is_written_with_public_names():
    assert list(broken("import headrace as tf", "headrace.keras.losses")) == []
    assert list(broken("import headrace.api", "headrace.keras.losses"))
    assert list(broken("import headrace.api", "headrace", is_package=True)) == []
    assert list(broken("import headrace.cli", "headrace", is_package=True))


@pytest.mark.parametrize(
    "text",
    [
        "import os",
        "from headrace.core.op import Op",
        "from headrace.ops import shapes",
        "from . import shapes",
        "from .shapes import brackets",
        "special = lazy_module('scipy.special')",
    ],
)
def test_a_right_import_is_not(text):
    assert list(broken(text, "headrace.ops.elementwise")) == []
