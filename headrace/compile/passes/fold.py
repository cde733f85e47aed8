"""`fold`: what follows from constants is computed now, with the eager kernels.

Static inputs that turn out constant become plain attributes. Effects, state, random numbers
and what holds functions are left alone; so is what would be larger than what it is made from,
and what fails: that fails, with its own error, when the program runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from headrace.base.dtypes import HANDLES
from headrace.compile.passes.program import (
    Node,
    Program,
    Value,
    constant_for,
    map_attrs,
    nbytes,
)
from headrace.core.graph import Const, Placeholder
from headrace.core.op import Kind, Op
from headrace.core.tensor import as_array

LIMIT = 1 << 16
"""So many bytes a result may have, or as many as what it is made from."""

_NEVER = (Kind.RANDOM, Kind.CONTROL, Kind.STATE)


def fold(program: Program) -> Program:
    """The program with constants in place of what follows from constants."""
    known: dict[Value, np.ndarray] = {}
    nodes: list[Node] = []
    changed = False
    for old in program.nodes:
        node = settled(old, known)
        arrays = None
        if node.op is Const:
            if isinstance(node.attrs["value"], np.ndarray):
                known[node.outputs[0]] = node.attrs["value"]
        elif may_fold(node.op) and node.outputs:
            arrays = _inferred(node) or _computed(node, known)
        if arrays is None:
            nodes.append(node)
            changed |= node is not old
            continue
        changed = True
        for i, (value, array) in enumerate(zip(node.outputs, arrays, strict=True)):
            label = f"{node.name}:{i}" if i else node.name
            nodes.append(constant_for(value, label, array, node))
            known[value] = array
    return program.like(nodes, {}) if changed else program


def may_fold(op: type[Op]) -> bool:
    """Whether results of an op depend on nothing but its operands."""
    return not op.stateful and op.kind not in _NEVER and op is not Placeholder


def settled(node: Node, known: dict[Value, np.ndarray]) -> Node:
    """The node with static inputs as plain numbers, where they are constant."""
    if len(node.reads) == len(node.inputs) or not any(
        v in known for v in node.reads[len(node.inputs) :]
    ):
        return node

    def plain(value: Value) -> Any:
        array = known.get(value)
        if array is None:
            return value
        items = array.tolist()
        return tuple(items) if isinstance(items, list) else items

    return node.like(attrs=map_attrs(node.attrs, plain))


def _inferred(node: Node) -> list[np.ndarray] | None:
    """The results, where inference knows their values: shapes, ranks and sizes."""
    found = []
    for value in node.outputs:
        array = value.spec.value
        if not isinstance(array, np.ndarray) or value.spec.dtype in HANDLES:
            return None
        if array.dtype != value.spec.dtype.np:
            return None
        found.append(array)
    return found


def _computed(node: Node, known: dict[Value, np.ndarray]) -> list[np.ndarray] | None:
    """The results, where all operands are constants and the results not too large."""
    if len(node.reads) > len(node.inputs):
        return None
    arrays = []
    for value in node.inputs:
        array = known.get(value)
        if array is None:
            return None
        arrays.append(array)
    allowed = max(LIMIT, sum(array.nbytes for array in arrays))
    sizes = [nbytes(value.spec) for value in node.outputs]
    if any(size is not None and size > allowed for size in sizes):
        return None
    if None in sizes and allowed > LIMIT:
        return None
    results = run_kernel(node.op, arrays, node.attrs)
    return results if results is not None and _fit(results, node, allowed) else None


def run_kernel(op: type[Op], arrays: Sequence[Any], attrs: Any) -> list[Any] | None:
    """What the eager kernel gives, or None if it fails."""
    kernel: Any = op.kernel
    if arrays:
        kernel = op.table.get(arrays[0].dtype) or kernel
    try:
        found = kernel(*arrays, **attrs)
    except Exception:  # whatever it is, it is raised again when the program runs
        return None
    several = found.__class__ in (tuple, list)
    return [as_array(result) for result in (found if several else (found,))]


def _fit(results: list[Any], node: Node, allowed: int) -> bool:
    """Whether the results are arrays as they were announced."""
    if len(results) != len(node.outputs):
        return False
    for array, value in zip(results, node.outputs, strict=True):
        spec = value.spec
        if array.__class__ is not np.ndarray or array.dtype != spec.dtype.np:
            return False
        if array.nbytes > allowed:
            return False
        if spec.shape is not None:
            if len(spec.shape) != array.ndim:
                return False
            if any(n not in (None, m) for n, m in zip(spec.shape, array.shape, strict=True)):
                return False
    return True
