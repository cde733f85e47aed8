"""Lists of tensors: against Python's lists, TensorFlow's errors, gradients as differences."""

import random
import threading

import numpy as np
import pytest

import headrace as tf
from headrace.core.op import Spec
from headrace.ops.tensor_list import elements as one
from headrace.ops.tensor_list import slices as many
from headrace.ops.tensor_list.value import TensorList
from tests.trace.differences import assert_gradients

F = tf.float32
ELEMENT = Spec((), F)


def number(value):
    return np.array(value, np.float32)


def plain(held):
    """A list of numbers; None where nothing was set."""
    items = held.items()
    return [float(items[i]) if i in items else None for i in range(len(held))]


def changed(rng, held, model):
    """A list made from another, and what a Python list of the same items becomes."""
    move = rng.choice("set set push pop clear grow shrink plus".split())
    at = rng.randrange(len(model)) if model else 0
    value = rng.randrange(100)
    if move == "push" or not model:
        return held.updated([(len(held), number(value))], len(held) + 1), [*model, value]
    if move == "set":
        return held.updated([(at, number(value))]), [*model[:at], value, *model[at + 1 :]]
    if move == "clear":
        return held.cleared(at), [*model[:at], None, *model[at + 1 :]]
    if move == "pop":
        return held.resized(len(held) - 1), model[:-1]
    if move == "grow":
        return held.resized(len(held) + 2), [*model, None, None]
    if move == "shrink":
        return held.resized(at), model[:at]
    other = [rng.choice([None, 1.0]) for _ in model]
    added = TensorList.of([x if x is None else number(x) for x in other], ELEMENT)
    sums = [
        a if b is None else b if a is None else a + b for a, b in zip(model, other, strict=True)
    ]
    return held.plus(added), sums


@pytest.mark.parametrize("seed", range(20))
def test_old_lists_stay_what_they_were(seed):
    rng = random.Random(seed)
    pairs = [(TensorList.of([], ELEMENT), [])]
    for _ in range(300):
        recent = rng.random() < 0.8
        held, model = pairs[-1] if recent else rng.choice(pairs)
        pairs.append(changed(rng, held, model))
        held, model = rng.choice(pairs)
        if model:
            at = rng.randrange(len(model))
            item = held.get(at)
            assert (None if item is None else float(item)) == model[at]
    for held, model in pairs:
        assert plain(held) == model


def test_threads_that_share_a_list():
    shared = TensorList.of([number(i) for i in range(100)], ELEMENT)
    wrong = []

    def work(seed):
        held = shared
        for k in range(500):
            held = held.updated([(k % 100, number(seed))])
            if shared.get(k % 100) != k % 100:
                wrong.append(k)
        if set(plain(held)) != {float(seed)}:
            wrong.append(seed)

    threads = [threading.Thread(target=work, args=(s,)) for s in range(1000, 1004)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def of(*items):
    held = one.empty_list(F)
    for item in items:
        held = one.push_back(held, tf.constant(item))
    return held


def reserved(count, dims=None):
    return one.reserve(count, F, dims)


WRONG = {
    "reserve": (lambda: reserved(-1), "The num_elements to reserve must be a non negative"),
    "get, open shape": (
        lambda: one.get_item(reserved(2, (None, 3)), 0, F, None),
        r"element_shape is not fully defined: \[\?,3\] and no list element is set",
    ),
    "get, shapes that differ": (
        lambda: one.get_item(one.resize(of([1.0], [1.0, 2.0]), 3), 2, F, None),
        r"PartialTensorShape: Incompatible shapes during merge: \[1\] vs. \[2\]",
    ),
    "get, shape": (
        lambda: one.get_item(reserved(2, (3,)), 0, F, (2,)),
        r"PartialTensorShape: Incompatible shapes during merge: \[2\] vs. \[3\]",
    ),
    "get, dtype": (
        lambda: one.get_item(of(1.0), 0, tf.int32, ()),
        "Invalid data types; op elements int32 but list elements float",
    ),
    "get, index": (
        lambda: one.get_item(of(1.0), -1, F, ()),
        "Trying to access element -1 in a list with 1 elements",
    ),
    "set, index": (
        lambda: one.set_item(reserved(2), 2, tf.ones([3])),
        "Trying to modify element 2 in a list with 2 elements",
    ),
    "set, dtype": (
        lambda: one.set_item(reserved(2), 0, tf.constant(1)),
        "Invalid data types; op elements int32 but list elements float",
    ),
    "set, shape": (
        lambda: one.set_item(reserved(2, (2,)), 0, tf.ones([3])),
        r"at a list index. Item element shape: \[3\] list shape: \[2\]",
    ),
    "push, shape": (
        lambda: one.push_back(reserved(0, (2,)), tf.ones([3])),
        r"incompatible shape to a list. Op element shape: \[3\] list shape: \[2\]",
    ),
    "pop": (lambda: one.pop_back(one.empty_list(F), F), "Trying to pop from an empty list"),
    "pop, open shape": (
        lambda: one.pop_back(reserved(1), F),
        "element_shape is not fully defined.<unknown>",
    ),
    "stack, count": (
        lambda: one.stack(of(1.0, 2.0), F, None, 3),
        "Operation expected a list with 3 elements but got a list with 2 elements",
    ),
    "stack, rank": (
        lambda: one.stack(of(1.0), F, (3,)),
        "PartialTensorShape: Incompatible ranks during merge: 1 vs. 0",
    ),
    "stack, empty": (
        lambda: one.stack(one.empty_list(F), F),
        "Tried to stack elements of an empty list with non-fully-defined element_shape",
    ),
    "stack, unset": (
        lambda: one.stack(reserved(2), F),
        "Tried to stack list which only contains uninitialized tensors",
    ),
    "resize": (lambda: one.resize(of(1.0), -1), "expects size to be non-negative. Got: -1"),
    "from a scalar": (
        lambda: one.from_tensor(tf.constant(1.0)),
        r"Tensor must be at least a vector, but saw shape: \[\]",
    ),
    "from another shape": (
        lambda: one.from_tensor(tf.constant([1.0]), (3,)),
        r"Specified a list with shape \[3\] from a tensor with shape \[\]",
    ),
    "concat, scalars": (
        lambda: many.concat(of(1.0), F),
        "Concat saw a scalar shape at index 0 but requires at least vectors",
    ),
    "concat, unset": (
        lambda: many.concat(reserved(2), F, (None,)),
        "List contains uninitialized tensor at index 0 but leading_dims has only 0 elements",
    ),
    "concat, empty": (
        lambda: many.concat(one.empty_list(F), F),
        "All except the first dimension must be fully defined when concating an empty",
    ),
    "split, negative": (
        lambda: many.split(tf.ones([3]), tf.constant([-1, 4], tf.int64)),
        "Invalid value in lengths: -1",
    ),
    "split, too little": (
        lambda: many.split(tf.ones([3]), tf.constant([1, 1], tf.int64)),
        "Unused values in tensor. Length of tensor: 3 Values used: 2",
    ),
    "split, too much": (
        lambda: many.split(tf.ones([3]), tf.constant([1, 3], tf.int64)),
        r"Attempting to slice \[1, 4\] from tensor with length 3",
    ),
    "gather": (
        lambda: many.gather(of(1.0), tf.constant([1]), F),
        "Trying to gather element 1 in a list with 1 elements",
    ),
    "gather, none": (
        lambda: many.gather(reserved(2), tf.constant([], tf.int32), F),
        "Tried to gather 0-elements from a list with non-fully-defined shape: <unknown>",
    ),
    "scatter": (
        lambda: many.scatter_into(reserved(2), tf.ones([2]), tf.constant([0])),
        r"Expected len\(indices\) == tensor.shape\[0\], but saw: 1 vs. 2",
    ),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("stage", [lambda f: f, tf.function], ids=["eager", "graph"])
def test_errors_are_tensorflows(name, stage):
    call, words = WRONG[name]

    def run():
        found = call()
        parts = found if isinstance(found, list) else [found]
        return [one.length(x) if x.dtype == tf.variant else x for x in parts]

    kinds = (tf.errors.InvalidArgumentError, ValueError)
    with pytest.raises(kinds, match=words) as caught:
        stage(run)()
    if stage is not tf.function:
        assert caught.type is tf.errors.InvalidArgumentError


def test_unset_items():
    held = one.set_item(reserved(3), 1, tf.constant([1.0, 2.0]))
    assert one.stack(held, F).numpy().tolist() == [[0, 0], [1, 2], [0, 0]]
    assert one.get_item(held, 0, F, None).numpy().tolist() == [0, 0]
    assert one.pop_back(held, F, (4,))[1].numpy().tolist() == [0, 0, 0, 0]
    joined, lengths = many.concat(reserved(2), F, (None,), (2, 1))
    assert joined.numpy().tolist() == [0, 0, 0] and lengths.numpy().tolist() == [2, 1]
    assert many.concat(reserved(2), F, (3,))[1].numpy().tolist() == [3, 3]
    texts = one.set_item(one.reserve(2, tf.string, ()), 1, tf.constant("b"))
    assert one.stack(texts, tf.string).numpy().tolist() == [b"", b"b"]


def test_scatter_and_resize():
    held = many.scatter_into(reserved(1, ()), tf.constant([1.0, 2.0]), tf.constant([3, 0]))
    assert one.stack(held, F).numpy().tolist() == [2, 0, 0, 1]
    assert one.stack(one.resize(held, 2), F).numpy().tolist() == [2, 0]
    again = one.resize(one.resize(held, 2), 4)
    assert one.stack(again, F).numpy().tolist() == [2, 0, 0, 0]
    grown = one.set_item(reserved(2, ()), 4, tf.constant(1.0), grow=True)
    assert int(one.length(grown)) == 5


def test_text_of_a_tensor_that_is_a_list():
    assert "TensorList(3 of float32<unknown>)" in repr(reserved(3))


def test_shapes_are_inferred_in_a_graph():
    @tf.function
    def program(x):
        held = one.from_tensor(x)
        assert one.get_item(held, 0, F, None).shape == [3]
        assert one.stack(held, F).shape.as_list() == [None, 3]
        assert one.stack(held, F, None, 2).shape == [2, 3]
        assert many.gather(held, tf.constant([0, 1]), F).shape == [2, 3]
        assert many.concat(held, F)[0].shape.as_list() == [None]
        held, item = one.pop_back(held, F)
        assert item.shape == [3]
        return item

    program(tf.ones([2, 3]))


def pushed_and_popped(x):
    held = one.from_tensor(x)
    held = one.push_back(held, x[0] * x[1])
    held, last = one.pop_back(held, tf.float64)
    held = one.push_back(held, last * x[2])
    return one.stack(held, tf.float64)


def set_and_resized(x):
    held = one.from_tensor(x[:2])
    held = one.set_item(held, 4, x[2] * x[2], grow=True)
    held = one.set_item(held, 0, one.get_item(held, 1, tf.float64, None) * x[0])
    held = one.resize(held, 6)
    return one.stack(one.resize(held, 5), tf.float64) * x[0]


def split_and_joined(x):
    held = many.split(x, tf.constant([1, 0, 2], tf.int64))
    first = one.get_item(held, 0, tf.float64, None)
    held = one.set_item(held, 1, first * x)
    return many.concat(held, tf.float64)[0]


def gathered(x):
    held = one.from_tensor(x)
    held = many.scatter_into(held, x[:1] * x[1:2], tf.constant([2]))
    return many.gather(held, tf.constant([2, 0, 2, 1]), tf.float64) * x[0]


def popped_only(x):
    held, last = one.pop_back(one.from_tensor(x * x), tf.float64)
    return last * x[0]


@pytest.mark.parametrize(
    "program", [pushed_and_popped, set_and_resized, split_and_joined, gathered, popped_only]
)
def test_gradients_are_differences(program):
    assert_gradients(program, np.array([[0.3, 0.7], [1.1, -0.4], [0.6, 0.2]]))
