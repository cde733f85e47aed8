"""The matrix that tries every op record: records x samples x dtypes x checks.

A check takes a `Case` and raises AssertionError. What an oracle is called with goes by kind:

- elementwise with a `scalar` rule: Python scalars, one element of each operand at a time
  (`math.f` becomes `cmath.f` for complex ones); where it has no value it raises ValueError,
  OverflowError or ZeroDivisionError, and it must have one somewhere in each sample;
- an oracle of one list (its parameter is called `items`, or it is a builtin such as `sum`): the
  elements along the reduced axes; it gives one number, or a list of as many;
- every other: whole arrays, floats and complex numbers widened to 64 bits a part.
"""

from __future__ import annotations

import cmath
import inspect
import re
import zlib
from typing import Any

import numpy as np

import headrace as tf
from headrace.base import dtypes as dt
from headrace.compile import compile_op, executable
from headrace.compile import interpret as interpret_loops
from headrace.compile.run.interpret import run_graph
from headrace.core.dispatch import apply
from headrace.core.graph import Graph
from headrace.core.op import OPS, Kind, Op, Spec
from headrace.core.tensor import wrap
from headrace.ops.samples import Bad

EPSILON = {
    dt.float16: 2.0**-10,
    dt.bfloat16: 2.0**-7,
    dt.float32: 2.0**-23,
    dt.float64: 2.0**-52,
}
EPSILON.update({dt.complex64: 2.0**-23, dt.complex128: 2.0**-52})
COMPILED = (dt.float32, dt.float64, dt.bfloat16, dt.int32, dt.uint8, dt.bool, dt.complex64)
CHECKED = tuple(sorted(dt.NUMERIC | {dt.bool, dt.string}, key=lambda d: d.name))


class Case:
    """One op on one sample with one dtype for its type `T`."""

    def __init__(self, op: type[Op], number: int, sample: Any, dtype: dt.DType) -> None:
        self.op, self.sample, self.dtype = op, sample, dtype
        self.name = f"{op.name}-{number}-{dtype.name}"
        self.attrs = dict(sample.attrs)
        self.rng = np.random.default_rng(zlib.crc32(self.name.encode()))
        self.arrays = self.operands()

    def operands(self) -> list[np.ndarray]:
        sample, op = self.sample, self.op
        if sample.values is not None:
            many = isinstance(sample.values, tuple)
            values = list(sample.values) if many else [sample.values]
            kinds = [self.kind(i, len(values)) for i in range(len(values))]
            return [typed(v, k) for v, k in zip(values, kinds, strict=True)]
        shapes = sample.shapes
        if len(shapes) < len(op.operands) and not op.variadic:
            shapes = (*shapes, *[()] * (len(op.operands) - len(shapes)))
        count = len(shapes)
        return [
            self.random(shape, self.kind(i, count), pick(sample.low, i), pick(sample.high, i))
            for i, shape in enumerate(shapes)
        ]

    def kind(self, position: int, count: int) -> dt.DType:
        """The dtype of an operand."""
        given = self.sample.dtype
        if isinstance(given, tuple) and len(given) > position and given[position]:
            return dt.as_dtype(given[position])
        if self.op.variadic:
            return self.dtype
        name = self.op.operands[position]
        if name in self.op.types:
            allowed = self.op.types[name][1]
            return self.op.defaults[name] if self.op.defaults[name] in allowed else self.dtype
        return self.dtype

    def random(self, shape: Any, kind: dt.DType, low: Any, high: Any) -> np.ndarray:
        rng = self.rng
        if kind is dt.string:
            words = np.array([b"", b"a", b"caf\xc3\xa9", b"x\x00"], object)
            result = np.empty(shape, object)
            result[...] = words[rng.integers(0, 4, shape)]
            return result
        if kind is dt.bool:
            return np.asarray(rng.integers(0, 2, shape), bool)
        if kind.is_integer:
            low = max(int(np.ceil(low)), 0) if kind.is_unsigned else int(np.ceil(low))
            high = max(int(np.floor(high)), low + 1)
            return np.asarray(rng.integers(low, high, shape), kind.np)
        if kind.is_complex:
            parts = rng.uniform(low, high, (2, *shape))
            return np.asarray(parts[0] + 1j * parts[1], kind.np)
        return np.asarray(rng.uniform(low, high, shape), kind.np)

    def eager(self) -> list[np.ndarray]:
        return listed(apply(self.op, [wrap(a) for a in self.arrays], self.attrs))

    def specs(self) -> list[Spec]:
        return [Spec(a.shape, dt.from_numpy[a.dtype]) for a in self.arrays]

    def __repr__(self) -> str:
        return self.name


def pick(value: Any, position: int) -> float:
    if not isinstance(value, tuple):
        return value
    return value[min(position, len(value) - 1)]


def typed(value: Any, kind: dt.DType) -> np.ndarray:
    if kind is dt.string:
        return np.asarray(tf.constant(value)._array)
    return np.asarray(value).astype(kind.np)


def listed(results: Any) -> list[np.ndarray]:
    return [r._array for r in (results if isinstance(results, list) else [results])]


def fits(op: type[Op], sample: Any, dtype: dt.DType) -> bool:
    given = sample.dtype
    first = given[0] if isinstance(given, tuple) and given else given
    if op.operands and op.operands[0] in op.types:
        own = [g for g in (given or ()) if g] if isinstance(given, tuple) else []
        rest = [g for g, n in zip(given or (), op.operands, strict=False) if n not in op.types]
        if rest and rest[0]:
            return dtype.name == rest[0]
        return not own or True
    return first is None or dtype.name == first


def cases(op: type[Op], good: bool = True) -> list[Case]:
    """The cases of an op: those that must work, or those that must be refused."""
    found = []
    for number, sample in enumerate(op.samples):
        if isinstance(sample, Bad) == good:
            continue
        for dtype in CHECKED:
            if dtype in op.dtypes and fits(op, sample, dtype):
                if dtype is not dt.string or sample.values is None:
                    found.append(Case(op, number, sample, dtype))
    return found


UNSAMPLED = {Kind.RANDOM, Kind.STATE, Kind.CONTROL}
"""Kinds whose operands are no plain arrays, or whose results differ: tested elsewhere."""


def sampled() -> dict[str, type[Op]]:
    """The ops that have samples; random ones are tried by tests of their own."""
    return {name: OPS[name] for name in sorted(OPS) if OPS[name].kind not in UNSAMPLED}


# Oracles


def reference(case: Case, arrays: list[np.ndarray]) -> list[Any]:
    """What the oracle gives: arrays of Python objects or of wide numbers."""
    oracle = case.op.oracle
    if case.op.kind is Kind.ELEMENTWISE and case.op.scalar is not None:
        return [each_element(case, arrays)]
    if takes_items(oracle):
        return [along(case, arrays[0])]
    wide = [widened(a) for a in arrays]
    result = oracle(*wide, **case.attrs)
    return (
        list(result)
        if isinstance(result, (list, tuple)) and len(case.eager()) > 1
        else [result]
    )


def takes_items(oracle: Any) -> bool:
    try:
        names = list(inspect.signature(oracle).parameters)
    except ValueError:
        return True
    return names[0] in ("items", "iterable") or getattr(oracle, "__module__", "") in (
        "builtins",
        "math",
    )


def widened(array: np.ndarray) -> np.ndarray:
    kind = dt.from_numpy[array.dtype]
    if kind.is_floating:
        return array.astype(np.float64)
    return array.astype(np.complex128) if kind.is_complex else array


MISSING = object()


def each_element(case: Case, arrays: list[np.ndarray]) -> np.ndarray:
    oracle = case.op.oracle
    kind = dt.from_numpy[arrays[0].dtype]
    if kind.is_complex and getattr(oracle, "__module__", "") == "math":
        oracle = getattr(cmath, oracle.__name__)
    stretched = np.broadcast_arrays(*(a.astype(object) for a in map(plain, arrays)))
    result = np.empty(stretched[0].shape, object)
    for index in np.ndindex(*result.shape):
        try:
            result[index] = oracle(*(a[index] for a in stretched), **case.attrs)
        except (ValueError, OverflowError, ZeroDivisionError):
            result[index] = MISSING  # the scalar function is not defined there
    said = [value is not MISSING for value in result.reshape(-1)]
    assert any(said) or not said, f"{case}: the oracle says nothing of any element"
    return result


def plain(array: np.ndarray) -> np.ndarray:
    """The array with elements that become Python's own numbers."""
    kind = dt.from_numpy[array.dtype]
    return array.astype(np.float64) if kind.is_floating else array


def along(case: Case, array: np.ndarray) -> np.ndarray:
    attrs = dict(case.attrs)
    keep = attrs.pop("keep_dims", False)
    axis = attrs.pop("axis", attrs.pop("dimension", -1))
    axes = tuple(a % array.ndim for a in (axis if isinstance(axis, tuple) else (axis,)))
    kept = [i for i in range(array.ndim) if i not in axes]
    moved = plain(array).transpose([*kept, *axes])
    outer = moved.shape[: len(kept)]
    names = inspect.signature(case.op.oracle).parameters if attrs else {}
    extra = {k: v for k, v in attrs.items() if k in names}
    rows = {}
    for index in np.ndindex(*outer):
        rows[index] = case.op.oracle(moved[index].reshape(-1).tolist(), **extra)
    if rows and isinstance(next(iter(rows.values())), list):
        result = np.empty(moved.shape, object)
        for index, row in rows.items():
            result[index] = np.array(row, object).reshape(result[index].shape)
        order = [*kept, *axes]
        return result.transpose([order.index(i) for i in range(array.ndim)])
    result = np.empty(outer, object)
    for index, row in rows.items():
        result[index] = row
    return np.expand_dims(result, axes) if keep else result


# Comparison


def close(
    case: Case, found: np.ndarray, expected: Any, ulps: float | None = None, scale: Any = None
) -> None:
    """Fail unless `found` is `expected` within the record's ulps of the result's dtype.

    `scale` replaces the size of the result as what an ulp is measured by.
    """
    kind = dt.from_numpy[found.dtype]
    expected = (
        np.asarray(expected, dtype=object) if not isinstance(expected, np.ndarray) else expected
    )
    assert found.shape == expected.shape, f"{case}: shape {found.shape}, not {expected.shape}"
    defined = np.array([e is not MISSING for e in expected.reshape(-1)], bool).reshape(
        found.shape
    )
    if kind is dt.string or not found.size:
        assert found.tolist() == expected.tolist()
        return
    if not (kind.is_floating or kind.is_complex):
        wanted = [wrapped(e, kind) if e is not MISSING else 0 for e in expected.reshape(-1)]
        got = found.reshape(-1).tolist()
        same = [
            a == b or not d for a, b, d in zip(got, wanted, defined.reshape(-1), strict=True)
        ]
        assert all(same), f"{case}: {got} is not {wanted}"
        return
    wide = np.complex128 if kind.is_complex else np.float64
    filled = np.array([0 if e is MISSING else e for e in expected.reshape(-1)], wide)
    filled = filled.reshape(found.shape)
    given = ulps_of(case.op, kind) if ulps is None else ulps
    size = np.abs(filled) if scale is None else np.maximum(np.abs(filled), scale)
    with np.errstate(all="ignore"):
        limit = given * EPSILON[kind] * size + tiny(kind)
        rounded = filled.astype(found.dtype).astype(wide)
        got = found.astype(wide)
        near = (
            (np.abs(got - filled) <= limit)
            | (got == rounded)
            | (np.isnan(got) & np.isnan(filled))
        )
    assert (near | ~defined).all(), f"{case}: {found} is not {expected}"


def ulps_of(op: type[Op], kind: dt.DType) -> float:
    """The record's tolerance; both parts of a complex number add to each other's rounding."""
    if kind.is_complex:
        return 4 * max(op.ulp.get(kind.real_dtype, 1), 2)
    return max(op.ulp.get(kind, 1), 1)


def tiny(kind: dt.DType) -> float:
    if kind is dt.float16:
        return 2.0**-24
    return 2.0**-1022 if kind in (dt.float64, dt.complex128) else 2.0**-126


def wrapped(value: Any, kind: dt.DType) -> Any:
    """A Python integer as the dtype stores it."""
    if kind is dt.bool:
        return bool(value)
    bits = 8 * kind.size
    value = int(value) % (1 << bits)
    return value - (1 << bits) if not kind.is_unsigned and value >> (bits - 1) else value


def terms(case: Case) -> Any:
    """The size of the terms that were added up: what rounding goes by in sums."""
    if (case.op.kind is Kind.ELEMENTWISE and not case.op.variadic) or case.dtype.is_integer:
        return None
    if case.dtype not in EPSILON or case.op.oracle is None:
        return None
    sizes = [np.abs(widened(a)) if a.dtype.kind not in "iub" else a for a in case.arrays]
    try:
        expected = reference(case, [np.asarray(s) for s in sizes])
    except (ValueError, OverflowError, ZeroDivisionError):
        return None
    values = [
        [0.0 if e is MISSING else abs(e) for e in np.asarray(x, object).reshape(-1)]
        for x in expected
    ]
    return [
        np.array(v, np.float64).reshape(np.shape(x))
        for v, x in zip(values, expected, strict=True)
    ]


# Checks


def check_oracle(case: Case) -> None:
    """Eager results are what the oracle says."""
    scales = terms(case)
    for i, (found, expected) in enumerate(
        zip(case.eager(), reference(case, case.arrays), strict=True)
    ):
        close(case, found, expected, scale=None if scales is None else scales[i])


def check_infer(case: Case) -> None:
    """`infer` gives the real shape and dtype, and nothing that contradicts them when it knows
    less."""
    real = [(r.shape, dt.from_numpy[r.dtype]) for r in case.eager()]
    specs = case.specs()
    assert inferred(case, specs, exact=True) == real, f"{case}: infer"
    for position, spec in enumerate(specs):
        partial = [
            None,
            *([*spec.shape[:d], None, *spec.shape[d + 1 :]] for d in range(len(spec.shape))),
        ]
        for shape in partial:
            known = list(specs)
            known[position] = Spec(None if shape is None else tuple(shape), spec.dtype)
            for (shape_, dtype), (wanted, kind) in zip(
                inferred(case, known), real, strict=True
            ):
                assert dtype is kind
                assert tf.TensorShape(shape_).is_compatible_with(wanted), f"{case}: {shape_}"


def inferred(case: Case, specs: list[Spec], exact: bool = False) -> list[Any]:
    found = case.op.infer(*specs, **case.attrs)
    found = [found] if isinstance(found, Spec) else list(found)
    if exact:  # a shape that depends on data stays open
        real = [r.shape for r in case.eager()]
        return [
            (tuple(n if d is None else d for d, n in zip(s.shape, shape, strict=True)), s.dtype)
            for s, shape in zip(found, real, strict=True)
        ]
    return [(s.shape, s.dtype) for s in found]


def check_graph(case: Case) -> None:
    """The op in a graph gives what it gives eagerly."""
    with Graph() as graph:
        places = [graph.placeholder(s.dtype, s.shape) for s in case.specs()]
        results = apply(case.op, places, case.attrs)
    symbols = results if isinstance(results, list) else [results]
    found = run_graph(graph, list(zip(places, case.arrays, strict=True)), symbols)
    for a, b in zip(found, case.eager(), strict=True):
        assert a.dtype == b.dtype
        assert a.shape == b.shape and a.tolist().__repr__() == b.tolist().__repr__()


def check_loops(case: Case) -> None:
    """Its loops, interpreted and as machine code, give what the kernel gives."""
    if case.dtype not in COMPILED or sum(a.size for a in case.arrays) > 3000:
        return
    loops = compile_op(case.op, case.specs(), case.attrs)
    expected, scales = case.eager(), terms(case)
    program = executable(loops)
    for way in (interpret_loops(loops, case.arrays), program(case.arrays)):
        for i, (found, wanted) in enumerate(zip(way, expected, strict=True)):
            limit = 2 * ulps_of(case.op, case.dtype)
            close(case, found, wanted, limit, None if scales is None else scales[i])
    again = executable(compile_op(case.op, case.specs(), case.attrs))
    assert again.program.code is program.program.code, f"{case}: compiled a second time"


def lowered(op: type[Op]) -> bool:
    return op.scalar is not None or op.lower is not None


def check_gradient(case: Case, order: int = 1) -> None:
    """Gradients are the slopes of the result, whatever a tape lets go of."""
    if case.dtype is not dt.float64 or not case.sample.grad or case.op.grad is None:
        return
    if any(r.dtype != np.float64 for r in case.eager()):
        return
    places = [i for i, a in enumerate(case.arrays) if a.dtype == np.float64]
    rng, step = case.rng, 1e-5
    slope = [rng.normal(size=case.arrays[i].shape) for i in places]
    weights = [rng.normal(size=np.shape(r)) for r in case.eager()]

    def value(moved: float, taped: bool = False) -> Any:
        inputs = [wrap(a.copy()) for a in case.arrays]
        for i, v in zip(places, slope, strict=True):
            inputs[i] = wrap(np.asarray(case.arrays[i] + moved * v))
        with tf.GradientTape() as tape:
            watched = [inputs[i] for i in places]
            tape.watch(watched)
            total = scalar(inputs)
        if not taped:
            return float(total)
        return [
            np.zeros(x.shape) if g is None else np.asarray(tf.convert_to_tensor(g))
            for g, x in zip(tape.gradient(total, watched), watched, strict=True)
        ]

    def scalar(inputs: list[Any]) -> Any:
        if order == 1:
            return weighted(apply(case.op, inputs, case.attrs))
        with tf.GradientTape() as inner:
            watched = [inputs[i] for i in places]
            inner.watch(watched)
            total = weighted(apply(case.op, inputs, case.attrs))
        gradients = inner.gradient(total, watched, unconnected_gradients="zero")
        parts = zip(gradients, slope2, strict=True)
        return tf.add_n([tf.reduce_sum(tf.convert_to_tensor(g) * w) for g, w in parts])

    def weighted(results: Any) -> Any:
        results = results if isinstance(results, list) else [results]
        pairs = zip(results, weights, strict=True)
        return tf.add_n([tf.reduce_sum(r * tf.constant(w, r.dtype)) for r, w in pairs])

    slope2 = [rng.normal(size=s.shape) for s in slope]
    numeric = (value(step) - value(-step)) / (2 * step)
    exact = sum(float(np.vdot(g, v)) for g, v in zip(value(0.0, True), slope, strict=True))
    size = max(1.0, abs(exact), abs(numeric))
    assert abs(exact - numeric) <= 2e-6 * size * 10 ** (order - 1), f"{case}: {exact} {numeric}"


def check_refused(case: Case) -> None:
    """A bad sample raises the right class with the right text, and changes nothing."""

    before = [a.copy() for a in case.arrays]
    try:
        case.eager()
    except Exception as error:
        name = type(error).__name__
        assert name == case.sample.error, f"{case}: {name}: {error}"
        assert re.search(case.sample.match, str(error)), f"{case}: {error}"
        if name == "InvalidArgumentError":
            assert f"[Op:{case.op.name}]" in str(error)
    else:
        raise AssertionError(f"{case}: not refused")
    for a, b in zip(before, case.arrays, strict=True):
        assert repr(a.tolist()) == repr(b.tolist())
