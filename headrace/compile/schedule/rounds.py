"""Which stages of a loop don't wait for its rounds.

A stage is *early* if it depends on nothing that the loop's rounds change, but for counters and
what other early stages give: it may run for all rounds before the first. It is *late* if the
rounds need nothing of what it gives: it adds to sums that are read after the loop, or writes
rows of a list, a row a round. What goes from stage to stage within a round, a *fresh*
temporary, then gets a row for each round.
Read `counters.py` and `accesses.py` before.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import replace

from headrace.compile.loops import ir
from headrace.compile.loops.affine import affine
from headrace.compile.loops.expr import (
    Apply,
    Cast,
    Choose,
    Const,
    Expr,
    Index,
    Load,
    Read,
    bounds,
    cast,
)
from headrace.compile.loops.operations import letter
from headrace.compile.loops.rewrite import Rewriter
from headrace.compile.schedule.accesses import Accesses, accesses, visited
from headrace.compile.schedule.counters import Count, Counter, Line

_DIVISIONS = frozenset({"floordiv", "floormod", "truncdiv", "truncmod", "pow"})


class Rounds:
    """Who writes and reads what in the body of a loop; places are positions in the body.

    Attributes:
        body: the loop's steps.
        count: how often it runs, and its counters.
        counter: the one by which rows are numbered: in steps of one, from `least` on.
        row: the number of a row, for stages that run for all rounds.
        changing: ids of the buffers that it writes.
    """

    def __init__(
        self,
        loop: ir.Repeat,
        count: Count,
        counter: Counter,
        row: Index,
        temporaries: Set[int],
        outside: Set[int],
    ) -> None:
        """`temporaries`, `outside`: ids of the program's temporaries, and of the buffers that
        something outside of the loop touches."""
        self.body, self.count, self.counter, self.row = loop.body, count, counter, row
        self.least = min(counter.first, counter.first + counter.step * (count.rounds - 1))
        self._temporaries, self._outside = temporaries, outside
        self._moved: dict[int, ir.Stage | None] = {}
        self.touches = [_touched([step]) for step in loop.body]
        self._head = _touched(loop.head)
        self._deciding = {id(buffer) for buffer in ir.deciding((loop,))}
        self.writers: dict[int, list[int]] = {}
        self.readers: dict[int, list[int]] = {}
        for place, touches in enumerate(self.touches):
            for key in touches.stores:
                self.writers.setdefault(key, []).append(place)
            for key in touches.loads:
                self.readers.setdefault(key, []).append(place)
        self.changing = self.writers.keys() | self._head.stores.keys()

    def stage(self, place: int) -> ir.Stage | None:
        """What a stage does in the round of row `row`; None where it may not run elsewhere."""
        if place not in self._moved:
            self._moved[place] = self._apart(place)
        return self._moved[place]

    def _apart(self, place: int) -> ir.Stage | None:
        step = self.body[place]
        if not isinstance(step, ir.Stage) or step.kind not in ("map", "contract", "reduce"):
            return None
        if self.touches[place].sequential or _divides(step):
            return None

        def change(x: Expr) -> Expr | None:
            if not isinstance(x, Load | Cast | Choose | Apply) or letter(x.dtype) not in "iu":
                return None
            line = self.count.line(x, place)
            return None if line is None else cast(self._at(line), x.dtype)

        found = replace(step, body=Rewriter(change).body(step.body))
        return found if _inside(found) else None

    def _at(self, line: Line) -> Expr:
        """The value of an even change in the round of row `row`."""
        if self.counter.step < 0:
            return self.row * -line.step + line.at(self.count.rounds - 1)
        return self.row * line.step + line.first

    def fresh(self, key: int) -> bool:
        """Whether a buffer is wholly written in each round before anything reads it, and
        nothing else sees it."""
        writers = self.writers.get(key, [])
        if len(writers) != 1 or key not in self._temporaries or key in self._outside:
            return False
        if key in self._deciding or key in self._head.buffers:
            return False
        step = self.body[writers[0]]
        before = any(reader <= writers[0] for reader in self.readers.get(key, ()))
        return isinstance(step, ir.Stage) and not before and _whole(step, key)

    def written_only(self, key: int, place: int) -> bool:
        """Whether one stage alone touches a buffer in the loop."""
        elsewhere = key in self._head.buffers
        touching = {*self.writers.get(key, ()), *self.readers.get(key, ())}
        return not elsewhere and touching == {place}

    # Early

    def early(self) -> set[int]:
        """The places of the stages that may run before the loop."""
        found: set[int] = set()
        for place, touches in enumerate(self.touches):
            if self.stage(place) is None or not all(self.fresh(k) for k in touches.stores):
                continue
            if all(self._given(key, found) for key in touches.loads):
                found.add(place)
        return found

    def _given(self, key: int, early: Set[int]) -> bool:
        if key in self.count.counters or key not in self.changing:
            return True
        return self.fresh(key) and self.writers[key][0] in early

    def before(self, place: int) -> set[int]:
        """An early stage, and those that it needs."""
        found = {place}
        for key in self.touches[place].loads:
            if key in self.changing and key not in self.count.counters:
                found |= self.before(self.writers[key][0])
        return found

    # Late

    def after(self, place: int) -> set[int] | None:
        """A stage that gives nothing to the rounds, and all that is made of it; None if the
        rounds need it."""
        found: set[int] = set()
        waiting = [place]
        while waiting:
            now = waiting.pop()
            if now in found:
                continue
            more = self._next(now)
            if more is None:
                return None
            found.add(now)
            waiting += more
        adding = {p for p in found if self.added(p)}
        for p in found - adding:
            readers = {r for key in self.touches[p].stores for r in self.readers.get(key, ())}
            stage = self.stage(p)
            alone = stage is not None and readers <= adding and summed(stage)
            if readers & adding and not alone:
                return None
        return found

    def _next(self, place: int) -> list[int] | None:
        """The places that must be late if this one is; None: it can't be."""
        if self.stage(place) is None:
            return None
        touches = self.touches[place]
        if (terms := self.added(place)) is not None:
            return [self.writers[key][0] for key in terms]
        found = []
        for key in touches.loads.keys() - touches.stores.keys():
            fixed = key not in self.changing or key in self.count.counters
            if not fixed and not self.fresh(key):
                return None
        for key in touches.stores:
            if self.fresh(key):
                found += self.readers.get(key, [])
            elif not self._rows(key, place):
                return None
        return found

    def _rows(self, key: int, place: int) -> bool:
        """Whether a stage writes a row of a buffer a round, which nothing else touches."""
        stage = self.stage(place)
        stores = [] if stage is None else _stores(stage)
        if len(stores) != 1 or stage is None or not self.written_only(key, place):
            return False
        (store,) = stores
        offset, around = store.offset, [*(_around(stage.body, store) or ()), self.row]
        read = [x for x in visited([store.value]) if isinstance(x, Load)]
        aside = [x for x in read if x.buffer is store.buffer]
        if not all(affine(offset).equals(affine(x.offset)) for x in aside):
            return False
        return not store.buffer.dtype.is_complex and _apart(offset, around)

    def added(self, place: int) -> list[int] | None:
        """The ids of the fresh temporaries that a stage adds to a sum that only it touches;
        None where it does something else."""
        stage = self.stage(place)
        stores = [] if stage is None else _stores(stage)
        if len(stores) != 1 or not self.written_only(id(stores[0].buffer), place):
            return None
        (store,) = stores
        offset = affine(store.offset)
        terms = [x for x in _terms(store.value) if isinstance(x, Load)]
        if len(terms) != len(_terms(store.value)) or store.buffer.dtype.is_complex:
            return None
        if not all(offset.equals(affine(x.offset)) for x in terms):
            return None
        others = [id(x.buffer) for x in terms if x.buffer is not store.buffer]
        if len(others) != len(terms) - 1 or not all(self.fresh(key) for key in others):
            return None
        return others if letter(store.buffer.dtype) == "f" else None


def _touched(steps: Iterable[ir.Step]) -> Accesses:
    found = Accesses()
    for stage in ir.stages(steps):
        found.add(accesses(stage.body))
    return found


def _inside(stage: ir.Stage) -> bool:
    """Whether it is known that a stage touches nothing outside of its buffers."""
    places = []
    for statement in ir.statements(stage.body):
        if isinstance(statement, ir.Store):
            places.append((statement.buffer, statement.offset))
        for x in visited(ir.expressions(statement)):
            if isinstance(x, Load):
                places.append((x.buffer, x.offset))
    known = [(bounds(offset), buffer.size) for buffer, offset in places]
    return all(span and 0 <= span[0] and span[1] < size for span, size in known)


def _stores(stage: ir.Stage) -> list[ir.Store]:
    return [s for s in ir.statements(stage.body) if isinstance(s, ir.Store)]


def _terms(x: Expr) -> list[Expr]:
    """What an expression is the sum of."""
    if isinstance(x, Apply) and x.name == "add":
        return [*_terms(x.args[0]), *_terms(x.args[1])]
    return [x]


def _divides(stage: ir.Stage) -> bool:
    """Whether a stage has an integer division that could fail."""
    for statement in ir.statements(stage.body):
        for x in visited(ir.expressions(statement)):
            if isinstance(x, Apply) and x.name in _DIVISIONS and letter(x.dtype) in "iu":
                if not isinstance(x.args[1], Const):
                    return True
    return False


def summed(stage: ir.Stage) -> bool:
    """Whether a stage does nothing but add up, in one register for each element it stores."""
    body = stage.body
    while len(body) == 1 and isinstance(body[0], ir.For):
        body = body[0].body
    if len(body) != 3 or not isinstance(body[0], ir.Begin) or not isinstance(body[2], ir.Store):
        return False
    begin, store = body[0], body[2]
    updates = [s for s in ir.statements(body[1:2]) if not isinstance(s, ir.For)]
    register = begin.accumulator
    return (
        isinstance(begin.value, Const)
        and begin.value.value == 0
        and len(updates) == 1
        and isinstance(updates[0], ir.Update)
        and updates[0].combine == "add"
        and updates[0].accumulators == (register,)
        and isinstance(store.value, Read)
        and store.value.accumulator is register
    )


def _whole(stage: ir.Stage, key: int) -> bool:
    """Whether a stage writes each element of a buffer once, whatever happens."""
    stores = [s for s in _stores(stage) if id(s.buffer) == key]
    if len(stores) != 1 or stores[0].buffer.dtype.is_complex:
        return False
    around = _around(stage.body, stores[0])
    return around is not None and _all(stores[0].offset, around, stores[0].buffer.size)


def _around(body: Iterable[ir.Statement], store: ir.Store) -> list[Index] | None:
    """The loops around a store; None: it is not in there."""
    for statement in body:
        if statement is store:
            return []
        if isinstance(statement, ir.For):
            inside = _around(statement.body, store)
            if inside is not None:
                return [statement.index, *inside]
    return None


def _digits(offset: Expr, around: Iterable[Index]) -> tuple[int, list[tuple[int, int]]] | None:
    """The least value of an offset, and by how much each loop around moves it and how often,
    small steps first; None where something else moves it too."""
    place = affine(offset)
    extents = {id(index): index.extent for index in around}
    if any(factor and key not in extents for key, factor in place.terms.items()):
        return None
    least, digits = place.constant, []
    for key, extent in extents.items():
        factor = place.terms.get(key, 0)
        least += min(0, factor * (extent - 1))
        if extent != 1:
            digits.append((abs(factor), extent))
    return least, sorted(digits)


def _all(offset: Expr, around: Iterable[Index], size: int) -> bool:
    """Whether each element of a buffer is meant in one step of the loops around."""
    least, digits = _digits(offset, around) or (-1, [])
    reached = 1
    for factor, extent in digits:
        if factor != reached:
            return False
        reached *= extent
    return least == 0 and reached == size


def _apart(offset: Expr, around: Iterable[Index]) -> bool:
    """Whether no two steps of the loops around mean the same element."""
    found = _digits(offset, around)
    room = 1
    for factor, extent in found[1] if found else ():
        if factor < room:
            return False
        room = factor * extent
    return found is not None
