"""The loop language: a whole program as buffers, loops, stores, accumulators and checks.

Everything is immutable and free of op names, addresses and CPUs: a scheduler may rewrite it, a
printer shows it, `verify.py` checks it, `interp.py` runs it slowly and `llvm/emit.py` makes
code of it. A program is a list of steps: stages, each one loop nest that says what kind of work
it is, so that a schedule may treat kinds alike without guessing, and what repeats steps or
chooses among them. Read `expr.py` before.

- Buffers are dense and row-major. Inputs are only read; temporaries and outputs are written
  before they are read; states are the caller's memory that is read and written.
- Accumulators are registers: `Begin` sets them, `Update` combines a value into them, and
  `Read` (an expression) sees the present value.
- A `Check` that finds its condition false ends the program: nothing that follows is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, TypeAlias

from headrace.base import dtypes
from headrace.base.dtypes import DType
from headrace.compile.loops.expr import Expr, Index, Read, apply
from headrace.compile.loops.status import Failure

if TYPE_CHECKING:
    from headrace.compile.loops.product import Product


@dataclass(frozen=True, slots=True, eq=False)
class Buffer:
    """Memory of one array.

    Attributes:
        local: a temporary in which one step of an outermost loop leaves nothing to the next:
            each thread has one of its own.
    """

    name: str
    shape: tuple[int, ...]
    dtype: DType
    local: bool = False

    @property
    def size(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True, slots=True, eq=False)
class Accumulator:
    """A register."""

    name: str
    dtype: DType


@dataclass(frozen=True, slots=True)
class For:
    """`body` for index = 0 .. extent - 1.

    Attributes:
        lanes: so many steps run side by side, as a vector; 1: one after the other.
        copies: so many vectors run side by side where the loop accumulates.
        threads: the steps may be shared out among threads, in any order.
        turned: the loop stands in one of lanes that goes across the rows of an array, and goes
            along them: what both read is loaded in rows and turned in registers.
    """

    index: Index
    body: tuple[Statement, ...]
    lanes: int = 1
    copies: int = 1
    threads: bool = False
    turned: bool = False


@dataclass(frozen=True, slots=True)
class If:
    """`body` where the bool `condition` holds."""

    condition: Expr
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Store:
    """Element `offset` of `buffer` becomes `value` (`part` 1: its imaginary half)."""

    buffer: Buffer
    offset: Expr
    value: Expr
    part: int = 0


@dataclass(frozen=True, slots=True)
class Begin:
    """The accumulator's first value."""

    accumulator: Accumulator
    value: Expr


@dataclass(frozen=True, slots=True)
class Update:
    """Combine `values` into `accumulators`, all at once, by a rule of `COMBINE`."""

    combine: str
    accumulators: tuple[Accumulator, ...]
    values: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Check:
    """End with the error number `failure` of the program unless `condition` holds."""

    condition: Expr
    failure: int
    values: tuple[Expr, ...] = ()


Statement: TypeAlias = For | If | Store | Begin | Update | Check


@dataclass(frozen=True, slots=True)
class Stage:
    """One loop nest and the kind of its work: map, reduce, contract, scan, scatter, check.

    `how`: the schedule's decision that the stage runs as matrix products, instead of its loops.
    """

    kind: str
    body: tuple[Statement, ...]
    how: Product | None = None

    @property
    def copies(self) -> tuple[Buffer, ...]:
        """The temporaries that only the decision needs: the loops don't touch them."""
        return () if self.how is None or self.how.copies is None else (self.how.copies,)


@dataclass(frozen=True, slots=True)
class Repeat:
    """`head`; then, as long as the bool `condition` is true: `body` and `head` again."""

    head: tuple[Step, ...]
    condition: Buffer
    body: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Branch:
    """One of `sides`: a bool `index` means the first where it is true, else the second; an
    integer is a number, and the last side is meant by those outside."""

    index: Buffer
    sides: tuple[tuple[Step, ...], ...]


Step: TypeAlias = Stage | Repeat | Branch
Steps: TypeAlias = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Loops:
    """A program. `failures[k - 1]` belongs to status k."""

    name: str
    inputs: tuple[Buffer, ...]
    outputs: tuple[Buffer, ...]
    temporaries: tuple[Buffer, ...]
    stages: Steps
    failures: tuple[Failure, ...]
    states: tuple[Buffer, ...] = ()

    @property
    def buffers(self) -> tuple[Buffer, ...]:
        """All buffers, in the order in which compiled code receives their addresses."""
        return self.inputs + self.outputs + self.states + self.temporaries


def stages(steps: Iterable[Step]) -> Iterator[Stage]:
    """All stages, those in repeats and branches included."""
    for step in steps:
        match step:
            case Stage():
                yield step
            case Repeat(head, _, body):
                yield from stages(head)
                yield from stages(body)
            case Branch(_, sides):
                for side in sides:
                    yield from stages(side)


def deciding(steps: Iterable[Step]) -> Iterator[Buffer]:
    """The buffers that repeats and branches look at."""
    for step in steps:
        match step:
            case Repeat(head, condition, body):
                yield condition
                yield from deciding(head)
                yield from deciding(body)
            case Branch(index, sides):
                yield index
                for side in sides:
                    yield from deciding(side)


def rewritten(steps: Steps, change: Callable[[tuple[Stage, ...]], Iterable[Stage]]) -> Steps:
    """The steps with `change` applied to each run of stages, wherever it stands.

    Stages that run as matrix products stay as they are, and runs end at them.
    """
    found: list[Step] = []
    run: list[Stage] = []
    for step in steps:
        if isinstance(step, Stage) and step.how is None:
            run.append(step)
            continue
        found += change(tuple(run)) if run else ()
        run = []
        if isinstance(step, Stage):
            found.append(step)
        elif isinstance(step, Repeat):
            head, body = rewritten(step.head, change), rewritten(step.body, change)
            found.append(Repeat(head, step.condition, body))
        else:
            sides = tuple([rewritten(side, change) for side in step.sides])
            found.append(Branch(step.index, sides))
    found += change(tuple(run)) if run else ()
    return tuple(found)


def each(steps: Steps, change: Callable[[Stage], Stage]) -> Steps:
    """The steps with each stage changed, wherever it stands."""
    found: list[Step] = []
    for step in steps:
        match step:
            case Stage():
                found.append(change(step))
            case Repeat(head, condition, body):
                found.append(Repeat(each(head, change), condition, each(body, change)))
            case Branch(index, sides):
                found.append(Branch(index, tuple([each(s, change) for s in sides])))
    return tuple(found)


def kept(steps: Steps, wanted: Callable[[Stage], bool]) -> Steps:
    """The steps without the stages that are not wanted."""
    found: list[Step] = []
    for step in steps:
        match step:
            case Stage():
                found += [step] if wanted(step) else []
            case Repeat(head, condition, body):
                found.append(Repeat(kept(head, wanted), condition, kept(body, wanted)))
            case Branch(index, sides):
                found.append(Branch(index, tuple([kept(side, wanted) for side in sides])))
    return tuple(found)


def statements(body: tuple[Statement, ...]) -> Iterator[Statement]:
    """All statements in a body, outer ones first."""
    for statement in body:
        yield statement
        if isinstance(statement, For | If):
            yield from statements(statement.body)


def nest(body: tuple[Statement, ...]) -> tuple[tuple[Index, ...], tuple[Statement, ...]]:
    """The loops that hold nothing but each other, and what the innermost holds."""
    indices: list[Index] = []
    while len(body) == 1 and isinstance(body[0], For):
        indices.append(body[0].index)
        body = body[0].body
    return tuple(indices), body


def expressions(statement: Statement) -> tuple[Expr, ...]:
    """The expressions of one statement, not those of its body."""
    match statement:
        case For():
            return ()
        case If():
            return (statement.condition,)
        case Store():
            return (statement.offset, statement.value)
        case Begin():
            return (statement.value,)
        case Update():
            return statement.values
        case Check():
            return (statement.condition, *statement.values)


# How an update combines the accumulators' values with new ones.

Values: TypeAlias = tuple[Expr, ...]


def _complex_product(old: Values, new: Values) -> Values:
    (a, b), (c, d) = old, new
    return a * c - b * d, a * d + b * c


def _alone(name: str) -> Callable[[Values, Values], Values]:
    return lambda old, new: (apply(name, old[0], new[0]),)


COMBINE: dict[str, Callable[[Values, Values], Values]] = {
    **{name: _alone(name) for name in ("add", "mul", "max", "min", "and", "or")},
    "set": lambda old, new: new,
    "complex_product": _complex_product,
}


def combined(update: Update) -> Values:
    """What the accumulators of an update become."""
    old = tuple(Read(a.dtype, a) for a in update.accumulators)
    return COMBINE[update.combine](old, update.values)


INDEX = dtypes.int64
