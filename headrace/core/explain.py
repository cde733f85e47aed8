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
from headrace.core.op import Attrs, Kind, Op, Spec

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
    problem = None if op.kind is Kind.CONTROL else dtype_problem(op, dtypes)
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


def graph_dtype_problem(op: type[Op], dtypes: Sequence[DType]) -> str | None:
    """What is wrong with the inputs' dtypes while a graph is built, or None."""
    names = op.operands if not op.variadic else op.operands * len(dtypes)
    shared: DType | None = None
    leader = ""
    for name, dtype in zip(names, dtypes, strict=False):
        allowed = op.types[name][1] if name in op.types else op.dtypes
        if name not in op.types:
            if shared is None:
                shared, leader = dtype, name
            elif dtype != shared:
                return (
                    f"Input {name.lstrip('*')!r} of {op.name!r} Op has type {dtype.name} that "
                    f"does not match type {shared.name} of argument {leader.lstrip('*')!r}."
                )
        if dtype not in allowed:
            kinds = ", ".join(sorted(d.name for d in allowed))
            return (
                f"Value passed to parameter {name.lstrip('*')!r} has DataType {dtype.name} not "
                f"in list of allowed values: {kinds}"
            )
    return None


def in_graph(
    problem: str, op: type[Op], label: str, inputs: Sequence[Any], specs: Sequence[Spec]
) -> str:
    """The text of a shape error while a graph is built: what went wrong at which node."""
    if problem.startswith("Incompatible shapes") and len(specs) == 2:
        pairs = zip(
            reversed(specs[0].shape or ()), reversed(specs[1].shape or ()), strict=False
        )
        m, n = next(((m, n) for m, n in pairs if m != n and 1 not in (m, n)), (None, None))
        problem = f"Dimensions must be equal, but are {m} and {n}" if m is not None else problem
    names = [
        x.name.removesuffix(":0") if hasattr(x, "node") else f"{label}/{operand}"
        for x, operand in zip(inputs, op.operands * len(inputs), strict=False)
    ]
    kind = f"[T=DT_{kernel_name(specs[0].dtype).upper()}]" if specs else ""
    shapes = ", ".join(_brackets(spec.shape) for spec in specs)
    return (
        f"{problem} for '{{{{node {label}}}}} = {op.name}{kind}({', '.join(names)})' with "
        f"input shapes: {shapes}."
    )


def _brackets(shape: Any) -> str:
    if shape is None:
        return "<unknown>"
    return "[" + ",".join("?" if n is None else str(n) for n in shape) + "]"
