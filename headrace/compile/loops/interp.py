"""The loops, run one NumPy scalar at a time: slow, plain, and the referee of the emitter.

Arithmetic is that of the dtypes: integers wrap, float32 rounds after each operation, 16-bit
floats are widened by the casts that the program holds. Functions such as exp are computed in
float64 and rounded once, so that they are closer to the truth than what they judge. Every
access is checked. Read `ir.py` before.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from headrace.base import dtypes
from headrace.base.dtypes import DType
from headrace.compile.loops import ir
from headrace.compile.loops.accumulate import carried, identity
from headrace.compile.loops.expr import Apply, Cast, Choose, Const, Expr, Index, Load, Read
from headrace.compile.loops.operations import bits, letter, limits
from headrace.compile.loops.status import error_of

Value: TypeAlias = Any  # a NumPy scalar


class OutOfBounds(Exception):
    """A program touched memory outside a buffer: a bug in a lowering rule or a pass."""


class _State:
    """Buffers, indices and accumulators of one run."""

    def __init__(self) -> None:
        self.memory: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self.indices: dict[int, Value] = {}
        self.registers: dict[int, Value] = {}
        self.combined: dict[int, ir.Values] = {}

    def allocate(self, buffer: ir.Buffer, array: np.ndarray) -> None:
        flat = array.reshape(-1)
        imaginary = flat.imag if buffer.dtype.is_complex else flat
        self.memory[id(buffer)] = (flat.real if buffer.dtype.is_complex else flat, imaginary)


def interpret(
    loops: ir.Loops, arrays: Sequence[np.ndarray], states: Sequence[np.ndarray] = ()
) -> tuple[np.ndarray, ...]:
    """Run a program.

    Args:
        loops: the program.
        arrays: one array per input, of its shape and dtype.
        states: one contiguous array per state, which is changed.
    Returns:
        One fresh array per output.
    Raises:
        OpError: a check of the program failed.
        OutOfBounds: the program is wrong.
    """
    state = _State()
    for buffer, array in zip(loops.inputs, arrays, strict=True):
        if array.shape != buffer.shape or array.dtype != buffer.dtype.np:
            raise ValueError(
                f"{buffer.name} is {buffer.dtype.name}{list(buffer.shape)}, got an array of "
                f"{array.dtype}{list(array.shape)}."
            )
        state.allocate(buffer, np.ascontiguousarray(array))
    outputs = tuple(np.empty(buffer.shape, buffer.dtype.np) for buffer in loops.outputs)
    for buffer, array in zip(loops.outputs, outputs, strict=True):
        state.allocate(buffer, array)
    for buffer, array in zip(loops.states, states, strict=True):
        state.allocate(buffer, array)
    for buffer in loops.temporaries:
        state.allocate(buffer, np.empty(buffer.shape, buffer.dtype.np))
    with np.errstate(all="ignore"):
        _steps(loops.stages, state, loops)
    return outputs


def _steps(steps: ir.Steps, state: _State, loops: ir.Loops) -> None:
    for step in steps:
        match step:
            case ir.Stage(_, body):
                _run(body, state, loops)
            case ir.Repeat(head, condition, body):
                _steps(head, state, loops)
                while state.memory[id(condition)][0][0]:
                    _steps(body, state, loops)
                    _steps(head, state, loops)
            case ir.Branch(index, sides):
                value = state.memory[id(index)][0][0]
                _steps(sides[side(value, len(sides))], state, loops)


def side(index: Any, count: int) -> int:
    """Which side of a branch an index means."""
    if isinstance(index, np.bool_):
        return 0 if index else 1
    return int(index) if 0 <= index < count else count - 1


def _run(body: tuple[ir.Statement, ...], state: _State, loops: ir.Loops) -> None:
    for statement in body:
        seen: dict[int, Value] = {}
        match statement:
            case ir.For(lanes=lanes) if lanes > 1:
                _run_lanes(statement, state, loops)
            case ir.For(index, inner):
                for position in range(index.extent):
                    state.indices[id(index)] = np.int64(position)
                    _run(inner, state, loops)
            case ir.If(condition, inner):
                if _value(condition, state, seen):
                    _run(inner, state, loops)
            case ir.Store(buffer, offset, value, part):
                place = _place(buffer, _value(offset, state, seen))
                state.memory[id(buffer)][part][place] = _value(value, state, seen)
            case ir.Begin(accumulator, value):
                state.registers[id(accumulator)] = _value(value, state, seen)
            case ir.Update(_, accumulators, _):
                combined = state.combined.get(id(statement)) or ir.combined(statement)
                state.combined[id(statement)] = combined
                after = [_value(x, state, seen) for x in combined]
                for accumulator, x in zip(accumulators, after, strict=True):
                    state.registers[id(accumulator)] = x
            case ir.Check(condition, failure, values):
                if not _value(condition, state, seen):
                    given = tuple(int(_value(x, state, seen)) for x in values)
                    raise error_of(loops.failures, loops.name, failure, given)


def _run_lanes(loop: ir.For, state: _State, loops: ir.Loops) -> None:
    """A loop in lanes: each lane of each copy accumulates apart; then neighbouring copies,
    halves of the lanes, and what there was before are combined."""
    updates = carried(loop.body)
    whole, lanes = loop.index.extent // loop.lanes, loop.lanes
    copies = max(1, min(loop.copies, whole))
    keys = [id(a) for update in updates for a in update.accumulators]
    before = {key: state.registers[key] for key in keys}
    first = {
        id(a): a.dtype.np.type(identity(u.combine, a.dtype))
        for u in updates
        for a in u.accumulators
    }
    registers = [[dict(first) for _ in range(lanes)] for _ in range(copies)]
    for position in range(loop.index.extent):
        vector, lane = divmod(position, lanes)
        mine = registers[vector % copies if vector < whole else 0][lane]
        state.registers.update(mine)
        state.indices[id(loop.index)] = np.int64(position)
        _run(loop.body, state, loops)
        mine.update({key: state.registers[key] for key in keys})
    while len(registers) > 1:
        pairs = [
            [
                _combined(updates, a, b, state)
                for a, b in zip(*registers[k : k + 2], strict=True)
            ]
            for k in range(0, len(registers) - 1, 2)
        ]
        registers = pairs + registers[2 * len(pairs) :]
    found = registers[0]
    while len(found) > 1:
        half = len(found) // 2
        found = [_combined(updates, found[k], found[k + half], state) for k in range(half)]
    state.registers.update(_combined(updates, before, found[0], state))


def _combined(
    updates: Sequence[ir.Update], old: dict[int, Value], new: dict[int, Value], state: _State
) -> dict[int, Value]:
    """Two sets of accumulators as one."""
    found: dict[int, Value] = {}
    for update in updates:
        sides = []
        for values in (old, new):
            held = [(a, ir.Accumulator(a.name, a.dtype)) for a in update.accumulators]
            state.registers.update({id(h): values[id(a)] for a, h in held})
            sides.append([h for _, h in held])
        a, b = (tuple(Read(h.dtype, h) for h in side) for side in sides)
        results = ir.COMBINE[update.combine](a, b)
        for accumulator, x in zip(update.accumulators, results, strict=True):
            found[id(accumulator)] = _value(x, state, {})
    return found


def _place(buffer: ir.Buffer, offset: Value) -> int:
    place = int(offset)
    if not 0 <= place < buffer.size:
        raise OutOfBounds(f"{buffer.name} has {buffer.size} elements, used at {place}")
    return place


def _value(x: Expr, state: _State, seen: dict[int, Value]) -> Value:
    """The value of an expression; `seen` holds those that this statement has computed."""
    key = id(x)
    if key in seen:
        return seen[key]
    match x:
        case Const(dtype, value):
            found = dtype.np.type(value)
        case Index():
            found = state.indices[key]
        case Read():
            found = state.registers[id(x.accumulator)]
        case Load(_, buffer, offset, part):
            place = _place(buffer, _value(offset, state, seen))
            found = state.memory[id(buffer)][part][place]
        case Apply(_, name, args):
            values = [_value(y, state, seen) for y in args]
            found = compute(name, args[0].dtype, *values)
        case Cast(dtype, y, bitwise):
            found = _converted(_value(y, state, seen), y.dtype, dtype, bitwise)
        case Choose(_, condition, then, other, lazy):
            chosen, rest = then, other
            if not _value(condition, state, seen):
                chosen, rest = other, then
            found = _value(chosen, state, seen)
            if not lazy:
                _value(rest, state, seen)
        case _:
            raise TypeError(x)
    seen[key] = found
    return found


# Operations on NumPy scalars.


def compute(name: str, dtype: DType, *values: Value) -> Value:
    """One operation of `operations.TABLE` on scalars of `dtype`."""
    if name in _COMPARE:
        return np.bool_(_COMPARE[name](*values))
    kind = letter(dtype)
    if kind in "iu":
        return wrapped(_INTEGER[name](dtype, *(int(v) for v in values)), dtype)
    if kind == "b":
        return np.bool_(_LOGIC[name](*values))
    exact = _FLOAT.get(name)
    if exact is not None:
        return exact(*values)
    wide = _FUNCTION[name](*(np.float64(v) for v in values))
    return dtype.np.type(wide)


def wrapped(value: int, dtype: DType) -> Value:
    """An integer of any size, taken modulo 2 ** bits."""
    low, _ = limits(dtype)
    return dtype.np.type((value - low) % 2 ** bits(dtype) + low)


def _converted(x: Value, source: DType, target: DType, bitwise: bool) -> Value:
    if bitwise:
        return np.asarray(x, source.np).view(target.np)[()]
    kind, aim = letter(source), letter(target)
    if aim == "b":
        return np.bool_(x != 0)
    if kind == "f" and aim in "iu":
        return wrapped(_truncated(float(x), target), target)
    if kind in "biu" and aim in "iu":
        return wrapped(int(x), target)
    return np.asarray(x, source.np).astype(target.np)[()]


def _truncated(x: float, target: DType) -> int:
    """Towards zero; what is outside gives what x86 gives: the lowest int32 or int64.

    Types up to int32 go through int32, uint32 and int64 through int64, uint64 in two halves.
    """
    width = 32 if bits(target) < 32 or target is dtypes.int32 else 64
    if target is dtypes.uint64 and 2.0**63 <= x < 2.0**64:
        return int(x)
    inside = -(2.0 ** (width - 1)) <= x < 2.0 ** (width - 1)
    return int(x) if inside else -(2 ** (width - 1))


def _truncdiv(_: DType, x: int, y: int) -> int:
    quotient = abs(x) // abs(y) if y else 0
    return quotient if (x < 0) == (y < 0) else -quotient


def _shift_by(dtype: DType, y: int) -> int:
    return min(max(y, 0), bits(dtype) - 1)


_INTEGER: dict[str, Callable[..., int]] = {
    "add": lambda _, x, y: x + y,
    "sub": lambda _, x, y: x - y,
    "mul": lambda _, x, y: x * y,
    "min": lambda _, x, y: min(x, y),
    "max": lambda _, x, y: max(x, y),
    "pow": lambda t, x, y: pow(x, y, 2 ** bits(t)) if y >= 0 else 0,
    "floordiv": lambda _, x, y: x // y if y else 0,
    "floormod": lambda _, x, y: x % y if y else 0,
    "truncdiv": _truncdiv,
    "truncmod": lambda t, x, y: x - _truncdiv(t, x, y) * y if y else 0,
    "and": lambda _, x, y: x & y,
    "or": lambda _, x, y: x | y,
    "xor": lambda _, x, y: x ^ y,
    "not": lambda _, x: ~x,
    "neg": lambda _, x: -x,
    "shl": lambda t, x, y: x << _shift_by(t, y),
    "shr": lambda t, x, y: x >> _shift_by(t, y),
    "mulhi": lambda t, x, y: (x * y) >> bits(t),
    "popcount": lambda t, x: (x % 2 ** bits(t)).bit_count(),
}

_LOGIC: dict[str, Callable[..., Any]] = {
    "and": lambda x, y: x and y,
    "or": lambda x, y: x or y,
    "xor": lambda x, y: x != y,
    "not": lambda x: not x,
    "min": lambda x, y: x and y,
    "max": lambda x, y: x or y,
}

_COMPARE: dict[str, Callable[..., Any]] = {
    "eq": lambda x, y: x == y,
    "ne": lambda x, y: x != y,
    "lt": lambda x, y: x < y,
    "le": lambda x, y: x <= y,
    "gt": lambda x, y: x > y,
    "ge": lambda x, y: x >= y,
    "isnan": lambda x: x != x,
}

# Rounded correctly in the dtype itself.
_FLOAT: dict[str, Callable[..., Value]] = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y,
    "neg": lambda x: -x,
    "abs": np.abs,
    "sqrt": np.sqrt,
    "floor": np.floor,
    "ceil": np.ceil,
    "rint": np.rint,
    "trunc": np.trunc,
    "fmod": np.fmod,
    "copysign": np.copysign,
    "nextafter": np.nextafter,
    "min": lambda x, y: x if x < y or x != x else y,
    "max": lambda x, y: x if x > y or x != x else y,
}


def _lgamma(x: Value) -> float:
    if math.isinf(x) or (x <= 0 and x == math.floor(x)):
        return math.inf
    try:
        return math.lgamma(x)
    except OverflowError:
        return math.inf


def _sigmoid(x: Value) -> Value:
    small = np.exp(-np.abs(x))
    return (small if x < 0 else 1) / (1 + small)


def _softplus(x: Value) -> Value:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


# In float64, then rounded.
_FUNCTION: dict[str, Callable[..., Any]] = {
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "atan2": np.arctan2,
    "hypot": np.hypot,
    "pow": np.power,
    "erf": math.erf,
    "erfc": math.erfc,
    "lgamma": _lgamma,
    "sigmoid": _sigmoid,
    "softplus": _softplus,
}
