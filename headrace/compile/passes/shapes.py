"""`shapes`: what is known of values is inferred again from what is known now.

After calls were put in line and constants were found, operands are known better than when the
function was traced. Knowledge only grows; an inference that fails is left to the run.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from headrace.base import errors
from headrace.base import shapes as dims
from headrace.base.dtypes import HANDLES
from headrace.compile.passes.program import Node, Program, Value, map_attrs, renamed, static
from headrace.core.op import Kind, Spec


def shapes(program: Program) -> Program:
    """The program with specs that say as much as can be known."""
    sharper: dict[Value, Value] = {}
    nodes: list[Node] = []
    for old in program.nodes:
        node = renamed(old, sharper) if sharper else old
        if node.op.kind is not Kind.CONTROL and not all(map(_settled, node.outputs)):
            outputs = tuple(map(_sharpened, node.outputs, inferred(node) or node.outputs))
            if outputs != node.outputs:
                sharper.update(
                    (a, b) for a, b in zip(node.outputs, outputs, strict=True) if a is not b
                )
                node = node.like(outputs=outputs)
        nodes.append(node)
    return program.like(nodes, sharper) if sharper else program


def _settled(value: Value) -> bool:
    """Whether nothing more can be known of a value."""
    spec = value.spec
    if spec.dtype in HANDLES:
        return True
    if static(spec) is None:
        return False
    return spec.dtype.np.kind not in "iu" or isinstance(spec.value, np.ndarray)


def inferred(node: Node) -> tuple[Spec, ...] | None:
    """The specs of a node's results by its op's rule; None if the rule fails."""
    attrs = node.attrs
    if len(node.reads) > len(node.inputs):
        attrs = map_attrs(attrs, _partial)
    try:
        found = node.op.infer(*[v.spec for v in node.inputs], **attrs)
    except errors.OpError:
        return None
    specs = (found,) if isinstance(found, Spec) else tuple(found)
    return specs if len(specs) == len(node.outputs) else None


def _partial(value: Value) -> Any:
    """What a rule is told of a static input: None stands for what is not known."""
    found, shape = value.spec.value, value.spec.shape
    if isinstance(found, np.ndarray):
        items = found.tolist()
        return tuple(items) if isinstance(items, list) else items
    if found.__class__ is tuple:
        return found
    if shape is not None and len(shape) == 1 and shape[0] is not None:
        return (None,) * shape[0]
    return None


def _sharpened(old: Value, new: Any) -> Value:
    """The value itself, or one of which more is known."""
    if new is old:
        return old
    try:
        shape = dims.merge(old.spec.shape, new.shape)
    except ValueError:
        return old
    value = old.spec.value
    if value is None or value.__class__ is tuple:
        value = _as_known(new) if new.value is not None else value
    if shape == old.spec.shape and _alike(value, old.spec.value):
        return old
    return Value(old.name, Spec(shape, old.spec.dtype, value))


def _alike(one: Any, other: Any) -> bool:
    """Whether two known values, one of which may be more known, are the same."""
    return one is other or (one.__class__ is tuple and one == other)


def _as_known(spec: Spec) -> Any:
    """A value that a rule knows, as an array if it is known wholly."""
    value = spec.value
    if isinstance(value, (np.ndarray, Spec)):
        return value
    if value.__class__ is tuple and None in value:
        return value
    return np.array(value, spec.dtype.np)
