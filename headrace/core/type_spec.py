"""`tf.TensorSpec`: what is known of a tensor before it exists, as users write it.

Inside, `core.op.Spec` says the same of tensors while graphs are built.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headrace.base.dtypes import DType, as_dtype, float32
from headrace.base.export import export
from headrace.base.shapes import TensorShape
from headrace.core.tensor import Tensor


@export("TypeSpec")
class TypeSpec:
    """Base of the descriptions of tensors and of what consists of tensors."""

    def is_compatible_with(self, spec_or_value: Any) -> bool:
        """Whether a value of one could be one of the other."""
        raise NotImplementedError


@export("TensorSpec")
class TensorSpec(TypeSpec):
    """Shape and dtype of a tensor.

    Args:
        shape: what `tf.TensorShape` takes; None dimensions are open, None is any shape.
        dtype: dtype of the elements.
        name: of the tensor, or None.
    Raises:
        TypeError: `dtype` is none.

    >>> tf.TensorSpec([None, 3], tf.float32)
    TensorSpec(shape=(None, 3), dtype=tf.float32, name=None)
    """

    __slots__ = ("_shape", "_dtype", "_name")

    def __init__(self, shape: Any, dtype: Any = float32, name: str | None = None) -> None:
        self._shape = TensorShape(shape)
        self._dtype = as_dtype(dtype)
        self._name = name

    @property
    def shape(self) -> TensorShape:
        """The shape, a `tf.TensorShape`."""
        return self._shape

    @property
    def dtype(self) -> DType:
        """The type of the elements, a `tf.DType`."""
        return self._dtype

    @property
    def name(self) -> str | None:
        """The name, or None."""
        return self._name

    @classmethod
    def from_tensor(cls, tensor: Any, name: str | None = None) -> TensorSpec:
        """The spec of a tensor.

        Raises:
            ValueError: `tensor` is none.
        """
        if not isinstance(tensor, Tensor):
            raise ValueError(f"`tensor` should be a tf.Tensor, but got type {type(tensor)}.")
        node = getattr(tensor, "node", None)
        given = name or (None if node is None else node.name)
        return cls(tensor.shape, tensor.dtype, given)

    @classmethod
    def from_spec(cls, spec: Any, name: str | None = None) -> TensorSpec:
        """The spec with the shape, the dtype and (by default) the name of another."""
        return cls(spec.shape, spec.dtype, name or spec.name)

    def is_compatible_with(self, spec_or_value: Any) -> bool:
        """Whether a tensor, array or spec could be a tensor of this spec."""
        dtype = getattr(spec_or_value, "dtype", None)
        if dtype is None or not hasattr(spec_or_value, "shape"):
            return False
        return as_dtype(dtype) == self._dtype and self._shape.is_compatible_with(
            spec_or_value.shape
        )

    def is_subtype_of(self, other: Any) -> bool:
        """Whether each tensor of this spec is one of the other, too."""
        return (
            isinstance(other, TensorSpec)
            and self._dtype == other._dtype
            and self._shape.is_subtype_of(other._shape)
            and other._name in (None, self._name)
        )

    def most_specific_common_supertype(self, others: Sequence[Any]) -> TensorSpec | None:
        """The narrowest spec that this one and all others are subtypes of, or None."""
        for other in others:
            if not isinstance(other, TensorSpec) or other._dtype != self._dtype:
                return None
        shape = self._shape.most_specific_common_supertype([o._shape for o in others])
        same = all(o._name == self._name for o in others)
        return TensorSpec(shape, self._dtype, self._name if same else None)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, TensorSpec)
            and self._dtype == other._dtype
            and self._name == other._name
            and _dims(self._shape) == _dims(other._shape)
        )

    def __hash__(self) -> int:
        return hash((_dims(self._shape), self._dtype))

    def __repr__(self) -> str:
        return f"TensorSpec(shape={self._shape}, dtype={self._dtype!r}, name={self._name!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return TensorSpec, (_dims(self._shape), self._dtype, self._name)


def _dims(shape: TensorShape) -> tuple[int | None, ...] | None:
    return None if shape.rank is None else tuple(shape.as_list())
