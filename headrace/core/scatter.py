"""Variables' scatter methods: updates of single rows and elements.

All of them check the indices first and write then, so that a refused update changes nothing.
The variable (`core/variable.py`) provides its buffer and its lock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from headrace.base import errors
from headrace.base.dtypes import DType, kernel_name
from headrace.core.context import state
from headrace.core.convert import convert
from headrace.core.indexed_slices import IndexedSlices

Rule = Callable[[np.ndarray, Any, np.ndarray], None]


def _write(target: np.ndarray, index: Any, values: np.ndarray) -> None:
    target[index] = values


_RULES: dict[str, Rule] = {
    "Update": _write,
    "Add": np.add.at,
    "Sub": np.subtract.at,
    "Mul": np.multiply.at,
    "Div": np.divide.at,
    "Max": np.maximum.at,
    "Min": np.minimum.at,
}


class _Hooks:
    """What `ops` provides while a graph is built: `scatter(variable, op, indices, updates)`."""

    scatter: Callable[..., None]


hooks = _Hooks()


class Scatter:
    """Mixin of `Variable`: `scatter_*`, `scatter_nd_*`, `batch_scatter_update`."""

    _lock: Any

    @property
    def _array(self) -> np.ndarray:
        raise NotImplementedError

    @property
    def dtype(self) -> DType:
        raise NotImplementedError

    def _writable(self) -> np.ndarray:
        raise NotImplementedError

    def _unread(self) -> Any:
        raise NotImplementedError

    def _scatter(self, rule: str, sparse_delta: Any) -> Any:
        if not isinstance(sparse_delta, IndexedSlices):
            raise TypeError(
                "Argument `sparse_delta` must be a `tf.IndexedSlices`. Received arg: "
                f"{sparse_delta}"
            )
        if state.graph is not None:
            hooks.scatter(
                self, f"ResourceScatter{rule}", sparse_delta.indices, sparse_delta._given
            )
            return self._unread()
        op = f"ResourceScatter{rule}"
        indices = _index_array(sparse_delta.indices, op)
        values = convert(sparse_delta._given, self.dtype)._array  # type: ignore[attr-defined]
        rows = self._array.shape[0] if self._array.ndim else 0
        _check_rows(indices, rows, op)
        wanted = indices.shape + self._array.shape[1:]
        if values.ndim and values.shape != wanted:
            raise errors.invalid_argument(
                "Must have updates.shape = indices.shape + params.shape[1:] or updates.shape = "
                f"[], got updates.shape {_brackets(values.shape)}, indices.shape "
                f"{_brackets(indices.shape)}, params.shape {_brackets(self._array.shape)}",
                op,
            )
        with self._lock:
            _RULES[rule](self._writable(), indices, values)
        return self._unread()

    def _scatter_nd(self, rule: str, indices: Any, updates: Any) -> Any:
        if state.graph is not None:
            hooks.scatter(self, f"ResourceScatterNd{rule}", indices, updates)
            return self._unread()
        op = f"ResourceScatterNd{rule}"
        where = _index_array(convert(indices), op)
        values = convert(updates, self.dtype)._array  # type: ignore[attr-defined]
        _check_nd(where, values, self._array.shape, op)
        index = tuple(np.moveaxis(where, -1, 0))
        with self._lock:
            _RULES[rule](self._writable(), index if where.shape[-1] else ..., values)
        return self._unread()

    def scatter_update(
        self, sparse_delta: Any, use_locking: bool = False, name: str | None = None
    ) -> Any:
        """Replace the rows that a `tf.IndexedSlices` names."""
        return self._scatter("Update", sparse_delta)

    def scatter_add(
        self, sparse_delta: Any, use_locking: bool = False, name: str | None = None
    ) -> Any:
        """Add to the rows that a `tf.IndexedSlices` names."""
        return self._scatter("Add", sparse_delta)

    def scatter_sub(
        self, sparse_delta: Any, use_locking: bool = False, name: str | None = None
    ) -> Any:
        """Subtract from the rows that a `tf.IndexedSlices` names."""
        return self._scatter("Sub", sparse_delta)

    def scatter_mul(
        self, sparse_delta: Any, use_locking: bool = False, name: str | None = None
    ) -> Any:
        """Multiply the rows that a `tf.IndexedSlices` names."""
        return self._scatter("Mul", sparse_delta)

    def scatter_div(
        self, sparse_delta: Any, use_locking: bool = False, name: str | None = None
    ) -> Any:
        """Divide the rows that a `tf.IndexedSlices` names."""
        return self._scatter("Div", sparse_delta)

    def scatter_max(
        self, sparse_delta: Any, use_locking: bool = False, name: str | None = None
    ) -> Any:
        """Take the larger of each row that a `tf.IndexedSlices` names and its new row."""
        return self._scatter("Max", sparse_delta)

    def scatter_min(
        self, sparse_delta: Any, use_locking: bool = False, name: str | None = None
    ) -> Any:
        """Take the smaller of each row that a `tf.IndexedSlices` names and its new row."""
        return self._scatter("Min", sparse_delta)

    def scatter_nd_update(self, indices: Any, updates: Any, name: str | None = None) -> Any:
        """Replace elements or slices.

        Args:
            indices: integer tensor `[..., k]`: positions in the first k dimensions.
            updates: tensor of shape `indices.shape[:-1] + variable.shape[k:]`.
        Raises:
            InvalidArgumentError: a position outside, or shapes that do not fit.
        """
        return self._scatter_nd("Update", indices, updates)

    def scatter_nd_add(self, indices: Any, updates: Any, name: str | None = None) -> Any:
        """Add to elements or slices; arguments as in `scatter_nd_update`."""
        return self._scatter_nd("Add", indices, updates)

    def scatter_nd_sub(self, indices: Any, updates: Any, name: str | None = None) -> Any:
        """Subtract from elements or slices; arguments as in `scatter_nd_update`."""
        return self._scatter_nd("Sub", indices, updates)

    def scatter_nd_max(self, indices: Any, updates: Any, name: str | None = None) -> Any:
        """Take the larger value; arguments as in `scatter_nd_update`."""
        return self._scatter_nd("Max", indices, updates)

    def scatter_nd_min(self, indices: Any, updates: Any, name: str | None = None) -> Any:
        """Take the smaller value; arguments as in `scatter_nd_update`."""
        return self._scatter_nd("Min", indices, updates)

    def batch_scatter_update(
        self, sparse_delta: Any, use_locking: bool = False, name: str | None = None
    ) -> Any:
        """Replace rows batch by batch: `v[b, indices[b, i]] = values[b, i]`.

        Args:
            sparse_delta: `tf.IndexedSlices` with indices `[batch..., n]` and values
                `[batch..., n, ...]`; the batch dimensions are the variable's leading ones.
        """
        op = "ResourceScatterNdUpdate"
        if state.graph is not None:
            hooks.scatter(self, "BatchScatter", sparse_delta.indices, sparse_delta._given)
            return self._unread()
        indices = _index_array(sparse_delta.indices, op)
        batch = indices.shape[:-1]
        grids = np.meshgrid(*(np.arange(n) for n in (*batch, indices.shape[-1])), indexing="ij")
        where = np.stack([*grids[:-1], indices], axis=-1)
        return self.scatter_nd_update(where, sparse_delta._given)


def _index_array(indices: Any, op: str) -> np.ndarray:
    array = indices._array
    if array.dtype.kind != "i" or array.dtype.itemsize < 4:
        raise errors.invalid_argument(
            f"Value for attr 'Tindices' of {kernel_name(indices.dtype)} is not in the list of "
            "allowed values: int32, int64",
            op,
        )
    return array


def _check_rows(indices: np.ndarray, rows: int, op: str) -> None:
    bad = (indices < 0) | (indices >= rows)
    if bad.any():
        where = np.argwhere(bad)[0]
        label = ",".join(map(str, where)) if indices.ndim else "0"
        raise errors.invalid_argument(
            f"indices[{label}] = {indices[tuple(where)]} is not in [0, {rows})", op
        )


def _check_nd(where: np.ndarray, values: np.ndarray, shape: tuple[int, ...], op: str) -> None:
    if not where.ndim:
        raise errors.invalid_argument(
            "Indices and updates specified for empty output: indices must have at least one "
            "dimension, got a scalar",
            op,
        )
    depth = where.shape[-1]
    outer = where.shape[:-1]
    if values.shape[: len(outer)] != outer:
        raise errors.invalid_argument(
            f"Dimensions [0,{len(outer)}) of indices[shape={_brackets(where.shape)}] = "
            f"{_plain(outer)} must match dimensions [0,{len(outer)}) of "
            f"updates[shape={_brackets(values.shape)}] = {_plain(values.shape[: len(outer)])}",
            op,
        )
    if depth > len(shape) or values.shape[len(outer) :] != shape[depth:]:
        raise errors.invalid_argument(
            f"Dimensions [{depth},{len(shape)}) of input[shape={_brackets(shape)}] must match "
            f"dimensions [{depth},{values.ndim}) of updates[shape={_brackets(values.shape)}]",
            op,
        )
    bounds = np.array(shape[:depth], dtype=np.int64)
    bad = ((where < 0) | (where >= bounds)).any(axis=-1)
    if bad.any():
        first = tuple(np.argwhere(bad)[0])
        label = ",".join(map(str, first)) if first else "0"
        position = ", ".join(map(str, where[first]))
        raise errors.invalid_argument(
            f"indices[{label}] = [{position}] does not index into shape {_brackets(shape)}", op
        )


def _brackets(shape: tuple[int, ...]) -> str:
    return "[" + ",".join(map(str, shape)) + "]"


def _plain(shape: tuple[int, ...]) -> str:
    return ",".join(map(str, shape))
