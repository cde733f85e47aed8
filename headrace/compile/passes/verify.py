"""`verify`: whether a program is one, and whether a pass kept what it must keep."""

from __future__ import annotations

from headrace.base import shapes as dims
from headrace.base.dtypes import HANDLES
from headrace.compile.passes.inline import is_body
from headrace.compile.passes.program import NOTHING, Node, Program, Value, has_effect
from headrace.compile.passes.shapes import inferred
from headrace.compile.passes.show import node_text
from headrace.core.graph import Symbol
from headrace.core.op import Kind


class BrokenProgram(AssertionError):
    """A program that no pass may give."""


def verify(program: Program, before: Program | None = None) -> None:
    """Check a program.

    Args:
        before: the program that a pass got: effects must be in its order.
    Raises:
        BrokenProgram: what is wrong, and with which node.
    """
    known: set[Value] = {NOTHING}
    for value in program.inputs:
        _require(value not in known, f"{value} is an input twice")
        known.add(value)
    names: set[str] = set()
    for node in program.nodes:
        _check_place(node, known, names)
        _check_specs(node)
        known.update(node.outputs)
        names.add(node.name)
    for value in program.fetches:
        _require(value in known, f"{value} is returned, but nothing gives it")
    if before is not None:
        _require(len(before.inputs) == len(program.inputs), "an input is gone, or new")
        _require(len(before.fetches) == len(program.fetches), "a result is gone, or new")
        for old, new in zip(before.fetches, program.fetches, strict=True):
            _require(
                new is NOTHING or old.spec.dtype is new.spec.dtype, f"{old} has another dtype"
            )
        _check_effects(before, program)


def _require(holds: bool, problem: str, node: Node | None = None) -> None:
    if not holds:
        place = "" if node is None else f"\n  in {node_text(node)}"
        raise BrokenProgram(problem + place)


def _check_place(node: Node, known: set[Value], names: set[str]) -> None:
    _require(node.name not in names, f"two nodes are called {node.name!r}", node)
    for value in node.reads:
        _require(isinstance(value, Value), f"{value!r} is no value of a program", node)
        _require(value in known, f"{value} is read before it is there", node)
    for name in node.control:
        _require(name in names, f"it waits for {name!r}, which is not before it", node)
    for value in node.outputs:
        _require(value not in known, f"{value} is made twice", node)
    for attr in node.attrs.values():
        items = attr if attr.__class__ is tuple else (attr,)
        for item in items:
            _require(not isinstance(item, Symbol), "an attribute is a graph's tensor", node)


def _check_specs(node: Node) -> None:
    """What a node's values are said to be agrees with its op's rule."""
    if node.op.kind is Kind.CONTROL or NOTHING in node.reads:
        return
    count = len(node.inputs)
    _require(
        node.op.variadic or count == len(node.op.operands),
        f"it has {count} inputs, its op {len(node.op.operands)}",
        node,
    )
    specs = inferred(node)
    if specs is None:
        return  # it fails when it runs
    for value, spec in zip(node.outputs, specs, strict=True):
        if spec.dtype in HANDLES:
            continue
        _require(value.spec.dtype is spec.dtype, f"{value} must be {spec.dtype.name}", node)
        _require(
            dims.compatible(value.spec.shape, spec.shape),
            f"{value} has shape {value.spec.shape}, must have {spec.shape}",
            node,
        )


def _check_effects(before: Program, after: Program) -> None:
    """All effects are there, in the same order; in place of a call, those of what it calls."""
    old = [node for node in before.nodes if has_effect(node.op)]
    new = [node for node in after.nodes if has_effect(node.op)]
    rest = iter(new)
    following = next(rest, None)
    for node in old:
        found = False
        while following is not None and _stands_for(following.name, node):
            found = True
            following = next(rest, None)
        _require(found or _holds_functions(node), "an effect is gone", node)
    _require(following is None, "an effect is new, or in another place", following)


def _stands_for(name: str, node: Node) -> bool:
    if name == node.name:
        return True
    return _holds_functions(node) and name.startswith(f"{node.name}/")


def _holds_functions(node: Node) -> bool:
    """Whether a node is a call, a branch or a loop: what it holds may stand in its place."""
    attrs = node.attrs.values()
    return any(is_body(a) for attr in attrs for a in (attr if type(attr) is tuple else (attr,)))
