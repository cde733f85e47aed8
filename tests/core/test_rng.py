"""Random numbers: the published vectors of Philox, TensorFlow's numbers, seeds and places."""

import threading
from itertools import pairwise
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import headrace as tf
from headrace.base import dtypes
from headrace.core import philox, rng
from headrace.core.dispatch import apply, create
from headrace.core.graph import Graph
from headrace.core.op import OPS, Kind, Spec
from headrace.ops.samples import Bad
from tests.core.random_cases import CLOSE, EXACT, numbers, storable

GOLDENS = np.load(Path(__file__).parents[1] / "goldens" / "random.npz")
CASES = EXACT + CLOSE
STORED = {case: f"{i:04}" for i, case in enumerate(CASES)}
EPSILON = {"float16": 2**-10, "bfloat16": 2**-7, "float32": 2**-23, "float64": 2**-52}
COUNTERS = (
    (0, 0),
    (2**32 - 2, 3),
    (2**64 - 1, 5),
    (2**64 - 256 * 150, 5),
    (2**128 - 3, 2**64 - 1),
    (0x0123456789ABCDEF0123456789ABCDEF, 0xFEDCBA9876543210),
)

# Published with Salmon et al. 2011: counter, key, block, most significant word last.
VECTORS = (
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    (
        (0xFFFFFFFF,) * 4,
        (0xFFFFFFFF,) * 2,
        (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    ),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
)


def joined(words):
    return sum(word << 32 * i for i, word in enumerate(words))


# Bits


@pytest.mark.smoke
@pytest.mark.parametrize("counter, key, expected", VECTORS)
def test_published_vectors(counter, key, expected):
    assert philox.block(joined(counter), joined(key)) == expected
    for blocks in (1, 1000):
        words = philox.words(joined(counter), joined(key), blocks)
        assert tuple(words[:4].tolist()) == expected


@pytest.mark.parametrize("stride", [1, 64, 256])
@pytest.mark.parametrize("counter, key", COUNTERS)
@pytest.mark.parametrize("blocks", [0, 1, 2, philox._FEW, philox._FEW + 1, 300])
def test_each_way_gives_the_same_blocks(blocks, counter, key, stride):
    expected = [philox.block((counter + i * stride) % 2**128, key) for i in range(blocks)]
    words = philox.words(counter, key, blocks, stride)
    assert words.reshape(-1, 4).tolist() == [list(block) for block in expected]


def test_offsets_need_not_be_even():
    offsets = np.array([5, 0, 700, 3], np.uint64)
    expected = [philox.block(11 + int(i), 7) for i in offsets]
    assert philox.words_at(offsets, 11, 7).reshape(-1, 4).tolist() == [
        list(b) for b in expected
    ]


def test_words_belong_to_the_caller():
    first = philox.words(3, 4, 2)
    first[:] = 0
    assert philox.words(3, 4, 2).any()


# Numbers


def draws(dtype):
    """Everything that draws numbers of a dtype."""
    if dtype.is_integer:
        yield lambda c, k, n: philox.full_integers(c, k, n, dtype)
        yield lambda c, k, n: philox.integers(c, k, n, dtype, 3, 1000)
    else:
        yield lambda c, k, n: philox.uniform(c, k, n, dtype)
        yield lambda c, k, n: philox.normal(c, k, n, dtype)
        yield lambda c, k, n: philox.truncated_normal(c, k, n, dtype)


@pytest.mark.parametrize(
    "dtype", [*sorted(dtypes.FLOATS, key=str), dtypes.int32, dtypes.int64], ids=str
)
def test_few_numbers_are_the_first_of_many(dtype):
    for draw in draws(dtype):
        many = draw(2**64 - 9, 6, 40001)
        assert many.shape == (40001,) and many.dtype == dtype.np
        for count in (0, 1, 2, 3, 5, 700, 2050, 32769):
            np.testing.assert_array_equal(draw(2**64 - 9, 6, count), many[:count])


def test_tabulated_sines_are_those_of_the_library():
    angle = np.linspace(0, 2 * np.pi, 100_003)
    sine, cosine = philox._sine_and_cosine(angle)
    np.testing.assert_allclose(sine, np.sin(angle), rtol=0, atol=1e-15)
    np.testing.assert_allclose(cosine, np.cos(angle), rtol=0, atol=1e-15)


def test_truncated_normals_are_near():
    for dtype in dtypes.FLOATS:
        drawn = philox.truncated_normal(1, 2, 20000, dtype).astype(np.float64)
        assert np.abs(drawn).max() <= 2
        assert abs(drawn.mean()) < 0.03 and 0.85 < drawn.std() < 0.91


@pytest.mark.parametrize("count", [2, 3, 4, 10, 1000, 5000])
def test_traced_orders_are_the_swapped_ones(count):
    for key in range(20 if count < 100 else 2):
        picks = philox.full_integers(0, key, count - 1, dtypes.uint32)
        partners = np.arange(count - 1) + picks % np.arange(count, 1, -1, dtype=np.uint32)
        order = philox._swapped(partners)
        assert sorted(order.tolist()) == list(range(count))
        np.testing.assert_array_equal(philox._traced(partners, count), order)


# TensorFlow's numbers


def stored(case):
    """TensorFlow's numbers for a case."""
    golden = GOLDENS[STORED[case]]
    return golden.view(ml_dtypes.bfloat16) if "bfloat16" in case else golden


def test_the_goldens_are_of_these_cases():
    assert GOLDENS["cases"].tolist() == CASES and len(STORED) == len(CASES)


@pytest.mark.parametrize("case", EXACT)
def test_bits_are_tensorflows(case):
    np.testing.assert_array_equal(storable(numbers(case, tf)), GOLDENS[STORED[case]])


@pytest.mark.parametrize("case", CLOSE)
def test_numbers_are_tensorflows(case):
    found, golden = numbers(case, tf), stored(case)
    assert found.dtype == golden.dtype and found.shape == golden.shape
    if golden.dtype.kind in "iu":
        np.testing.assert_array_equal(found, golden)
        return
    tolerance = 2 * EPSILON[golden.dtype.name]
    wide, expected = found.astype(np.float64), golden.astype(np.float64)
    np.testing.assert_allclose(wide, expected, rtol=tolerance, atol=tolerance)


def test_nearly_all_normals_are_tensorflows_to_the_last_bit():
    cases = [c for c in CLOSE if "normal([1000], dtype=tf.float32, seed=5)" in c]
    assert len(cases) == 2
    for case in cases:
        assert (numbers(case, tf) == stored(case)).mean() > 0.95


def run_graph(graph, owners):
    """Runs a graph's random nodes as an executor would."""
    results = []
    for node in graph.nodes:
        with rng.running(owners.setdefault(node.name, Graph())):
            results.append(node.op.kernel(**node.attrs))
    return np.stack(results)


def test_each_op_of_a_function_has_a_place_of_its_own():
    tf.random.set_seed(7)
    first, second = Graph(), Graph()
    with first:
        tf.random.uniform([3]), tf.random.uniform([3], seed=5), tf.random.uniform([3])
    with second:
        tf.random.uniform([3], seed=5), tf.random.uniform([3], seed=5), tf.random.uniform([3])
    places, others = {}, {}
    runs = [run_graph(first, places), run_graph(first, places)]
    runs += [run_graph(second, others)[[2, 0, 1]], run_graph(first, places)]
    tf.random.set_seed(8)
    runs.append(run_graph(first, places))
    np.testing.assert_array_equal(np.stack(runs), GOLDENS["functions"])


# Seeds


def test_without_seeds_nobody_can_know():
    tf.random.set_seed(None)
    draws = [tf.random.uniform([4]).numpy().tolist() for _ in range(3)]
    assert draws[0] != draws[1] != draws[2]
    assert rng.pair(None) == (0, 0) and rng.pair(3) == (rng.DEFAULT_GLOBAL_SEED, 3)


def test_a_refused_seed_changes_nothing():
    tf.random.set_seed(3)
    before = tf.random.uniform([2], seed=1), rng.seeds
    for seed in ("a", [1, 2], object()):
        with pytest.raises(TypeError):
            tf.random.set_seed(seed)
    after = tf.random.uniform([2], seed=1)
    tf.random.set_seed(3)
    np.testing.assert_array_equal(before[0], tf.random.uniform([2], seed=1))
    np.testing.assert_array_equal(after, tf.random.uniform([2], seed=1))


@pytest.mark.parametrize(
    "draw",
    [
        lambda: tf.random.uniform([-1], seed=5),
        lambda: tf.random.uniform([2], seed=5, dtype=tf.int32, maxval=0),
        lambda: tf.random.normal(3, seed=5),
        lambda: tf.random.truncated_normal([2.5], seed=5),
        lambda: tf.random.categorical([1.0], 2, seed=5),
    ],
)
def test_a_refused_draw_moves_nothing(draw):
    tf.random.set_seed(3)
    places = dict(rng.seeds.places)
    with pytest.raises(tf.errors.InvalidArgumentError):
        draw()
    assert rng.seeds.places == places


def test_threads_share_the_places():
    tf.random.set_seed(3)
    expected = {tf.random.uniform([1], seed=5).numpy()[0] for _ in range(200)}
    tf.random.set_seed(3)
    found = []

    def draw():
        found.extend(tf.random.uniform([1], seed=5).numpy()[0] for _ in range(50))

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 200 and set(found) == expected


def test_threads_share_a_generator():
    generator = tf.random.Generator.from_seed(3)
    expected = {generator.uniform([1]).numpy()[0] for _ in range(200)}
    generator.reset_from_seed(3)
    found = []

    def draw():
        found.extend(generator.uniform([1]).numpy()[0] for _ in range(50))

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) == expected


# As tensors


@pytest.mark.parametrize("draw", [tf.random.normal, tf.random.truncated_normal])
def test_gradients_reach_mean_and_deviation(draw):
    mean, deviation = tf.Variable(3.0), tf.Variable([2.0, -1.0])
    tf.random.set_seed(1)
    standard = draw([3, 2]).numpy()
    tf.random.set_seed(1)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(draw([3, 2], mean, deviation))
    gradients = tape.gradient(total, [mean, deviation])
    assert float(gradients[0]) == 6
    np.testing.assert_allclose(gradients[1], standard.sum(axis=0), rtol=1e-6)


@pytest.mark.parametrize("dtype", sorted(dtypes.FLOATS, key=str), ids=str)
@pytest.mark.parametrize("mean, deviation", [(0.0, 0.1), (1.5, 1.0), (0, -2), (-3, 0.3)])
def test_scaling_in_place_is_scaling(dtype, mean, deviation):
    def both(**options):
        seeds = {"seed": [1, 2], "dtype": dtype}
        yield tf.random.stateless_normal([50], mean=mean, stddev=deviation, **seeds)
        yield tf.random.stateless_uniform([50], minval=mean, maxval=mean + deviation, **seeds)

    plain = [tensor.numpy() for tensor in both()]
    with tf.GradientTape():
        recorded = [tensor.numpy() for tensor in both()]
    for one, other in zip(plain, recorded, strict=True):
        np.testing.assert_array_equal(one, other)


def test_shapes_known_in_part_are_inferred():
    graph = Graph()
    with graph:
        rows = graph.placeholder(tf.int32, ())
        assert tf.random.normal([rows, 3]).shape.as_list() == [None, 3]
        vector = graph.placeholder(tf.int32, (2,))
        assert tf.random.uniform(vector, 1.0, 2.0).shape.as_list() == [None, None]
        unknown = graph.placeholder(tf.int32, None)
        assert tf.random.truncated_normal(unknown).shape.rank is None
        seed = graph.placeholder(tf.int64, (2,))
        assert tf.random.stateless_uniform([4, 5], seed).shape.as_list() == [4, 5]
        logits = graph.placeholder(tf.float32, (None, 4))
        assert tf.random.categorical(logits, 6).shape.as_list() == [None, 6]
        assert tf.random.shuffle(logits).shape.as_list() == [None, 4]


def test_a_graph_counts_its_own_seeds():
    tf.random.set_seed(7)
    graph = Graph()
    with graph:
        tf.random.uniform([2])
        tf.random.uniform([2], seed=9)
        tf.random.normal([2])
    pairs = [(n.attrs["seed"], n.attrs["seed2"]) for n in graph.nodes if "seed2" in n.attrs]
    assert pairs == [(7, 0), (7, 9), (7, 1)]


def test_splits_go_apart():
    generators = tf.random.Generator.from_seed(1).split(4)
    drawn = [generator.uniform([3]).numpy().tolist() for generator in generators]
    assert all(one != other for one, other in pairwise(drawn))


# Records

SAMPLES = [
    pytest.param(op, sample, id=f"{name}-{i}")
    for name, op in sorted(OPS.items())
    if op.kind is Kind.RANDOM
    for i, sample in enumerate(op.samples)
]


def operands(op, sample):
    """The tensors that a sample describes."""
    if not op.operands:
        return []
    if sample.values is None:
        return [tf.ones(shape, sample.dtype or tf.float32) for shape in sample.shapes]
    values = sample.values if isinstance(sample.values, tuple) else (sample.values,)
    kinds = sample.dtype if isinstance(sample.dtype, tuple) else (sample.dtype,) * len(values)
    return [tf.constant(v, dtype=k) for v, k in zip(values, kinds, strict=True)]


def run(op, sample):
    """The results of an op on a sample."""
    inputs = operands(op, sample)
    given = apply(op, inputs, sample.attrs) if inputs else create(op, sample.attrs)
    return given if isinstance(given, list) else [given]


def inferred(op, specs, attrs):
    found = op.infer(*specs, **attrs)
    return [found] if isinstance(found, Spec) else list(found)


@pytest.mark.parametrize("op, sample", SAMPLES)
def test_samples(op, sample):
    if isinstance(sample, Bad):
        with pytest.raises(getattr(tf.errors, sample.error), match=sample.match) as caught:
            run(op, sample)
        assert f"[Op:{op.name}]" in str(caught.value)
        return
    first, second = run(op, sample), run(op, sample)
    inputs = operands(op, sample)
    known = inferred(op, [Spec(tuple(t.shape), t.dtype) for t in inputs], sample.attrs)
    unknown = {**sample.attrs, **{name: None for name in op.static if name != "alg"}}
    vague = inferred(op, [Spec(None, t.dtype) for t in inputs], unknown)
    for one, other, spec, guess in zip(first, second, known, vague, strict=True):
        assert (tuple(one.shape), one.dtype) == (spec.shape, spec.dtype)
        assert one.dtype == guess.dtype and one.shape.is_compatible_with(guess.shape)
        if not op.stateful:
            np.testing.assert_array_equal(one, other)


def test_every_random_op_has_samples():
    random_ops = {name for name, op in OPS.items() if op.kind is Kind.RANDOM}
    assert {param.values[0].name for param in SAMPLES} == random_ops
