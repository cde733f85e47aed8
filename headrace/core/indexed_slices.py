"""`IndexedSlices`: a tensor of which only some rows are given, as gradients of gathers are."""

from __future__ import annotations

from typing import Any

from headrace.base.dtypes import DType
from headrace.base.export import export
from headrace.base.shapes import TensorShape
from headrace.core.convert import convert, hooks
from headrace.core.tensor import Tensor


@export("IndexedSlices")
class IndexedSlices:
    """Rows `values[i]` at the positions `indices[i]` of a larger tensor that is zero elsewhere.

    Args:
        values: tensor `[n, d1, ...]`.
        indices: integer tensor `[n]`; a position may come more than once, its rows then add up.
        dense_shape: integer tensor, the shape `[d0, d1, ...]` of the larger tensor.

    >>> s = tf.IndexedSlices(values=[[1., 2.]], indices=[1], dense_shape=[3, 2])
    >>> tf.convert_to_tensor(s).numpy()
    array([[0., 0.],
           [1., 2.],
           [0., 0.]], dtype=float32)
    """

    def __init__(self, values: Any, indices: Any, dense_shape: Any = None) -> None:
        self._given = values
        self._values = convert(values)
        self._indices = convert(indices)
        self._dense_shape = None if dense_shape is None else convert(dense_shape)

    @property
    def values(self) -> Tensor:
        """The rows, a tensor `[n, d1, ...]`."""
        return self._values

    @property
    def indices(self) -> Tensor:
        """The rows' positions, an integer tensor `[n]`."""
        return self._indices

    @property
    def dense_shape(self) -> Tensor | None:
        """The shape of the larger tensor, if known."""
        return self._dense_shape

    @property
    def dtype(self) -> DType:
        """The dtype of the rows."""
        return self._values.dtype

    @property
    def shape(self) -> TensorShape:
        """The shape of the larger tensor as far as it is known."""
        if self._dense_shape is None:
            return TensorShape([None]).concatenate(self._values.shape[1:])
        return TensorShape(tuple(int(d) for d in self._dense_shape.numpy()))  # type: ignore

    @property
    def device(self) -> str:
        """The device that holds the rows."""
        return self._values.device  # type: ignore[attr-defined]

    def __tf_tensor__(self, dtype: DType | None = None, name: str | None = None) -> Tensor:
        if self._dense_shape is None:
            raise ValueError(
                "Tensor conversion requested for IndexedSlices for argument `value` without "
                f"dense_shape: {self!r}"
            )
        if dtype is not None and dtype != self.dtype:
            raise ValueError(
                f"Tensor conversion requested dtype {dtype.name} for IndexedSlices with dtype "
                f"{self.dtype.name}"
            )
        return hooks.densify(self)

    def __neg__(self) -> IndexedSlices:
        return IndexedSlices(-self._values, self._indices, self._dense_shape)  # type: ignore

    def __repr__(self) -> str:
        shape = "" if self._dense_shape is None else f", dense_shape={self._dense_shape!r}"
        return f"IndexedSlices(indices={self._indices!r}, values={self._values!r}{shape})"
