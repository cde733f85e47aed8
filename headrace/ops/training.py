"""Updates of weights by optimizers, for all weights of a step at once.

What an optimizer does to each element needs a dozen passes over arrays, often tiny ones. Here
the weights' arrays are joined, updated with a few NumPy calls in place, and parted again; large
arrays are updated one by one. Keras reaches these under `tf.__internal__`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from headrace.base.export import export
from headrace.core.convert import convert
from headrace.core.variable import Variable

_SMALL = 1 << 13
"""Weights with so many elements in all are joined."""

_serial = attrgetter("_serial")
"""Locks are taken in the order in which the variables were made, the same in all threads, so
that no two of them wait for each other."""

Rule = Callable[..., None]


def update_all(
    rule: Rule,
    weights: Sequence[Variable],
    slots: Sequence[Sequence[Variable]],
    gradients: Sequence[Any],
) -> None:
    """Apply `rule(weight, *slots, gradient)`, which works in place, to all weights.

    Args:
        rule: function of arrays; it changes all but the gradient.
        weights: the variables; one that comes twice takes both gradients, in their order.
        slots: for each kind of slot a list with one variable a weight.
        gradients: one tensor a weight, of its dtype and shape.
    Raises:
        ValueError: a gradient of another dtype or shape; nothing is changed.
    """
    arrays = []
    for weight, gradient in zip(weights, gradients, strict=True):
        array = convert(gradient, weight.dtype)._array  # type: ignore[attr-defined]
        if array.shape != weight._array.shape:
            raise ValueError(
                f"The gradient of {weight.name} has shape {array.shape}, the variable "
                f"{weight.shape}."
            )
        arrays.append(array)
    columns = (weights, *slots)
    dtype = weights[0]._array.dtype
    small = sum(array.size for array in arrays) <= _SMALL
    once = len(set(map(id, weights))) == len(weights) > 1
    if once and small and all(array.dtype is dtype for array in arrays):
        _joined(rule, columns, arrays)
        return
    for *variables, array in zip(*columns, arrays, strict=True):
        held = sorted(variables, key=_serial)
        for variable in held:
            variable._lock.acquire()
        try:
            rule(*(variable._writable() for variable in variables), array)
        finally:
            for variable in held:
                variable._lock.release()


def _joined(
    rule: Rule, columns: Sequence[Sequence[Variable]], arrays: Sequence[np.ndarray]
) -> None:
    held = sorted([variable for column in columns for variable in column], key=_serial)
    for variable in held:
        variable._lock.acquire()
    try:
        flat = [np.concatenate([v._array.reshape(-1) for v in column]) for column in columns]
        rule(*flat, np.concatenate([array.reshape(-1) for array in arrays]))
        begin = 0
        for place, array in enumerate(arrays):
            end = begin + array.size
            for column, values in zip(columns, flat, strict=True):
                part = values[begin:end].reshape(array.shape)
                column[place]._writable()[...] = part
            begin = end
    finally:
        for variable in held:
            variable._lock.release()


@export("__internal__.training.apply_adam")
def apply_adam(
    weights: Sequence[Variable],
    momentums: Sequence[Variable],
    velocities: Sequence[Variable],
    gradients: Sequence[Any],
    *,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    of_momentum: float,
    of_gradient: float = 0.0,
    of_velocity: float = 1.0,
) -> None:
    """One step of Adam or one of its relatives for all weights.

    m moves towards the gradient g and v towards its square; then a weight loses
    `(of_momentum m + of_gradient g) / (sqrt(of_velocity v) + epsilon)`.

    Args:
        weights, momentums, velocities: variables, one of each a weight.
        gradients: tensors or `tf.IndexedSlices`.
        beta_1, beta_2: how slowly m and v move.
        epsilon: added to the root.
        of_momentum, of_gradient, of_velocity: the step's coefficients.
    Source: Kingma and Ba 2015; Dozat 2016.
    """

    def rule(weight: np.ndarray, m: np.ndarray, v: np.ndarray, gradient: np.ndarray) -> None:
        part = gradient - m
        part *= 1.0 - beta_1
        m += part
        part = gradient * gradient
        part -= v
        part *= 1.0 - beta_2
        v += part
        step = m * of_momentum
        if of_gradient:
            step += gradient * of_gradient
        step /= np.sqrt(v * of_velocity if of_velocity != 1.0 else v) + epsilon
        weight -= step

    update_all(rule, weights, (momentums, velocities), gradients)
