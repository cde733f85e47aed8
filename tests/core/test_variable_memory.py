"""What was read from a variable stays what it was; threads lose no update; refusals change
nothing."""

import gc
import sys
import threading
import weakref

import numpy as np
import pytest

import headrace as tf

UPDATES = {
    "assign": lambda v: v.assign(tf.fill([4], 9.0)),
    "assign_add": lambda v: v.assign_add(tf.ones([4])),
    "assign_sub": lambda v: v.assign_sub(tf.ones([4])),
    "slice": lambda v: v[1:3].assign([8.0, 9.0]),
    "scatter_update": lambda v: v.scatter_update(tf.IndexedSlices([7.0], [0])),
    "scatter_add": lambda v: v.scatter_add(tf.IndexedSlices([7.0], [0])),
    "scatter_nd_update": lambda v: v.scatter_nd_update([[0], [3]], [5.0, 6.0]),
}
READS = {
    "value": lambda v: v.value(),
    "read_value": lambda v: v.read_value(),
    "convert": lambda v: tf.convert_to_tensor(v),
    "identity": lambda v: tf.identity(v),
    "slice": lambda v: v[:],
    "one row": lambda v: v[0],
    "view of a tensor": lambda v: v.value()[1:],
    "reshape": lambda v: tf.reshape(v, [2, 2]),
    "transpose": lambda v: tf.transpose(tf.reshape(v, [2, 2])),
    "broadcast": lambda v: tf.broadcast_to(v, [3, 4]),
    "squeeze": lambda v: tf.squeeze(tf.expand_dims(v, 0)),
    "unread": lambda v: v.assign_add(tf.zeros([4])).value(),
    "numpy": lambda v: v.numpy(),
    "asarray": np.asarray,
    "numpy of a tensor": lambda v: np.asarray(v.value()),
    "dlpack": lambda v: np.from_dlpack(v.value()),
    "capsule": lambda v: tf.experimental.dlpack.from_dlpack(
        tf.experimental.dlpack.to_dlpack(v.value())
    ),
    "iteration": lambda v: list(v)[2],
}


@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("read", READS)
def test_a_value_that_was_read_stays(read, update):
    v = tf.Variable([1.0, 2.0, 3.0, 4.0])
    value = READS[read](v)
    before = np.array(value)
    UPDATES[update](v)
    UPDATES[update](v)
    np.testing.assert_array_equal(np.array(value), before)
    assert not np.array_equal(v.numpy(), [1.0, 2.0, 3.0, 4.0])


@pytest.mark.parametrize("update", sorted(UPDATES.keys() - {"assign"}))
def test_an_update_is_in_place_while_nobody_holds_the_value(update):
    v = tf.Variable([1.0, 2.0, 3.0, 4.0])
    v.value()
    where = v._array.ctypes.data
    UPDATES[update](v)
    assert v._array.ctypes.data == where


def test_a_variable_does_not_write_into_what_it_was_made_of():
    array, tensor = np.zeros(3, np.float32), tf.zeros([3])
    for source in (array, tensor, tf.Variable(tensor)):
        v = tf.Variable(source)
        v.assign_add([1.0, 1.0, 1.0])
        np.testing.assert_array_equal(np.array(source), np.zeros(3))
        v.assign(source)
        v[0].assign(5.0)
        np.testing.assert_array_equal(np.array(source), np.zeros(3))
    v = tf.Variable(array)
    array[0] = 7.0
    assert float(v[0]) == 0.0


def test_a_variable_of_a_slice_keeps_no_larger_array_alive():
    whole = tf.zeros([1000, 1000])
    v = tf.Variable(whole[0])
    assert v._array.base is None
    v.assign(whole[1])
    assert v._array.base is None


def test_a_numpy_copy_can_be_written_to():
    t, v = tf.constant([1.0, 2.0]), tf.Variable([1.0, 2.0])
    for source in (t, v):
        copy = source.numpy()
        copy[0] = 100.0
        np.asarray(source)[1] = 100.0
        np.array(source)[1] = 100.0
        np.testing.assert_array_equal(source.numpy(), [1.0, 2.0])


REFUSED = {
    "shape": lambda v: v.assign([1.0]),
    "dtype": lambda v: v.assign(tf.constant([1, 2, 3, 4])),
    "add": lambda v: v.assign_add([1.0, 2.0]),
    "sub dtype": lambda v: v.assign_sub(tf.ones([4], tf.float64)),
    "text": lambda v: v.assign("text"),
    "slice": lambda v: v[1:].assign([1.0, 2.0]),
    "slice dtype": lambda v: v[1:].assign(tf.constant([1, 2, 3])),
    "outside": lambda v: v[9].assign(1.0),
    "rows": lambda v: v.scatter_update(tf.IndexedSlices([5.0, 6.0], [0, 9])),
    "rows below": lambda v: v.scatter_add(tf.IndexedSlices([5.0, 6.0], [0, -1])),
    "row shape": lambda v: v.scatter_mul(tf.IndexedSlices([[5.0]], [0])),
    "nd": lambda v: v.scatter_nd_update([[0], [4]], [5.0, 6.0]),
    "nd shape": lambda v: v.scatter_nd_add([[0]], [5.0, 6.0]),
    "batch": lambda v: v.batch_scatter_update(tf.IndexedSlices([5.0, 6.0], [0, 9])),
    "structure": lambda v: v.assign([1.0, [2.0]]),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_refused_update_changes_nothing(what):
    v = tf.Variable([1.0, 2.0, 3.0, 4.0])
    with pytest.raises((ValueError, TypeError, tf.errors.InvalidArgumentError)):
        REFUSED[what](v)
    np.testing.assert_array_equal(v.numpy(), [1.0, 2.0, 3.0, 4.0])
    assert v.shape == [4] and v.dtype == tf.float32


def in_threads(count, work):
    failures = []

    def guarded(i):
        try:
            work(i)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(i,)) for i in range(count)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not failures, failures


def test_no_update_is_lost_between_threads():
    v, w = tf.Variable(tf.zeros([64])), tf.Variable(tf.zeros([8, 3]))
    one = tf.ones([64])

    def work(i):
        for k in range(300):
            v.assign_add(one)
            w.scatter_add(tf.IndexedSlices([[1.0, 1.0, 1.0]], [i]))
            w.scatter_nd_add([[0, 0]], [1.0])
            if k % 10 == 0:
                seen = v.value()
                assert float(tf.reduce_max(seen)) == float(tf.reduce_min(seen))

    in_threads(8, work)
    np.testing.assert_array_equal(v.numpy(), np.full(64, 2400.0))
    expected = np.full((8, 3), 300.0)
    expected[0, 0] += 2400.0
    np.testing.assert_array_equal(w.numpy(), expected)


def test_a_value_read_in_one_thread_stays_while_another_writes():
    v = tf.Variable(tf.zeros([100]))

    def work(i):
        for _ in range(300):
            if i % 2:
                v.assign_add(tf.ones([100]))
            else:
                value = v.value()
                first = value.numpy()
                assert first.min() == first.max()
                np.testing.assert_array_equal(value.numpy(), first)

    in_threads(4, work)
    assert float(v[0]) == 600.0


def test_scopes_and_devices_belong_to_a_thread():
    names = {}

    def work(i):
        with tf.name_scope(f"t{i}"), tf.device("/CPU:0"):
            for _ in range(50):
                names[i] = tf.Variable(1.0, name="w").name

    in_threads(6, work)
    assert names == {i: f"t{i}/w:0" for i in range(6)}
    assert tf.Variable(1.0, name="w").name == "w:0"


def test_nothing_keeps_a_variable_or_tensor_alive():
    v = tf.Variable(tf.zeros([10]))
    t = v.value() * 2.0
    references = [weakref.ref(v), weakref.ref(t)]
    assert {v.ref(): 1}[v.ref()] == 1
    del v, t
    gc.collect()
    assert [r() for r in references] == [None, None]


def test_dlpack():
    to, of = tf.experimental.dlpack.to_dlpack, tf.experimental.dlpack.from_dlpack
    names = "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64"
    for dtype in [*names.split(), "complex64", "complex128"]:
        for shape in ([2, 3], [], [0, 2]):
            t = tf.cast(tf.fill(shape, 1), dtype)
            back = of(to(t))
            assert back.dtype == t.dtype and back.shape == t.shape
            np.testing.assert_array_equal(back.numpy(), t.numpy())
            np.testing.assert_array_equal(np.from_dlpack(t), t.numpy())
    source = np.array([1.0, 2.0])
    t = of(source)
    source[0] = 5.0
    np.testing.assert_array_equal(t.numpy(), [1.0, 2.0])
    capsule = to(t)
    of(capsule)
    with pytest.raises(tf.errors.InvalidArgumentError, match="not taken yet"):
        of(capsule)
    with pytest.raises(tf.errors.InvalidArgumentError, match="got 3"):
        of(3)
    with pytest.raises(TypeError, match="must be a TF tensor"):
        to([1.0])
    for t in (tf.constant("a"), tf.constant(1.0, tf.bfloat16)):
        with pytest.raises(tf.errors.InvalidArgumentError, match="not supported by dlpack"):
            to(t)


@pytest.mark.skipif(
    sys.version_info < (3, 12), reason="Python asks classes for buffers from 3.12"
)
def test_buffer():
    view = memoryview(tf.constant([1, 2]))
    assert view.readonly and view.tolist() == [1, 2]


def test_soft_placement():
    tf.config.set_soft_device_placement(False)
    try:
        with pytest.raises(tf.errors.InvalidArgumentError, match="device:CPU:0"):
            with tf.device("/GPU:0"):
                pass
        with tf.device("/CPU:0"):
            pass
    finally:
        tf.config.set_soft_device_placement(True)
    with pytest.raises(ValueError, match="Unrecognized device"):
        tf.config.set_visible_devices(["CPU"])
