"""Shapes on plain tuples obey their laws; NumPy is the referee of broadcasting."""

import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.base import shapes
from headrace.base.shapes import TensorShape

known = st.lists(st.sampled_from([0, 1, 1, 2, 3]), max_size=4).map(tuple)
dims = st.one_of(
    st.none(), st.lists(st.one_of(st.none(), st.integers(0, 3)), max_size=3).map(tuple)
)


def attempt(function, *args):
    """The result, or the class of error."""
    try:
        return function(*args)
    except ValueError:
        return ValueError


def instances(shape):
    """All fully known shapes with dimensions below 4 and rank below 4 that `shape` allows."""
    ranks = range(4) if shape is None else [len(shape)]
    for rank in ranks:
        for index in np.ndindex(*(4,) * rank):
            if shape is None or shapes.compatible(shape, index):
                yield index


@given(known, known)
def test_broadcasting_known_shapes_is_numpys(a, b):
    assert attempt(shapes.broadcast, a, b) == attempt(np.broadcast_shapes, a, b)


@given(dims, dims)
def test_broadcasting_is_symmetric(a, b):
    assert attempt(shapes.broadcast, a, b) == attempt(shapes.broadcast, b, a)


small = st.lists(st.one_of(st.none(), st.sampled_from([0, 1, 2])), max_size=2).map(tuple)


@given(small, small)
def test_broadcasting_unknown_dims_allows_what_can_come_out(a, b):
    inferred = attempt(shapes.broadcast, a, b)
    for x in instances(a):
        for y in instances(b):
            actual = attempt(np.broadcast_shapes, x, y)
            if actual is not ValueError:
                assert inferred is not ValueError
                assert shapes.compatible(inferred, actual)


@given(dims, dims)
def test_merging_keeps_exactly_what_both_allow(a, b):
    merged = attempt(shapes.merge, a, b)
    both = set(instances(a)) & set(instances(b))
    assert both == (set() if merged is ValueError else set(instances(merged)))
    assert shapes.compatible(a, b) == (merged is not ValueError)
    assert merged == attempt(shapes.merge, b, a)


@given(dims, dims)
def test_what_is_common_allows_all_that_either_allows(a, b):
    joined = shapes.common(a, b)
    assert set(instances(joined)) >= set(instances(a)) | set(instances(b))
    assert joined == shapes.common(b, a)
    assert TensorShape(a).is_subtype_of(TensorShape(joined))


@given(dims)
def test_a_shape_and_its_tuple_are_equal(a):
    shape = TensorShape(a)
    assert shape == TensorShape(shape) == shapes.of(a) == a
    assert shapes.as_tuple(shape) == a
    assert hash(shape) == hash(a)
    if a is not None:
        assert tuple(shape) == a and list(a) == shape.as_list()
        assert str(shape) == str(a) and repr(shape) == f"TensorShape({list(a)})"
        assert shape[1:] == a[1:]


@given(known)
def test_size_is_numpys(a):
    assert shapes.size(a) == np.zeros(a).size == TensorShape(a).num_elements()


def test_as_tuple_of_anything():
    assert shapes.as_tuple(None) is None
    assert shapes.as_tuple((2, None)) == (2, None)
    assert shapes.as_tuple([2, np.int64(3)]) == (2, 3)
    assert shapes.as_tuple(5) == (5,)
    assert type(shapes.as_tuple([np.int64(3)])[0]) is int


def test_a_message_of_a_saved_file():
    sizes = [types.SimpleNamespace(size=size) for size in (2, -1)]
    proto = types.SimpleNamespace(unknown_rank=False, dim=sizes)
    assert TensorShape(proto) == [2, None]
    assert TensorShape(types.SimpleNamespace(unknown_rank=True, dim=[])) == TensorShape(None)


def test_ints_of_a_shape_are_plain():
    shape = TensorShape(np.array([3, 4], np.int8))
    assert [type(dim) for dim in shape] == [int, int]


def test_errors_name_both_shapes():
    with pytest.raises(ValueError, match=r"Received: \(2, None\) and \(3, 4\)\.$"):
        shapes.broadcast((2, None), (3, 4))
    with pytest.raises(ValueError, match=r"^Shapes \(2,\) and \(3,\) are not compatible$"):
        shapes.merge((2,), (3,))
