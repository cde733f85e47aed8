"""A cluster's nodes become one program of loops.

The rules of the nodes' records are applied one after the other, each to the views that those
before it gave. A view waits to be evaluated where it is read, which is what fuses; it is stored
in memory where that is cheaper than computing it again, and where memory that it reads is about
to change. Read `builder.py` before and `control.py` (branches and loops) after.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from headrace.base.dtypes import uint64
from headrace.compile.cluster.bodies import bodies_of
from headrace.compile.cluster.builder import ProgramBuilder, Random, State
from headrace.compile.cluster.lists import Items
from headrace.compile.cluster.support import POINTWISE, Refused, may_fail, written
from headrace.compile.loops import ir
from headrace.compile.loops.expr import Expr, cast
from headrace.compile.loops.lower import CannotLower, applied
from headrace.compile.loops.views import Stored, View
from headrace.compile.passes.program import Node, Program, Value, map_attrs
from headrace.core.graph import Const
from headrace.core.op import Kind, Spec

CHEAP = 2
"""What takes so many operations an element is computed again rather than stored."""
DEEPEST = 24
"""So many rules may be evaluated within each other; then there is a value in memory."""


class Lowering:
    """The lowering of one program: of a cluster, of a loop's body, of a branch.

    Args:
        c: the builder, the same for all programs in a cluster.
        program: its nodes can all be lowered.
        given: for each of its inputs a view, or a `State` for a variable.
        outer: the lowerings around this one, whose views must stay what they are.
        path: the nodes, and which of their bodies, that lead to the program.
        carried: so many of the inputs are variables of a loop, the program's own to write to.
    """

    def __init__(
        self,
        c: ProgramBuilder,
        program: Program,
        given: Sequence[Any],
        outer: tuple[Any, ...] = (),
        carried: int = 0,
        path: tuple[tuple[str, int], ...] = (),
    ) -> None:
        self.c, self.program, self.path = c, program, path
        self.carried = frozenset(program.inputs[:carried])
        self.open: tuple[Lowering, ...] = (*outer, self)
        self.views: dict[Value, Any] = dict(zip(program.inputs, given, strict=True))
        self.depends: dict[Value, frozenset[int]] = {}
        self.depth: dict[Value, int] = {}
        self.readers: dict[Value, list[Node]] = {}
        self.last: dict[Value, int] = {}
        self.now = -1
        for place, node in enumerate(program.nodes):
            for value in node.reads:
                self.readers.setdefault(value, []).append(node)
                self.last[value] = place
        for value in program.fetches:
            self.last[value] = len(program.nodes)
        for value, view in self.views.items():
            self.depends[value] = self._memory(view)

    def run(self, skipped: Iterable[Node] = ()) -> None:
        """Lower the nodes in their order."""
        done = set(skipped)
        for place, node in enumerate(self.program.nodes):
            self.now = place
            if node not in done:
                self.node(node)

    def results(self) -> list[Any]:
        """The views of the program's results."""
        return [self.views[value] for value in self.program.fetches]

    # One node

    def node(self, node: Node) -> None:
        """Lower one node."""
        self.c.current = self
        self.c.paths[node] = self.path
        if node.op is Const:
            (value,) = node.outputs
            self.views[value], self.depends[value] = self.c.constant(node.attrs["value"]), _NONE
            return
        for value in node.inputs:
            self._prepare(value, node)
        changed = self.changed(node)
        if changed:
            if bodies_of(node):  # a body reads its operands again and again
                self.release(changed, self.now)
            self.overwritten(changed)
        found = self._applied(node)
        depends: frozenset[int] = _NONE.union(*[self.depends[v] for v in node.reads])
        depth = 1 + max([self.depth.get(v, 0) for v in node.reads], default=0)
        for value, view in zip(node.outputs, found, strict=True):
            self.define(value, view, depends, depth)
        if may_fail(node):
            self._test(node)

    def _test(self, node: Node) -> None:
        """Let a node fail where it stands in the program, as its kernel would."""
        for value in node.outputs:
            view = self.views[value]
            if isinstance(view, View) and not isinstance(view, Stored):
                if not self.c.test(view):
                    self.store(value)

    def define(self, value: Value, view: Any, depends: frozenset[int], depth: int) -> None:
        """Let a value have a view, which is stored if that is better."""
        self.views[value] = view
        fixed = not isinstance(view, View) or isinstance(view, Stored)
        self.depends[value] = self._memory(view) if fixed else depends
        if not fixed:
            self.depth[value] = depth
            if depth >= DEEPEST or self._wants_memory(value, view):
                self.store(value)

    def changed(self, node: Node) -> set[int]:
        """The buffers of variables that a node writes to, by id."""
        return {id(self.views[handle].buffer) for handle in written(node)}

    def _applied(self, node: Node) -> tuple[Any, ...]:
        attrs = node.attrs
        if len(node.reads) > len(node.inputs):
            attrs = map_attrs(attrs, self._number)
        operands = [self.views[value] for value in node.inputs]
        place = None
        if node.op.kind is Kind.RANDOM and node.op.stateful:
            place = self._random(node)
            # What is drawn may be computed where it is used, when the place has moved on.
            operands.insert(0, self.c.copied(place))
        expected = tuple([value.spec for value in node.outputs])
        try:
            found = applied(self.c, node.op, operands, expected, attrs)
        except CannotLower as error:
            raise Refused(node, str(error)) from None
        if place is not None:
            self._draw(node, place)
        return found

    def _draw(self, node: Node, words: Stored) -> None:
        """Move the random place of a node on by what it has drawn."""
        assert node.op.draws is not None
        specs = [value.spec for value in node.inputs]
        _, blocks = node.op.draws(*specs, **{**node.op.attrs, **node.attrs})
        self.overwritten({id(words.buffer)})

        def moved(k: Expr) -> Any:
            low = words[0] + blocks
            high = words[1] + self.c.cast(low < blocks, uint64)
            return self.c.where(k == 0, low, self.c.where(k == 1, high, words[2]))

        self.c.write(words.buffer, self.c.map((3,), uint64, moved))

    def _number(self, value: Value) -> Expr:
        """A static input that the program computes."""
        return cast(self.views[value][()], ir.INDEX)

    def _random(self, node: Node) -> Stored:
        buffer = ir.Buffer(self.c.fresh("r"), (3,), uint64)
        self.c.mutable.add(id(buffer))
        self.c.randoms.append(Random(buffer, node))
        return Stored(buffer)

    # Memory

    def _memory(self, view: Any) -> frozenset[int]:
        """The changing memory that a stored view or a list is."""
        if isinstance(view, Items):
            return view.memory(self.c)
        buffer = getattr(view, "buffer", None)
        if buffer is None or isinstance(view, State) or id(buffer) not in self.c.mutable:
            return _NONE
        return frozenset((id(buffer),))

    def overwritten(self, buffers: set[int]) -> None:
        """Memory changes now: whatever is needed later must not wait to read it."""
        for lowering in self.open:
            lowering.release(buffers, lowering.now + 1)

    def release(self, buffers: set[int], moment: int, but: Value | None = None) -> None:
        """Make what is needed from a moment on independent of memory that changes now.

        Args:
            buffers: what changes, by id.
            moment: the place of a node among the program's.
            but: the value that changes.
        """
        for value, depends in list(self.depends.items()):
            if depends & buffers and self.last.get(value, -1) >= moment and value is not but:
                self.store(value)

    def store(self, value: Value) -> None:
        """Let a value be memory of its own, as it is now."""
        view = self.views[value]
        self.views[value] = (
            view.apart(self.c) if isinstance(view, Items) else self.c.copied(view)
        )
        self.depends[value] = self._memory(self.views[value])
        self.depth.pop(value, None)

    def kept(self, value: Value) -> bool:
        """Whether a value is still needed after the present node, or not this program's own."""
        foreign = value in self.program.inputs and value not in self.carried
        return foreign or self.last.get(value, -1) > self.now

    def settle(self, value: Value) -> None:
        """Let a value that is read again and again be memory, if it takes any computing."""
        view = self.views[value]
        if isinstance(view, View) and not isinstance(view, Stored) and self.c.cost(view):
            self.store(value)

    def _prepare(self, value: Value, node: Node) -> None:
        """Store an operand that a node reads more often than it has elements."""
        view = self.views[value]
        if isinstance(view, View) and not isinstance(view, Stored):
            if self._spread(value, node) and self.c.cost(view):
                self.store(value)

    def _spread(self, value: Value, node: Node) -> bool:
        """Whether a node reads elements of an operand many times."""
        if node.op.kind not in POINTWISE:
            return True
        if node.op.kind in (Kind.REDUCE, Kind.STATE):
            return False
        return max(_size(v.spec) for v in node.outputs) > _size(value.spec)

    def _wants_memory(self, value: Value, view: View) -> bool:
        readers = self.readers.get(value, ())
        count = len(readers) + (value in self.program.fetches)
        return count > 1 and self.c.cost(view) > CHEAP


_NONE: frozenset[int] = frozenset()


def _size(spec: Spec) -> int:
    size = 1
    for n in spec.shape or ():
        size *= n or 0
    return size
