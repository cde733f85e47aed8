"""Python's builtins where a tensor of a graph is given to them.

Without such a tensor each is Python's own. Some (`print`, `abs`, `round`) need nothing: they
are left alone, or ask the tensor.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

from headrace.base.dtypes import float32, int32
from headrace.base.export import EXPORTS
from headrace.core.convert import convert
from headrace.ops import cast, create, elementwise, reduce
from headrace.trace.autograph import frames
from headrace.trace.autograph.loops import Numbered, Together, length
from headrace.trace.autograph.operators import is_staged


def float_(value: Any = 0.0) -> Any:
    """`float`; of a tensor, a float32 tensor."""
    return _number(value, float32) if is_staged(value) else float(value)


def int_(value: Any = 0, *base: Any, **named: Any) -> Any:
    """`int`; of a tensor, an int32 tensor."""
    if base or named or not is_staged(value):
        return int(value, *base, **named)
    return _number(value, int32)


def _number(value: Any, dtype: Any) -> Any:
    tensor = convert(value)
    if tensor.dtype.name == "string":
        return EXPORTS["strings.to_number"](tensor, dtype)
    return cast.cast(tensor, dtype)


def len_(value: Any) -> Any:
    """`len`; of a tensor, the size of its first axis, an int if it is known.

    Raises:
        ValueError: a scalar.
    """
    if not is_staged(value):
        return len(value)
    return length(convert(value))


def range_(*arguments: Any) -> Any:
    """`range`; with a tensor among its arguments, `tf.range`."""
    if any(is_staged(argument) for argument in arguments):
        return create.range_(*arguments)
    return range(*arguments)


def enumerate_(iterable: Any, start: Any = 0) -> Any:
    """`enumerate`; of a tensor, what a `for` loop can go over in a graph."""
    if is_staged(iterable) or hasattr(type(iterable), "__autograph_for__"):
        method = getattr(iterable, "enumerate", None)
        return Numbered(iterable, start) if method is None else method(start)
    return enumerate(iterable, start)


def zip_(*iterables: Any, **strict: Any) -> Any:
    """`zip`; of tensors, what a `for` loop can go over in a graph."""
    if iterables and all(is_staged(part) for part in iterables):
        return Together(iterables)
    return zip(*iterables, **strict)  # noqa: B905


def sum_(iterable: Any, start: Any = 0) -> Any:
    """`sum`; of a tensor, along its first axis."""
    if is_staged(iterable):
        return reduce.reduce_sum(iterable, axis=0) + start
    return sum(iterable, start)


def _over_elements(
    python: Callable[..., Any], whole: Callable[..., Any], pair: Callable[..., Any]
) -> Callable[..., Any]:
    """`max` or `min`: of one tensor its largest or smallest element, or of several scalars."""

    def overload(*values: Any, **named: Any) -> Any:
        if named or not any(is_staged(value) for value in values):
            return python(*values, **named)
        if len(values) == 1:
            return whole(values[0], axis=0)
        result = values[0]
        for value in values[1:]:
            result = pair(result, value)
        return result

    return overload


def any_(iterable: Any) -> Any:
    """`any`; of a bool tensor, whether one element is true."""
    return reduce.reduce_any(iterable) if is_staged(iterable) else any(iterable)


def all_(iterable: Any) -> Any:
    """`all`; of a bool tensor, whether all elements are true."""
    return reduce.reduce_all(iterable) if is_staged(iterable) else all(iterable)


def sorted_(iterable: Any, /, **named: Any) -> Any:
    """`sorted`; of a tensor, `tf.sort`."""
    if not is_staged(iterable):
        return sorted(iterable, **named)
    descending = named.pop("reverse", False)
    key = named.pop("key", None)
    if key is None:
        return EXPORTS["sort"](iterable, direction="DESCENDING" if descending else "ASCENDING")
    order = EXPORTS["argsort"](
        key(iterable), direction="DESCENDING" if descending else "ASCENDING"
    )
    return EXPORTS["gather"](iterable, order)


OVERLOADS: dict[Any, Callable[..., Any]] = {
    float: float_,
    int: int_,
    len: len_,
    range: range_,
    enumerate: enumerate_,
    zip: zip_,
    sum: sum_,
    max: _over_elements(max, reduce.reduce_max, elementwise.maximum),
    min: _over_elements(min, reduce.reduce_min, elementwise.minimum),
    any: any_,
    all: all_,
    sorted: sorted_,
    builtins.eval: frames.eval_for_user,
    builtins.exec: frames.exec_for_user,
    builtins.locals: frames.locals_of_user,
    builtins.globals: frames.globals_of_user,
    builtins.vars: frames.vars_of_user,
    builtins.dir: frames.dir_of_user,
}
"""What is called instead, by the builtin."""

__all__ = ["OVERLOADS"]
