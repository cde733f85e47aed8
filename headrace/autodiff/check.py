"""Gradients against differences: `tf.test.compute_gradient`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from headrace.autodiff.tape import GradientTape
from headrace.base.export import export
from headrace.core.convert import convert
from headrace.core.tensor import wrap


@export("test.compute_gradient")
def compute_gradient(
    f: Callable[..., Any], x: Sequence[Any], delta: float | None = None
) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    """The jacobian of `f` twice: from its gradient, and from central differences.

    Args:
        f: function of tensors that gives one tensor.
        x: list of its arguments.
        delta: the step of the differences (default: 1/1024).
    Returns: `(theoretical, numeric)`: for each argument a matrix
        `[elements of the result, elements of the argument]`; a complex element counts as two,
        its real and its imaginary part.
    Raises:
        ValueError: x is no list.
        AssertionError: an argument is not real or complex.

    >>> a, b = tf.test.compute_gradient(tf.square, [tf.constant([1., 2.])])
    >>> np.allclose(a[0], b[0], atol=1e-3)
    True
    """
    if not isinstance(x, (list, tuple)):
        raise ValueError(
            "`x` must be a list or tuple of values convertible to a Tensor (arguments to `f`), "
            f"not a {type(x)}"
        )
    arguments = [convert(a) for a in x]
    for i, argument in enumerate(arguments):
        dtype = argument.dtype
        assert dtype.is_floating or dtype.is_complex, (
            f"Cannot compute gradient for unsupported type {dtype.name} of argument {i}"
        )
    step = 1.0 / 1024 if delta is None else delta
    theoretical = tuple(_jacobian(f, arguments, i) for i in range(len(arguments)))
    numeric = tuple(_differences(f, arguments, i, step) for i in range(len(arguments)))
    return theoretical, numeric


def _jacobian(f: Callable[..., Any], arguments: list[Any], i: int) -> np.ndarray:
    """Row by row: a real row, or one each for the real and the imaginary part of an element."""
    source = arguments[i]
    with GradientTape(persistent=True) as tape:
        tape.watch(source)
        result = convert(f(*arguments))
    rows = []
    for position in range(result._array.size):
        for unit in _units(result._array):
            weight = np.zeros_like(result._array)
            weight.reshape(-1)[position] = unit
            gradient = tape.gradient(result, source, wrap(weight), "zero")
            rows.append(_parts(convert(gradient)._array))
    width = source._array.size * len(_units(source._array))
    return np.array(rows, _real_dtype(source._array)).reshape(len(rows), width)


def _differences(
    f: Callable[..., Any], arguments: list[Any], i: int, step: float
) -> np.ndarray:
    """Column by column, as `_jacobian` row by row."""
    base = arguments[i]._array
    columns = []
    for position in range(base.size):
        for unit in _units(base):
            up, down = base.copy(), base.copy()
            up.reshape(-1)[position] += unit * step
            down.reshape(-1)[position] -= unit * step
            high, low = (
                convert(f(*arguments[:i], wrap(v), *arguments[i + 1 :]))._array
                for v in (up, down)
            )
            wide = np.complex128 if high.dtype.kind == "c" else np.float64
            columns.append(_parts((high.astype(wide) - low) / (2 * step)))
    height = len(_parts(convert(f(*arguments))._array))
    return np.array(columns, _real_dtype(base)).reshape(len(columns), height).T


def _units(array: np.ndarray) -> tuple[complex, ...]:
    """The directions in which an element can be varied."""
    return (1, 1j) if array.dtype.kind == "c" else (1,)


def _parts(array: np.ndarray) -> np.ndarray:
    """All numbers of an array in a row; of complex ones the real part, then the imaginary."""
    flat = array.reshape(-1)
    if flat.dtype.kind != "c":
        return flat
    return np.stack([flat.real, flat.imag], axis=1).reshape(-1)


def _real_dtype(array: np.ndarray) -> np.dtype:
    return array.real.dtype
