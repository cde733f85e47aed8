"""Random ops as loops and as machine code draw what their kernels draw."""

import numpy as np
import pytest

import headrace as tf
from headrace.base import dtypes as dt
from headrace.compile import compile_op, executable, interpret
from headrace.core import rng
from headrace.core.op import OPS, Spec
from tests.ops.harness import EPSILON

FLOATS = (dt.float16, dt.bfloat16, dt.float32, dt.float64)
PLACES = (
    (0, 0, 0),
    (0, 2**63 + 5, 2**64 - 1),
    (2**32 - 2, 3, 0x0123456789ABCDEF),
    (2**64 - 2, 7, 1),
    (2**64 - 2, 2**64 - 1, 1),
)
SHAPES = ((), (7,), (3, 5), (0, 3))
STATEFUL = ("RandomUniform", "RandomStandardNormal")
KEYED = ("StatelessRandomUniformV2", "StatelessRandomNormalV2")
ULPS = {dt.float16: 1, dt.bfloat16: 1, dt.float32: 16, dt.float64: 16}


def words(*values):
    return np.array(values, np.uint64)


def both(op, arrays, attrs):
    """What the loops give, interpreted and compiled."""
    specs = [Spec(a.shape, dt.from_numpy[a.dtype]) for a in arrays]
    loops = compile_op(OPS[op], specs, attrs)
    return [tuple(interpret(loops, arrays)), tuple(executable(loops)(arrays))]


def same(found, expected, op, dtype):
    assert found.dtype == expected.dtype and found.shape == expected.shape
    if "Normal" not in op:
        assert found.tobytes() == expected.tobytes()
        return
    wide = expected.astype(np.float64)
    # Normals are products of a sine and a root: near 0 an ulp of the angle counts.
    step = ULPS[dtype] * np.maximum(np.abs(wide), 1) * EPSILON[dtype]
    assert (np.abs(found.astype(np.float64) - wide) <= step).all()


def kernel_at(op, place, operands, attrs, monkeypatch):
    """What a stateful op's kernel draws at a place."""
    low, high, key = place
    started = []

    def start(*arguments):
        started.append(arguments)
        return low | high << 64, key

    monkeypatch.setattr(rng, "start", start)
    return OPS[op].kernel(*operands, **attrs), started[0]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("op", STATEFUL)
def test_stateful(op, dtype, place, monkeypatch):
    for shape in SHAPES:
        attrs = {"shape": shape, "dtype": dtype, "seed": 3, "seed2": 4}
        expected, started = kernel_at(op, place, [], attrs, monkeypatch)
        assert started == (*OPS[op].draws(**attrs)[:1], 3, 4, OPS[op].draws(**attrs)[1])
        for (found,) in both(op, [words(*place)], attrs):
            same(found, expected, op, dtype)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("op", KEYED)
def test_keyed(op, dtype, place):
    low, high, key = place
    for shape in SHAPES:
        attrs = {"shape": shape, "dtype": dtype, "alg": 1}
        arrays = [words(key), words(low, high)]
        for (found,) in both(op, arrays, attrs):
            same(found, OPS[op].kernel(*arrays, **attrs), op, dtype)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("dtype", (dt.int32, dt.int64, dt.uint32, dt.uint64), ids=str)
def test_full_integers(dtype, place):
    op, (low, high, key) = "StatelessRandomUniformFullIntV2", place
    arrays, attrs = [words(key), words(low, high)], {"shape": (9,), "dtype": dtype, "alg": 3}
    for (found,) in both(op, arrays, attrs):
        same(found, OPS[op].kernel(*arrays, **attrs), op, dtype)


BOUNDS = ((-3, 5), (0, 10), (-(2**31), 2**31 - 1), (7, 8))


@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize("dtype", (dt.int32, dt.int64), ids=str)
def test_integers(dtype, bounds, monkeypatch):
    limits = [np.array(b, dtype.np) for b in bounds]
    for place in PLACES:
        attrs = {"shape": (2, 5), "seed": 1, "seed2": 2, "Tout": dtype}
        expected, _ = kernel_at("RandomUniformInt", place, limits, attrs, monkeypatch)
        for (found,) in both("RandomUniformInt", [words(*place), *limits], attrs):
            same(found, expected, "RandomUniformInt", dtype)
        arrays, op = (
            [words(place[2]), words(*place[:2]), *limits],
            "StatelessRandomUniformIntV2",
        )
        for (found,) in both(op, arrays, {"shape": (2, 5), "alg": 1}):
            same(found, expected, op, dtype)


def test_no_integers_between_equal_bounds():
    arrays = [words(0, 0, 0), np.array(5, np.int32), np.array(5, np.int32)]
    specs = [Spec(a.shape, dt.from_numpy[a.dtype]) for a in arrays]
    loops = compile_op(OPS["RandomUniformInt"], specs, {"shape": (3,)})
    empty = compile_op(OPS["RandomUniformInt"], specs, {"shape": (0,)})
    for run in (interpret, lambda loops, arrays: executable(loops)(arrays)):
        with pytest.raises(Exception, match="Need minval < maxval, got 5 >= 5"):
            run(loops, arrays)
        assert run(empty, arrays)[0].shape == (0,)


@pytest.mark.parametrize("seed", ([1, 2], [-1, 2**40], [0, -(2**63)]))
def test_scrambled_seeds(seed):
    array = np.array(seed, np.int64)
    expected = OPS["StatelessRandomGetKeyCounter"].kernel(array)
    for found in both("StatelessRandomGetKeyCounter", [array], {}):
        for f, e in zip(found, expected, strict=True):
            same(f, e, "", dt.uint64)
    if seed == [1, 2]:
        for found in both("StatelessRandomGetKeyCounter", [array.astype(np.int32)], {}):
            same(found[0], expected[0], "", dt.uint64)


REFUSED = (
    ([1], [5, 6], 2, "Unsupported algorithm id: 2"),
    ([1, 2], [5, 6], 1, r"key must have shape \[1\], not \[2\]"),
    ([1], [5], 1, "counter must be a vector with length at least 2"),
)


@pytest.mark.parametrize(("key", "counter", "alg", "text"), REFUSED)
def test_what_the_kernel_refuses(key, counter, alg, text):
    arrays, attrs = [words(*key), words(*counter)], {"shape": (3,), "alg": alg}
    with pytest.raises(Exception, match=text):
        OPS["StatelessRandomUniformV2"].kernel(*arrays, **attrs)
    with pytest.raises(Exception, match=text):
        both("StatelessRandomUniformV2", arrays, attrs)


def drawing(count):
    """Draws in a loop whose length is not known beforehand, and after it."""
    total = tf.constant(0.0)
    for _ in tf.range(count):
        total += tf.reduce_sum(tf.random.uniform([7, 3]))
        picks = tf.random.uniform([4], 0, 10, tf.int32)
        total += 100.0 * tf.cast(tf.reduce_sum(picks), tf.float32)
        total += tf.reduce_sum(tf.nn.dropout(tf.ones([5, 4]), 0.4))
    late = tf.random.stateless_uniform([3], [1, 2]), tf.random.uniform([2], dtype=tf.float64)
    return total, tf.random.normal([5]), *late


def test_compiled_functions_go_on_where_they_stopped():
    found = []
    for compiled in (False, True):
        tf.random.set_seed(5)
        function = tf.function(drawing, jit_compile=compiled)
        found.append([function(tf.constant(n)) for n in (1, 3, 2, 0, 4)])
    for plain, native in zip(*found, strict=True):
        for p, n in zip(plain, native, strict=True):
            np.testing.assert_allclose(p, n, rtol=2e-6, atol=1e-6)
        exact = [[x.numpy().tolist() for x in results[2:]] for results in (plain, native)]
        assert exact[0] == exact[1]


@pytest.mark.parametrize("dtype", (np.float32, np.float64))
@pytest.mark.parametrize("samples", (1, 9))
@pytest.mark.parametrize("shape", ((2, 1), (3, 5), (2, 128), (2, 129), (1, 300)))
def test_classes(shape, samples, dtype, monkeypatch):
    rng_ = np.random.default_rng(shape[1])
    logits = (3 * rng_.standard_normal(shape)).astype(dtype)
    if shape[1] > 2:
        logits[0, 1:3] = np.inf, -np.inf
    attrs = {"num_samples": samples, "seed": 3, "seed2": 4}
    for place in PLACES:
        expected, _ = kernel_at("Multinomial", place, [logits], attrs, monkeypatch)
        for (found,) in both("Multinomial", [words(*place), logits], attrs):
            same(found, expected, "Multinomial", dt.int64)
    seed, attrs = np.array([5, -6]), {"num_samples": samples, "output_dtype": dt.int32}
    expected = OPS["StatelessMultinomial"].kernel(logits, seed, **attrs)
    for (found,) in both("StatelessMultinomial", [logits, seed], attrs):
        same(found, expected, "Multinomial", dt.int32)


def test_a_generator_draws_on_in_functions():
    found = []
    for how in (lambda f: f, tf.function, lambda f: tf.function(f, jit_compile=True)):
        generator = tf.random.Generator.from_state([2**40, -1, 7], "philox")

        def step(n, generator=generator):
            total = tf.constant(0.0, tf.float64)
            for _ in tf.range(n):
                total += generator.uniform([], dtype=tf.float64)
            before = generator.skip(2**55)
            return total, generator.uniform([n], 0, 9, tf.int32), before, generator.state + 0

        run = how(step)
        found.append([x.numpy().tolist() for n in (3, 1) for x in run(tf.constant(n))])
    assert found[0] == found[1] == found[2]


STATES = {
    ((7, 0, 0), -1): [-249, 0, 0],
    ((2311, 5, 1), -1): [2055, 5, 1],
    ((2311, 5, 1), 2**56 - 1): [2055, 5, 1],
    ((-1, -1, 3), 3): [767, 0, 3],
    ((-1, -1, 3), -1): [-257, -1, 3],
    ((-1, -1, 3), -(2**30)): [-274877906945, 0, 3],
    ((2**40 + 5, 0, 0), -1): [2**40 - 251, 1, 0],
}
"""Where TensorFlow's generators are after a skip."""


@pytest.mark.parametrize(("begin", "count"), STATES)
def test_generators_skip_forth_and_back(begin, count):
    for how in (lambda f: f, tf.function, lambda f: tf.function(f, jit_compile=True)):
        generator = tf.random.Generator.from_state(begin, "philox")
        how(lambda g=generator: g.skip(count))()
        assert generator.state.numpy().tolist() == STATES[begin, count]
