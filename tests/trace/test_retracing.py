"""Retracing explains itself; traces are kept, listed, and let go of."""

import gc
import logging
import threading
import weakref

import numpy as np
import pytest

import headrace as tf
from headrace.trace.traces import Traces


@pytest.fixture
def warnings(caplog):
    caplog.set_level(logging.WARNING, "headrace")
    return lambda: [r.getMessage() for r in caplog.records if "had to be traced" in r.msg]


def counting():
    """A function with a fresh set of traces."""

    @tf.function
    def scaled(x, factor=1):
        return x * factor

    return scaled


def test_one_warning_names_function_line_and_argument(warnings):
    scaled = counting()
    for factor in range(8):
        scaled(tf.constant(1), factor)
    (text,) = warnings()
    line = scaled.python_function.__code__.co_firstlineno
    assert f"calls of scaled ({__file__}, line {line})" in text
    assert "argument 'factor' changed from 3 to 4" in text
    assert text.startswith("5 of the last 5 calls") and "reduce_retracing=True" in text


def test_shapes_and_dtypes_are_told(warnings):
    scaled = counting()
    for size in range(5):
        scaled(tf.zeros([size]))
    (text,) = warnings()
    assert "from a tensor of shape (3,) and dtype float32 to a tensor of shape (4,)" in text


def test_five_of_ten_calls_are_many(warnings):
    scaled = counting()
    for factor in range(4):
        scaled(tf.constant(1), factor)
        scaled(tf.constant(1), factor)
    assert not warnings()
    scaled(tf.constant(1), 9)
    assert warnings()[0].startswith("5 of the last 9 calls")


def test_rare_traces_are_no_reason_to_warn(warnings):
    scaled = counting()
    for factor in range(20):
        for _ in range(4):
            scaled(tf.constant(1), factor)
    assert not warnings()


def test_concrete_functions_for_many_specs_are_no_reason_to_warn(warnings):
    scaled = counting()
    for size in range(10):
        scaled.get_concrete_function(tf.TensorSpec([size]))
    assert not warnings()


def test_relaxed_shapes_do_not_warn(warnings):
    @tf.function(reduce_retracing=True)
    def total(x):
        return tf.reduce_sum(x)

    for size in range(12):
        total(tf.ones([size]))
    assert not warnings() and total.experimental_get_tracing_count() == 2


def test_traces_list_their_reasons():
    scaled = counting()
    scaled(tf.constant(1))
    scaled(tf.constant([1, 2]))
    scaled(tf.constant([1, 2]), factor=3)
    scaled(tf.constant([1, 2]))
    traces = scaled.traces()
    assert [trace.reason for trace in traces] == [
        "the first call",
        "argument 'x' changed from a tensor of shape () and dtype int32 to a tensor of shape "
        "(2,) and dtype int32",
        "argument 'factor' changed from 1 to 3",
    ]
    assert traces[2].function is scaled.get_concrete_function(tf.constant([1, 2]), factor=3)
    assert repr(traces[2]).startswith("<trace (x: TensorSpec(shape=(2,)")


def test_a_recursive_function_says_why_too():
    @tf.function
    def down(n):
        return down(n - 1) + 1 if n > 0 else 0

    assert int(down(3)) == 3
    assert [t.reason for t in down.traces()][::-1] == [
        "the first call",
        "argument 'n' changed from 3 to 2",
        "argument 'n' changed from 2 to 1",
        "argument 'n' changed from 1 to 0",
    ]


def test_the_trace_that_was_not_called_for_the_longest_time_goes(monkeypatch):
    monkeypatch.setattr(Traces, "most", 3)
    scaled = counting()
    one = tf.constant(1)
    for factor in (1, 2, 3):
        scaled(one, factor)
    scaled(one, 1)
    gone = weakref.ref(scaled.traces()[1].function)
    scaled(one, 4)
    assert len(scaled.traces()) == 3 and scaled.experimental_get_tracing_count() == 4
    gc.collect()
    assert gone() is None
    assert int(scaled(one, 1)) == 1 and scaled.experimental_get_tracing_count() == 4
    assert int(scaled(one, 2)) == 2 and scaled.experimental_get_tracing_count() == 5


def test_the_fast_way_forgets_what_is_too_much(monkeypatch):
    monkeypatch.setattr("headrace.trace.function._MOST_KEYS", 4)

    @tf.function(input_signature=[tf.TensorSpec([None])])
    def total(x):
        return tf.reduce_sum(x)

    for size in range(20):
        assert float(total(tf.ones([size]))) == size
    assert len(total._fast) <= 4 and total.experimental_get_tracing_count() == 1


def test_annotations_make_tensors():
    @tf.function(experimental_follow_type_hints=True)
    def scaled(x: tf.Tensor, n: int, *more: tf.Tensor):
        return x * n + sum(more)

    assert int(scaled(2, 3)) == 6
    assert int(scaled(5, 3)) == 15
    assert scaled.experimental_get_tracing_count() == 1
    assert int(scaled(5, 4)) == 20 and scaled.experimental_get_tracing_count() == 2
    assert float(scaled(5.0, 2.0, 1.0)) == 11.0
    assert float(scaled(5.0, 2.0, 3.0)) == 13.0
    assert scaled.experimental_get_tracing_count() == 3


def test_annotations_count_only_where_they_are_asked_for():
    @tf.function
    def scaled(x: tf.Tensor):
        return x * 2

    scaled(1)
    scaled(2)
    assert scaled.experimental_get_tracing_count() == 2


def test_sixteen_threads_make_one_trace():
    traced = []

    @tf.function
    def mixed(x):
        traced.append(1)
        for i in tf.range(3):
            x = x * 2.0 if tf.reduce_sum(x) > tf.cast(i, tf.float32) else x + 1.0
        return x

    plain = mixed.python_function
    inputs = [tf.constant(np.full(4, k, np.float32)) for k in range(16)]
    expected = [plain(x).numpy() for x in inputs]
    traced.clear()
    start, results = threading.Barrier(16), {}

    def work(k):
        start.wait()
        results[k] = [mixed(inputs[k]).numpy() for _ in range(20)]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(traced) == 1 and mixed.experimental_get_tracing_count() == 1
    for k, found in results.items():
        for each in found:
            np.testing.assert_array_equal(each, expected[k])
