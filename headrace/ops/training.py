"""Updates of weights by optimizers: one rule, for arrays and for tensors.

What an optimizer does to each element needs a dozen passes over arrays, often tiny ones.
Eagerly the weights' arrays are joined, updated with a few NumPy calls in place, and parted
again; large arrays are updated one by one. In a graph the same rule gives nodes for each
weight, which the compiler makes one loop of. Keras reaches this under `tf.__internal__`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from types import SimpleNamespace
from typing import Any

import numpy as np

from headrace.base.export import export
from headrace.core.context import state
from headrace.core.convert import convert
from headrace.core.tensor import EagerTensor
from headrace.core.variable import Variable
from headrace.ops import elementwise, transcendental

_SMALL = 1 << 13
"""Weights with so many elements in all are joined."""

_PART = 1 << 14
"""Larger arrays are updated in parts of so many elements, so that what a rule computes on the
way stays in the processor's caches."""

_serial = attrgetter("_serial")
"""Locks are taken in the order in which the variables were made, the same in all threads, so
that no two of them wait for each other."""

Rule = Callable[..., Sequence[Any]]

_of_tensors = SimpleNamespace(
    sqrt=transcendental.sqrt,
    square=elementwise.square,
    abs=elementwise.abs_real,
    maximum=elementwise.maximum,
)
"""The functions that rules may use, under NumPy's names."""


@export("__internal__.training.update_all")
def update_all(
    rule: Rule,
    weights: Sequence[Variable],
    slots: Sequence[Sequence[Variable]],
    gradients: Sequence[Any],
) -> None:
    """Apply `rule(of, gradient, *slots)` to all weights.

    The rule gives what the weight loses, then the new values of the slots. It is written with
    augmented operators (`m += part`): on arrays they work in place, on tensors they give new
    ones. It must not change the gradient.

    Args:
        rule: function of `of` (where sqrt, square, abs and maximum are found), of the gradient
            and the slots: arrays, or tensors while a graph is built.
        weights: the variables; one that comes twice takes both gradients, in their order.
        slots: for each kind of slot a list with one variable a weight.
        gradients: one tensor a weight, of its dtype and shape.
    Raises:
        ValueError: a gradient of another dtype or shape; nothing is changed.
    """
    tensors: list[Any] = [
        gradient if gradient.__class__ is EagerTensor else convert(gradient, weight.dtype)
        for weight, gradient in zip(weights, gradients, strict=True)
    ]
    if state.graph is None:
        _eagerly(rule, (weights, *slots), tensors)
        return
    for weight, *kept, tensor in zip(weights, *slots, tensors, strict=True):
        if not weight.shape.is_compatible_with(tensor.shape):
            raise _unfitting(weight, tensor)
        _add_nodes(rule, weight, kept, tensor)


def _eagerly(rule: Rule, columns: Sequence[Sequence[Variable]], tensors: Sequence[Any]) -> None:
    weights, *slots = columns
    arrays = []
    for weight, tensor in zip(weights, tensors, strict=True):
        array, buffer = tensor._array, weight._buffer
        if array.dtype is not buffer.dtype:
            convert(tensor, weight.dtype)
        if array.shape != buffer.shape:
            raise _unfitting(weight, tensor)
        arrays.append(array)
    dtype = arrays[0].dtype
    small = sum(array.size for array in arrays) <= _SMALL
    once = len(set(map(id, weights))) == len(weights) > 1
    # A rule without slots is over before the arrays would be joined.
    if once and small and slots and all(array.dtype is dtype for array in arrays):
        _joined(rule, columns, arrays)
        return
    for *variables, array in zip(*columns, arrays, strict=True):
        with _Held(variables) if slots else variables[0]._lock:
            _in_place(rule, [variable._writable() for variable in variables], array)


def _unfitting(weight: Variable, gradient: Any) -> ValueError:
    return ValueError(
        f"The gradient of {weight.name} has shape {gradient.shape}, the variable "
        f"{weight.shape}."
    )


def _add_nodes(rule: Rule, weight: Variable, slots: Sequence[Variable], gradient: Any) -> None:
    values = [slot.value() for slot in slots]
    step, *results = rule(_of_tensors, gradient, *values)
    for slot, old, new in zip(slots, values, results, strict=True):
        if new is not old:
            slot.assign(new, read_value=False)
    weight.assign_sub(step, read_value=False)


def _in_place(rule: Rule, arrays: Sequence[np.ndarray], gradient: np.ndarray) -> None:
    """Change the arrays of a weight and its slots."""
    if gradient.size <= _PART or not all(array.flags.c_contiguous for array in arrays):
        _change(rule, arrays, gradient)
        return
    flat = [array.reshape(-1) for array in (*arrays, gradient)]
    for begin in range(0, gradient.size, _PART):
        *parts, part = (array[begin : begin + _PART] for array in flat)
        _change(rule, parts, part)


def _change(rule: Rule, arrays: Sequence[np.ndarray], gradient: np.ndarray) -> None:
    weight, *slots = arrays
    step, *results = rule(np, gradient, *slots)
    for slot, new in zip(slots, results, strict=True):
        if new is not slot:
            slot[...] = new
    weight -= step


class _Held:
    """Context manager that holds the locks of variables."""

    __slots__ = ("_variables",)

    def __init__(self, variables: Sequence[Variable]) -> None:
        self._variables = sorted(variables, key=_serial)

    def __enter__(self) -> None:
        for variable in self._variables:
            variable._lock.acquire()

    def __exit__(self, *exc: object) -> None:
        for variable in self._variables:
            variable._lock.release()


def _joined(
    rule: Rule, columns: Sequence[Sequence[Variable]], arrays: Sequence[np.ndarray]
) -> None:
    with _Held([variable for column in columns for variable in column]):
        buffers = [[variable._writable() for variable in column] for column in columns]
        flat = [np.concatenate([b.reshape(-1) for b in column]) for column in buffers]
        _in_place(rule, flat, np.concatenate([array.reshape(-1) for array in arrays]))
        begin = 0
        for place, array in enumerate(arrays):
            end = begin + array.size
            for column, values in zip(buffers, flat, strict=True):
                column[place][...] = values[begin:end].reshape(array.shape)
            begin = end
