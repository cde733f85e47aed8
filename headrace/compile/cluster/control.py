"""Branches and loops of a cluster: the bodies that a node holds become steps within steps.

A loop variable is a buffer (a carry) that the condition and the body read and that is written
again at the end of a round. What does not change from round to round is computed before the
loop. Read `lowering.py` before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headrace.base.dtypes import HANDLES
from headrace.base.dtypes import bool as bool_dtype
from headrace.compile.cluster.bodies import program_of_body
from headrace.compile.cluster.builder import ProgramBuilder, State
from headrace.compile.cluster.lists import Items, ListRules, as_view, items_like
from headrace.compile.cluster.lowering import Lowering
from headrace.compile.cluster.rounds import most_rounds
from headrace.compile.cluster.support import may_fail, writes
from headrace.compile.loops import ir
from headrace.compile.loops.expr import cast
from headrace.compile.loops.lower import CannotLower
from headrace.compile.loops.views import Stored
from headrace.compile.passes.dead import dead
from headrace.compile.passes.program import Node, Program, Value, has_effect, static
from headrace.core.graph import Const
from headrace.core.op import Kind, Spec

_MOVABLE = frozenset({Kind.ELEMENTWISE, Kind.REDUCE, Kind.MOVEMENT, Kind.CONTRACT})
"""What may be computed before a loop that may not run at all: it can't fail on floats."""


class ClusterBuilder(ListRules, ProgramBuilder):
    """`c` with branches, loops and lists."""

    def branches(self, bodies: Sequence[Any], count: int, extras: Any) -> tuple[Any, ...]:
        """One of several bodies, by a bool (true: the first) or a number."""
        outer: Lowering = self.current
        node = outer.program.nodes[outer.now]
        for value in node.inputs:
            outer.settle(value)
        operands = [outer.views[value] for value in node.inputs]
        which = self.carry((), operands[0].dtype)
        self.write(which, operands[0])
        wanted = [[(i, i) for i in range(count)] for _ in bodies]
        for place, (branch, i) in enumerate(extras):
            wanted[branch].append((count + place, i))
        results = [_room(self, value.spec) for value in node.outputs]
        sides = []
        for number, (body, places) in enumerate(zip(bodies, wanted, strict=True)):
            program = program_of_body(body, [v.spec for v in node.inputs[1:]])
            with self.steps() as side:
                path = (*outer.path, (node.name, number))
                inner = Lowering(self, program, operands[1:], outer.open, 0, path)
                inner.run()
                found = inner.results()
                for place, i in places:
                    self.write(results[place], found[i])
            sides.append(tuple(side))
        self.step(ir.Branch(which, tuple(sides)))
        self.current = outer
        return tuple([_held(result) for result in results])

    def loop(self, cond: Any, body: Any, count: int, recorded: bool) -> tuple[Any, ...]:
        """A body as long as a condition holds; the first `count` inputs are its variables."""
        outer: Lowering = self.current
        node = outer.program.nodes[outer.now]
        found = _Loop(self, outer, node, cond, body, count, recorded).run()
        self.current = outer
        return found


class _Loop:
    """The lowering of one loop."""

    def __init__(
        self,
        c: ClusterBuilder,
        outer: Lowering,
        node: Node,
        cond: Any,
        body: Any,
        count: int,
        recorded: bool,
    ) -> None:
        self.c, self.outer, self.node = c, outer, node
        self.count, self.recorded = count, recorded
        specs = [Spec(v.spec.shape, v.spec.dtype, v.spec.value) for v in node.inputs]
        variables = [s.spec for s in body.graph.inputs]
        for place in range(count):  # a variable has the shape of all rounds, not of the first
            content = specs[place].value if isinstance(specs[place].value, Spec) else None
            specs[place] = Spec(variables[place].shape, variables[place].dtype, content)
        self.cond, self.body = program_of_body(cond, specs), program_of_body(body, specs)
        self.body = _needed(self.body, self.cond, count, self._unread())
        for place in range(count, len(node.inputs)):
            outer.settle(node.inputs[place])

    def _unread(self) -> set[int]:
        """The loop variables whose last value nobody reads."""
        outer = self.outer
        values = enumerate(self.node.outputs[: self.count])
        return {place for place, value in values if value not in outer.last}

    def run(self) -> tuple[Any, ...]:
        c, node = self.c, self.node
        carries = [self._carry(place) for place in range(self.count)]
        outside = [self.outer.views[v] for v in node.inputs[self.count :]]
        given = [*[_held(carry) for carry in carries], *outside]
        open_, path = self.outer.open, self.outer.path
        test = Lowering(c, self.cond, given, open_, 0, (*path, (node.name, 0)))
        body = Lowering(c, self.body, given, open_, self.count, (*path, (node.name, 1)))
        moved = self._move(body)
        lists, rounds = self._lists(body, moved) if self.recorded else ([], None)
        go = c.carry((), bool_dtype)
        with c.steps() as head:
            test.run()
            c.write(go, test.results()[0].reshape(()))
        with c.steps() as inside:
            body.run(moved)
            self._record(body, lists, rounds)
            self._next(body, carries)
        c.step(ir.Repeat(tuple(head), go, tuple(inside)))
        results = [_held(carry) for carry in carries]
        if rounds is not None:
            results += [Stored(rounds), *lists]
        return tuple(results)

    def _carry(self, place: int) -> Any:
        """Memory for a loop variable, with its first value."""
        variable = self.body.inputs[place]
        value = self.node.inputs[place]
        first = self.outer.views[value]
        if isinstance(first, Items):
            again = self.node.inputs.count(value) > 1
            found = first.owned(self.c, again or self.outer.kept(value))
            self.outer.release({id(found.buffer)}, self.outer.now, but=value)
            return found
        if static(variable.spec) is None:
            raise CannotLower(f"the shape of {variable} changes from round to round")
        buffer = self.c.carry(static(variable.spec) or (), variable.spec.dtype)
        self.c.write(buffer, first)
        return buffer

    def _move(self, body: Lowering) -> set[Node]:
        """Compute before the loop what is the same in each round; the nodes that did."""
        changing = set(self.body.inputs[: self.count]) | writes(self.body)
        moved = set()
        for place, node in enumerate(self.body.nodes):
            fixed = node.op is Const or _can_move(node)
            if not fixed or any(value in changing for value in node.reads):
                changing.update(node.outputs)
                continue
            moved.add(node)
            body.now = place
            body.node(node)
        for node in moved:
            for value in node.outputs:
                body.settle(value)
        self.fixed = {v for node in moved for v in node.outputs}
        self.fixed |= set(self.body.inputs) - changing
        return moved

    def _lists(self, body: Lowering, moved: set[Node]) -> tuple[list[Any], ir.Buffer]:
        """A list for each value that is kept of every round, and the number of rounds."""
        c, node = self.c, self.node
        limit = most_rounds(self.outer.program, node, self.cond, self.body, self.count)
        self.limit = limit
        rounds = c.carry((), node.outputs[self.count].spec.dtype)
        c.write(rounds, c.fill((), rounds.dtype, 0))
        lists: list[Any] = []
        kept = zip(node.outputs[self.count + 1 :], self.body.fetches[self.count :], strict=True)
        for value, inner in kept:
            found = body.views.get(inner)
            if inner in self.fixed:
                lists.append(_kept(limit, value.spec, found))
                lists[-1].repeated = as_view(c, found)
                lists[-1].depends = body.depends[inner]
            else:  # how long a list in a list is shows when it is there
                later = inner.spec.dtype in HANDLES
                lists.append(None if later else _kept(limit, value.spec, found))
        return lists, rounds

    def _record(self, body: Lowering, lists: list[Any], rounds: ir.Buffer | None) -> None:
        if rounds is None:
            return
        place = cast(Stored(rounds)[()], ir.INDEX)
        for number, value in enumerate(self.body.fetches[self.count :]):
            item, items = body.views[value], lists[number]
            if items is None:
                items = lists[number] = _kept(self.limit, value.spec, item)
            if items.repeated is None:
                if items.buffer is None:
                    items.buffer = self.c.carry((items.count, *items.shape), items.dtype)
                items.put(self.c, place, item)
        view = Stored(rounds)
        self.c.write(rounds, self.c.map((), rounds.dtype, lambda: view[()] + 1))

    def _next(self, body: Lowering, carries: Sequence[Any]) -> None:
        """Write the loop variables of the next round; first those that no other reads."""
        fetches = self.body.fetches
        pending = [
            place
            for place in range(self.count)
            if not _is_held(carries[place], body.views[fetches[place]])
        ]
        while pending:
            free = [p for p in pending if not self._waiting(body, carries[p], pending, p)]
            place = (free or pending)[0]
            pending.remove(place)
            target, value = carries[place], fetches[place]
            for later in self._waiting(body, target, pending, place):
                body.store(fetches[later])
            if isinstance(target, Items):
                target.become(self.c, body.views[value])
            else:
                self.c.write(target, body.views[value])

    def _waiting(
        self, body: Lowering, target: Any, pending: Sequence[int], place: int
    ) -> list[int]:
        """The other loop variables whose next values are still to be read from a target."""
        key = id(target.buffer) if isinstance(target, Items) else id(target)
        fetches = self.body.fetches
        return [p for p in pending if p != place and key in body.depends[fetches[p]]]


def _kept(count: int, spec: Spec, item: Any) -> Items:
    """A list, without memory yet, of what a loop keeps of each round.

    Args:
        count: how many rounds there are.
        spec: of the list, or of an item that is a list.
        item: such an item, if it is there.
    """
    if isinstance(item, Items):
        return Items(count, (item.count, *item.shape), item.dtype, nested=item.nested + 1)
    return items_like(count, spec.value)


def _needed(body: Program, cond: Program, count: int, unread: set[int]) -> Program:
    """The body without the work on loop variables that serve only themselves.

    Args:
        body, cond: the loop's programs; the first `count` inputs are its variables.
        unread: the variables that nobody reads after the loop.
    """
    places = {value: place for place, value in enumerate(body.inputs[:count])}
    asked = _read(cond) | set(cond.fetches)
    tested = {place for place, v in enumerate(cond.inputs[:count]) if v in asked}
    needed = (set(range(count)) - unread) | tested
    while True:
        fetches = [
            value if place >= count or place in needed else body.inputs[place]
            for place, value in enumerate(body.fetches)
        ]
        found = dead(Program(body.nodes, body.inputs, tuple(fetches), body.name, body.source))
        reads = _read(found)
        more = {places[v] for v in reads if v in places} - needed
        more |= {
            places[v]
            for place, v in enumerate(fetches)
            if v in places and (place >= count or place in needed)
        } - needed
        if not more:
            return found
        needed |= more


def _read(program: Program) -> set[Value]:
    """What the nodes of a program read."""
    return {value for node in program.nodes for value in node.reads}


def _can_move(node: Node) -> bool:
    """Whether a node may run though the loop around it may not."""
    if node.op.kind is Kind.STATE and node.op.pure:
        return True
    if node.op.kind not in _MOVABLE or has_effect(node.op) or node.op.stateful:
        return False
    if len(node.reads) > len(node.inputs):
        return False
    alone = node.op.kind is not Kind.ELEMENTWISE and len(node.inputs) == 1
    return alone or not may_fail(node)  # single operands are no divisors and no places


def _room(c: ProgramBuilder, spec: Spec) -> Any:
    """Memory for what one of several branches gives."""
    if isinstance(spec.value, Spec):
        raise CannotLower("a branch gives a list")
    return c.carry(static(spec) or (), spec.dtype)


def _held(memory: Any) -> Any:
    """What stands for a value in memory."""
    return memory if isinstance(memory, Items | State) else Stored(memory)


def _is_held(memory: Any, view: Any) -> bool:
    """Whether a view is just what lies in some memory."""
    if isinstance(memory, Items):
        return view is memory
    whole = isinstance(view, Stored) and view.shape == memory.shape
    return whole and view.buffer is memory
