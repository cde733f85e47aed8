"""Native code that is called with the arguments' arrays at once does what the long way does."""

import threading
from typing import NamedTuple

import numpy as np
import pytest

import headrace as tf
from headrace.compile.run import layout
from tests.core.test_variable_memory import in_threads


def jit(function):
    return tf.function(function, jit_compile=True)


def warm(function, *args):
    """The function after calls by which the shortest way is known."""
    for _ in range(3):
        function(*args)
    assert function._shortcut is not None
    return function


def test_the_buffer_of_a_variable_is_found():
    assert layout.buffer() is not None


def test_arrays_and_tensors_share_a_trace():
    f = warm(jit(lambda x, y: (x * 2, [x + y])), tf.ones([3]), tf.ones([3]))
    x, y = np.array([1, 2, 3], np.float32), np.array([4, 5, 6], np.float32)
    for first in (x, tf.constant(x)):
        for second in (y, tf.constant(y)):
            double, (total,) = f(first, second)
            assert double.numpy().tolist() == [2, 4, 6]
            assert total.numpy().tolist() == [5, 7, 9]
    assert f.experimental_get_tracing_count() == 1


FORMS = {
    "strided": lambda x: np.repeat(x, 2)[::2],
    "swapped": lambda x: x.astype(">f4"),
    "subclass": lambda x: x.view(type("Sub", (np.ndarray,), {})),
    "locked": lambda x: np.frombuffer(x.tobytes(), np.float32),
    "unaligned": lambda x: np.frombuffer(b"0" + x.tobytes(), np.uint8)[1:].view(np.float32),
    "list": lambda x: tf.constant(x.tolist()),
}


@pytest.mark.parametrize("form", FORMS)
def test_arrays_of_every_form_are_taken(form):
    f = warm(jit(lambda x: x * 2), np.ones(3, np.float32))
    x = FORMS[form](np.array([1, 2, 3], np.float32))
    for _ in range(3):
        assert f(x).numpy().tolist() == [2, 4, 6]


def test_other_dtypes_and_shapes_get_their_trace():
    f = warm(jit(lambda x: x * 2), np.ones(3, np.float32))
    for _ in range(3):
        assert f(np.ones(3, np.int64)).dtype == tf.int64
        assert f(np.ones(4, np.float32)).shape == [4]
        assert f(np.ones(3, np.float32)).shape == [3]
        assert f(np.ones((), np.float32)).shape == []
        assert f(2.0).dtype == tf.float32
    assert f.experimental_get_tracing_count() == 5


def test_values_that_are_no_tensors_keep_their_trace():
    @jit
    def f(x, double=False):
        return x * 2 if double else x * 3

    x = tf.ones([3])
    for _ in range(4):
        for args, kwargs, factor in (
            ((x,), {}, 3),
            ((x, True), {}, 2),
            ((x,), {}, 3),
            ((x,), {"double": True}, 2),
            ((), {"x": x}, 3),
            ((x, False), {}, 3),
        ):
            assert f(*args, **kwargs).numpy().tolist() == [factor] * 3


def test_the_number_of_arguments_is_checked():
    f = warm(jit(lambda x: x * 2), tf.ones([3]))
    x, other = tf.ones([3]), np.zeros(3, np.float32)
    for args in ((), (x, None), (x, other), (x, x)):
        with pytest.raises(TypeError):
            f(*args)
    assert not other.any()


def test_keywords_find_their_trace_in_any_order():
    f = jit(lambda a, b, scale=1.0, *, c=None: (a - b) * scale if c is None else a - b + c)
    one, two, ten = (np.full(3, n, np.float32) for n in (1, 2, 10))
    for _ in range(4):
        assert f(a=one, b=two).numpy()[0] == f(b=two, a=one).numpy()[0] == -1
        assert f(a=two, b=one).numpy()[0] == f(two, b=one).numpy()[0] == 1
        assert f(b=one, a=one).numpy()[0] == f(a=one, b=one).numpy()[0] == 0
        assert f(two, scale=2.0, b=one).numpy()[0] == f(two, b=one, scale=2.0).numpy()[0] == 2
        assert f(one, two, c=ten).numpy()[0] == f(c=ten, b=two, a=one).numpy()[0] == 9
        with pytest.raises(TypeError):
            f(one, a=two)
        with pytest.raises(TypeError):
            f(one, two, d=ten)
    assert f.experimental_get_tracing_count() == 3


def test_results_keep_their_structure():
    class Pair(NamedTuple):
        first: tf.Tensor
        second: tf.Tensor

    def f(x):
        rows = tf.IndexedSlices(x * 2, tf.constant([0, 1, 2]))
        return {"b": [x + 1, None], "a": (x + 2, Pair(x + 3, {"z": x + 4, "k": x + 5}), rows)}

    compiled = jit(f)
    for _ in range(4):
        found, wanted = compiled(tf.zeros([3])), f(tf.zeros([3]))
        assert list(found) == ["b", "a"] and found["b"][1] is None
        assert isinstance(found["a"][1], Pair) and isinstance(found["a"][2], tf.IndexedSlices)
        assert list(found["a"][1].second) == ["z", "k"]
        assert float(found["a"][1].second["k"][0]) == 5.0 and float(found["a"][0][0]) == 2.0
        tf.nest.assert_same_structure(found["b"], wanted["b"])


def test_a_variable_as_argument_is_no_tensor():
    v = tf.Variable([1.0, 1.0, 1.0])
    f = jit(lambda x: x.assign_add(x) if isinstance(x, tf.Variable) else x * 2)
    warm(f, tf.ones([3]))
    for doubled in (2, 4):
        assert f(tf.ones([3])).numpy().tolist() == [2, 2, 2]
        assert f(v).numpy().tolist() == [doubled] * 3
    assert f.experimental_get_tracing_count() == 2


def test_a_fixed_signature_still_casts():
    f = tf.function(
        lambda x: x * 2, input_signature=[tf.TensorSpec([3], tf.float32)], jit_compile=True
    )
    warm(f, tf.ones([3]))
    for _ in range(3):
        assert f(np.array([1.0, 2.0, 3.0])).dtype == tf.float32
        assert f(np.array([1.0, 2.0, 3.0], np.float32)).numpy().tolist() == [2, 4, 6]
    assert f.experimental_get_tracing_count() == 1


def test_defaults_that_are_tensors_are_inputs_too():
    ten = tf.fill([200], 10.0)
    f = jit(lambda x, y=ten: x + y)
    x = tf.ones([200])
    for _ in range(4):
        assert f(x).numpy()[0] == 11.0
        assert f(x, x).numpy()[0] == 2.0


def test_results_are_nobodys_arrays():
    v = tf.Variable(np.zeros(3, np.float32))

    @jit
    def f(x):
        v.assign(x)
        return x

    x = np.ones(3, np.float32)
    for _ in range(4):
        x[:] = 1.0
        y = f(x)
        x[:] = 7.0
        assert y.numpy().tolist() == [1, 1, 1] and v.numpy().tolist() == [1, 1, 1]
        v.assign_add([1.0, 1.0, 1.0])
        assert y.numpy().tolist() == [1, 1, 1]


def test_what_was_read_stays_and_later_calls_go_on():
    v, w = tf.Variable([1.0, 2.0]), tf.Variable(10.0)

    @jit
    def step(x):
        v.assign_add(x)
        w.assign(w + tf.reduce_sum(v))
        return w * 2.0

    warm(step, np.zeros(2, np.float32))
    seen = [(v.value(), w.value())]
    for _ in range(3):
        step(np.ones(2, np.float32))
        seen.append((v.value(), w.value()))
    view = v.numpy()
    step(np.ones(2, np.float32))
    assert [s.numpy().tolist() for s, _ in seen] == [[1, 2], [2, 3], [3, 4], [4, 5]]
    assert view.tolist() == [4, 5] and v.numpy().tolist() == [5, 6]


def test_a_variable_that_is_given_another_array_is_found_again():
    v = tf.Variable([1.0, 2.0])
    f = warm(jit(lambda x: v * x), tf.ones([2]))
    for k in range(3):
        v.assign([k, k])
        assert f(tf.ones([2])).numpy().tolist() == [k, k]


def test_a_failed_check_changes_nothing():
    v = tf.Variable([0.0, 0.0, 0.0])

    @jit
    def pick(rows):
        found = tf.gather(v, rows)
        v.assign_add([1.0, 1.0, 1.0])
        return found

    warm(pick, np.array([0, 1]))
    before = v.numpy()
    for rows in (np.array([0, 3]), tf.constant([-1, 0], tf.int64)):
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"node .*GatherV2"):
            pick(rows)
        np.testing.assert_array_equal(v.numpy(), before)
    assert pick(np.array([2, 2])).numpy().tolist() == [before[2]] * 2


def test_tapes_see_calls_with_arrays():
    v = tf.Variable(3.0)
    f = warm(jit(lambda x: v * x), np.ones((), np.float32))
    with tf.GradientTape() as tape:
        y = f(np.array(5.0, np.float32))
    assert float(tape.gradient(y, v)) == 5.0


def test_traces_that_are_dropped_are_not_called(monkeypatch):
    monkeypatch.setattr("headrace.trace.traces.Traces.most", 1)
    f = jit(lambda x: x * 2)
    for size in (3, 4, 3, 4):
        warm(f, tf.ones([size]))
        assert f(tf.ones([size])).shape == [size]
    assert len(f.traces()) == 1 and f.experimental_get_tracing_count() == 4


def shared_functions():
    """Two short functions that share a variable; each also counts its own calls."""
    total, first, second = (tf.Variable(np.zeros(2, np.float32)) for _ in range(3))

    @jit
    def one(x):
        total.assign_add(x)
        first.assign_add(x)
        return total + 0.0

    @jit
    def two(x):
        second.assign_add(x)
        total.assign_add(x)
        return total + 0.0

    return (total, first, second), one, two


def test_no_call_is_lost_between_threads():
    (total, first, second), one, two = shared_functions()
    x = np.ones(2, np.float32)
    warm(one, x), warm(two, x)
    for v in (total, first, second):
        v.assign([0.0, 0.0])
    kept = []

    def work(i):
        for k in range(200):
            match i % 4:
                case 0 | 1:
                    found = (one if i % 4 else two)(x).numpy()
                case 2:
                    total.assign_add(x)
                    found = total.value().numpy()
                case _:
                    value = total.value()
                    found = value.numpy()
                    if k % 50 == 0:
                        kept.append((value, found))
                    assert value.numpy().tolist() == found.tolist()
            assert found[0] == found[1]

    in_threads(16, work)
    assert first.numpy().tolist() == second.numpy().tolist() == [800, 800]
    assert total.numpy().tolist() == [2400, 2400]
    assert all(value.numpy().tolist() == found.tolist() for value, found in kept)


def test_long_programs_and_short_ones_take_turns():
    """A long program runs without the interpreter's lock, and is waited for."""
    v, count = tf.Variable(tf.zeros([1 << 16])), tf.Variable(0.0)

    @jit
    def long(x):
        v.assign(tf.sqrt(tf.square(v)) + x)
        return v[0]

    @jit
    def short(x):
        count.assign_add(x)
        return v[7] + x

    one = np.ones((), np.float32)
    long(one), warm(short, one)
    assert long._shortcut is None
    count.assign(0.0)
    v.assign(tf.zeros([1 << 16]))
    ready = threading.Barrier(4)

    def work(i):
        ready.wait(10)
        for _ in range(50):
            (long if i % 2 else short)(one)
            v.assign_add(tf.zeros([1 << 16]))

    in_threads(4, work)
    assert float(count) == 100.0
    np.testing.assert_array_equal(v.numpy(), np.full(1 << 16, 100.0))


def test_without_knowledge_of_arrays_the_long_way_is_taken(monkeypatch):
    monkeypatch.setattr("headrace.compile.run.layout.known", lambda: False)
    v = tf.Variable([1.0, 2.0])

    @jit
    def step(x):
        v.assign_add(x)
        return tf.reduce_sum(v)

    for k in range(4):
        assert float(step(np.ones(2, np.float32))) == 5.0 + 2 * k
