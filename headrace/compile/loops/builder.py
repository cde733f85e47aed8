"""`c`: what the `lower` rule of an op record writes with.

A rule says what each element is; here that becomes stages of loops. Conditions that a rule
checks, and divisors of integers, are tested in a stage of their own over just the indices that
they depend on, before anything that relies on them. README.md in the folder above is the
contract; read `views.py`, `accumulate.py` and `ir.py` before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any

from headrace.base import dtypes
from headrace.base.dtypes import DType
from headrace.compile.loops import ir, views
from headrace.compile.loops.accumulate import Register, fitted, parts
from headrace.compile.loops.affine import stride
from headrace.compile.loops.checks import Condition, division_checks, periods, used_indices
from headrace.compile.loops.complex import Scalar
from headrace.compile.loops.expr import Const, Expr, Index, Load, Read, cast, const, select
from headrace.compile.loops.operations import compute, highest, letter, lowest, part
from headrace.compile.loops.scalars import Scalars, chosen
from headrace.compile.loops.verify import verify
from headrace.compile.loops.views import Mapped, Stored, View, ravel

Position = tuple[Index, ...]
SHORT = 16
"""No loop is made that has fewer steps than this."""
LARGE = 512
"""Contractions of so many products read arrays."""


class Builder(Scalars):
    """`c`: what a `lower` rule writes with."""

    def __init__(self) -> None:
        super().__init__()
        self._temporaries: list[ir.Buffer] = []
        self._stages: list[ir.Step] = []
        self._failures: list[ir.Failure] = []
        self._checks: list[Condition] | None = None
        self._guards: tuple[Expr, ...] = ()
        self._place: object = object()
        self._counter = 0

    # Helpers of rules.

    ravel = staticmethod(views.ravel)
    unravel = staticmethod(views.unravel)

    def map(self, shape: Sequence[int], dtype: DType, fn: Callable[..., Any]) -> View:
        """A view whose element at `index` is `fn(*index)`."""
        return Mapped(shape, dtype, lambda *i: fitted(fn(*i), dtype), lambda: self._place)

    def fill(self, shape: Sequence[int], dtype: DType, value: Any) -> View:
        """A view of one value."""
        return self.map(shape, dtype, lambda *_: value)

    def store(self, view: View) -> View:
        """The same view, computed once into memory."""
        if isinstance(view, Stored):
            return view
        return self._stored(view)

    def where(self, condition: Expr, x: Any, y: Any) -> Scalar:
        """As `b.where`; what a function checks is demanded only where it is evaluated."""
        if isinstance(condition, Const):
            value = x if condition.value else y
            return value() if callable(value) else value
        then, other = x, y
        if callable(x):
            with self._guard(condition):
                then = x()
        if callable(y):
            with self._guard(~condition):
                other = y()
        return chosen(condition, then, other, lazy=callable(x) or callable(y))

    def check(
        self, condition: Expr, message: str, *values: Any, error: str = "invalid_argument"
    ) -> None:
        """The call raises unless `condition` holds for every element that is computed."""
        if isinstance(condition, Const) and condition.value:
            return
        found = Condition(
            condition,
            self._said(error, message),
            tuple(views.position(v) for v in values),
            self._guards,
        )
        if self._checks is None:
            self._emit_checks([found], ())
        else:
            self._checks.append(found)

    def reduce(
        self,
        combine: str,
        shape: Sequence[int],
        dtype: DType,
        extents: Sequence[int],
        fn: Callable[[Position, Position], Any],
        init: Any = None,
    ) -> View:
        """The combination of `fn(index, r)` over all `r`, for each `index` of `shape`."""
        return self._reduced("reduce", combine, shape, dtype, extents, fn, init)

    def contract(
        self, a: View, of_a: str, b: View, of_b: str, result: str, dtype: DType | None = None
    ) -> View:
        """Sums of products: one letter per dimension, summed over where the result lacks it.

        Where there is much to multiply, operands become arrays first, of the dtype that
        arithmetic has: each element is read often, and fast products read memory.
        """
        extents = _letter_extents(((a, of_a), (b, of_b)), result)
        dtype = dtype or a.dtype
        work = compute(dtype)
        summed = [name for name in extents if name not in result]
        large = prod(extents.values()) >= LARGE and work.is_floating
        large = large and any(extents[name] > 1 for name in summed)
        if large:
            a, b = self._array(a, work), self._array(b, work)

        def product(index: Position, r: Position) -> Any:
            at = dict(zip(result, index, strict=True)) | dict(zip(summed, r, strict=True))
            x, y = (
                view[tuple(0 if n == 1 else at[k] for k, n in zip(of, view.shape, strict=True))]
                for view, of in ((a, of_a), (b, of_b))
            )
            return self.cast(x, work) * self.cast(y, work)

        shape, over = [extents[k] for k in result], [extents[k] for k in summed]
        kept = work if large else dtype
        found = self._reduced("contract", "add", shape, kept, over, product, None)
        if kept is dtype:
            return found
        return self.map(shape, dtype, lambda *i: self.cast(found[i], dtype))

    def _array(self, view: View, dtype: DType) -> View:
        """A view whose elements lie in memory, a constant distance apart."""
        if view.dtype is dtype and self._strided(view):
            return view
        return self._stored(self.map(view.shape, dtype, lambda *i: self.cast(view[i], dtype)))

    def _strided(self, view: View) -> bool:
        if isinstance(view, Stored):
            return True
        index = self._indices(view.shape)
        with self._trial() as checks:
            value = view.element(index)
        if checks or not isinstance(value, Load):
            return False
        return all(stride(value.offset, i) is not None for i in index)

    @contextmanager
    def _trial(self) -> Iterator[list[Condition]]:
        """What is evaluated inside leaves nothing behind; gives the checks that it demands."""
        before = self._checks, self._guards, self._place
        found: list[Condition] = []
        self._checks, self._guards, self._place = found, (), object()
        try:
            yield found
        finally:
            self._checks, self._guards, self._place = before

    def arg_reduce(
        self,
        extreme: str,
        shape: Sequence[int],
        dtype: DType,
        extent: int,
        fn: Callable[[Position, Position], Any],
    ) -> View:
        """Where the first `"max"` or `"min"` of `fn(index, (r,))` is; NaN never wins.

        The extreme comes first, and then the first place that has it: both are reductions whose
        order is free, unlike that of pairs.
        """
        index, r = self._indices(shape), self._indices((extent,), "r")
        with self._stage("reduce", index + r) as body:
            value = _ordered(fn(index, r))
            worst = const((lowest if extreme == "max" else highest)(value.dtype), value.dtype)
            known = (
                value if letter(value.dtype) != "f" else select(value == value, value, worst)
            )
            best = self._combined(extreme, index, r, value.dtype, known, body)
        index, r = self._indices(shape), self._indices((extent,), "r")
        narrow = dtypes.int32 if extent < 2**31 else ir.INDEX
        with self._stage("reduce", index + r) as body:
            found = _ordered(fn(index, r)) == best[index]
            at = select(found, cast(r[0], narrow), const(max(extent - 1, 0), narrow))
            first = self._combined("min", index, r, narrow, at, body)

        def element(*i: Expr) -> Scalar:
            place = select(best[i] != worst, first[i], const(0, narrow))
            return cast(place, dtype)

        return self.map(shape, dtype, element)

    def _combined(
        self,
        combine: str,
        index: Position,
        r: Position,
        dtype: DType,
        value: Any,
        body: list[ir.Statement],
        init: Any = None,
    ) -> Stored:
        """The combination of a value over all r, in memory."""
        register = self._accumulate(combine, dtype, init)
        update = register.update(fitted(value, compute(dtype)))
        buffer = self._buffer([i.extent for i in index], dtype)
        store = stores(buffer, index, fitted(register.result(), dtype))
        body += nest(index, (*register.begin(), *nest(r, update), *store))
        return Stored(buffer)

    def scan(
        self,
        combine: str,
        shape: Sequence[int],
        dtype: DType,
        axis: int,
        fn: Callable[..., Any],
        exclusive: bool = False,
        reverse: bool = False,
    ) -> View:
        """The running combination of `fn(*index)` along `axis`."""
        axis %= len(shape)
        index = self._indices(shape)
        step = index[axis]
        at = (*index[:axis], shape[axis] - 1 - step if reverse else step, *index[axis + 1 :])
        outer = index[:axis] + index[axis + 1 :]
        with self._stage("scan", (*outer, step)) as body:
            register = self._accumulate(combine, dtype, None)
            update = register.update(fitted(fn(*at), compute(dtype)))
            buffer = self._buffer(shape, dtype)
            store = stores(buffer, at, fitted(register.result(), dtype))
            inner = store + update if exclusive else update + store
            body += nest(outer, (*register.begin(), *nest((step,), inner)))
        return Stored(buffer)

    def scatter(
        self,
        combine: str,
        initial: View,
        extents: Sequence[int],
        fn: Callable[..., Any],
        when: Callable[..., Expr] | None = None,
    ) -> View:
        """A copy of `initial` into which `fn(*i) -> (index, value)` is combined for each i."""
        dtype = compute(initial.dtype)
        work = self.map(initial.shape, dtype, lambda *i: self.cast(initial[i], dtype))
        stored = self._stored(work)
        steps = self._indices(extents)
        with self._stage("scatter", steps) as body:
            condition = when(*steps) if when else const(True, dtypes.bool)
            with self._guard(condition):
                place, value = fn(*steps)
            offset = ravel(place if isinstance(place, tuple) else (place,), initial.shape)
            inner = self._combine_into(combine, stored.buffer, offset, fitted(value, dtype))
            outer = _outside(condition, steps) if when else len(steps)
            inner = nest(steps[outer:], inner)
            body += nest(steps[:outer], (ir.If(condition, inner),) if when else inner)
        if dtype is initial.dtype:
            return stored
        return self.map(initial.shape, initial.dtype, lambda *i: stored[i])

    # Pieces of stages.

    def _combine_into(
        self, combine: str, buffer: ir.Buffer, offset: Expr, value: Scalar
    ) -> tuple[ir.Statement, ...]:
        values = parts(value)
        real = part(buffer.dtype)
        registers = tuple(self._register("a", real) for _ in values)
        begin = tuple(
            ir.Begin(register, Load(real, buffer, offset, k))
            for k, register in enumerate(registers)
        )
        update: tuple[ir.Update, ...]
        if combine == "mul" and len(values) == 2:
            update = (ir.Update("complex_product", registers, values),)
        else:
            update = tuple(
                ir.Update(combine, (r,), (v,)) for r, v in zip(registers, values, strict=True)
            )
        store = tuple(
            ir.Store(buffer, offset, Read(real, register), k)
            for k, register in enumerate(registers)
        )
        return begin + update + store

    def _reduced(
        self,
        kind: str,
        combine: str,
        shape: Sequence[int],
        dtype: DType,
        extents: Sequence[int],
        fn: Callable[[Position, Position], Any],
        init: Any,
    ) -> View:
        index, r = self._indices(shape), self._indices(extents, "r")
        with self._stage(kind, index + r) as body:
            return self._combined(combine, index, r, dtype, fn(index, r), body, init)

    def _stored(self, view: View) -> Stored:
        index = self._indices(view.shape)
        with self._stage("map", index) as body:
            at: tuple[Expr, ...] = index
            value = view.element(index)
            buffer = self._buffer(view.shape, view.dtype)
            if not self._checks and not division_checks(stores(buffer, at, value)):
                index, at = self._cut(index, value)
                value = view.element(at) if at is not index else value
            body += nest(index, stores(buffer, at, value))
        return Stored(buffer)

    def _cut(self, index: Position, value: Scalar) -> tuple[Position, tuple[Expr, ...]]:
        """Loops in place of some in which elements repeat with a period, and the indices then.

        Two loops that count in periods and in one need no division for each element.
        """
        found = periods(parts(value))
        cut: list[Index] = []
        at: list[Expr] = []
        for i in index:
            n = min(found.get(id(i), {0}))
            if not n or n < SHORT or i.extent % n or len(found[id(i)]) > 1:
                cut.append(i)
                at.append(i)
                continue
            outer, inner = self._indices((i.extent // n, n))
            cut += [outer, inner]
            at.append(outer * n + inner)
        return (index, index) if len(cut) == len(index) else (tuple(cut), tuple(at))

    @contextmanager
    def _stage(self, kind: str, indices: Position) -> Iterator[list[ir.Statement]]:
        """Collect one stage; the checks made meanwhile come before it."""
        if self._checks is not None:
            raise RuntimeError(
                "A reduction, scan, scatter or store inside the function of another one: "
                "make it before and read the view that it gives."
            )
        body: list[ir.Statement] = []
        checks: list[Condition] = []
        self._checks, self._place = checks, object()
        try:
            yield body
        finally:
            self._checks = None
        if all(index.extent for index in indices):  # else nothing is divided
            checks += division_checks(tuple(body))
        self._emit_checks(checks, indices)
        self._stages.append(ir.Stage(kind, tuple(body)))

    def _emit_checks(self, checks: Sequence[Condition], indices: Position) -> None:
        """Test conditions, each in the loops that it depends on."""
        for check in checks:
            condition = check.condition
            for guard in reversed(check.guards):
                condition = select(guard, condition, const(True, dtypes.bool), lazy=True)
            if isinstance(condition, Const) and condition.value:
                continue
            used = used_indices((condition, *check.values))
            loops = tuple(index for index in indices if index in used)
            statement = ir.Check(condition, self._failure(check.failure), check.values)
            self._stages.append(ir.Stage("check", nest(loops, (statement,))))

    def _said(self, error: str, message: str) -> ir.Failure:
        return ir.Failure(error, message)

    def _failure(self, failure: ir.Failure) -> int:
        if failure not in self._failures:
            self._failures.append(failure)
        return self._failures.index(failure) + 1

    @contextmanager
    def _guard(self, condition: Expr) -> Iterator[None]:
        guards, place = self._guards, self._place
        self._guards, self._place = (*guards, condition), object()
        try:
            yield
        finally:
            self._guards, self._place = guards, place

    def _accumulate(self, combine: str, dtype: DType, init: Any) -> Register:
        return Register(combine, compute(dtype), init, self._register)

    def _indices(self, extents: Sequence[int], letter: str = "i") -> Position:
        return tuple(Index(ir.INDEX, self._name(letter), int(n)) for n in extents)

    def _register(self, letter: str, dtype: DType) -> ir.Accumulator:
        return ir.Accumulator(self._name(letter), dtype)

    def _buffer(self, shape: Sequence[int], dtype: DType) -> ir.Buffer:
        buffer = ir.Buffer(self._name("t"), tuple(int(n) for n in shape), dtype)
        self._temporaries.append(buffer)
        return buffer

    def _name(self, letter: str) -> str:
        self._counter += 1
        return f"{letter}{self._counter}"

    def finish(
        self, name: str, inputs: Sequence[ir.Buffer], results: Sequence[View]
    ) -> ir.Loops:
        """The program whose outputs are `results`."""
        outputs: list[ir.Buffer] = []
        for view in results:
            stored = view if isinstance(view, Stored) else self._stored(view)
            taken = stored.buffer in outputs or stored.buffer in inputs
            if taken or stored.buffer.shape != view.shape:
                again = self.map(view.shape, view.dtype, lambda *i, s=stored: s.element(i))
                stored = self._stored(again)
            outputs.append(stored.buffer)
        rest = tuple(b for b in self._temporaries if b not in outputs)
        stages, failures = tuple(self._stages), tuple(self._failures)
        return verify(ir.Loops(name, tuple(inputs), tuple(outputs), rest, stages, failures))


def stores(buffer: ir.Buffer, index: Sequence[Expr], value: Scalar) -> tuple[ir.Store, ...]:
    offset = ravel(index, buffer.shape)
    return tuple(ir.Store(buffer, offset, x, k) for k, x in enumerate(parts(value)))


def _ordered(value: Expr) -> Expr:
    """A value in the dtype that comparisons have."""
    return cast(value, compute(value.dtype))


def nest(indices: Sequence[Index], body: Sequence[ir.Statement]) -> tuple[ir.Statement, ...]:
    """`body` inside one loop per index, the last one innermost."""
    inner = tuple(body)
    for index in reversed(indices):
        inner = (ir.For(index, inner),)
    return inner


def _outside(condition: Expr, steps: Sequence[Index]) -> int:
    """How many loops a condition needs around it: others can be inside of it."""
    used = used_indices((condition,))
    return max((k for k, index in enumerate(steps, 1) if index in used), default=0)


def _letter_extents(operands: Sequence[tuple[View, str]], result: str) -> dict[str, int]:
    extents: dict[str, int] = {}
    for view, letters in operands:
        if len(letters) != view.rank:
            raise ValueError(f"{letters!r} does not name the dimensions of {view}.")
        for name, n in zip(letters, view.shape, strict=True):
            known = extents.get(name, 1)
            if 1 not in (known, n) and known != n:
                raise ValueError(f"Dimension {name!r} is {known} and {n}.")
            extents[name] = n if known == 1 else known
    missing = set(result) - set(extents)
    if missing:
        raise ValueError(f"{sorted(missing)} of the result are in no operand.")
    return extents
