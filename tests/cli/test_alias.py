"""`import tensorflow` gives Headrace, at every depth, and never a real TensorFlow."""

import subprocess
import sys
import textwrap

import pytest


def python(text, path=None):
    """Run a program in a fresh interpreter; `path` stands first in its search path."""
    start = f"import sys; sys.path.insert(0, {str(path)!r})\n" if path else ""
    command = [sys.executable, "-W", "error", "-c", start + textwrap.dedent(text)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.smoke
def test_every_depth_is_the_same_object():
    done = python(
        """
        import sys, headrace
        headrace.install_as_tensorflow()
        headrace.install_as_tensorflow()
        import tensorflow as tf
        import tensorflow.compat.v2 as v2
        import tensorflow.math
        import tensorflow.keras.backend as K
        import tensorflow.keras.layers
        from tensorflow import keras
        from tensorflow.compat.v2 import keras as keras2
        from tensorflow.compat.v2.keras import layers as layers2
        from tensorflow.keras.layers import Dense
        from tensorflow.keras import layers
        import tf_keras
        from tf_keras.layers import Dense as Dense2
        assert tf is v2 is headrace
        assert tf.math is headrace.math is tensorflow.math
        assert keras is keras2 is headrace.keras is tf_keras is tf.keras
        assert layers is layers2 is headrace.keras.layers
        assert layers is sys.modules["headrace.keras.layers"]
        assert Dense is Dense2 is headrace.keras.layers.Dense
        assert K is headrace.keras.backend
        assert layers.__name__ == "headrace.keras.layers"
        """
    )
    assert done.stderr == ""


@pytest.mark.parametrize(
    "name, says",
    [
        ("tensorflow.python", "inside of TensorFlow's own package"),
        ("tensorflow.python.framework.ops", "inside of TensorFlow's own package"),
        ("tensorflow.core.framework", "inside of TensorFlow's own package"),
        ("tensorflow.ops", "has no 'headrace.ops'"),
        ("tensorflow.nowhere", "has no 'headrace.nowhere'"),
        ("tensorflow.math.nowhere", "has no 'headrace.math.nowhere'"),
        ("tensorflow.keras.nowhere", "has no 'headrace.keras.nowhere'"),
        ("tf_keras.nowhere", "has no 'headrace.keras.nowhere'"),
    ],
)
def test_what_is_not_there_says_so(name, says):
    done = python(
        f"""
        import headrace
        headrace.install_as_tensorflow()
        try:
            import {name}
        except ModuleNotFoundError as error:
            assert error.name and {name!r}.startswith(error.name)
            print(error)
        """
    )
    assert done.stderr == ""
    assert says in done.stdout


def fake_tensorflow(folder):
    """An installed package `tensorflow` with a module that only it has."""
    (folder / "tensorflow" / "python").mkdir(parents=True)
    (folder / "tensorflow" / "__init__.py").write_text("real = True\n")
    (folder / "tensorflow" / "python" / "__init__.py").write_text("")
    (folder / "tensorflow" / "extra.py").write_text("")


def test_an_installed_tensorflow_is_passed_over(tmp_path):
    fake_tensorflow(tmp_path)
    done = python(
        """
        import headrace
        headrace.install_as_tensorflow()
        import tensorflow
        assert tensorflow is headrace
        for name in ("tensorflow.python", "tensorflow.extra"):
            try:
                __import__(name)
            except ModuleNotFoundError:
                print("refused")
        """,
        path=tmp_path,
    )
    assert (done.stdout, done.stderr) == ("refused\nrefused\n", "")


def test_a_tensorflow_imported_before_is_an_error(tmp_path):
    fake_tensorflow(tmp_path)
    done = python(
        """
        import tensorflow, headrace
        try:
            headrace.install_as_tensorflow()
        except ImportError as error:
            print(error)
        assert tensorflow.real
        """,
        path=tmp_path,
    )
    assert done.stderr == ""
    assert "TensorFlow itself has been imported already" in done.stdout


@pytest.mark.parametrize("installed", [True, False])
def test_plain_keras_is_left_alone_where_it_is_installed(tmp_path, installed):
    if installed:
        (tmp_path / "keras.py").write_text("real = True\n")
    done = python(
        f"""
        import headrace
        headrace.install_as_tensorflow()
        import keras
        assert (keras is headrace.keras) is {not installed}
        """,
        path=tmp_path,
    )
    assert done.stderr == ""
