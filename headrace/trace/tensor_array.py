"""`tf.TensorArray`: tensors by their number, written and read one at a time.

Eagerly it is a Python list that is changed in place. In a graph it stands for a list as a value
(`ops/tensor_list`), and a write gives a new array: `ta = ta.write(i, x)` is right in both.
Control flow hands such an array on as the tensor `_flow` and makes others by `_with_flow`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headrace.base import errors, shapes
from headrace.base.dtypes import DType, as_dtype, int32, int64, variant
from headrace.base.export import export
from headrace.base.shapes import Dims, TensorShape, as_tuple
from headrace.core.context import state
from headrace.core.convert import convert, static
from headrace.core.graph import Symbol
from headrace.core.tensor import Tensor
from headrace.ops import concat_pad
from headrace.ops.cast import cast
from headrace.ops.create import zeros
from headrace.ops.tensor_list import elements, slices
from headrace.trace.tensor_array_spec import TensorArraySpec

_NO_GRAD = (
    "TensorArray.grad is not supported when executing eagerly; eager's gradient implementation "
    "does not use/need this function to compute gradients of operations that use TensorArrays."
)


@export("TensorArray")
class TensorArray:
    """Tensors of one dtype by their number.

    Args:
        dtype: of the tensors.
        size: int or int32 scalar: how many there are (at first, if `dynamic_size`).
        dynamic_size: whether a write beyond the end makes the array longer.
        clear_after_read: whether a tensor can be read only once (eagerly; True by default).
        tensor_array_name, colocate_with_first_write_call: of TensorFlow 1; they change nothing.
        handle: of TensorFlow 1; must be None.
        flow: the variant tensor of another array, which this one goes on from.
        infer_shape: whether all tensors must have one shape.
        element_shape: that shape, as far as it is known.
        name: of the operation in a graph.
    Raises: ValueError: no size, or a handle.
    Source: TensorFlow's `TensorListReserve` and its kin.

    >>> ta = tf.TensorArray(tf.float32, size=3)
    >>> for i in range(3):
    ...     ta = ta.write(i, tf.cast(i * i, tf.float32))
    >>> ta.stack().numpy()
    array([0., 1., 4.], dtype=float32)
    """

    _dtype: DType
    _dynamic: bool

    def __new__(cls, *args: Any, **kwargs: Any) -> TensorArray:
        flow = args[6] if len(args) > 6 else kwargs.get("flow")
        listed = isinstance(flow, Tensor) and flow.dtype is variant
        if state.graph is None and not listed:
            return object.__new__(_EagerArray)
        return object.__new__(_GraphArray)

    def __init__(
        self,
        dtype: Any,
        size: Any = None,
        dynamic_size: bool | None = None,
        clear_after_read: bool | None = None,
        tensor_array_name: str | None = None,
        handle: Any = None,
        flow: Any = None,
        infer_shape: bool = True,
        element_shape: Any = None,
        colocate_with_first_write_call: bool = True,
        name: str | None = None,
    ) -> None:
        if handle is not None:
            raise ValueError(
                "TensorArray handles are not supported when eager execution is enabled."
            )
        self._dtype = as_dtype(dtype)
        self._dynamic = bool(dynamic_size)
        self._clear = clear_after_read is None or bool(clear_after_read)
        self._infer = infer_shape
        self._begin(size, flow, TensorShape(element_shape), name)

    def _begin(self, size: Any, flow: Any, shape: TensorShape, name: str | None) -> None:
        """Make the array of `size` tensors, or that which goes on from `flow`."""
        raise NotImplementedError

    # What it is

    @property
    def dtype(self) -> DType:
        """The dtype of the tensors."""
        return self._dtype

    @property
    def dynamic_size(self) -> bool:
        """Whether a write beyond the end makes the array longer."""
        return self._dynamic

    @property
    def handle(self) -> None:
        """None; of TensorFlow 1."""
        return None

    @property
    def flow(self) -> Any:
        """The tensor that stands for the array in a graph; eagerly a number without meaning."""
        raise NotImplementedError

    @property
    def element_shape(self) -> TensorShape:
        """The shape that all tensors have, as far as it is known."""
        return TensorShape(self._dims)

    @property
    def _dims(self) -> Dims:
        raise NotImplementedError

    @property
    def _type_spec(self) -> TensorArraySpec:
        return TensorArraySpec.from_value(self)

    # What control flow calls

    @property
    def _flow(self) -> Any:
        """The list that stands for the array in this thread's graph."""
        raise NotImplementedError

    def _with_flow(self, flow: Tensor) -> TensorArray:
        """An array like this one that stands for another list."""
        raise NotImplementedError

    # What users call

    def identity(self) -> TensorArray:
        """An array with the same tensors."""
        raise NotImplementedError

    def read(self, index: Any, name: str | None = None) -> Any:
        """Tensor number `index`; zeros if it was not written and its shape is known.

        Args:
            index: int or int32 scalar.
            name: of the operation in a graph.
        Raises: OutOfRangeError (eagerly), InvalidArgumentError (in a graph): there is none.
            InvalidArgumentError: it was read before and cleared by that.

        >>> float(tf.TensorArray(tf.float32, 1).write(0, 5.).read(0))
        5.0
        """
        raise NotImplementedError

    def write(self, index: Any, value: Any, name: str | None = None) -> TensorArray:
        """The array with `value` as its tensor number `index`.

        Args:
            index: int or int32 scalar.
            value: tensor of the array's dtype and element shape.
            name: of the operation in a graph.
        Raises: OutOfRangeError (eagerly), InvalidArgumentError (in a graph): an index beyond
            the end. InvalidArgumentError: another dtype. ValueError: another shape.

        >>> tf.TensorArray(tf.int32, 0, dynamic_size=True).write(1, 7).stack().numpy()
        array([0, 7], dtype=int32)
        """
        raise NotImplementedError

    def stack(self, name: str | None = None) -> Any:
        """All tensors along a new first axis; those that were not written are zeros.

        >>> tf.TensorArray(tf.int32, 2).unstack([3, 4]).stack().numpy()
        array([3, 4], dtype=int32)
        """
        raise NotImplementedError

    def gather(self, indices: Any, name: str | None = None) -> Any:
        """Some tensors along a new first axis.

        Args:
            indices: int32 vector.
            name: of the operation in a graph.

        >>> tf.TensorArray(tf.int32, 3).unstack([3, 4, 5]).gather([2, 0]).numpy()
        array([5, 3], dtype=int32)
        """
        raise NotImplementedError

    def concat(self, name: str | None = None) -> Any:
        """All tensors one after the other along their first axis, in which they may differ.

        >>> ta = tf.TensorArray(tf.int32, 2, infer_shape=False)
        >>> ta.write(0, [1]).write(1, [2, 3]).concat().numpy()
        array([1, 2, 3], dtype=int32)
        """
        raise NotImplementedError

    def unstack(self, value: Any, name: str | None = None) -> TensorArray:
        """The array whose tensors are the slices of `value` along its first axis.

        Args:
            value: tensor `[size, ...]`.
            name: of the operation in a graph.

        >>> tf.TensorArray(tf.int32, 2).unstack([3, 4]).read(1).numpy()
        np.int32(4)
        """
        raise NotImplementedError

    def scatter(self, indices: Any, value: Any, name: str | None = None) -> TensorArray:
        """The array with the slices of `value` at the places `indices`.

        Args:
            indices: int32 vector `[n]`.
            value: tensor `[n, ...]`.
            name: of the operation in a graph.

        >>> tf.TensorArray(tf.int32, 3).scatter([2, 0], [8, 9]).stack().numpy()
        array([9, 0, 8], dtype=int32)
        """
        raise NotImplementedError

    def split(self, value: Any, lengths: Any, name: str | None = None) -> TensorArray:
        """The array whose tensors are pieces of `value` along its first axis.

        Args:
            value: tensor of rank 1 or more.
            lengths: integer vector: how long each piece is.
            name: of the operation in a graph.
        Raises: InvalidArgumentError: the lengths do not add up.

        >>> ta = tf.TensorArray(tf.int32, 2, infer_shape=False)
        >>> ta.split([1, 2, 3], lengths=[1, 2]).read(1).numpy()
        array([2, 3], dtype=int32)
        """
        raise NotImplementedError

    def size(self, name: str | None = None) -> Any:
        """How many tensors there are, an int32 scalar.

        >>> int(tf.TensorArray(tf.int32, 3).size())
        3
        """
        raise NotImplementedError

    def grad(self, source: str, flow: Any = None, name: str | None = None) -> Any:
        """Of TensorFlow 1: gradients need nothing of the kind.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(_NO_GRAD)

    def close(self, name: str | None = None) -> None:
        """Let go of the tensors."""


def _number(index: Any) -> Any:
    return index.numpy() if hasattr(index, "numpy") else index


class _EagerArray(TensorArray):
    """A TensorArray as a Python list."""

    def _begin(self, size: Any, flow: Any, shape: TensorShape, name: str | None) -> None:
        if size is None:
            raise ValueError(
                "Size must be declared for TensorArrays when eager execution is enabled."
            )
        self._shape = shape
        self._tensors: list[Any] = [None] * _number(size)
        self._cleared: set[int] = set()

    @property
    def flow(self) -> Any:
        return convert(0)

    @property
    def _dims(self) -> Dims:
        return as_tuple(self._shape)

    @property
    def _flow(self) -> Any:
        held = elements.reserve(len(self._tensors), self._dtype, self._dims)
        for index, tensor in enumerate(self._tensors):
            if tensor is not None:
                held = elements.set_item(held, index, tensor)
        return held

    def _with_flow(self, flow: Tensor) -> TensorArray:
        return TensorArray(
            self._dtype,
            None if self._dynamic else len(self._tensors),
            self._dynamic,
            flow=flow,
            infer_shape=self._infer,
            element_shape=self._shape,
        )

    def identity(self) -> TensorArray:
        return self

    def read(self, index: Any, name: str | None = None) -> Any:
        index = _number(index)
        if index < 0:
            raise errors.OutOfRangeError(
                None, None, f"Reading from negative indices (index {index}) is not allowed."
            )
        if index >= len(self._tensors):
            raise errors.OutOfRangeError(
                None,
                None,
                f"Tried to read from index {index} but array size is: {len(self._tensors)} ",
            )
        if self._tensors[index] is None and index in self._cleared:
            raise errors.InvalidArgumentError(
                None,
                None,
                f"Could not read index {index} twice because it was cleared after a previous "
                "read (perhaps try setting clear_after_read = false?)",
            )
        tensor = self._filled(index)
        if self._clear:
            self._tensors[index] = None
            self._cleared.add(index)
        return tensor

    def _filled(self, index: int) -> Any:
        """A tensor; zeros if it was not written."""
        if self._tensors[index] is None:
            if not self._shape.is_fully_defined():
                raise ValueError(
                    f"Cannot convert a partially known TensorShape {self._shape} to a Tensor."
                )
            self._tensors[index] = zeros(self._shape, self._dtype)
        return self._tensors[index]

    def write(self, index: Any, value: Any, name: str | None = None) -> TensorArray:
        self._write(_number(index), value)
        return self

    def _write(self, index: int, value: Any) -> None:
        if index < 0:
            raise errors.OutOfRangeError(
                None, None, f"Writing to negative indices (index {index}) is not allowed."
            )
        size = len(self._tensors)
        if index >= size and not self._dynamic:
            raise errors.OutOfRangeError(
                None,
                None,
                f"Tried to write to index {index} but array is not resizeable and size is: "
                f"{size} ",
            )
        tensor = convert(value, None, self._dtype)
        if tensor.dtype != self._dtype:
            raise errors.InvalidArgumentError(
                None,
                None,
                f"TensorArray dtype is {self._dtype.name} but Op is trying to write dtype "
                f"{tensor.dtype.name} ",
            )
        if not self._shape.is_compatible_with(tensor.shape):
            raise ValueError(
                f"Incompatible shape for value ({tensor.shape}), expected ({self._shape})"
            )
        if self._infer:
            self._shape = self._shape.merge_with(tensor.shape)
        self._tensors += [None] * (index + 1 - size)
        self._tensors[index] = tensor

    def _all(self) -> list[Any]:
        return [self._filled(i) for i in range(len(self._tensors))]

    def stack(self, name: str | None = None) -> Any:
        tensors = self._all()
        if not tensors:
            return self._nothing(() if self._dims is None else self._dims)
        return concat_pad.stack(tensors)

    def _nothing(self, dims: Sequence[int | None]) -> Any:
        known = () if None in dims else dims
        return zeros((0, *known), self._dtype)

    def gather(self, indices: Any, name: str | None = None) -> Any:
        found = [self._filled(i) for i in _number(indices)]
        return concat_pad.stack(found) if found else self._nothing(self._dims or ())

    def concat(self, name: str | None = None) -> Any:
        tensors = self._all()
        for index, tensor in enumerate(tensors):
            if tensor.shape.rank == 0:
                raise errors.InvalidArgumentError(
                    None,
                    None,
                    f"Concat saw a scalar shape at index {index} but requires at least "
                    "vectors.",
                )
        return (
            concat_pad.concat(tensors, 0) if tensors else self._nothing((self._dims or ())[1:])
        )

    def unstack(self, value: Any, name: str | None = None) -> TensorArray:
        tensors = concat_pad.unstack(convert(value, None, self._dtype))
        if len(tensors) > len(self._tensors) and not self._dynamic:
            raise ValueError(
                f"Cannot unstack {len(tensors)} tensors into a TensorArray of static size "
                f"{len(self._tensors)} "
            )
        self._tensors = list(tensors)
        return self

    def scatter(self, indices: Any, value: Any, name: str | None = None) -> TensorArray:
        tensors = concat_pad.unstack(convert(value, None, self._dtype))
        for index, tensor in zip(_number(indices), tensors, strict=False):
            self._write(index, tensor)
        return self

    def split(self, value: Any, lengths: Any, name: str | None = None) -> TensorArray:
        tensor = convert(value, None, self._dtype)
        sizes = convert(lengths)
        if sizes.shape.rank != 1:
            raise _invalid(f"Expected lengths to be a vector, received shape: {_list(sizes)} ")
        total = sum(static(sizes))
        if tensor.shape.rank == 0:
            raise _invalid(
                f"Expected value to be at least a vector, but received shape: {_list(tensor)} "
            )
        if total != tensor.shape[0]:
            raise _invalid(
                "Expected sum of lengths to be equal to values.shape[0], but sum of lengths is "
                f"{total} and value's shape is: {_list(tensor)} "
            )
        count = len(sizes)
        if not self._dynamic and count != len(self._tensors):
            raise _invalid(
                "TensorArray's size is not equal to the size of lengths "
                f"({len(self._tensors)} vs. {count}), and the TensorArray is not marked as "
                "dynamically resizeable."
            )
        self._tensors = list(concat_pad.split(tensor, sizes))
        return self

    def size(self, name: str | None = None) -> Any:
        return convert(len(self._tensors), int32)

    def close(self, name: str | None = None) -> None:
        self._tensors.clear()


def _invalid(message: str) -> Exception:
    return errors.InvalidArgumentError(None, None, message)


def _list(tensor: Any) -> list[int | None]:
    return tensor.shape.as_list()


class _Known:
    """What is known of the tensors' shape; shared by the arrays that come from one another."""

    def __init__(self, dims: Dims) -> None:
        self.dims = dims


class _GraphArray(TensorArray):
    """A TensorArray as a list that is a value in a graph."""

    def _begin(self, size: Any, flow: Any, shape: TensorShape, name: str | None) -> None:
        self._known = _Known(as_tuple(shape))
        count = static(size)
        self._size = count if isinstance(count, int) and not self._dynamic else None
        if flow is None and size is None:
            raise ValueError(
                "Argument `size` must be provided if argument `flow` is not provided."
            )
        if flow is None:
            label = name or "TensorArrayV2"
            flow = elements.reserve(count, self._dtype, self._known.dims, label)
        self._held = flow

    @property
    def flow(self) -> Any:
        return self._held

    @property
    def _dims(self) -> Dims:
        return self._known.dims

    @property
    def _flow(self) -> Any:
        graph = state.graph
        if graph is None or isinstance(self._held, Symbol):
            return self._held
        return graph.own(self._held, "flow")

    def _with_flow(self, flow: Tensor) -> TensorArray:
        found = object.__new__(_GraphArray)
        found.__dict__.update(self.__dict__)
        found._held = flow
        return found

    def _checked(self, shape: TensorShape) -> None:
        """Learn of a tensor's shape.

        Raises:
            ValueError: the others have another one.
        """
        if not self._infer:
            return
        dims = as_tuple(shape)
        if not shapes.compatible(self._known.dims, dims):
            raise ValueError(
                f"Inconsistent shapes: saw {shape} but expected {self.element_shape} "
            )
        self._known.dims = shapes.merge(self._known.dims, dims)
        elements.learn_items(self._held, self._known.dims)

    def identity(self) -> TensorArray:
        return self._with_flow(self._held)

    def read(self, index: Any, name: str | None = None) -> Any:
        label = _label(name or "TensorArrayV2Read", "TensorListGetItem")
        return elements.get_item(self._held, index, self._dtype, self._dims, label)

    def write(self, index: Any, value: Any, name: str | None = None) -> TensorArray:
        tensor = convert(value, None, self._dtype)
        self._checked(tensor.shape)
        label = _label(name or "TensorArrayV2Write", "TensorListSetItem")
        held = elements.set_item(self._held, index, tensor, self._dynamic, label)
        return self._with_flow(held)

    def stack(self, name: str | None = None) -> Any:
        label = _label(name or "TensorArrayV2Stack", "TensorListStack")
        return elements.stack(self._held, self._dtype, self._dims, self._size, label)

    def gather(self, indices: Any, name: str | None = None) -> Any:
        label = name or "TensorListGather"
        places = convert(indices, None, int32)
        return slices.gather(self._held, places, self._dtype, self._dims, label)

    def concat(self, name: str | None = None) -> Any:
        label = name or "TensorListConcatV2"
        return slices.concat(self._held, self._dtype, self._dims, (), label)[0]

    def unstack(self, value: Any, name: str | None = None) -> TensorArray:
        tensor = convert(value, None, self._dtype)
        label = _label(name or "TensorArrayUnstack", "TensorListFromTensor")
        if tensor.shape.rank == 0:
            raise ValueError("A tensor without axes cannot be unstacked into a TensorArray.")
        self._checked(_inner(tensor))
        return self._with_flow(elements.from_tensor(tensor, name=label))

    def scatter(self, indices: Any, value: Any, name: str | None = None) -> TensorArray:
        tensor = convert(value, None, self._dtype)
        places = convert(indices, None, int32)
        self._checked(_inner(tensor))
        label = _label(name or "TensorArrayScatter", "TensorListScatterIntoExistingList")
        held = slices.scatter_into(self._held, tensor, places, label)
        return self._with_flow(held)

    def split(self, value: Any, lengths: Any, name: str | None = None) -> TensorArray:
        tensor = convert(value, None, self._dtype)
        sizes = cast(lengths, int64)
        known = static(sizes)
        if tensor.shape.rank and isinstance(known, tuple) and known and len({*known}) == 1:
            self._checked(TensorShape([known[0], *_inner(tensor)]))
        label = _label(name or "TensorArraySplit", "TensorListSplit")
        dims = self._dims if self._infer else None
        held = slices.split(tensor, sizes, dims, label)
        return self._with_flow(held)

    def size(self, name: str | None = None) -> Any:
        if self._size is not None:
            return convert(self._size, int32)
        return elements.length(self._held, name or "TensorArrayV2Size")


def _inner(tensor: Any) -> TensorShape:
    """The shape of the slices along the first axis."""
    return tensor.shape[1:] if tensor.shape.rank != 0 else TensorShape(None)


def _label(scope: str, op: str) -> str | None:
    """The name of an operation in a scope of its own."""
    graph = state.graph
    return None if graph is None else f"{graph.scoped_name(scope)}/{op}/"


TensorArraySpec.value_type = TensorArray
_EagerArray.__name__ = _GraphArray.__name__ = "TensorArray"
__all__ = ["TensorArray"]
