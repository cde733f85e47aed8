"""Why an op failed, in TensorFlow's class and words.

Kernels check little: NumPy fails by itself on most bad input. Only then is the mistake looked
for here: first the dtypes against the record, then `infer` on the shapes, which raises the
proper error. What neither explains is handed on as it came.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from headrace.base import errors
from headrace.base.dtypes import DType, from_numpy, kernel_name
from headrace.core.op import Attrs, Op, Spec

_ORDER = (
    "bfloat16 half float double uint8 uint16 uint32 uint64 int8 int16 int32 int64 complex64 "
    "complex128 bool string"
).split()


def explain(
    op: type[Op], arrays: Sequence[np.ndarray], attrs: Attrs, error: Exception | None = None
) -> Exception:
    """The exception to raise after `op` failed on `arrays`."""
    if isinstance(error, errors.OpError):
        return with_op(error, op.name)
    dtypes = [from_numpy[array.dtype] for array in arrays]
    problem = dtype_problem(op, dtypes)
    if problem is not None:
        return errors.invalid_argument(problem, op.name)
    try:
        op.infer(
            *(Spec(a.shape, d) for a, d in zip(arrays, dtypes, strict=True)),
            **attrs,
        )
    except errors.OpError as found:
        return with_op(found, op.name)
    except (TypeError, ValueError) as found:
        return found
    return error if error is not None else errors.internal(f"{op.name} failed", op.name)


def with_op(error: errors.OpError, name: str) -> errors.OpError:
    """The same error with ` [Op:NAME]` at its end, as eager TensorFlow writes it."""
    if "[Op:" in error.message:
        return error
    kind: Any = type(error)
    return kind(None, None, f"{error.message} [Op:{name}]")


def dtype_problem(op: type[Op], dtypes: Sequence[DType]) -> str | None:
    """What is wrong with the inputs' dtypes, or None."""
    names = op.operands if not op.variadic else op.operands * len(dtypes)
    shared: DType | None = None
    for position, (name, dtype) in enumerate(zip(names, dtypes, strict=False)):
        if name in op.types:
            attr, allowed = op.types[name]
            if dtype not in allowed:
                if len(allowed) == 1:
                    return _expected(op, position, next(iter(allowed)), dtype)
                return _not_allowed(attr, dtype, allowed)
            continue
        if shared is None:
            shared = dtype
        elif dtype != shared:
            return _expected(op, position, shared, dtype)
    if shared is not None and shared not in op.dtypes:
        return _not_allowed("T", shared, op.dtypes)
    return None


def _expected(op: type[Op], position: int, wanted: DType, got: DType) -> str:
    return (
        f"cannot compute {op.name} as input #{position}(zero-based) was expected to be a "
        f"{kernel_name(wanted)} tensor but is a {kernel_name(got)} tensor"
    )


def _not_allowed(attr: str, dtype: DType, allowed: frozenset[DType]) -> str:
    names = sorted(
        (kernel_name(d) for d in allowed),
        key=lambda n: (_ORDER.index(n) if n in _ORDER else len(_ORDER), n),
    )
    return (
        f"Value for attr '{attr}' of {kernel_name(dtype)} is not in the list of allowed "
        f"values: {', '.join(names)}"
    )
