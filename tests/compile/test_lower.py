"""Rules with views: the examples of the compiler's README and every method of the builder."""

from __future__ import annotations

import math
import zlib

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.base import dtypes, errors
from headrace.compile import CannotLower, compile_op, executable, interpret
from headrace.compile.loops.verify import InvalidLoops
from headrace.core.op import Spec
from tests.compile.support import (
    COMPLEX,
    EVERY,
    FLOATS,
    HALVES,
    INTEGERS,
    REALS,
    both,
    close,
    compiled,
    elementwise,
    record,
    shaped,
    spec,
    values,
)

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def named(*parts: object) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(repr(parts).encode()))


# Reductions.


def reduction(combine, shape, axis, keep_dims=False):
    axes = tuple(range(len(shape))) if axis is None else tuple(a % len(shape) for a in axis)
    kept = [d for d in range(len(shape)) if d not in axes]
    result = tuple(
        1 if d in axes else n for d, n in enumerate(shape) if keep_dims or d not in axes
    )

    def lower(c, x):
        def element(index, r):
            outer = [index[d] for d in kept] if keep_dims else index
            at = dict(zip(kept, outer, strict=True)) | dict(zip(axes, r, strict=True))
            return x[tuple(at[d] for d in range(x.rank))]

        return c.reduce(combine, result, x.dtype, [x.shape[a] for a in axes], element)

    return shaped(result, lower)


shapes = st.lists(st.integers(0, 5), min_size=1, max_size=4).map(tuple)
NUMPY = {"add": np.sum, "mul": np.prod, "max": np.max, "min": np.min}


@settings(max_examples=60, deadline=None)
@given(shapes, st.sampled_from(sorted(NUMPY)), st.sampled_from(REALS), st.booleans(), st.data())
def test_reduce(shape, combine, dtype, keep, data):
    axes = tuple(data.draw(st.sets(st.integers(0, len(shape) - 1))))
    x = values(dtype, shape, named(shape, combine, dtype), special=combine in ("max", "min"))
    ulps = 60 if combine == "mul" and not dtype.is_integer else 0
    got = both(
        reduction(combine, shape, axes, keep), x, ulps=ulps
    )  # lanes multiply in another order
    identity = {"add": 0, "mul": 1, "max": -np.inf, "min": np.inf}[combine]
    if dtype.is_integer:
        info = np.iinfo(dtype.np)
        identity = {"max": info.min, "min": info.max}.get(combine, identity)
        wide = {"dtype": dtype.np} if combine in ("add", "mul") else {}
        close(got, NUMPY[combine](x, axis=axes, keepdims=keep, initial=identity, **wide))
        return
    truth = NUMPY[combine](x.astype(np.float64), axis=axes, keepdims=keep, initial=identity)
    scale = np.sum(np.abs(x.astype(np.float64)), axis=axes, keepdims=keep)
    if combine == "add":
        eps = float(ml_dtypes.finfo(dtype.np).eps)
        assert np.all(np.abs(got.astype(np.float64) - truth) <= scale * eps)
    else:
        close(got, truth.astype(dtype.np), 600 if combine == "mul" else 0)


def test_logical_reductions():
    x = named("all").integers(0, 2, (3, 4)).astype(np.bool_)
    x[1] = True
    close(both(reduction("and", (3, 4), (1,)), x), x.all(1))
    close(both(reduction("or", (3, 4), (0,)), x), x.any(0))
    close(both(reduction("and", (3, 0), (1,)), x[:, :0]), np.ones(3, np.bool_))
    close(both(reduction("or", (3, 0), (1,)), x[:, :0]), np.zeros(3, np.bool_))


@pytest.mark.parametrize("dtype", COMPLEX, ids=repr)
def test_complex_reductions(dtype):
    x = values(dtype, (4, 9), named(dtype), special=False)
    close(both(reduction("add", x.shape, (1,)), x), x.sum(1), 8)
    close(both(reduction("mul", x.shape, (0,)), x), x.prod(0), 16)


def test_max_of_nan_is_nan():
    x = np.array([[1, np.nan, 3], [1, 2, -np.inf]], np.float32)
    close(both(reduction("max", x.shape, (1,)), x), x.max(1))
    close(both(reduction("min", x.shape, (1,)), x), x.min(1))


@pytest.mark.parametrize("dtype", (*FLOATS, *HALVES), ids=repr)
def test_sums_are_at_least_as_exact_as_numpys(dtype):
    x = (named(dtype).normal(size=100_000) + 3).astype(dtype.np)
    (got,) = executable(compiled(reduction("add", x.shape, None), x))((x,))
    truth = math.fsum(x.astype(np.float64).tolist())
    unit = float(ml_dtypes.finfo(dtype.np).eps) * truth
    numpy_error = abs(float(np.sum(x.astype(dtype.np), dtype=dtype.np)) - truth)
    assert abs(float(got) - truth) <= max(numpy_error, unit / 2 * 1.01)


def test_infinite_sums():
    x = np.array([[np.inf, 1], [np.inf, -np.inf], [1e308, 1e308], [-np.inf, 3]])
    close(both(reduction("add", x.shape, (1,)), x), x.sum(1))


def test_reduce_with_init():
    x = np.arange(5, dtype=np.float32)
    op = shaped(
        (), lambda c, x: c.reduce("add", (), x.dtype, x.shape, lambda i, r: x[r], init=10)
    )
    assert both(op, x) == 20


@settings(max_examples=30, deadline=None)
@given(st.sampled_from((*INTEGERS, *FLOATS, *HALVES)), st.sampled_from(["max", "min"]))
def test_arg_reduce(dtype, extreme):
    x = values(dtype, (4, 7), named(dtype, extreme), special=False)
    op = shaped(
        (4,),
        lambda c, x: c.arg_reduce(extreme, (4,), dtypes.int32, 7, lambda i, r: x[i + r]),
        dtypes.int32,
    )
    function = np.argmax if extreme == "max" else np.argmin
    close(both(op, x), function(x.astype(np.float64), 1).astype(np.int32))


def test_arg_reduce_skips_nan_and_takes_bools():
    def find(extreme, x):
        rule = shaped(
            (),
            lambda c, x: c.arg_reduce(extreme, (), dtypes.int64, x.size, lambda i, r: x[r]),
            dtypes.int64,
        )
        return int(both(rule, np.array(x)))

    nan, inf = np.nan, np.inf
    assert find("max", [1, nan, 2]) == 2 and find("max", [nan, 1, 2]) == 2
    assert find("min", [nan, 1, 2]) == 1 and find("max", [nan, nan]) == 0
    assert find("max", [-inf, -inf]) == 0 and find("max", [nan, -inf]) == 0
    assert find("max", [False, True, True]) == 1 and find("min", [True, False]) == 1


# Movement.


@pytest.mark.parametrize("dtype", EVERY, ids=repr)
def test_movement_keeps_bits(dtype):
    x = values(dtype, (2, 3, 4), named(dtype))
    perm = (2, 0, 1)
    transpose = shaped(
        (4, 2, 3),
        lambda c, x: c.map(
            (4, 2, 3), x.dtype, lambda *i: x[tuple(i[perm.index(d)] for d in range(x.rank))]
        ),
    )
    assert both(transpose, x).tobytes() == np.transpose(x, perm).copy().tobytes()
    close(both(shaped((6, 4), lambda c, x: x.reshape((6, 4))), x), x.reshape(6, 4))
    reverse = shaped(
        (2, 3, 4), lambda c, x: c.map(x.shape, x.dtype, lambda i, j, k: x[i, 2 - j, k])
    )
    close(both(reverse, x), x[:, ::-1])


def test_reshape_of_a_mapped_view():
    x = np.arange(12, dtype=np.int32).reshape(3, 4)
    op = shaped(
        (2, 6), lambda c, x: c.map((4, 3), x.dtype, lambda i, j: x[j, i] * 2).reshape((2, 6))
    )
    close(both(op, x), (x.T * 2).reshape(2, 6))
    with pytest.raises(ValueError, match="Can't reshape"):
        both(shaped((5,), lambda c, x: x.reshape((5,))), x)


def strided(shape, begin, strides, result):
    def lower(c, x):
        return c.map(
            result,
            x.dtype,
            lambda *i: x[tuple(b + k * s for b, k, s in zip(begin, i, strides, strict=True))],
        )

    return shaped(result, lower)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=3), st.data())
def test_strided_slice(shape, data):
    steps = [data.draw(st.sampled_from([1, 2, -1, -2])) for _ in shape]
    x = values(dtypes.float32, shape, named(shape))
    expected = x[tuple(slice(None, None, s) for s in steps)]
    begin = [0 if s > 0 else n - 1 for s, n in zip(steps, shape, strict=True)]
    close(both(strided(shape, begin, steps, expected.shape), x), expected)


def gather(params_shape, indices_shape):
    def lower(c, params, indices):
        n, rank = params.shape[0], indices.rank
        text = "indices[" + ",".join("{}" for _ in range(rank)) + f"] = {{}} is not in [0, {n})"

        def element(*i):
            k = c.cast(indices[i[:rank]], dtypes.int64)
            c.check((k >= 0) & (k < n), text, *i[:rank], k)
            return params[(k, *i[rank:])]

        return c.map(indices.shape + params.shape[1:], params.dtype, element)

    return shaped(indices_shape + params_shape[1:], lower)


@pytest.mark.parametrize("dtype", EVERY, ids=repr)
def test_gather(dtype):
    x = values(dtype, (5, 3), named(dtype))
    for index in (np.int32, np.int64, np.uint8):
        indices = np.array([[0, 4], [2, 2], [1, 3]], index)
        close(both(gather((5, 3), (3, 2)), x, indices), x[indices])


@pytest.mark.smoke
def test_gather_out_of_range():
    x, bad = np.arange(10.0).reshape(5, 2), np.array([[0, 1], [7, -1]], np.int32)
    op = gather((5, 2), (2, 2))
    loops = compiled(op, x, bad)
    for run in (interpret, lambda p, a: executable(p)(a)):
        with pytest.raises(errors.InvalidArgumentError) as caught:
            run(loops, (x, bad))
        assert caught.value.message.startswith("indices[1,0] = 7 is not in [0, 5)")
    fine = np.array([[0, 1], [4, 3]], np.int32)
    close(executable(loops)((x, fine))[0], x[fine])


def test_checks_stand_before_the_stage_over_the_indices_they_use():
    x, indices = np.zeros((5, 2)), np.zeros((2, 2), np.int32)
    loops = compiled(gather((5, 2), (2, 2)), x, indices)
    assert [stage.kind for stage in loops.stages] == ["check", "map"]
    depth, body = 0, loops.stages[0].body
    while hasattr(body[0], "index"):
        depth, body = depth + 1, body[0].body
    assert depth == 2  # not 3: the check does not depend on the column


def test_gather_from_nothing():
    op = gather((0, 2), (0,))
    assert both(op, np.zeros((0, 2)), np.zeros((0,), np.int32)).shape == (0, 2)
    with pytest.raises(
        errors.InvalidArgumentError, match=r"indices\[0\] = 0 is not in \[0, 0\)"
    ):
        both(gather((0, 2), (1,)), np.zeros((0, 2)), np.zeros((1,), np.int32))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 3), st.integers(0, 3), st.integers(0, 1), st.sampled_from(EVERY))
def test_concat(n, m, axis, dtype):
    rng = named(n, m, axis, dtype)
    x = values(dtype, (n, 2) if axis == 0 else (2, n), rng)
    y = values(dtype, (m, 2) if axis == 0 else (2, m), rng)
    expected = np.concatenate([x, y], axis)

    def lower(c, x, y):
        first = x.shape[axis]

        def element(*i):
            def second():
                return y[i[:axis] + (i[axis] - first,) + i[axis + 1 :]]

            return c.where(i[axis] < first, lambda: x[i], second)

        return c.map(expected.shape, x.dtype, element)

    close(both(shaped(expected.shape, lower), x, y), expected)


@pytest.mark.parametrize("dtype", (dtypes.float32, dtypes.complex64, dtypes.bool), ids=repr)
def test_tile_and_pad(dtype):
    x = values(dtype, (2, 3), named(dtype))
    tile = shaped(
        (4, 9),
        lambda c, x: c.map(
            (4, 9), x.dtype, lambda *i: x[tuple(k % n for k, n in zip(i, x.shape, strict=True))]
        ),
    )
    close(both(tile, x), np.tile(x, (2, 3)))
    paddings = ((1, 2), (0, 3))

    def pad(c, x, value):
        def element(*i):
            at = tuple(k - low for k, (low, _) in zip(i, paddings, strict=True))
            inside = c.all((k >= 0) & (k < n) for k, n in zip(at, x.shape, strict=True))
            return c.where(inside, lambda: x[at], value[()])

        return c.map((5, 6), x.dtype, element)

    value = np.array(1, dtype.np)
    close(
        both(shaped((5, 6), pad), x, value),
        np.pad(x, paddings, constant_values=dtype.np.type(1)),
    )


# Contractions.


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 6)),
    st.booleans(),
    st.booleans(),
    st.sampled_from((*FLOATS, *HALVES, dtypes.int32, *COMPLEX)),
)
def test_matmul(sizes, left, right, dtype):
    m, k, n = sizes
    rng = named(sizes, left, right, dtype)
    a = values(dtype, (k, m) if left else (m, k), rng, special=False)
    b = values(dtype, (n, k) if right else (k, n), rng, special=False)
    op = shaped(
        (m, n),
        lambda c, a, b: c.contract(a, "ki" if left else "ik", b, "jk" if right else "kj", "ij"),
    )
    got = both(op, a, b)
    x, y = (a.T if left else a), (b.T if right else b)
    if dtype.is_integer:
        close(got, x @ y)
        return
    wide = np.complex128 if dtype.is_complex else np.float64
    truth, size = x.astype(wide) @ y.astype(wide), np.abs(x).astype(np.float64) @ np.abs(y)
    eps = float(ml_dtypes.finfo(x.real.dtype).eps)
    assert np.all(np.abs(got.astype(wide) - truth) <= 4 * eps * size)


def test_contract_broadcasts_and_widens():
    a, b = named("a").integers(-99, 99, (2, 3, 4)), named("b").integers(-99, 99, (1, 4, 5))
    a, b = a.astype(np.int8), b.astype(np.int8)
    op = shaped(
        (2, 3, 5),
        lambda c, a, b: c.contract(a, "bik", b, "bkj", "bij", dtypes.int32),
        dtypes.int32,
    )
    close(both(op, a, b), a.astype(np.int32) @ b.astype(np.int32))
    with pytest.raises(ValueError, match="Dimension 'k' is 4 and 5"):
        bad = shaped((), lambda c, a, b: c.contract(a, "bik", b, "bjk", "bij"))
        both(bad, a, b)


def test_contract_of_a_mapped_view():
    a = values(dtypes.complex64, (3, 4), named("conj"), special=False)

    def lower(c, a):
        twin = c.map((4, 3), a.dtype, lambda i, j: c.conj(a[j, i]))
        return c.contract(a, "ik", twin, "kj", "ij")

    close(both(shaped((3, 3), lower), a), a @ a.conj().T, 16)


# Scans and scatters.


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["add", "mul"]),
    st.sampled_from((dtypes.float32, dtypes.int16, dtypes.bfloat16, dtypes.complex64)),
)
def test_scan(axis, exclusive, reverse, combine, dtype):
    x = values(dtype, (2, 3, 4), named(axis, combine, dtype), special=False)
    op = shaped(
        x.shape,
        lambda c, x: c.scan(
            combine, x.shape, x.dtype, axis, lambda *i: x[i], exclusive, reverse
        ),
    )
    got = both(op, x)
    wide = x.astype(np.complex128 if dtype.is_complex else np.float64)
    wide = x if dtype.is_integer else wide
    y = np.flip(wide, axis) if reverse else wide
    if exclusive:
        first = np.full_like(np.take(y, [0], axis), 1 if combine == "mul" else 0)
        y = np.concatenate([first, np.delete(y, -1, axis)], axis)
    function = np.cumsum if combine == "add" else np.cumprod
    expected = function(y, axis, dtype=y.dtype)
    expected = np.flip(expected, axis) if reverse else expected
    if dtype.is_integer:
        close(got, expected)
    else:
        scale = np.maximum(1, np.abs(expected).max())
        eps = float(ml_dtypes.finfo(x.real.dtype).eps)
        assert np.all(np.abs(got - expected) <= 8 * eps * scale)


def segment_sum(shape, count):
    def lower(c, data, ids):
        zeros = c.fill((count, *data.shape[1:]), data.dtype, 0)

        def item(*i):
            k = c.cast(ids[i[0]], dtypes.int64)
            c.check(k < count, "segment id {} is not in [0, {})", k, count)
            return (k, *i[1:]), data[i]

        return c.scatter("add", zeros, data.shape, item, when=lambda *i: ids[i[0]] >= 0)

    return shaped((count, *shape[1:]), lower)


@pytest.mark.parametrize("dtype", (*REALS, *COMPLEX), ids=repr)
def test_segment_sum(dtype):
    x = values(dtype, (6, 3), named(dtype), special=False)
    ids = np.array([0, 2, -1, 2, 0, 1], np.int32)
    expected = np.zeros((4, 3), np.float32 if dtype in HALVES else dtype.np)
    np.add.at(expected, ids[ids >= 0], x[ids >= 0].astype(expected.dtype))
    close(both(segment_sum(x.shape, 4), x, ids), expected.astype(dtype.np))
    with pytest.raises(errors.InvalidArgumentError, match=r"segment id 9 is not in \[0, 4\)"):
        both(segment_sum(x.shape, 4), x, np.array([0, 2, 9, 1, 1, 1], np.int32))
    far_below = np.array([0, 2, -9, 1, 1, 1], np.int32)
    both(segment_sum(x.shape, 4), x, far_below)


@pytest.mark.parametrize("combine", ["set", "add", "mul", "max", "min"])
@pytest.mark.parametrize("dtype", (dtypes.int32, dtypes.float16, dtypes.complex64), ids=repr)
def test_scatter(combine, dtype):
    if dtype.is_complex and combine in ("max", "min"):
        return
    rng = named(combine, dtype)
    x, updates = values(dtype, (5,), rng, False), values(dtype, (4,), rng, False)
    places = np.array([1, 3, 1, 0], np.int64)
    op = shaped(
        (5,),
        lambda c, x, u, p: c.scatter(combine, x, (4,), lambda i: (p[i], u[i])),
    )
    expected = x.astype(np.float32) if dtype is dtypes.float16 else x.copy()
    rules = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}
    if combine == "set":
        for k, v in zip(places, updates, strict=True):
            expected[k] = v
    else:
        rules[combine].at(expected, places, updates.astype(expected.dtype))
    close(both(op, x, updates, places), expected.astype(dtype.np), 2 if dtype.is_complex else 0)


# Several stages and results.


def softmax(shape):
    def lower(c, logits):
        n, rows, work = logits.shape[-1:], logits.shape[:-1], c.compute(logits.dtype)
        top = c.reduce("max", rows, work, n, lambda i, r: logits[i + r])
        e = c.store(c.map(logits.shape, work, lambda *i: c.math.exp(logits[i] - top[i[:-1]])))
        total = c.reduce("add", rows, work, n, lambda i, r: e[i + r])
        return c.map(logits.shape, logits.dtype, lambda *i: e[i] / total[i[:-1]])

    return shaped(shape, lower)


@pytest.mark.parametrize("dtype", (*FLOATS, *HALVES), ids=repr)
@pytest.mark.parametrize("shape", [(1,), (3, 5), (2, 3, 4), (2, 0), (0, 3)], ids=str)
def test_softmax(dtype, shape):
    x = values(dtype, shape, named(dtype, shape), special=False)
    got = both(softmax(shape), x, ulps=4)
    wide = x.astype(np.float64)
    e = np.exp(wide - np.max(wide, -1, keepdims=True, initial=-np.inf))
    close(got, (e / e.sum(-1, keepdims=True)).astype(dtype.np), 8)


@pytest.mark.smoke
def test_several_results():
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    op = record(
        lambda x: (Spec((3,), x.dtype), Spec((2, 3), x.dtype), Spec((3,), x.dtype)),
        lower=lambda c, x: (total := column_sums(c, x), x, total),
    )
    loops = compiled(op, x)
    for run in (interpret, lambda p, a: executable(p)(a)):
        a, b, again = run(loops, (x,))
        close(a, x.sum(0))
        close(b, x)
        close(again, a)
        assert not np.shares_memory(b, x) and not np.shares_memory(a, again)
    both_of = record(
        lambda x: (Spec(x.shape, x.dtype), Spec(x.shape, dtypes.bool)),
        scalar=lambda b, x: (-x, x > 2),
    )
    minus, more = executable(compiled(both_of, x))((x,))
    close(minus, -x)
    close(more, x > 2)


def column_sums(c, x):
    return c.reduce("add", x.shape[1:], x.dtype, x.shape[:1], lambda i, r: x[r + i])


def test_op_without_inputs():
    op = record(
        lambda n: Spec((n,), dtypes.int32),
        lower=lambda c, n: c.map((n,), dtypes.int32, lambda i: c.cast(i * i, dtypes.int32)),
        n=3,
    )
    loops = compile_op(op, (), {"n": np.int64(5)})
    close(interpret(loops, ())[0], np.arange(5, dtype=np.int32) ** 2)
    close(executable(loops)(())[0], np.arange(5, dtype=np.int32) ** 2)
    assert compile_op(op, ()).outputs[0].shape == (3,)


def test_one_divisor_is_checked_once():
    op = elementwise(lambda b, x, y: x // y + x % y)
    x = np.array([7, -8], np.int16)
    loops = compiled(op, x, x)
    assert [stage.kind for stage in loops.stages] == ["check", "map"]
    close(both(op, x, x + 1), x // (x + 1) + x % (x + 1))


@pytest.mark.parametrize("dtype", INTEGERS, ids=repr)
def test_the_ends_of_integers_are_constants(dtype):
    info = np.iinfo(dtype.np)
    x = np.zeros(2, dtype.np)
    for value in (info.min, info.max):
        close(both(elementwise(lambda b, x, v=value: x + v), x), x + dtype.np.type(value))


def test_check_of_a_scalar_operand():
    def lower(c, x, n):
        c.check(n[()] > 0, "n must be positive, got {}", n[()], error="out_of_range")
        return c.map(x.shape, x.dtype, lambda i: x[i])

    x = np.arange(3)
    op = shaped((3,), lower)
    close(both(op, x, np.array(4)), x)
    for n in (0, -(2**40)):
        with pytest.raises(errors.OutOfRangeError, match=f"n must be positive, got {n}"):
            both(op, x, np.array(n))


def test_lazy_branches_guard_checks():
    def lower(c, x, y):
        return c.map(x.shape, x.dtype, lambda i: c.where(y[i] != 0, lambda: x[i] // y[i], 0))

    x, y = np.array([7, 8, 9], np.int32), np.array([2, 0, -2], np.int32)
    close(both(shaped((3,), lower), x, y), np.array([3, 0, -5], np.int32))


def test_sharing_does_not_grow_the_program():
    """Thirty maps, each of which reads the one before twice."""

    def lower(c, x):
        view = x
        for _ in range(30):
            view = c.map(x.shape, x.dtype, lambda i, v=view: v[i] + v[i])
        return view

    x = np.ones(2, np.float64)
    close(both(shaped((2,), lower), x), x * 2**30)


# Mistakes in rules, and what can't be lowered.


def test_mistakes_in_rules_are_named():
    x = np.zeros((2, 3), np.float32)
    with pytest.raises(TypeError, match="Expected a scalar of float32, the rule gave float64"):
        both(elementwise(lambda b, x: b.cast(x, dtypes.float64)), x)
    with pytest.raises(
        TypeError, match=r"the rule gave float32\[2, 3\], infer says float32\[3\]"
    ):
        both(shaped((3,), lambda c, x: x), x)
    with pytest.raises(IndexError, match="1 indices for a view of shape"):
        both(shaped((2,), lambda c, x: c.map((2,), x.dtype, lambda i: x[i])), x)
    with pytest.raises(InvalidLoops, match="x0 has 6 elements, used at"):
        both(shaped((3,), lambda c, x: c.map((3,), x.dtype, lambda i: x[i, 0])), x)
    with pytest.raises(RuntimeError, match="inside the function of another"):
        both(shaped((2,), lambda c, x: c.map((2,), x.dtype, lambda i: column_sums(c, x)[i])), x)
    with pytest.raises(TypeError, match="sqrt is not defined on int32"):
        both(elementwise(lambda b, x: b.math.sqrt(b.cast(x, dtypes.int32))), x)
    with pytest.raises(TypeError, match="are both numbers"):
        both(elementwise(lambda b, x: b.where(x > 0, 1, 0)), x)
    with pytest.raises(AttributeError, match="no function 'tonh'"):
        both(elementwise(lambda b, x: b.math.tonh(x)), x)


def test_what_cannot_be_lowered():
    with pytest.raises(CannotLower, match="string data"):
        compile_op(
            type(
                "Opaque",
                (),
                {"name": "Opaque", "lower": None, "scalar": None, "no_lower": "string data"},
            ),
            (),
        )
    for bad in (Spec((None,), dtypes.float32), Spec(None, dtypes.float32)):
        with pytest.raises(CannotLower, match="is not known"):
            compile_op(record(lambda x: x, scalar=lambda b, x: x), (bad,))
    with pytest.raises(CannotLower, match="string"):
        compile_op(record(lambda x: x, scalar=lambda b, x: x), (Spec((2,), dtypes.string),))


def test_arrays_are_checked():
    x = np.zeros((2, 3), np.float32)
    loops = compiled(elementwise(lambda b, x: x + 1), x)
    for run in (interpret, lambda p, a: executable(p)(a)):
        with pytest.raises(ValueError, match=r"got an array of float64\[2, 3\]"):
            run(loops, (x.astype(np.float64),))
        with pytest.raises(ValueError, match=r"got an array of float32\[3, 2\]"):
            run(loops, (x.T,))
    close(executable(loops)((np.ones((3, 2), np.float32).T,))[0], x + 2)
    raw = np.zeros(25, np.uint8)[1:].view(np.float32).reshape(2, 3)
    close(executable(loops)((raw,))[0], x + 1)
    assert spec(x) == Spec((2, 3), dtypes.float32)
