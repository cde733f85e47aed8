"""From one op record to loops: `compile_op`, and the rule that elementwise ops share.

Read `builder.py` before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from headrace.base.dtypes import HANDLES, DType
from headrace.compile.loops import ir
from headrace.compile.loops.builder import Builder
from headrace.compile.loops.expr import Expr
from headrace.compile.loops.operations import letter, part
from headrace.compile.loops.views import Shape, Stored, View
from headrace.core.op import Op, Spec


class CannotLower(Exception):
    """An op, or its dtypes or shapes, can't become loops: its kernel has to run."""


def compile_op(
    op: type[Op], specs: Sequence[Spec], attrs: Mapping[str, Any] | None = None
) -> ir.Loops:
    """The loops of one op by itself.

    Args:
        op: a record with `scalar` or `lower`.
        specs: shapes (known) and dtypes of its operands, a list input spread out; first that of
            the place of an op that `draws`.
        attrs: attributes and static inputs by name; the record's defaults fill the rest.
    Raises:
        CannotLower: the record has no rule, or a dtype or shape has no loops.
    """
    rule = op.lower or op.scalar
    if rule is None:
        raise CannotLower(f"{op.name}: {op.no_lower or 'no rule'}")
    given = {**op.attrs, **{k: _static(v) for k, v in (attrs or {}).items()}}
    results = op.infer(*specs[op.draws is not None :], **given)
    several = not isinstance(results, Spec)
    expected = tuple(results) if several else (results,)
    for spec in (*specs, *expected):
        _demand_static(op, spec)
    inputs = [ir.Buffer(f"x{k}", _shape(s), s.dtype) for k, s in enumerate(specs)]
    c = Builder()
    found = applied(c, op, [Stored(buffer) for buffer in inputs], expected, given)
    return c.finish(op.name, inputs, found)


def applied(
    c: Builder,
    op: type[Op],
    operands: Sequence[Any],
    expected: Sequence[Spec],
    attrs: Mapping[str, Any],
) -> tuple[Any, ...]:
    """What the rule of a record makes of its operands.

    Args:
        c: the builder.
        op: a record with `scalar` or `lower`.
        operands: views, or what else stands for a value there.
        expected: what is known of the results.
        attrs: attributes and static inputs; the record's defaults fill the rest.
    Raises:
        CannotLower: this can't become loops.
    """
    given = {**op.attrs, **{k: _static(v) for k, v in attrs.items()}}
    if op.lower is not None:
        found = op.lower(c, *operands, **given)
    else:
        found = elementwise(c, op, operands, expected, given)
    found = tuple(found) if isinstance(found, tuple | list) else (found,)
    _demand_results(op, found, expected)
    return found


def elementwise(
    c: Builder,
    op: type[Op],
    operands: Sequence[View],
    results: Sequence[Spec],
    attrs: Mapping[str, Any],
) -> tuple[View, ...]:
    """The rule of the kind: `scalar` at each index, operands broadcast."""
    assert op.scalar is not None
    rule = op.scalar

    def view(k: int, spec: Spec) -> View:
        shape = _shape(spec)

        def element(*index: Expr) -> Any:
            found = rule(c, *(x.broadcast(index, shape) for x in operands), **attrs)
            return found[k] if isinstance(found, tuple) else found

        return c.map(shape, spec.dtype, element)

    return tuple(view(k, spec) for k, spec in enumerate(results))


def _static(value: Any) -> Any:
    """NumPy values as ints and tuples."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    return tuple(_static(v) for v in value) if isinstance(value, list) else value


def _shape(spec: Spec) -> Shape:
    assert spec.shape is not None
    return tuple(int(n) for n in spec.shape)  # type: ignore[arg-type]


def _demand_static(op: type[Op], spec: Spec) -> None:
    if spec.shape is None or None in tuple(spec.shape):
        raise CannotLower(f"{op.name}: shape {spec.shape} is not known")
    try:
        letter(part(spec.dtype))
    except TypeError as error:
        raise CannotLower(f"{op.name}: {error}") from None


def _demand_results(op: type[Op], found: Sequence[View], expected: Sequence[Spec]) -> None:
    arrays = [s.dtype not in HANDLES for s in expected]
    got = [(x.dtype, x.shape) for x, array in zip(found, arrays, strict=False) if array]
    asked = [(s.dtype, _shape(s)) for s in expected if s.dtype not in HANDLES]
    if got != asked:
        raise TypeError(
            f"{op.name}: the rule gave {_listed(got)}, infer says {_listed(asked)}."
        )


def _listed(results: Sequence[tuple[DType, Shape]]) -> str:
    return ", ".join(f"{dtype.name}{list(shape)}" for dtype, shape in results)
