"""`cse`: what is computed twice from the same values is computed once.

Two nodes are the same if op, inputs, attributes, device and what they wait for are. Arrays in
attributes compare by their bytes. Reads of a variable are the same if nothing in between may
have changed it; effects, random numbers and new lists (which are written in place) never are.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np

from headrace.base.dtypes import resource, variant
from headrace.compile.passes.program import Node, Program, Value, has_effect, renamed
from headrace.core.op import Kind

_COMPARED = 1 << 16
"""Arrays of more bytes are the same only if they are one object."""
_STRINGS = 64
"""So are arrays of more strings."""


class _Versions:
    """How often what stands behind each handle may have changed so far."""

    def __init__(self) -> None:
        self._all = 0
        self._of: dict[Value, int] = {}

    def after(self, node: Node) -> None:
        """Take note of a node's effect."""
        if not has_effect(node.op):
            return
        handles = [v for v in node.inputs if v.spec.dtype is resource]
        if node.op.kind is Kind.STATE and handles:
            for handle in handles:
                self._of[handle] = self._of.get(handle, 0) + 1
        else:  # a call, or code of the user: it may change anything
            self._all += 1

    def seen_by(self, node: Node) -> Hashable:
        """What a node can see of it."""
        if node.op.stateful:
            return (self._all, *[self._of.get(v, 0) for v in node.inputs])
        return None


def cse(program: Program) -> Program:
    """The program in which what is computed twice is computed once."""
    found: dict[Hashable, Node] = {}
    known_as: dict[Value, Value] = {}
    versions = _Versions()
    pinned = program.pinned()
    nodes: list[Node] = []
    for old in program.nodes:
        node = renamed(old, known_as) if known_as else old
        if node.op.stateful and not node.op.pure:
            versions.after(node)
        elif node.name not in pinned and node.outputs and not _new_list(node):
            first = found.setdefault(_key(node, versions), node)
            if first is not node and _as_good(first, node):
                known_as.update(zip(node.outputs, first.outputs, strict=True))
                continue
        nodes.append(node)
    return program.like(nodes, known_as) if known_as else program


def _key(node: Node, versions: _Versions) -> Hashable:
    attrs = tuple(sorted([(name, attr_key(attr)) for name, attr in node.attrs.items()]))
    return (node.op, node.inputs, attrs, node.device, node.control, versions.seen_by(node))


def _new_list(node: Node) -> bool:
    """Whether a node makes an empty list: each has one writer and items of its own."""
    return not node.inputs and any(v.spec.dtype is variant for v in node.outputs)


def _as_good(first: Node, node: Node) -> bool:
    """Whether as much is known of the results: the user may have said more of one of them."""
    return all(
        a.spec.dtype is b.spec.dtype and a.spec.shape == b.spec.shape
        for a, b in zip(first.outputs, node.outputs, strict=True)
    )


def attr_key(attr: Any) -> Hashable:
    """What an attribute counts as."""
    kind = attr.__class__
    if kind is int or kind is str or kind is bool or kind is bytes:
        return kind, attr
    if kind is float:
        return kind, attr.hex()
    if kind is tuple:
        return tuple([attr_key(item) for item in attr])
    if kind is np.ndarray and attr.dtype.kind == "O" and attr.size <= _STRINGS:
        return kind, attr.shape, str(attr.tolist())
    if kind is np.ndarray and attr.dtype.kind != "O" and attr.nbytes <= _COMPARED:
        return attr.dtype, attr.shape, attr.tobytes()
    return "object", id(attr)
