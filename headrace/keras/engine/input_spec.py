"""`InputSpec`: what a layer demands of its input."""

from __future__ import annotations

from typing import Any

import headrace as tf
from headrace.base.export import export


@export("keras.layers.InputSpec")
class InputSpec:
    """What a layer demands of its input: rank, dtype, sizes of some axes.

    Args:
        dtype: dtype.
        shape: the whole shape (None: any size).
        ndim: the rank.
        max_ndim, min_ndim: the rank's limits.
        axes: dictionary from axes to sizes.
        allow_last_axis_squeeze: whether a last axis of size 1 may be missing or too much.
        name: the name expected of the input.
    """

    def __init__(
        self,
        dtype: Any = None,
        shape: Any = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: dict[int, int | None] | None = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
    ) -> None:
        self.dtype = None if dtype is None else tf.as_dtype(dtype).name
        self.shape = None if shape is None else tuple(tf.TensorShape(shape))
        self.ndim = len(self.shape) if self.shape is not None else ndim
        self.max_ndim, self.min_ndim = max_ndim, min_ndim
        self.axes = {int(axis): size for axis, size in (axes or {}).items()}
        self.allow_last_axis_squeeze = allow_last_axis_squeeze
        self.name = name

    def __repr__(self) -> str:
        parts = {
            "dtype": self.dtype,
            "shape": self.shape,
            "ndim": self.ndim if self.shape is None else None,
            "max_ndim": self.max_ndim,
            "min_ndim": self.min_ndim,
            "axes": self.axes or None,
        }
        shown = ", ".join(f"{key}={value}" for key, value in parts.items() if value is not None)
        return f"InputSpec({shown})"

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "dtype": self.dtype,
            "shape": self.shape,
            "ndim": self.ndim,
            "max_ndim": self.max_ndim,
            "min_ndim": self.min_ndim,
            "axes": self.axes,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> InputSpec:
        """A spec from what `get_config` gave."""
        return cls(**config)


def check(spec: InputSpec, x: Any, layer: str, position: int = 0) -> None:
    """Refuse an input that does not fit.

    Raises:
        ValueError: in Keras' words.
    """
    dims = x.shape
    head = f'Input {position} of layer "{layer}" is incompatible with the layer: '
    if dims.rank is None:
        if (spec.ndim, spec.max_ndim, spec.min_ndim) == (None, None, None):
            return
        raise ValueError(f"{head}its rank is undefined, but the layer requires a defined rank.")
    rank = dims.rank
    if spec.ndim is not None and not spec.allow_last_axis_squeeze and rank != spec.ndim:
        raise ValueError(
            f"{head}expected ndim={spec.ndim}, found ndim={rank}. Full shape received: {dims}"
        )
    if spec.max_ndim is not None and rank > spec.max_ndim:
        raise ValueError(f"{head}expected max_ndim={spec.max_ndim}, found ndim={rank}")
    if spec.min_ndim is not None and rank < spec.min_ndim:
        raise ValueError(
            f"{head}expected min_ndim={spec.min_ndim}, found ndim={rank}. "
            f"Full shape received: {dims}"
        )
    if spec.dtype is not None and x.dtype.name != spec.dtype:
        raise ValueError(f"{head}expected dtype={spec.dtype}, found dtype={x.dtype}")
    for axis, size in spec.axes.items():
        if size is not None and dims[axis] not in (size, None):
            raise ValueError(
                f"{head}expected axis {axis} of input shape to have value {size}, but received "
                f"input with shape {dims}"
            )
    for wanted, size in zip(spec.shape or (), dims, strict=False):
        if None not in (wanted, size) and wanted != size:
            raise ValueError(f"{head}expected shape={spec.shape}, found shape={dims}")
