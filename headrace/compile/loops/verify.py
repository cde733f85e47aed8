"""What holds for every program of loops; run after each step that makes or changes one.

A mistake found here is a bug of a lowering rule or of the compiler, never of the user, hence
`AssertionError`-like `InvalidLoops` with the statement's text. Read `ir.py` before.
"""

from __future__ import annotations

from headrace.base import dtypes
from headrace.compile.loops import ir
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
    operands,
)
from headrace.compile.loops.operations import TABLE, bits, letter, part
from headrace.compile.loops.product import fault
from headrace.compile.loops.status import STATUS_WORDS


class InvalidLoops(Exception):
    """A program that breaks a rule of the loop language."""


class _Scope:
    """What may be used at one place of the program."""

    def __init__(self, loops: ir.Loops) -> None:
        self.indices: set[int] = set()
        self.accumulators: set[int] = set()
        self.readable = {id(b) for b in loops.inputs + loops.states}
        self.readable |= {id(b) for b in loops.buffers if not b.size}  # no step stores there
        self.writable = {id(b) for b in loops.outputs + loops.states + loops.temporaries}
        self.failures = len(loops.failures)
        self.guarded = 0
        self.empty = 0
        self.lanes = 1
        self.seen: set[tuple[int, bool]] = set()


def verify(loops: ir.Loops) -> ir.Loops:
    """Check a program and give it back.

    Raises:
        InvalidLoops: it breaks a rule; the text says which.
    """
    names = [buffer.name for buffer in loops.buffers]
    _demand(len(set(names)) == len(names), f"two buffers share a name: {names}")
    scope = _Scope(loops)
    _steps(loops.stages, scope)
    for buffer in loops.outputs:
        if buffer.size:
            _demand(id(buffer) in scope.readable, f"nothing is stored in {buffer.name}")
    return loops


def _steps(steps: ir.Steps, scope: _Scope) -> None:
    for step in steps:
        match step:
            case ir.Stage(_, body, how):
                _body(body, scope)
                wrong = fault(how) if how else None
                _demand(wrong is None, str(wrong))
            case ir.Repeat(head, condition, body):
                _steps(head, scope)
                _decides(condition, (dtypes.bool,), scope)
                _steps(body, scope)
            case ir.Branch(index, sides):
                _decides(index, (dtypes.bool, dtypes.int32, dtypes.int64), scope)
                _demand(
                    len(sides) == 2 or (len(sides) > 0 and not index.dtype.is_bool), "sides"
                )
                for side in sides:
                    _steps(side, scope)


def _decides(buffer: ir.Buffer, allowed: tuple[dtypes.DType, ...], scope: _Scope) -> None:
    _demand(buffer.size == 1, f"{buffer.name}, which decides, has {buffer.size} elements")
    _demand(buffer.dtype in allowed, f"{buffer.name}, which decides, is {buffer.dtype.name}")
    _demand(id(buffer) in scope.readable, f"{buffer.name} decides before its stage")


def _demand(condition: bool, message: str) -> None:
    if not condition:
        raise InvalidLoops(message)


def _body(body: tuple[ir.Statement, ...], scope: _Scope) -> None:
    begun = set()
    for statement in body:
        scope.seen.clear()
        values = statement.values if isinstance(statement, ir.Check) else ()
        for x in ir.expressions(statement):  # a check's values matter where it fails
            _expression(x, scope, any(x is value for value in values))
        _statement(statement, scope)
        if isinstance(statement, ir.Begin):
            begun.add(id(statement.accumulator))
            scope.accumulators.add(id(statement.accumulator))
    scope.accumulators -= begun


def _statement(statement: ir.Statement, scope: _Scope) -> None:
    match statement:
        case ir.For(index, body):
            _demand(index.extent >= 0, f"loop {index.name} has extent {index.extent}")
            _demand(id(index) not in scope.indices, f"loop {index.name} inside itself")
            if statement.turned:
                _turned(statement, scope)
            lanes = scope.lanes
            scope.lanes = statement.lanes if statement.lanes > 1 else lanes
            scope.indices.add(id(index))
            scope.empty += index.extent == 0
            _body(body, scope)
            scope.lanes = lanes
            scope.empty -= index.extent == 0
            scope.indices.discard(id(index))
        case ir.If(condition, body):
            _demand(condition.dtype is dtypes.bool, "a condition is not bool")
            scope.guarded += 1
            _body(body, scope)
            scope.guarded -= 1
        case ir.Store(buffer, offset, value, which):
            _demand(id(buffer) in scope.writable, f"store into {buffer.name}")
            _access(buffer, offset, which, scope, bool(scope.guarded))
            _same(part(buffer.dtype), value.dtype, f"store into {buffer.name}")
            scope.readable.add(id(buffer))
        case ir.Begin(accumulator, value):
            _same(accumulator.dtype, value.dtype, f"begin {accumulator.name}")
        case ir.Update():
            _update(statement, scope)
        case ir.Check(condition, failure, values):
            _demand(condition.dtype is dtypes.bool, "a check's condition is not bool")
            _demand(0 < failure <= scope.failures, f"check with unknown failure {failure}")
            _demand(len(values) < STATUS_WORDS, "a check with too many values")
            _demand(all(v.dtype is ir.INDEX for v in values), "a check's value is not int64")


def _turned(loop: ir.For, scope: _Scope) -> None:
    """A turned loop goes along the rows of one block, and each lane around it has a row."""
    name, extent = loop.index.name, loop.index.extent
    _demand(1 <= extent <= scope.lanes, f"turned {name} of {extent} in {scope.lanes} lanes")
    _demand(loop.lanes == 1 and not loop.threads, f"turned {name} has another form too")
    inside = any(isinstance(s, ir.For | ir.If) for s in loop.body)
    _demand(not inside, f"turned {name} has loops or branches inside")


def _update(update: ir.Update, scope: _Scope) -> None:
    for accumulator in update.accumulators:
        begun = id(accumulator) in scope.accumulators
        _demand(begun, f"update of {accumulator.name}, which has not begun")
    after = ir.combined(update)
    _demand(len(after) == len(update.accumulators), f"{update.combine} of {len(after)} values")
    for accumulator, value in zip(update.accumulators, after, strict=True):
        _same(accumulator.dtype, value.dtype, f"update of {accumulator.name}")


def _same(expected: dtypes.DType, got: dtypes.DType, where: str) -> None:
    _demand(expected is got, f"{where}: expected {expected.name}, got {got.name}")


def _access(buffer: ir.Buffer, offset: Expr, which: int, scope: _Scope, guarded: bool) -> None:
    _demand(offset.dtype is ir.INDEX, f"offset into {buffer.name} is {offset.dtype.name}")
    _demand(which == 0 or buffer.dtype.is_complex, f"{buffer.name} has no part {which}")
    known = bounds(offset)
    if known and not guarded and not scope.empty:
        low, high = known
        inside = 0 <= low and high < buffer.size
        possible = low < buffer.size and high >= 0 and not _attained(offset, [])
        _demand(
            inside or possible, f"{buffer.name} has {buffer.size} elements, used at {known}"
        )


def _attained(offset: Expr, seen: list[Expr]) -> bool:
    """Whether an offset takes all of its bounds: a sum of multiples of different indices."""
    match offset:
        case Const():
            return True
        case Index():
            new = all(offset is not other for other in seen)
            seen.append(offset)
            return new
        case Apply(_, "add" | "sub" | "neg", args):
            return all(_attained(x, seen) for x in args)
        case Apply(_, "mul", args) if any(isinstance(x, Const) for x in args):
            return all(_attained(x, seen) for x in args)
    return False


def _expression(x: Expr, scope: _Scope, guarded: bool) -> None:
    """Check `x` and all in it; `guarded`: evaluated only where some condition holds."""
    if (id(x), guarded) in scope.seen:
        return
    scope.seen.add((id(x), guarded))
    match x:
        case Choose(_, condition, then, other, lazy):
            _demand(condition.dtype is dtypes.bool, "where: the condition is not bool")
            _demand(then.dtype is other.dtype is x.dtype, "where: two dtypes")
            _expression(condition, scope, guarded)
            _expression(then, scope, guarded or lazy)
            _expression(other, scope, guarded or lazy)
            return
        case Index():
            _demand(id(x) in scope.indices, f"index {x.name} outside its loop")
        case Read():
            begun = id(x.accumulator) in scope.accumulators
            _demand(begun, f"read of {x.accumulator.name}, which has not begun")
        case Load(_, buffer, offset, which):
            _demand(id(buffer) in scope.readable, f"load from {buffer.name} before its stage")
            _same(part(buffer.dtype), x.dtype, f"load from {buffer.name}")
            _access(buffer, offset, which, scope, guarded or bool(scope.guarded))
        case Apply():
            _operation(x)
        case Cast():
            _conversion(x)
        case Const():
            _demand(letter(x.dtype) in "biufh", f"a constant of {x.dtype.name}")
    for y in operands(x):
        _expression(y, scope, guarded)


def _operation(x: Apply) -> None:
    operation = TABLE[x.name]
    _demand(len(x.args) == operation.arity, f"{x.name} of {len(x.args)} operands")
    dtype = x.args[0].dtype
    _demand(all(y.dtype is dtype for y in x.args), f"{x.name} of mixed dtypes")
    _demand(letter(dtype) in operation.takes, f"{x.name} of {dtype.name}")
    _same(dtypes.bool if operation.to_bool else dtype, x.dtype, x.name)


def _conversion(x: Cast) -> None:
    a, b = x.x.dtype, x.dtype
    if x.bitwise:
        _demand(bits(a) == bits(b), f"bitcast from {a.name} to {b.name}")
    elif "h" in (letter(a), letter(b)):
        through = b if letter(a) == "h" else a
        _demand(through is dtypes.float32, f"cast from {a.name} to {b.name} in one step")
