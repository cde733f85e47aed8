"""Makers of op records for the kinds that all look alike.

`unary` and `binary` turn a few rules into a record and give back the public function; shape
inference, un-broadcasting in gradients and the loops of the compiler are the same for all.
Ops of other kinds are classes (see `ops/matmul.py`) with a public function beside them.
Read `core/op.py` before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headrace.base import errors, shapes
from headrace.base.dtypes import COMPLEX, FLOATS, INTS, NUMERIC, SIGNED, DType
from headrace.base.dtypes import bool as bool_dtype
from headrace.base.dtypes import string as string_dtype
from headrace.base.export import export as export_as
from headrace.core.dispatch import apply
from headrace.core.op import Kind, Op, Spec
from headrace.core.op import Op as Record
from headrace.ops.shapes import brackets, sum_to_like

Function = Callable[..., Any]


def unary(
    name: str,
    doc: str,
    *,
    kernel: Function,
    dtypes: frozenset[DType],
    example: str,
    export: tuple[str, ...] = (),
    out: Callable[[DType], DType] | None = None,
    operand: str = "x",
    **rules: Any,
) -> Function:
    """An elementwise op of one input `x`.

    Args:
        name: TensorFlow's op type.
        doc: what it is, in a sentence or a paragraph; the sections are written from the rest.
        kernel: function of an array.
        dtypes: dtypes of `x`.
        example: `expression -> printed result`, for the documentation.
        export: public names; the first is the canonical one.
        out: the result's dtype from that of `x`, where they differ.
        operand: the input's name in TensorFlow's op.
        rules: the record's other fields (`grad`, `scalar`, `oracle`, `samples`, `ulp`, ...).
    Returns:
        The public function `f(x, name=None)`.
    """

    def infer(x: Spec) -> Spec:
        return Spec(x.shape, out(x.dtype) if out else x.dtype)

    text = document(
        doc,
        (f"x: {kinds(dtypes)} tensor, any shape.",),
        f"tensor of x's shape{'' if out else ' and dtype'}.",
        name,
        example,
    )
    op = _record(
        name,
        Kind.ELEMENTWISE,
        (operand,),
        text,
        dtypes=dtypes,
        infer=infer,
        kernel=kernel,
        **rules,
    )

    def function(x: Any, name: str | None = None) -> Any:
        return apply(op, (x,), name=name)

    return public(function, op, export)


def binary(
    name: str,
    doc: str,
    *,
    kernel: Function,
    dtypes: frozenset[DType],
    example: str,
    export: tuple[str, ...] = (),
    out: Callable[[DType], DType] | None = None,
    grad: tuple[Function | None, Function | None] | None = None,
    operands: tuple[str, str] = ("x", "y"),
    **rules: Any,
) -> Function:
    """An elementwise op of two inputs `x` and `y` of one dtype, which broadcast.

    Args:
        grad: one rule an input, `(dy, z, x, y) -> gradient` before un-broadcasting.
        operands: the inputs' names in TensorFlow's op.
        (the others as for `unary`)
    Returns:
        The public function `f(x, y, name=None)`.
    """

    def infer(x: Spec, y: Spec) -> Spec:
        return Spec(broadcast(x.shape, y.shape), out(x.dtype) if out else x.dtype)

    text = document(
        doc,
        (
            f"x: {kinds(dtypes)} tensor, any shape.",
            "y: tensor of x's dtype whose shape broadcasts with x's.",
        ),
        f"{'bool ' if out else ''}tensor of the broadcast "
        f"shape{'' if out else ' and dtype of x'}.",
        name,
        example,
        "InvalidArgumentError: the dtypes differ, or the shapes do not broadcast.",
    )
    if grad is not None:
        rules["grad"] = (_unbroadcast(grad[0], 0), _unbroadcast(grad[1], 1))
    op = _record(
        name,
        Kind.ELEMENTWISE,
        operands,
        text,
        dtypes=dtypes,
        infer=infer,
        kernel=kernel,
        **rules,
    )

    def function(x: Any, y: Any, name: str | None = None) -> Any:
        return apply(op, (x, y), name=name)

    return public(function, op, export)


def document(
    doc: str,
    arguments: tuple[str, ...],
    returns: str,
    source: str,
    example: str,
    raises: str | None = None,
) -> str:
    """The text of a docstring from its parts."""
    call, _, result = example.partition(" -> ")
    lines = [doc, "", "Args:", *(f"    {line}" for line in arguments), f"Returns: {returns}"]
    if raises:
        lines.append(f"Raises: {raises}")
    lines += [f"Source: TensorFlow's `{source}`.", "", f">>> {call}", result, ""]
    return "\n".join(lines)


_KINDS = (
    (FLOATS, "float"),
    (INTS, "integer"),
    (SIGNED, "signed integer"),
    (COMPLEX, "complex"),
)


def kinds(dtypes: frozenset[DType]) -> str:
    """What a set of dtypes is called: `float or complex`."""
    if dtypes >= NUMERIC:
        words = ["number"]
    else:
        words = [word for group, word in _KINDS if group <= dtypes]
        if "integer" in words:
            words.remove("signed integer")
    words += [d.name for d in (bool_dtype, string_dtype) if d in dtypes]
    return " or ".join(words)


def broadcast(x: Any, y: Any) -> Any:
    """The shape of an elementwise result.

    Raises:
        InvalidArgumentError: `Incompatible shapes: [2,3] vs. [4,5]`.
    """
    try:
        return shapes.broadcast(x, y)
    except ValueError:
        raise errors.invalid_argument(
            f"Incompatible shapes: {brackets(x)} vs. {brackets(y)}"
        ) from None


def _unbroadcast(rule: Function | None, position: int) -> Function | None:
    if rule is None:
        return None

    def gradient(dy: Any, z: Any, x: Any, y: Any) -> Any:
        return sum_to_like(rule(dy, z, x, y), y if position else x)

    return gradient


def _record(
    name: str, kind: Kind, inputs: tuple[str, ...], doc: str, **rules: Any
) -> type[Record]:
    rules.update(kind=kind, inputs=inputs, __doc__=doc, __module__=__name__)
    return type(name, (Op,), rules)


def public(function: Function, op: type[Record], names: tuple[str, ...]) -> Function:
    """The public face of a record: documentation, names, and the record as `.op`."""
    function.__doc__ = op.__doc__
    function.op = op  # type: ignore[attr-defined]
    if names:
        function.__name__ = function.__qualname__ = names[0].rpartition(".")[2]
        export_as(*names)(function)
    return function
