"""Who touches what: the loads, stores and accumulators of statements, and whether they meet.

Two pieces of code may change places, or run in one loop, if what one writes the other does not
touch, or touches only in the same step of the loop. Read `loops/affine.py` before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from headrace.compile.loops import ir
from headrace.compile.loops.affine import affine
from headrace.compile.loops.checks import used_indices
from headrace.compile.loops.expr import Apply, Expr, Index, Load, Read, bounds, operands
from headrace.compile.loops.operations import FLOAT_FUNCTIONS

SLOW = frozenset(FLOAT_FUNCTIONS) - {"abs", "floor", "ceil", "rint", "trunc", "sqrt"}
"""Functions that cost about as much as a dozen additions."""


class Term(NamedTuple):
    """`factor * atom`; `inside`: the loop indices that the atom depends on."""

    atom: Expr
    factor: int
    inside: frozenset[Index]


class Place:
    """An offset as a sum of terms, by the id of their atoms.

    Attributes:
        key: equal for places that are equal.
        sources: ids of the buffers from which atoms are loaded.
        reads: atoms read registers, and may differ wherever those do.
    """

    __slots__ = ("constant", "key", "reads", "sources", "terms")

    def __init__(
        self, constant: int, terms: dict[int, Term], sources: frozenset[int], reads: bool
    ) -> None:
        self.constant, self.terms, self.sources = constant, terms, sources
        self.reads = reads
        self.key = constant, frozenset((k, t.factor) for k, t in terms.items())

    def factor(self, index: Index) -> int | None:
        """The multiple of an index; None where another atom depends on it too."""
        if self.reads:
            return None
        for term in self.terms.values():
            if term.atom is not index and index in term.inside:
                return None
        own = self.terms.get(id(index))
        return own.factor if own else 0

    def moves(self, indices: Set[Index]) -> bool:
        """Whether it may differ between steps of some loops."""
        return self.reads or any(not t.inside.isdisjoint(indices) for t in self.terms.values())

    def span(
        self, without: Iterable[Index] = (), modulus: int | None = None
    ) -> tuple[int, int] | None:
        """The least and greatest value, some indices and the multiples of a modulus taken as
        0; None: not known."""
        low = high = self.constant
        absent = {id(index) for index in without}
        for key, term in self.terms.items():
            if key in absent or (modulus and term.factor % modulus == 0):
                continue
            known = bounds(term.atom)
            if known is None:
                return None
            a, b = sorted((term.factor * known[0], term.factor * known[1]))
            low, high = low + a, high + b
        return low, high

    def renamed(self, old: Index, new: Index) -> Place:
        """The place with `new` for `old`, which has the same extent."""
        if not any(old in term.inside for term in self.terms.values()):
            return self
        terms = {}
        for key, (atom, factor, inside) in self.terms.items():
            if atom is old:
                key, atom = id(new), new
            if old in inside:
                inside = inside - {old} | {new}
            terms[key] = Term(atom, factor, inside)
        return Place(self.constant, terms, self.sources, self.reads)


@lru_cache(1 << 12)
def place(offset: Expr) -> Place:
    """An offset as a sum."""
    constant, factors, atoms = affine(offset)
    terms: dict[int, Term] = {}
    sources: set[int] = set()
    reads = False
    for key, factor in factors.items():
        atom = atoms[key]
        if not factor:
            continue
        if isinstance(atom, Index):
            terms[key] = Term(atom, factor, frozenset((atom,)))
            continue
        terms[key] = Term(atom, factor, frozenset(used_indices((atom,))))
        for x in visited((atom,)):
            reads |= isinstance(x, Read)
            if isinstance(x, Load):
                sources.add(id(x.buffer))
    return Place(constant, terms, frozenset(sources), reads)


Places: TypeAlias = dict[object, Place]


class Accesses:
    """What statements touch, by the id of buffer or accumulator.

    Attributes:
        loads, stores: the different places in each buffer.
        reads, writes: accumulators.
        begun: accumulators that begin here.
        buffers: all of them.
        sequential: there is a check or branch.
        checks: there is a check.
        weight: about how many instructions one run of each statement takes.
    """

    def __init__(self) -> None:
        self.loads: dict[int, Places] = {}
        self.stores: dict[int, Places] = {}
        self.reads: set[int] = set()
        self.writes: set[int] = set()
        self.begun: set[int] = set()
        self.buffers: dict[int, ir.Buffer] = {}
        self.sequential = False
        self.checks = False
        self.weight = 0.0

    def places(self, key: int) -> list[Place]:
        """Where a buffer is touched."""
        return [*self.stores.get(key, {}).values(), *self.loads.get(key, {}).values()]

    def add(self, other: Accesses) -> None:
        """Touch what `other` touches too."""
        for mine, others in ((self.loads, other.loads), (self.stores, other.stores)):
            for key, places in others.items():
                mine.setdefault(key, {}).update(places)
        self.reads |= other.reads
        self.writes |= other.writes
        self.begun |= other.begun
        self.buffers |= other.buffers
        self.sequential |= other.sequential
        self.checks |= other.checks
        self.weight += other.weight

    def rename(self, old: Index, new: Index) -> None:
        """Use `new` for `old`."""
        if new is old:
            return
        for side in (self.loads, self.stores):
            for key, places in side.items():
                moved = [p.renamed(old, new) for p in places.values()]
                side[key] = {p.key: p for p in moved}


def touched(statement: ir.Statement) -> Accesses:
    """What a statement touches, without those of its body."""
    found = Accesses()
    if isinstance(statement, ir.Store):
        found.stores[id(statement.buffer)] = _one(place(statement.offset))
        found.buffers[id(statement.buffer)] = statement.buffer
    elif isinstance(statement, ir.Begin):
        found.writes.add(id(statement.accumulator))
        found.begun.add(id(statement.accumulator))
    elif isinstance(statement, ir.Update):
        found.writes.update(id(a) for a in statement.accumulators)
    found.checks = isinstance(statement, ir.Check)
    found.sequential = found.checks or isinstance(statement, ir.If)
    for x in visited(ir.expressions(statement)):
        if isinstance(x, Load):
            found.loads.setdefault(id(x.buffer), {}).update(_one(place(x.offset)))
            found.buffers[id(x.buffer)] = x.buffer
        elif isinstance(x, Read):
            found.reads.add(id(x.accumulator))
        found.weight += cost(x)
    return found


def _one(where: Place) -> Places:
    return {where.key: where}


def cost(x: Expr) -> float:
    """About how many instructions an operation is, offsets aside."""
    if isinstance(x, Apply):
        return 0.0 if x.dtype is ir.INDEX else 15.0 if x.name in SLOW else 1.0
    return 1.0 if isinstance(x, Load) else 0.0


def accesses(body: Iterable[ir.Statement]) -> Accesses:
    """What some statements touch, and those inside them."""
    found = Accesses()
    for statement in ir.statements(tuple(body)):
        found.add(touched(statement))
    return found


def visited(roots: Sequence[Expr], seen: set[int] | None = None) -> Iterator[Expr]:
    """Every expression in some expressions, once; `seen` holds ids of those known."""
    seen = set() if seen is None else seen
    stack = list(roots)
    while stack:
        x = stack.pop()
        if id(x) in seen:
            continue
        seen.add(id(x))
        yield x
        stack.extend(operands(x))


def independent(a: Accesses, b: Accesses) -> bool:
    """Whether two pieces of code may run in either order."""
    if a.sequential or b.sequential:
        return False
    if a.writes & (b.reads | b.writes) or b.writes & a.reads:
        return False
    return not meeting(a, b)


def meeting(a: Accesses, b: Accesses) -> set[int]:
    """The buffers that one stores into and the other touches."""
    found = {key for key in b.stores if key in a.loads or key in a.stores}
    found.update(key for key in b.loads if key in a.stores)
    return found


def in_step(a: Accesses, b: Accesses, loops: Sequence[Index]) -> bool:
    """Whether `a` and `b`, which share `loops`, meet in memory only within one step of them.

    Offsets of `b` are already in the indices of `a`.
    """
    return all(
        same_step([*a.places(key), *b.places(key)], loops, a.stores.keys() | b.stores.keys())
        for key in meeting(a, b)
    )


def same_step(places: Sequence[Place], loops: Sequence[Index], changing: Iterable[int]) -> bool:
    """Whether offsets that are equal belong to the same step of some loops.

    Args:
        changing: ids of the buffers that change meanwhile.
    """
    turning = [index for index in loops if index.extent > 1]
    if not turning:
        return True
    known = [places[0].factor(index) for index in turning]
    for other in places:
        if [other.factor(index) for index in turning] != known:
            return False
        if other.sources and not other.sources.isdisjoint(changing):
            return False
    factors = [factor for factor in known if factor is not None and factor > 0]
    if len(factors) < len(known):
        return False
    return _nested(places, turning, factors) or _digits(places, turning, factors)


def _nested(places: Sequence[Place], loops: Sequence[Index], factors: Sequence[int]) -> bool:
    """Whether all the rest lies within a step of the fastest loop."""
    steps = sorted(zip(factors, (index.extent for index in loops), strict=True))
    for (inner, extent), (outer, _) in zip(steps, steps[1:], strict=False):
        if inner * extent > outer:
            return False
    return _one_block([place.span(loops) for place in places], steps[0][0])


def _digits(places: Sequence[Place], loops: Sequence[Index], factors: Sequence[int]) -> bool:
    """Whether each loop is a digit of the offset: the rest is made of multiples of its whole
    way, and of what lies within one step of it."""
    return all(
        _one_block([p.span([index], factor * index.extent) for p in places], factor)
        for index, factor in zip(loops, factors, strict=True)
    )


def _one_block(spans: Sequence[tuple[int, int] | None], size: int) -> bool:
    blocks: set[int] = set()
    for span in spans:
        if span is None:
            return False
        blocks.update((span[0] // size, span[1] // size))
    return len(blocks) == 1
