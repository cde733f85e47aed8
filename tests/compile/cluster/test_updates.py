"""Parts of variables and lists that compiled functions write to, against eager calls."""

from __future__ import annotations

import numpy as np
import pytest

import headrace as tf
from headrace.base import flags


def kernels(function):
    """What of a compiled function runs by kernels."""
    lines = [line.split() for line in tf.explain(function).splitlines()]
    return [words[1] for words in lines if words[:1] == ["kernel"]]


def outcome(function, *args):
    """What a call gives, or the last line of its error's message."""
    try:
        return [np.asarray(x) for x in tf.nest.flatten(function(*args))]
    except tf.errors.InvalidArgumentError as error:
        lines = [line for line in error.message.splitlines() if "[[{{" not in line]
        return lines[-1].split(" [Op:")[0]


def both(make, *args):
    """The outcomes of two calls, eager and compiled, each with variables of its own."""
    eager, compiled = make(), tf.function(make(), jit_compile=True)
    expected = [outcome(eager, *args) for _ in range(2)]
    found = [outcome(compiled, *args) for _ in range(2)]
    for one, other in zip(expected, found, strict=True):
        if isinstance(one, str):
            assert one == other
        else:
            for x, y in zip(one, other, strict=True):
                assert x.dtype == y.dtype
                np.testing.assert_array_equal(x, y)
    return compiled


@pytest.mark.parametrize("dtype", ["float32", "int32", "complex64"])
@pytest.mark.parametrize("rule", ["update", "add", "sub", "mul", "max", "min"])
def test_scattered_rows_and_elements(rule, dtype):
    if dtype == "complex64" and rule in ("max", "min"):
        return

    def make():
        v = tf.Variable(np.arange(1, 13).reshape(4, 3).astype(dtype))

        def step(rows, updates):
            getattr(v, f"scatter_{rule}")(tf.IndexedSlices(updates, rows))
            before = v.read_value()
            own = tf.IndexedSlices(tf.gather(v, [1, 3]), [2, 1])  # reads what it writes
            getattr(v, f"scatter_{rule}")(own)
            if rule != "mul":
                getattr(v, f"scatter_nd_{rule}")([[0, 1], [2, 2]], updates[0, :2])
            return before, v.read_value()

        return step

    updates = tf.constant(np.arange(9).reshape(3, 3) % 4 + 1, dtype)
    compiled = both(make, tf.constant([3, 0, 3]), updates)
    assert kernels(compiled) == []
    both(make, tf.constant([3, 4, 3]), updates)


PARTS = {
    "rows": lambda v, i: v[1:3].assign(tf.ones([2, 5])),
    "columns": lambda v, i: v[:, ::2].assign(7.0),
    "backwards": lambda v, i: v[::-1, 1:3].assign(v[:, 2:4]),
    "element": lambda v, i: v[i, 1].assign(3.0),
    "new axis": lambda v, i: v[:, tf.newaxis, 2].assign(tf.ones([4, 1])),
    "row": lambda v, i: v[i].assign(v[0] * 2.0),
}


@pytest.mark.parametrize("place", [2, -1, 7])
@pytest.mark.parametrize("part", PARTS)
def test_parts_of_variables(part, place):
    def make():
        v = tf.Variable(np.arange(20, dtype=np.float32).reshape(4, 5))

        def step(i):
            PARTS[part](v, i)
            return v.read_value()

        return step

    assert kernels(both(make, tf.constant(place))) == []


def test_batches_of_rows():
    def make():
        v = tf.Variable(tf.zeros([2, 4, 3]))

        def step(rows):
            v.batch_scatter_update(tf.IndexedSlices(tf.ones([2, 2, 3]), rows))
            return v.read_value()

        return step

    assert kernels(both(make, tf.constant([[1, 3], [0, 2]]))) == []
    both(make, tf.constant([[1, 3], [0, 4]]))


@pytest.mark.parametrize("i,j", [(1, 1), (2, 2), (3, 0), (-1, 0), (5, 0)])
def test_slices_at_computed_places(i, j):
    def make():
        def step(x, i, j):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = tf.slice(x, [i, j], [2, 3])
                z = tf.slice(x, [i, 0], [1, -1])
                loss = tf.reduce_sum(y * y) + tf.reduce_sum(z)
            return y, z, tape.gradient(loss, x)

        return step

    x = tf.reshape(tf.range(20.0), [4, 5])
    assert kernels(both(make, x, tf.constant(i), tf.constant(j))) == []


@pytest.mark.parametrize("i", [1, 2, -2, -3])
def test_gradients_of_slices_that_count_from_the_end(i):
    def make():
        def step(x, i):
            with tf.GradientTape() as tape:
                tape.watch(x)
                parts = [x[-3:-1], x[i : i + 2], x[-3:-1, i:4]]
                loss = tf.add_n([tf.reduce_sum(part**3) for part in parts])
            return tape.gradient(loss, x)

        return step

    both(make, tf.reshape(tf.range(20.0), [4, 5]), tf.constant(i))


def test_two_lists_of_one_length_and_dtype_are_two():
    def make():
        def step(x):
            rows, sums = tf.TensorArray(tf.float32, 3), tf.TensorArray(tf.float32, 3)
            for i in tf.range(3):
                rows = rows.write(i, x[i] * 2.0)
                sums = sums.write(i, tf.reduce_sum(x[i]))
            return rows.stack(), sums.stack()

        return step

    assert kernels(both(make, tf.reshape(tf.range(6.0), [3, 2]))) == []


def test_functions_with_their_own_gradient_do_not_end_native_code():
    @tf.custom_gradient
    def halved(x):
        return tf.square(x), lambda dy: dy * 0.5

    def make():
        weight = tf.Variable([[0.5, -1.0], [0.25, 2.0]])
        block = tf.recompute_grad(lambda x: tf.nn.relu(x @ weight) + x)

        def step(x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = tf.reduce_sum(block(halved(x)) ** 2)
            return y, tape.gradient(y, [x, weight])

        return step

    assert kernels(both(make, tf.constant([[1.0, -2.0]]))) == []


@pytest.mark.parametrize(
    "bounds", [(7, None, 1), (-2, None, 1), (2, 9, 3), (9, 2, -3), (4, 4, 1)]
)
def test_loops_over_ranges_know_their_number(bounds):
    def make():
        def step(start, limit, delta):
            total = 0
            for i in tf.range(start) if bounds[1] is None else tf.range(start, limit, delta):
                total = 10 * total + i
            return total

        return step

    start, limit, delta = bounds
    given = [tf.constant(start), tf.constant(limit or 0), delta]
    compiled = tf.function(make(), jit_compile=True)
    numbers = range(start) if limit is None else range(start, limit, delta)
    assert compiled(*given).numpy() == int("".join(map(str, numbers)) or 0)
    assert kernels(compiled) == []


@pytest.mark.parametrize("exponent", [1, 2, 3, 4, 7, 99])
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_powers_of_complex_numbers_are_products(exponent, dtype):
    z = [0, 1, 1j, 0.9 + 0.3j, -1.1 - 0.2j, complex(np.inf, 1), complex(np.nan, 0)]
    both(lambda: lambda x: x**exponent, tf.constant(np.array(z, dtype)))


def twice_scanned(x, w):
    """A scan of rows, each a scan of numbers."""

    def row(carry, items):
        return tf.scan(lambda a, e: tf.tanh(a * w + e[0] * e[1]), (items, carry), 0.5)

    return tf.scan(row, x, tf.ones([4]))


def loops_in_loops(x, w):
    """Loops over ranges, the inner one as long as the outer one's number says at most."""
    total = tf.zeros([4])
    for i in tf.range(3):
        part = x[i]
        for j in tf.range(4):
            part = tf.sin(part * w) + x[i, j]
        held = tf.TensorArray(tf.float32, 2)
        for j in tf.range(2):
            held = held.write(j, part * tf.cast(j + 1, tf.float32))
        total += tf.reduce_sum(held.stack() ** 2, 0)
    return total


def mapped_loops(x, w):
    """A map of loops."""

    def one(row):
        y = row
        for _ in tf.range(3):
            y = y * tf.cos(y + w)
        return y

    return tf.map_fn(one, x)


def thrice(x, w):
    """Three loops in each other: lists of lists of lists are kept."""
    y = x
    for _ in tf.range(2):
        for _ in tf.range(2):
            for _ in tf.range(2):
                y = tf.tanh(y * w) + x
    return y


@pytest.mark.parametrize("function", [twice_scanned, loops_in_loops, mapped_loops, thrice])
def test_gradients_through_loops_in_loops(function):
    def step(x, w):
        with tf.GradientTape() as tape:
            tape.watch([x, w])
            y = tf.reduce_sum(function(x, w) * tf.range(4.0))
        return y, *tape.gradient(y, [x, w])

    x, w = tf.constant(np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)), tf.constant(0.7)
    compiled = tf.function(step, jit_compile=True)
    with flags.COMPILE.override("never"):
        expected = [step(x, w), tf.function(step)(x, w)]
    for _ in range(2):
        for one in expected:
            for a, b in zip(one, compiled(x, w), strict=True):
                np.testing.assert_allclose(a, b, rtol=2e-6, atol=1e-6)
    assert kernels(compiled) == []
