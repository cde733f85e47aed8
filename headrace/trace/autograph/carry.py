"""What a staged branch or loop carries, and the checks that both sides agree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from headrace.base import nest
from headrace.base.shapes import TensorShape
from headrace.core.context import state
from headrace.core.convert import convert
from headrace.core.tensor import Tensor, wrap
from headrace.core.variable import Variable
from headrace.trace.autograph.errors import Undefined, UndefinedReturn
from headrace.trace.func_graph import FuncGraph

_PLAIN = (Tensor, Variable, bool, int, float, complex, str, bytes, np.ndarray, np.generic)
_NUMBERS = (bool, int, float, complex, str, bytes, np.ndarray, np.generic)


def is_opaque(value: Any) -> bool:
    """Whether a graph cannot hold a value: None, functions, the user's own objects."""
    return any(not _is_tensor_like(leaf) for leaf in nest.flatten(value))


def _is_tensor_like(leaf: Any) -> bool:
    if isinstance(leaf, Undefined):
        return False
    return (
        isinstance(leaf, _PLAIN)
        or hasattr(leaf, "_type_spec")
        or hasattr(leaf, "__tf_tensor__")
    )


def scratch(run: Callable[[], Any]) -> Any:
    """What `run` gives inside a graph that is thrown away (eagerly, if none is being built)."""
    if state.graph is None:
        return run()
    with FuncGraph("scratch"):
        return run()


def as_tensor(leaf: Any) -> Any:
    """Numbers, texts and arrays as tensors; the rest as it is."""
    return convert(leaf) if isinstance(leaf, _NUMBERS) else leaf


def blank(example: Any) -> Any:
    """A value of the form of `example`, whose content does not matter."""

    def zeros(leaf: Any) -> Any:
        tensor = as_tensor(leaf)
        if not isinstance(tensor, (Tensor, Variable)):
            return tensor
        dims = [d or 0 for d in tensor.shape.as_list()] if tensor.shape.rank else []
        return wrap(np.zeros(dims, tensor.dtype.np))

    return nest.map_structure(zeros, example)


def not_a_tensor(function: Any, value: Any) -> str:
    """What is said of a result that a graph cannot hold."""
    return (
        "To be compatible with tf.function, Python functions must return zero or more Tensors "
        f"or ExtensionTypes or None values; in compilation of {function}, found return value "
        f"of type {type(value).__name__}, which is not a Tensor or ExtensionType."
    )


# Branches


def check_defined(values: Sequence[Any], names: Sequence[str], branch: str) -> None:
    """
    Raises:
        ValueError: a name has no value at the end of a branch.
    """
    for name, value in zip(names, values, strict=True):
        if isinstance(value, UndefinedReturn):
            raise ValueError(f"the {branch} branch must also have a return statement.")
        if isinstance(value, Undefined):
            raise ValueError(f"'{name}' must also be initialized in the {branch} branch")


def check_branches(name: str, main: Any, other: Any) -> None:
    """
    Raises:
        TypeError: a name differs in structure or dtype between the branches.
        ValueError: it is None in one of them.
    """
    for value, branch in ((main, "main"), (other, "else")):
        if value is None:
            raise ValueError(f"'{name}' is None at the end of the {branch} branch.")
    try:
        nest.assert_same_structure(main, other, expand_composites=True)
    except (ValueError, TypeError) as error:
        raise TypeError(
            f"'{name}' must have the same nested structure in the main and else branches:\n\n"
            f"{error}"
        ) from error
    for one, two in zip(nest.flatten(main), nest.flatten(other), strict=True):
        first, second = as_tensor(one), as_tensor(two)
        if _typed(first) and _typed(second) and first.dtype != second.dtype:
            raise TypeError(
                f"'{name}' has dtype {first.dtype.name} in the main branch, but dtype "
                f"{second.dtype.name} in the else branch"
            )


def _typed(value: Any) -> bool:
    return isinstance(value, (Tensor, Variable))


# Loops


def check_iteration(name: str, entry: Any, after: Any, invariant: Any = None) -> None:
    """
    Args:
        name: of the variable.
        entry: its value before an iteration.
        after: its value after the iteration.
        invariant: the shape that the user has promised, or None.
    Raises:
        TypeError: structure or dtype have changed.
        ValueError: the shape has changed, or it is None.
    """
    if after is None:
        raise ValueError(f"'{name}' is None at the end of the iteration.")
    try:
        nest.assert_same_structure(entry, after, expand_composites=True)
    except (ValueError, TypeError) as error:
        raise TypeError(
            f"'{name}' does not have the same nested structure after one iteration.\n\n{error}"
        ) from error
    pairs = list(zip(nest.flatten(entry), nest.flatten(after), strict=True))
    promised = nest.flatten(invariant)
    for position, (one, two) in enumerate(pairs):
        first, second = as_tensor(one), as_tensor(two)
        if _typed(first) and _typed(second):
            shape = promised[position] if len(promised) == len(pairs) else None
            _check_leaf(name, first, second, shape)


def _check_leaf(name: str, entry: Any, after: Any, invariant: Any) -> None:
    if entry.dtype != after.dtype:
        raise TypeError(
            f"'{name}' has dtype {entry.dtype.name} before the loop, but dtype "
            f"{after.dtype.name} after one iteration"
        )
    if invariant is None:
        if not _within(after.shape, entry.shape):
            raise ValueError(
                f"'{name}' has shape {entry.shape} before the loop, but shape {after.shape} "
                "after one iteration. Use tf.autograph.experimental.set_loop_options to set "
                "shape invariants."
            )
    elif not _within(after.shape, TensorShape(invariant)):
        raise ValueError(
            f"'{name}' has shape {after.shape} after one iteration, which does not conform "
            f"with the shape invariant {TensorShape(invariant)}."
        )


def check_invariant(name: str, before: Any, invariant: Any) -> None:
    """
    Raises:
        ValueError: the value before the loop does not have the shape that was promised.
    """
    shape = as_tensor(before).shape
    if not _within(shape, TensorShape(invariant)):
        raise ValueError(
            f"'{name}' has shape {shape} before the loop, which does not conform with the "
            f"shape invariant {TensorShape(invariant)}."
        )


def _within(shape: TensorShape, wider: TensorShape) -> bool:
    """Whether every array of `shape` is one of `wider`."""
    if wider.rank is None:
        return True
    if shape.rank is None or shape.rank != wider.rank:
        return False
    pairs = zip(shape.as_list(), wider.as_list(), strict=True)
    return all(w is None or s == w for s, w in pairs)


__all__ = [
    "as_tensor",
    "blank",
    "check_branches",
    "check_defined",
    "check_invariant",
    "check_iteration",
    "is_opaque",
    "not_a_tensor",
    "scratch",
]
