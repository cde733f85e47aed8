"""Loop nests that run over the same steps become one.

A stage joins an earlier one with which it shares memory if their outermost loops have the same
extent and what one writes the other touches only in the same step. Inside, the same is tried
with the next loops. A stage may move up to the last one that it depends on; who stored what and
who read it is kept in tables, so that the time goes with the number of stages.
Read `accesses.py` before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

from headrace.compile.loops import ir
from headrace.compile.loops.expr import Index
from headrace.compile.loops.rewrite import Rewriter
from headrace.compile.schedule.accesses import (
    Accesses,
    in_step,
    independent,
    same_step,
    touched,
)

_FUSES = frozenset({"map", "reduce", "contract", "scan"})
_MOST = 600.0  # instructions in one body: LLVM's time grows faster than its input
_NEAR = 6  # so many groups that read the same are tried
_WORTH = 16  # steps of an inner loop for which a shared outer loop is worth while


def fuse(loops: ir.Loops) -> ir.Loops:
    """The program with as few stages as may be."""
    kept = {id(b) for b in loops.states}

    def change(stages: Sequence[ir.Stage]) -> list[ir.Stage]:
        fusion = _Fusion()
        for stage in _checks_first(stages, kept):
            fusion.take(stage)
        return [group.stage() for group in fusion.groups]

    return replace(loops, stages=ir.rewritten(loops.stages, change))


def _checks_first(stages: Sequence[ir.Stage], states: set[int]) -> list[ir.Stage]:
    """Checks stand as early as their data allow, so that they part no stages; their order
    among themselves, and to what is changed for good, stays."""
    if all(stage.kind != "check" for stage in stages):
        return list(stages)
    order: list[tuple[int, int, ir.Stage]] = []
    stored: dict[int, int] = {}
    floor = 0
    for number, stage in enumerate(stages, 1):
        touches = _Leaf.of(stage.body)
        if stage.kind == "check":
            at = max([floor, *(stored.get(key, 0) for key in touches.loads)])
            order.append((at, number, stage))
            floor = at
            continue
        order.append((number, 0, stage))
        for key in touches.stores:
            stored[key] = number
        if touches.checks or states & touches.stores.keys():
            floor = number
    order.sort(key=lambda entry: entry[:2])
    return [stage for *_, stage in order]


class _Leaf:
    """A statement that is no loop, and what it touches."""

    __slots__ = ("statement", "touches")

    def __init__(self, statement: ir.Statement) -> None:
        self.statement = statement
        self.touches = self.of([statement])

    @staticmethod
    def of(body: Sequence[ir.Statement]) -> Accesses:
        found = Accesses()
        for statement in ir.statements(tuple(body)):
            found.add(touched(statement))
        return found


class _Nest:
    """A loop that is being put together."""

    __slots__ = ("index", "items", "touches")

    def __init__(self, index: Index, items: list[_Item]) -> None:
        self.index, self.items = index, items
        self.touches = _together(items)

    def loops(self) -> list[_Nest]:
        return [item for item in self.items if isinstance(item, _Nest)]

    def chain(self) -> list[_Nest]:
        """This loop and the ones inside it, as long as there is just one in each."""
        found = [self]
        while len(inner := found[-1].loops()) == 1:
            found += inner
        return found

    def perfect(self) -> bool:
        """Whether each loop of the chain has nothing beside the next one."""
        chain = self.chain()
        return all(len(nest.items) == 1 for nest in chain[:-1]) and not chain[-1].loops()


_Item: TypeAlias = _Leaf | _Nest


def _item(statement: ir.Statement) -> _Item:
    if isinstance(statement, ir.For):
        return _Nest(statement.index, [_item(s) for s in statement.body])
    return _Leaf(statement)


def _statement(item: _Item) -> ir.Statement:
    if isinstance(item, _Leaf):
        return item.statement
    return ir.For(item.index, tuple([_statement(x) for x in item.items]))


def _together(items: Sequence[_Item]) -> Accesses:
    found = Accesses()
    for item in items:
        found.add(item.touches)
    return found


def _rename(items: Sequence[_Item], old: Index, new: Index) -> None:
    """Use `new` for `old` in all statements. Nothing in them is `new` already."""
    rewriter = Rewriter(lambda x: new if x is old else None)

    def rename(item: _Item) -> None:
        item.touches.rename(old, new)
        if isinstance(item, _Leaf):
            item.statement = rewriter.statement(item.statement)
            return
        for inner in item.items:
            rename(inner)

    for item in items:
        rename(item)


class _Group:
    """Stages that have become one."""

    def __init__(self, stage: ir.Stage) -> None:
        self.kind = stage.kind
        self.items = [_item(s) for s in stage.body]
        self.touches = _together(self.items)
        self.alone: ir.Stage | None = stage

    def stage(self) -> ir.Stage:
        if self.alone is not None:
            return self.alone
        return ir.Stage(self.kind, tuple([_statement(item) for item in self.items]))

    def joined(self, other: _Group) -> bool:
        """Take another group in, if a loop of it can become one with a loop of this."""
        if self.kind not in (*_FUSES, "fused") or other.kind not in _FUSES:
            return False
        if self.touches.weight + other.touches.weight > _MOST:
            return False
        if not (self._join(other) or self._turned(other)):
            return False
        self.touches.add(other.touches)
        self.kind = self.kind if self.kind == other.kind else "fused"
        self.alone = None
        return True

    def _join(self, other: _Group) -> bool:
        return _join(self.items, other.items, ())

    def _turned(self, other: _Group) -> bool:
        """Join with the loops of one of the two, a map, in the order of the other's."""
        for mover, fixed in ((other, self), (self, other)):
            chain = _movable(mover.items)
            order = _order_like(chain, fixed) if chain else None
            if order is None:
                continue
            for nest, number in zip(chain, _renewed(mover.items, chain, order), strict=True):
                nest.index = number
            if self._join(other):
                return True
            back = sorted(range(len(order)), key=order.__getitem__)
            turned = [nest.index for nest in chain]
            for nest, k in zip(chain, back, strict=True):
                nest.index = turned[k]
        return False


class _Fusion:
    """Groups in their order, and who stores and reads which buffer."""

    def __init__(self) -> None:
        self.groups: list[_Group] = []
        self.stored: dict[int, int] = {}
        self.read: dict[int, list[int]] = {}
        self.floor = 0

    def take(self, stage: ir.Stage) -> None:
        """Add a stage, to an earlier group where that may be."""
        group = _Group(stage)
        touches = group.touches
        stores, loads = touches.stores, touches.loads
        number = len(self.groups)
        for candidate in self._candidates(group) if stage.kind in _FUSES else ():
            if self.groups[candidate].joined(group):
                number = candidate
                break
        else:
            self.groups.append(group)
        for key in stores:
            self.stored[key] = max(number, self.stored.get(key, 0))
        for key in loads:
            readers = self.read.setdefault(key, [])
            if not readers or readers[-1] != number:
                readers.append(number)
        if touches.checks:
            self.floor = number + 1

    def _candidates(self, group: _Group) -> list[int]:
        """The groups to try: the last it depends on, then later ones that read the same."""
        touches = group.touches
        needed = [self.stored[key] for key in touches.loads if key in self.stored]
        for key in touches.stores:
            needed += [self.stored[key]] if key in self.stored else []
            needed += self.read.get(key, [])
        lowest = max(needed, default=-1)
        near: set[int] = set()
        for key in touches.loads:
            if touches.buffers[key].size > 1:
                near.update(self.read.get(key, [])[-_NEAR:])
        found = [lowest] if lowest >= self.floor else []
        others = sorted((k for k in near if k > lowest and k >= self.floor), reverse=True)
        return found + others[:_NEAR]


def _join(
    items: list[_Item],
    new: Sequence[_Item],
    outer: tuple[Index, ...],
) -> bool:
    """Put items after others so that loops of both become one. Without such a loop nothing is
    done, but inside of loops they are put there all the same.

    Args:
        outer: the loops that both stand in.
    """
    fused = False
    waiting: list[_Item] = []
    for item in new:
        position = None
        if isinstance(item, _Nest):
            position = _partner(items, _together(waiting), item, outer)
        if position is None:
            waiting.append(item)
            continue
        loop = items[position]
        assert isinstance(loop, _Nest) and isinstance(item, _Nest)
        _absorb(loop, item, outer)
        items[position:position] = waiting  # they come before it, and need nothing of it
        waiting, fused = [], True
    if fused or outer:
        items += waiting
    return fused


def _absorb(a: _Nest, b: _Nest, outer: tuple[Index, ...]) -> None:
    """One loop from two."""
    if b.index is not a.index:
        b.touches.rename(b.index, a.index)
        _rename(b.items, b.index, a.index)
    _join(a.items, b.items, (*outer, a.index))
    a.touches.add(b.touches)


def _partner(
    items: Sequence[_Item], before: Accesses, loop: _Nest, outer: tuple[Index, ...]
) -> int | None:
    """Which item a loop can become one with, if what it must pass does not mind.

    Args:
        before: what is touched by that which has to stand just before the loop.
    """
    for position in range(len(items) - 1, -1, -1):
        item = items[position]
        if not independent(item.touches, before):
            return None
        if isinstance(item, _Nest) and _fits(item, loop, outer):
            return position
        if not independent(item.touches, loop.touches):
            return None
    return None


def _fits(a: _Nest, b: _Nest, outer: tuple[Index, ...]) -> bool:
    """Whether two loops can be one, what they do staying the same, and should be."""
    if a.index.extent != b.index.extent:
        return False
    mine, other = a.touches, b.touches
    if mine.sequential or other.sequential:
        return False
    if mine.writes & (other.reads | other.writes) or other.writes & mine.reads:
        return False
    if not _worth(a, b):
        return False
    if b.index is not a.index:
        other = Accesses()
        other.add(b.touches)
        other.rename(b.index, a.index)
    return in_step(mine, other, (*outer, a.index))


def _worth(a: _Nest, b: _Nest) -> bool:
    """Whether the loops inside fit too, or are long enough to stand side by side."""
    inside = [[x.index.extent for x in nest.loops()] for nest in (a, b)]
    if inside[0] == inside[1] or a.touches.writes or b.touches.writes:
        return True
    return min(inside[0] + inside[1]) >= _WORTH


def _movable(items: Sequence[_Item]) -> list[_Nest]:
    """The loops of a map, whose order does not matter; of anything else none."""
    if len(items) != 1 or not isinstance(items[0], _Nest) or not items[0].perfect():
        return []
    chain, touches = items[0].chain(), items[0].touches
    if len(chain) < 2 or touches.writes or touches.sequential:
        return []
    loops = [nest.index for nest in chain]
    apart = all(same_step(touches.places(k), loops, touches.stores) for k in touches.stores)
    return chain if apart else []


def _renewed(
    items: Sequence[_Item], chain: Sequence[_Nest], order: Sequence[int]
) -> list[Index]:
    """The indices of loops in another order, as indices that no other loop has: stages share
    those of loops of one depth, which these will not be any more."""
    new = []
    for nest in chain:
        index = replace(nest.index, name=f"{nest.index.name}t")
        _rename(items, nest.index, index)
        new.append(index)
    return [new[k] for k in order]


def _order_like(mine: list[_Nest], group: _Group) -> list[int] | None:
    """The order of loops in which a map runs through memory as a group does."""
    chains = [x.chain() for x in group.items if isinstance(x, _Nest)]
    if len(chains) != 1:
        return None
    touches = mine[0].touches
    for key in touches.buffers:
        own, theirs = touches.places(key), group.touches.places(key)
        if not own or not theirs:
            continue
        order = _order(
            [(nest.index, own[0].factor(nest.index)) for nest in mine],
            [(nest.index, theirs[0].factor(nest.index)) for nest in chains[0]],
        )
        if order is None:
            continue
        if order != sorted(order):
            return order
    return None


def _order(
    mine: list[tuple[Index, int | None]], theirs: list[tuple[Index, int | None]]
) -> list[int] | None:
    """Loops, by number, in the order of others of the same strides; None if some have none."""
    if len(mine) != len(theirs):
        return None
    order: list[int] = []
    for index, factor in theirs:
        same = [
            k
            for k, (i, f) in enumerate(mine)
            if k not in order and factor and f == factor and i.extent == index.extent
        ]
        if len(same) != 1:
            return None
        order += same
    return order
