"""Tensors, shapes and attributes as TensorFlow's messages, and tensors back from them.

The message classes stand in `base/protos.py`, which is loaded when the first one is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from headrace.base import shapes
from headrace.base.dtypes import DType, as_dtype, bfloat16, float16, from_numpy
from headrace.base.dtypes import string as string_dtype
from headrace.base.export import export
from headrace.base.lazy import lazy_module
from headrace.core.convert import convert, to_array
from headrace.core.tensor import EagerTensor

json = lazy_module("json")
protos = lazy_module("headrace.base.protos")

_FIELDS = {
    "float32": "float_val",
    "float64": "double_val",
    "int64": "int64_val",
    "uint32": "uint32_val",
    "uint64": "uint64_val",
    "bool": "bool_val",
    "string": "string_val",
    "complex64": "scomplex_val",
    "complex128": "dcomplex_val",
    "float16": "half_val",
    "bfloat16": "half_val",
}
"""The field that holds single elements of a dtype; the other integers stand in `int_val`."""


@export("make_tensor_proto")
def make_tensor_proto(
    values: Any,
    dtype: Any = None,
    shape: Any = None,
    verify_shape: bool = False,
    allow_broadcast: bool = False,
) -> Any:
    """A tensor as a `TensorProto` message.

    Args:
        values: array, number, text, eager tensor, or (nested) list of these.
        dtype: of the message; by default that of the values.
        shape: of the message, if it differs from that of the values.
        verify_shape: whether the values must have this shape already.
        allow_broadcast: whether one value may stand for all elements of the shape.
    Raises:
        TypeError: values of another shape, with `verify_shape`.
        ValueError: values that do not fill the shape.

    >>> tf.make_tensor_proto([1., 2.]).tensor_shape.dim[0].size
    2
    """
    wanted = None if dtype is None else as_dtype(dtype)
    if isinstance(values, (EagerTensor, list, tuple)):
        values = convert(values, None if isinstance(values, EagerTensor) else wanted)
        values = values._array if isinstance(values, EagerTensor) else values
    array = to_array(values, wanted)
    if shape is None:
        return tensor_proto(array)
    dims = tuple(n or 0 for n in shapes.TensorShape(shape).as_list())
    if verify_shape and dims != array.shape:
        raise TypeError(f"Expected Tensor's shape: {dims}, but got {array.shape}.")
    if array.size == 1 and (allow_broadcast or int(np.prod(dims)) == 1):
        return tensor_proto(np.full(dims, array.reshape(()), array.dtype))
    if array.size != int(np.prod(dims)):
        raise ValueError(
            f"Cannot make a tensor of shape {dims} ({int(np.prod(dims))} elements) from "
            f"{array.size} values"
        )
    return tensor_proto(array.reshape(dims))


@export("make_ndarray")
def make_ndarray(tensor: Any) -> np.ndarray:
    """The array that a `TensorProto` message holds.

    >>> tf.make_ndarray(tf.make_tensor_proto([1., 2.]))
    array([1., 2.], dtype=float32)
    """
    dtype = as_dtype(tensor.dtype)
    dims = [d.size for d in tensor.tensor_shape.dim]
    count = int(np.prod(dims))
    if tensor.tensor_content:
        return np.frombuffer(tensor.tensor_content, dtype.np).reshape(dims).copy()
    values = list(getattr(tensor, _FIELDS.get(dtype.name, "int_val")))
    if dtype in (float16, bfloat16):
        array = np.array(values, np.uint16).view(dtype.np)
    elif dtype.is_complex:
        array = np.array(values, dtype.real_dtype.np).view(dtype.np)
    elif dtype is string_dtype:
        array = np.empty(len(values), object)
        array[:] = values
    else:
        array = np.array(values, dtype.np)
    if 0 < len(array) < count:  # the last one stands for all that follow
        array = np.concatenate([array, np.repeat(array[-1:], count - len(array))])
    return (array if len(array) else np.zeros(count, dtype.np)).reshape(dims)


def tensor_proto(array: np.ndarray) -> Any:
    """An array as a message."""
    dtype = from_numpy[array.dtype]
    message = protos.TensorProto(dtype=dtype.as_datatype_enum)
    message.tensor_shape.CopyFrom(shape_proto(array.shape))
    if dtype is string_dtype:
        message.string_val.extend(array.reshape(-1).tolist())
    elif array.size == 1:
        field = getattr(message, _FIELDS.get(dtype.name, "int_val"))
        field.extend(_plain(array.reshape(1), dtype))
    else:
        message.tensor_content = np.ascontiguousarray(array).tobytes()
    return message


def _plain(array: np.ndarray, dtype: DType) -> list[Any]:
    """One element as the numbers that its field holds."""
    if dtype in (float16, bfloat16):
        return array.view(np.uint16).tolist()
    if dtype.is_complex:
        return array.view(dtype.real_dtype.np).tolist()
    return array.tolist()


def shape_proto(dims: Sequence[int | None] | None) -> Any:
    """A shape as a message; None is an unknown rank, or an unknown dimension."""
    message = protos.TensorShapeProto(unknown_rank=dims is None)
    for n in dims or ():
        message.dim.add(size=-1 if n is None else n)
    return message


def attr_value(kind: str, value: Any) -> Any:
    """An attribute as a message.

    Args:
        kind: "int", "float", "bool", "string", "type", "shape", "tensor", or `list(...)`.
        value: Python's form of it: a number, a text, a dtype, dimensions, an array.
    """
    message = protos.AttrValue()
    if kind.startswith("list("):
        parts = [_field(attr_value(kind[5:-1], item)) for item in value]
        message.list.SetInParent()
        for name, part in parts:
            getattr(message.list, name).append(part)
    elif kind == "type":
        message.type = as_dtype(value).as_datatype_enum
    elif kind == "shape":
        message.shape.CopyFrom(shape_proto(value))
    elif kind == "tensor":
        message.tensor.CopyFrom(tensor_proto(value))
    elif kind == "func":
        message.func.name = value
    elif kind == "string":
        message.s = value if isinstance(value, bytes) else str(value).encode()
    else:
        setattr(message, {"int": "i", "float": "f", "bool": "b"}[kind], value)
    return message


def _field(message: Any) -> tuple[str, Any]:
    name = message.WhichOneof("value")
    return name, getattr(message, name)


def plain_value(message: Any) -> Any:
    """The value of an attribute's message: a number, text, dtype, or what else it holds."""
    kind = message.WhichOneof("value")
    value = getattr(message, kind)
    if kind == "type":
        return as_dtype(value)
    if kind == "list":
        fields = value.ListFields()
        items = list(fields[0][1]) if fields else []
        return [as_dtype(n) for n in items] if fields and fields[0][0].name == "type" else items
    return value


def guessed_value(value: Any) -> Any:
    """An attribute of an operation that TensorFlow does not have, as a message; or None."""
    kinds: tuple[tuple[Any, str], ...] = (
        (bool, "bool"),
        (int, "int"),
        (float, "float"),
        ((str, bytes), "string"),
        (DType, "type"),
        (np.ndarray, "tensor"),
    )
    for classes, kind in kinds:
        if isinstance(value, classes):
            return attr_value(kind, value)
    if isinstance(value, tuple) and value:
        for classes, kind in kinds[:-1]:
            if all(isinstance(item, classes) for item in value):
                return attr_value(f"list({kind})", value)
    return None


def parsed_default(kind: str, text: str) -> Any:
    """The default of an attribute, from its text in `op_signatures.txt`."""
    if kind == "type":
        return as_dtype(text)
    if kind == "list(type)":
        return [as_dtype(name) for name in text.strip("[]").split(", ") if name]
    if kind == "shape":
        return None if text == "?" else json.loads(text)
    return json.loads(text)


__all__ = ["attr_value", "guessed_value", "make_ndarray", "make_tensor_proto"]
