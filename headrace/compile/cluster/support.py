"""Which nodes can become native code, and what they change.

Nothing here knows an op by its name: records say whether they have a rule, specs say whether
sizes are known. Read `passes/program.py` before.
"""

from __future__ import annotations

from headrace.base.dtypes import HANDLES, resource, variant
from headrace.compile.cluster.bodies import bodies_of, program_of_body
from headrace.compile.loops.operations import letter, part
from headrace.compile.passes.program import Node, Program, Value, has_effect, static
from headrace.core.graph import Const
from headrace.core.op import Kind, Op, Spec


class Refused(Exception):
    """A node that looked as if it could be lowered can't."""

    def __init__(self, node: Node, reason: str) -> None:
        super().__init__(f"{node.name}: {reason}")
        self.node, self.reason = node, reason


def native(node: Node) -> bool:
    """Whether a node can be lowered, as far as that can be told without trying."""
    return obstacle(node) is None


def obstacle(node: Node) -> str | None:
    """Why a node can't be lowered, as far as that can be told without trying."""
    for value in (*node.inputs, *node.outputs):
        if not has_memory(value.spec):
            return f"{_described(value)} has no fixed size in memory"
    if node.op is Const:
        return None
    if not has_rule(node.op):
        return node.op.no_lower or "its record has no rule"
    if not computed_attrs(node):
        return "what decides the shape is computed"
    for body in bodies_of(node):
        for inner in program_of_body(body, ()).nodes:
            reason = obstacle(inner)
            if reason is not None:
                return f"{inner.op.name} {inner.name!r} inside: {reason}"
    return None


def _described(value: Value) -> str:
    shape = "of unknown rank" if value.spec.shape is None else list(value.spec.shape)
    return f"{value.spec.dtype.name}{shape}"


def has_rule(op: type[Op]) -> bool:
    """Whether a record says how it becomes loops."""
    return op.lower is not None or op.scalar is not None


def has_memory(spec: Spec) -> bool:
    """Whether compiled code can hold a value: its size is known, and its dtype has scalars."""
    if spec.dtype is resource or spec.dtype is variant:
        content = spec.value
        listed = spec.dtype is variant and isinstance(content, Spec)
        while listed and isinstance(content, Spec) and content.dtype is variant:
            content = content.value  # of a list of lists
        known = isinstance(content, Spec) and content.dtype not in HANDLES
        return known and has_memory(content)
    return static(spec) is not None and _scalars(spec)


def _scalars(spec: Spec) -> bool:
    try:
        letter(part(spec.dtype))
    except TypeError:
        return False
    return True


def computed_attrs(node: Node) -> bool:
    """Whether those static inputs that are computed may be, as single numbers."""
    for name, attr in node.attrs.items():
        items = attr if attr.__class__ is tuple else (attr,)
        values = [item for item in items if item.__class__ is Value]
        if values and name not in node.op.computed:
            return False
        if any(static(v.spec) != () or v.spec.dtype.np.kind not in "iu" for v in values):
            return False
    return True


def may_fail(node: Node) -> bool:
    """Whether elements may demand something of operands: integers are divisors and places."""
    return any(
        v.spec.dtype not in HANDLES and v.spec.dtype.np.kind in "iu" for v in node.inputs
    )


def written(node: Node) -> set[Value]:
    """The handles among a node's inputs whose memory it changes."""
    handles = [value for value in node.inputs if value.spec.dtype is resource]
    if not handles:
        return set()
    bodies = bodies_of(node)
    if not bodies:
        return set(handles) if has_effect(node.op) else set()
    found: set[Value] = set()
    for body in bodies:
        program = program_of_body(body, ())
        changed = writes(program)
        given = node.inputs[len(node.inputs) - len(program.inputs) :]
        found.update(v for v, p in zip(given, program.inputs, strict=True) if p in changed)
    return found


def writes(program: Program) -> set[Value]:
    """The handles that a program writes to."""
    return {value for node in program.nodes for value in written(node)}


POINTWISE = frozenset({Kind.ELEMENTWISE, Kind.REDUCE, Kind.MOVEMENT, Kind.STATE})
"""The kinds of which a result reads each element of an operand about once."""
