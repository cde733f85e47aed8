"""Products in a loop that don't wait for its rounds are done for all rounds at once.

The product of a row of a sequence with a matrix, in each round, is one product of the whole
sequence; a gradient to which each round adds is one product whose sum goes over the rounds,
too. One large product runs at full speed, and on threads, where many small ones don't.
Temporaries that lead into or out of it get a row for each round. Read `rounds.py` before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Set
from dataclasses import replace

from headrace.compile.loops import ir
from headrace.compile.loops.expr import Expr, Index, Load, cast, const
from headrace.compile.loops.rewrite import Moves, with_buffers, with_indices
from headrace.compile.schedule.accesses import accesses
from headrace.compile.schedule.contract import recognised
from headrace.compile.schedule.counters import Numbers, counted, learn, stored
from headrace.compile.schedule.names import Names
from headrace.compile.schedule.rounds import Rounds

MOST = 1 << 25
"""Bytes of rows that one loop may need."""
_FEW = 1 << 18
"""Bytes of rows that stay in a near cache."""
_DEEP = 32
"""So long a sum is worth that its results are written far away."""
_SMALL = 1 << 10
"""Multiplications in a round that are not worth the trouble."""


def batch(loops: ir.Loops) -> ir.Loops:
    """The program with such products before and after its loops."""
    if all(isinstance(step, ir.Stage) for step in loops.stages):
        return loops
    work = _Batch(loops)
    steps = work.steps(loops.stages, {}, set())
    rest = [b for b in loops.temporaries if id(b) not in work.replaced]
    return replace(loops, stages=steps, temporaries=(*rest, *work.names.buffers))


class _Batch:
    """The walk through a program.

    Attributes:
        replaced: ids of buffers that have others in their place.
    """

    def __init__(self, loops: ir.Loops) -> None:
        self.names = Names(loops)
        self.replaced: set[int] = set()
        self._temporaries = {id(b) for b in loops.temporaries}

    def steps(self, steps: ir.Steps, known: Numbers, outside: set[int]) -> ir.Steps:
        """Steps with the loops among them changed.

        Args:
            known: what lies in integers before; afterwards, what lies in them then.
            outside: ids of the buffers that other steps of the program touch.
        """
        times = Counter(key for step in steps for key in touched([step]))
        found: list[ir.Step] = []
        for step in steps:
            match step:
                case ir.Stage():
                    found.append(step)
                case ir.Branch():
                    found.append(self._branch(step, known, outside | _others(times, step)))
                case ir.Repeat():
                    found += self._loop(step, known, outside | _others(times, step))
            learn(step, known)
        return tuple(found)

    def _branch(self, branch: ir.Branch, known: Numbers, outside: set[int]) -> ir.Branch:
        sides = []
        for k, side in enumerate(branch.sides):
            rest = [touched(s) for s in (*branch.sides[:k], *branch.sides[k + 1 :])]
            beside = outside.union({id(branch.index)}, *rest)
            sides.append(self.steps(side, dict(known), beside))
        return ir.Branch(branch.index, tuple(sides))

    def _loop(self, loop: ir.Repeat, known: Numbers, outside: set[int]) -> list[ir.Step]:
        written = {id(buffer) for buffer in stored([loop])}
        inside = {key: value for key, value in known.items() if key not in written}
        beside = outside | touched(loop.head) | {id(loop.condition)}
        body = self.steps(loop.body, inside, beside)
        loop = replace(loop, body=body)
        stages = [step for step in body if isinstance(step, ir.Stage)]
        if not any(stage.kind == "contract" for stage in stages):
            return [loop]
        count = counted(loop, known)
        if count is None or count.rounds < 2:
            return [loop]
        by_one = [c for c in count.counters.values() if abs(c.step) == 1]
        if not by_one:
            return [loop]
        counter = max(by_one, key=lambda c: c.place)
        row = self.names.index(count.rounds)
        temporaries = self._temporaries | {id(b) for b in self.names.buffers}
        rounds = Rounds(loop, count, counter, row, temporaries, outside)
        return _Apart(rounds, self.names, self.replaced).changed(loop)


class _Apart:
    """One loop that is taken apart: what runs before it, its rounds, and what runs after."""

    def __init__(self, rounds: Rounds, names: Names, replaced: set[int]) -> None:
        self.rounds, self.names, self.replaced = rounds, names, replaced
        self.before: set[int] = set()
        self.after: set[int] = set()
        self._places: dict[int, Expr] = {}
        self._rows: dict[int, ir.Buffer] = {}
        self._choose()

    def changed(self, loop: ir.Repeat) -> list[ir.Step]:
        """The steps that stand for the loop."""
        if not self.before and not self.after:
            return [loop]
        moved = self.before | self.after
        self._rows = {
            key: self.names.buffer((self.rounds.count.rounds, *buffer.shape), buffer.dtype)
            for key, buffer in self._crossing(self.before, self.after).items()
        }
        self.replaced |= self._rows.keys()
        inside = [
            self._in_round(step, place)
            for place, step in enumerate(loop.body)
            if place not in moved
        ]
        return [
            *[self._for_all(place) for place in sorted(self.before)],
            replace(loop, body=tuple(inside)),
            *[self._for_all(place) for place in sorted(self.after)],
        ]

    # The choice

    def _choose(self) -> None:
        rounds = self.rounds
        early = rounds.early()
        products = [
            place
            for place, step in enumerate(rounds.body)
            if isinstance(step, ir.Stage) and step.kind == "contract" and recognised(step)
        ]
        for place in products:
            if place in early and self._pays(place):
                self._take(self.before | rounds.before(place), self.after)
        for place in products:
            found = None if place in self.before else rounds.after(place)
            if found is not None and self._work(place) >= _SMALL:
                self._take(self.before, self.after | found)

    def _take(self, before: set[int], after: set[int]) -> None:
        room = sum(
            buffer.size * buffer.dtype.np.itemsize
            for buffer in self._crossing(before, after).values()
        )
        if before.isdisjoint(after) and room * self.rounds.count.rounds <= MOST:
            self.before, self.after = before, after

    def _pays(self, place: int) -> bool:
        """Whether a product is better done before the loop: its result is read again there."""
        stage = self.rounds.body[place]
        found = recognised(stage) if isinstance(stage, ir.Stage) else None
        if found is None or self._work(place) < _SMALL:
            return False
        output = found.buffers[0]
        room = output.size * output.dtype.np.itemsize * self.rounds.count.rounds
        return room <= _FEW or self._work(place) >= _DEEP * output.size

    def _work(self, place: int) -> int:
        """The multiplications of a product."""
        stage = self.rounds.body[place]
        found = recognised(stage) if isinstance(stage, ir.Stage) else None
        work = 1
        for turn in (*found.outer, *found.summed) if found else ():
            work *= turn.extent
        return work

    def _crossing(self, before: Set[int], after: Set[int]) -> dict[int, ir.Buffer]:
        """The temporaries that need a row a round, by id: stages that move touch them."""
        moved = before | after
        sums = self._sums(after)
        return {
            key: buffer
            for place in moved
            for key, buffer in self.rounds.touches[place].buffers.items()
            if self.rounds.fresh(key) and key not in sums
        }

    def _sums(self, after: Set[int]) -> dict[int, ir.Buffer]:
        """The temporaries that rounds add to sums, by id: the sum over rounds joins theirs."""
        found = {}
        for place in after:
            for key in self.rounds.added(place) or ():
                found[key] = self.rounds.touches[place].buffers[key]
        return found

    # The pieces

    def _for_all(self, place: int) -> ir.Stage:
        """A stage for all rounds."""
        stage = self.rounds.stage(place)
        assert stage is not None
        index = self.names.index(self.rounds.row.extent)
        body = with_buffers(
            with_indices(stage.body, {self.rounds.row: index}), self._moves(index)
        )
        sums = self._sums(self.after)
        if self.rounds.added(place) is not None:
            return replace(stage, body=body)
        if any(key in sums for key in self.rounds.touches[place].stores):
            return replace(stage, body=_around_sum(body, index))
        return replace(stage, body=(ir.For(index, body),))

    def _in_round(self, step: ir.Step, place: int) -> ir.Step:
        """A step that stays in the loop."""
        counter = self.rounds.counter
        least = self.rounds.least + (counter.step if place > counter.place else 0)
        loaded = Load(counter.buffer.dtype, counter.buffer, const(0, ir.INDEX))
        moves = self._moves(self._places.setdefault(least, cast(loaded, ir.INDEX) - least))
        if not moves.keys() & self.rounds.touches[place].buffers.keys():
            return step
        (found,) = ir.each((step,), lambda s: replace(s, body=with_buffers(s.body, moves)))
        return found

    def _moves(self, row: Expr) -> Moves:
        """Where temporaries lie in a row."""

        def at(buffer: ir.Buffer) -> Callable[[Expr], Expr]:
            size = buffer.size // buffer.shape[0]
            return lambda offset: row * size + offset

        return {key: (buffer, at(buffer)) for key, buffer in self._rows.items()}


def touched(steps: Iterable[ir.Step]) -> set[int]:
    """Ids of the buffers that steps touch."""
    found = {id(buffer) for buffer in ir.deciding(steps)}
    for stage in ir.stages(steps):
        found |= accesses(stage.body).buffers.keys()
    return found


def _others(times: Counter[int], step: ir.Step) -> set[int]:
    """The buffers that more steps than this one touch; `times`: how many touch each."""
    own = touched([step])
    return {key for key, count in times.items() if count > (key in own)}


def _around_sum(body: tuple[ir.Statement, ...], index: Index) -> tuple[ir.Statement, ...]:
    """A sum that goes over a further loop, as its outermost."""
    if len(body) == 1 and isinstance(body[0], ir.For):
        return (replace(body[0], body=_around_sum(body[0].body, index)),)
    begin, sums, store = body
    return begin, ir.For(index, (sums,)), store
