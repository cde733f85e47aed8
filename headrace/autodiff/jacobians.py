"""Jacobians: one reverse walk for each element of the target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from headrace.core.convert import convert
from headrace.core.tensor import Tensor, wrap
from headrace.ops.concat_pad import stack
from headrace.ops.create import zeros as zeros_of
from headrace.ops.create import zeros_like
from headrace.ops.reshape import reshape

Gradients = Callable[[Sequence[Tensor], Sequence[Any], Sequence[Any]], list[Any]]


def rows(gradients: Gradients, target: Tensor, sources: Sequence[Any]) -> list[Any]:
    """The jacobian of `target` with respect to each source: `[t..., s...]`, or None.

    Args:
        gradients: the tape's `(targets, sources, weights) -> gradients`.
    """
    shape = tuple(target.shape)
    found = [gradients([target], sources, [unit]) for unit in _units(shape, target.dtype.np)]
    return [
        _assembled([row[i] for row in found], shape, source, target)
        for i, source in enumerate(sources)
    ]


def batch_rows(gradients: Gradients, target: Tensor, source: Any) -> Any:
    """The jacobian of each row of `target` with respect to the same row of `source`."""
    batch, inner = target.shape[0], tuple(target.shape[1:])
    found = []
    for unit in _units(inner, target.dtype.np):
        weight = wrap(np.broadcast_to(unit._array, (batch, *inner)).copy())
        found.append(gradients([target], [source], [weight])[0])
    if not found:
        return batch_zeros(target, source)
    if all(g is None for g in found):
        return None
    rest = [zeros_like(source) if g is None else convert(g) for g in found]
    return reshape(stack(rest, axis=1), (batch, *inner, *source.shape[1:]))


def check_batches(target: Tensor, source: Any) -> None:
    """Refuse tensors that have no common first dimension."""
    if target.shape.rank is None or not target.shape.rank or not source.shape.rank:
        raise ValueError(
            "Need first dimension of target shape and source shape to match. Got "
            f"{target.shape} and {source.shape}"
        )
    if target.shape.rank < 2:
        raise ValueError(f"Shape {target.shape} must have rank at least 2")
    if target.shape[0] != source.shape[0]:
        raise ValueError(
            f"Need first dimension of target shape ({target.shape}) and source shape "
            f"({source.shape}) to match."
        )


def zeros(target: Tensor, source: Any) -> Tensor:
    """The jacobian of a target that does not depend on the source."""
    return zeros_of((*target.shape, *source.shape), source.dtype)


def batch_zeros(target: Tensor, source: Any) -> Tensor:
    """The batch jacobian of a target that does not depend on the source."""
    return zeros_of((*target.shape, *source.shape[1:]), source.dtype)


def _units(shape: tuple[int, ...], dtype: np.dtype) -> list[Any]:
    """For every element of `shape`, the tensor that is 1 there and 0 elsewhere."""
    units = []
    for index in np.ndindex(*shape):
        unit = np.zeros(shape, dtype)
        unit[index] = 1
        units.append(wrap(unit))
    return units


def _assembled(found: list[Any], shape: tuple[int, ...], source: Any, target: Tensor) -> Any:
    if not found:
        return zeros(target, source)
    if all(g is None for g in found):
        return None
    dense = [zeros_like(source) if g is None else convert(g) for g in found]
    return reshape(stack(dense), (*shape, *source.shape))
