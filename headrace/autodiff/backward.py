"""The reverse walk: from what was recorded to gradients.

One function serves tapes, nested tapes, graphs and control flow: it goes through a list of
entries backwards, hands each op's rule the gradient of its result, and sums what arrives at
each tensor. Rules are written with public ops, so that an outer tape records a walk.

An entry is `(op, inputs, outputs, attrs)`; tensors are told apart by their `_uid`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any

from headrace.base.dtypes import variant
from headrace.core.convert import convert
from headrace.core.indexed_slices import IndexedSlices
from headrace.core.tensor import Tensor, next_uid
from headrace.ops.concat_pad import concat
from headrace.ops.create import zeros_like
from headrace.ops.math import add_n
from headrace.ops.tensor_list.elements import add_lists

Entry = tuple[Any, Sequence[Tensor], Sequence[Tensor], Any]


def uid_of(tensor: Tensor) -> int:
    """The tensor's identity on tapes, given to it when it is first needed."""
    uid = tensor._uid
    if uid is None:
        uid = tensor._uid = next_uid()
    return uid


def walk(
    entries: Sequence[Entry], seeds: dict[int, list[Any]], wanted: Iterable[int]
) -> dict[int, Any]:
    """Gradients of all that `seeds` belongs to, with respect to the tensors `wanted`.

    Args:
        entries: what was recorded, in program order.
        seeds: the gradients that are given, by the uid of the result they belong to.
        wanted: uids of the sources.
    Returns:
        the gradient by uid, for those sources that are connected.
    """
    sources = set(wanted)
    needed = _reached(entries, sources)
    gradients = seeds
    for op, inputs, outputs, attrs in reversed(entries):
        if len(outputs) == 1:
            y = outputs[0]
            uid = y._uid
            parts = gradients.get(uid) if uid in sources else gradients.pop(uid, None)
            if parts is None:
                continue
            dy = parts[0] if len(parts) == 1 else total(parts)
            if dy.__class__ is IndexedSlices and not op.sparse:
                dy = convert(dy)
        else:
            y = outputs
            dy = _arrived(gradients, outputs, op.partial)
            if dy is None:
                continue
        rule = op.grad
        if rule.__class__ is tuple:
            for x, partial in zip(inputs, rule, strict=True):
                if partial is not None and x._uid in needed:
                    _give(gradients, x, partial(dy, y, *inputs, **attrs))
            continue
        if rule is None:
            raise LookupError(f"gradient registry has no entry for: {op.name}")
        results = rule(dy, y, *inputs, **attrs)
        if results.__class__ is not tuple and results.__class__ is not list:
            results = (results,)
        for x, result in zip(inputs, results, strict=True):
            if x._uid in needed:
                _give(gradients, x, result)
    return {uid: total(gradients[uid]) for uid in sources if uid in gradients}


def total(gradients: list[Any]) -> Any:
    """The sum of gradients that arrived at one tensor, dense unless all are slices."""
    if len(gradients) == 1:
        return gradients[0]
    if all(isinstance(g, IndexedSlices) for g in gradients):
        first = gradients[0]
        return IndexedSlices(
            concat([g.values for g in gradients], axis=0),
            concat([g.indices for g in gradients], axis=0),
            first.dense_shape,
        )
    dense = [convert(g) for g in gradients]
    if dense[0].dtype is variant:
        return functools.reduce(add_lists, dense)
    return dense[0] + dense[1] if len(dense) == 2 else add_n(dense)


def _reached(entries: Sequence[Entry], sources: set[int]) -> set[int]:
    """The uids of all tensors that depend on a source."""
    reached = set(sources)
    for _, inputs, outputs, _ in entries:
        for x in inputs:
            if x._uid in reached:
                for y in outputs:
                    reached.add(y._uid)  # type: ignore[arg-type]
                break
    return reached


def _arrived(gradients: dict[int, list[Any]], outputs: Sequence[Tensor], partial: bool) -> Any:
    """The gradients of an op's several results as a list, or None.

    A result without one has zeros there, or None if the rule takes that (`partial`).
    """
    found = [gradients.get(y._uid) for y in outputs]
    if all(g is None for g in found):
        return None
    return [
        (None if partial else zeros_like(y)) if g is None else convert(total(g))
        for y, g in zip(outputs, found, strict=True)
    ]


def _give(gradients: dict[int, list[Any]], x: Tensor, gradient: Any) -> None:
    if gradient is None:
        return
    uid = x._uid
    if uid in gradients:
        gradients[uid].append(gradient)
    else:
        gradients[uid] = [gradient]
