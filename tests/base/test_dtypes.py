"""What the transcripts of dtypes cannot say: sets, storage, NumPy as the referee."""

import copy
import pickle

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.base import dtypes
from headrace.base.export import EXPORTS

EVERY = list(dtypes.from_numpy.values())
REFERENCES = [dtype._as_ref for dtype in EVERY]


@pytest.mark.parametrize("dtype", EVERY, ids=str)
def test_one_object_by_all_its_names(dtype):
    assert dtypes.as_dtype(dtype) is dtype
    assert dtypes.as_dtype(dtype.name) is dtype
    assert dtypes.as_dtype(dtype.as_datatype_enum) is dtype
    assert dtypes.DType(dtype.as_datatype_enum) is dtype
    assert dtypes.as_dtype(dtype.np) is dtype
    assert dtypes.from_numpy[dtype.np] is dtype
    assert dtypes.as_dtype(dtype._as_ref.name).base_dtype is dtype
    assert dtype == dtype.name and dtype == dtype.np and not dtype != dtype.name


@pytest.mark.parametrize("dtype", EVERY + REFERENCES, ids=str)
def test_copies_are_the_same_object(dtype):
    assert copy.copy(dtype) is dtype
    assert copy.deepcopy({"dtype": dtype})["dtype"] is dtype
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(dtype, protocol)) is dtype


@pytest.mark.parametrize("dtype", EVERY, ids=str)
def test_an_array_tells_its_dtype(dtype):
    array = np.zeros(2, dtype.np)
    assert dtypes.as_dtype(array) is dtype
    assert dtypes.from_numpy[array[:1].dtype] is dtype


KINDS = {"f": "is_floating", "c": "is_complex", "i": "is_integer", "u": "is_integer"}
KINDS["b"] = "is_bool"


@pytest.mark.parametrize("dtype", sorted(dtypes.ALL - {dtypes.bfloat16}, key=int), ids=str)
def test_kind_is_that_of_numpy(dtype):
    facts = {fact for fact in KINDS.values() if getattr(dtype, fact)}
    assert facts == {KINDS[kind] for kind in KINDS if kind == dtype.np.kind}
    assert dtype.is_unsigned == (dtype.np.kind == "u")


@pytest.mark.parametrize("dtype", sorted(dtypes.REALS | dtypes.NARROW, key=int), ids=str)
def test_limits_are_values_of_the_type(dtype):
    facts = ml_dtypes.finfo(dtype.np) if dtype.is_floating else ml_dtypes.iinfo(dtype.np)
    assert dtype.max == facts.max and dtype.min == facts.min
    assert np.array(dtype.max).astype(dtype.np) == dtype.max
    assert dtype.min <= 0 < dtype.max
    assert dtype._as_ref.max == dtype.max


def test_the_sets_are_the_types_with_arithmetic():
    assert dtypes.ALL == {d for d in EVERY if d.is_numeric and not d.is_quantized} | {
        dtypes.bool,
        dtypes.string,
    }
    assert dtypes.FLOATS == {d for d in dtypes.ALL if d.is_floating}
    assert dtypes.COMPLEX == {d for d in dtypes.ALL if d.is_complex}
    assert dtypes.UNSIGNED == {d for d in dtypes.ALL if d.is_unsigned}
    assert dtypes.SIGNED == {d for d in dtypes.ALL if d.is_integer and not d.is_unsigned}
    assert dtypes.INTS == dtypes.SIGNED | dtypes.UNSIGNED
    assert dtypes.REALS == dtypes.FLOATS | dtypes.INTS
    assert dtypes.NUMERIC == dtypes.REALS | dtypes.COMPLEX
    assert dtypes.QUANTIZED == {d for d in EVERY if d.is_quantized}
    assert dtypes.HANDLES == {d for d in EVERY if not d.is_numpy_compatible}
    groups = dtypes.ALL, dtypes.QUANTIZED, dtypes.NARROW, dtypes.HANDLES
    assert sum(map(len, groups)) == len(EVERY) == len(frozenset().union(*groups)) == 33


def test_handles_are_told_from_strings_by_their_storage():
    handles = np.empty(2, dtypes.variant.np)
    handles[0] = ({"any": "object"},)
    assert handles[0][0] == {"any": "object"}
    assert dtypes.as_dtype(handles) is dtypes.variant


def test_a_dtype_does_not_change():
    with pytest.raises(AttributeError, match="'name' of tf.float32 cannot be set"):
        dtypes.float32.name = "float"
    with pytest.raises(AttributeError, match="'size' of tf.float32 has to stay"):
        del dtypes.float32.size
    assert dtypes.float32.name == "float32"


def test_kernel_names():
    names = {d.name: dtypes.kernel_name(d) for d in EVERY}
    changed = {name: kernel for name, kernel in names.items() if name != kernel}
    assert changed == {"float32": "float", "float64": "double", "float16": "half"}


def test_public_names():
    assert EXPORTS["float32"] is EXPORTS["dtypes.float32"] is dtypes.float32
    assert EXPORTS["dtypes.experimental.int4"] is dtypes.int4
    assert "int4" not in EXPORTS and "float" not in EXPORTS
    assert EXPORTS["half"] is EXPORTS["dtypes.half"] is dtypes.float16


@given(st.one_of(st.text(max_size=8), st.integers(), st.floats(), st.none(), st.binary()))
def test_anything_else_is_refused_with_its_text(value):
    try:
        found = dtypes.as_dtype(value)
    except TypeError as error:
        assert repr(value) in str(error)
        assert dtypes.float32 != value
    else:
        assert found == value
