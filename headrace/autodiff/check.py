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
        `[elements of the result, elements of the argument]`.
    Raises:
        ValueError: x is no list, or an argument is not real or complex.

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
        if not (argument.dtype.is_floating or argument.dtype.is_complex):
            raise ValueError(f"Argument {i} has dtype {argument.dtype}; it cannot be varied.")
    step = 1.0 / 1024 if delta is None else delta
    theoretical = tuple(_jacobian(f, arguments, i) for i in range(len(arguments)))
    numeric = tuple(_differences(f, arguments, i, step) for i in range(len(arguments)))
    return theoretical, numeric


def _jacobian(f: Callable[..., Any], arguments: list[Any], i: int) -> np.ndarray:
    with GradientTape() as tape:
        tape.watch(arguments[i])
        result = convert(f(*arguments))
    rows = tape.jacobian(result, arguments[i], unconnected_gradients="zero")
    shape = (int(np.prod(result.shape)), int(np.prod(arguments[i].shape)))
    return _real(rows.numpy().reshape(shape), conjugated=True)


def _differences(
    f: Callable[..., Any], arguments: list[Any], i: int, step: float
) -> np.ndarray:
    base = arguments[i]._array
    columns = []
    for position in range(base.size):
        for direction in (1, 1j) if base.dtype.kind == "c" else (1,):
            up, down = base.copy(), base.copy()
            up.reshape(-1)[position] += direction * step
            down.reshape(-1)[position] -= direction * step
            results = [
                np.asarray(f(*arguments[:i], wrap(v), *arguments[i + 1 :])) for v in (up, down)
            ]
            difference = (results[0].astype(_wider(results[0])) - results[1]).reshape(-1)
            columns.append(_split(difference / (2 * step), base.dtype.kind == "c"))
    size = int(np.prod(np.shape(np.asarray(f(*arguments)))))
    rows = 2 * size if base.dtype.kind == "c" else size
    return np.stack(columns, axis=1) if columns else np.zeros((rows, 0), base.dtype)


def _wider(array: np.ndarray) -> Any:
    return np.complex128 if array.dtype.kind == "c" else np.float64


def _split(values: np.ndarray, as_pairs: bool) -> np.ndarray:
    if not as_pairs:
        return values.real if values.dtype.kind == "c" else values
    pairs = np.stack([values.real, np.imag(values)], axis=1)
    return pairs.reshape(-1)


def _real(matrix: np.ndarray, conjugated: bool) -> np.ndarray:
    """A complex jacobian (of TensorFlow's convention) as one of real and imaginary parts."""
    if matrix.dtype.kind != "c":
        return matrix
    m, n = matrix.shape
    result = np.empty((2 * m, 2 * n), matrix.real.dtype)
    result[0::2, 0::2], result[1::2, 1::2] = matrix.real, matrix.real
    result[1::2, 0::2] = -matrix.imag if conjugated else matrix.imag
    result[0::2, 1::2] = matrix.imag if conjugated else -matrix.imag
    return result
