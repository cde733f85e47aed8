"""Boolean operators, conditional expressions and assertions of converted code.

Each looks at its first value: a tensor of the graph that is being built makes ops, everything
else is plain Python. `branches.py` and `loops.py` have the statements.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from headrace.base.dtypes import bool as bool_dtype
from headrace.base.export import EXPORTS
from headrace.base.lazy import lazy_module
from headrace.core.context import state
from headrace.core.convert import convert
from headrace.core.graph import Symbol
from headrace.core.tensor import Tensor
from headrace.core.variable import Variable
from headrace.ops import assertions, reshape
from headrace.ops import compare as comparisons
from headrace.trace.autograph.errors import NONRETURNING, Undefined, UndefinedReturn

control = lazy_module("headrace.trace.control")
Thunk = Callable[[], Any]


def is_staged(value: Any) -> bool:
    """Whether control flow on this value belongs into the graph that is being built."""
    if isinstance(value, Symbol):
        return True
    return state.graph is not None and isinstance(value, (Tensor, Variable))


def condition(value: Any, tag: str) -> Any:
    """The condition of a branch or loop as a bool scalar.

    Raises:
        ValueError: it is not a bool, or more than one.
    """
    tensor = convert(value)
    problem = f"condition of {tag} expected to be `tf.bool` scalar, got {tensor}"
    hint = "; to check for None, use `is not None`"
    if tensor.dtype is not bool_dtype:
        raise ValueError(f"{problem}; to use as boolean Tensor, use `tf.cast`{hint}")
    if tensor.shape.rank == 0:
        return tensor
    if tensor.shape.rank is not None:
        known = [d for d in tensor.shape.as_list() if d is not None]
        if np.prod(known) > 1:
            raise ValueError(f"{problem}{hint}")
    return reshape.reshape(tensor, ())


def and_(value: Any, *rest: Thunk) -> Any:
    """`value and rest[0]() and ...`"""
    for position, part in enumerate(rest):
        if is_staged(value):
            left = value
            others = rest[position + 1 :]
            return control.cond(left, lambda: and_(part(), *others), lambda: left)  # noqa: B023
        if not value:
            return value
        value = part()
    return value


def or_(value: Any, *rest: Thunk) -> Any:
    """`value or rest[0]() or ...`"""
    for position, part in enumerate(rest):
        if is_staged(value):
            left = value
            others = rest[position + 1 :]
            return control.cond(left, lambda: left, lambda: or_(part(), *others))  # noqa: B023
        if value:
            return value
        value = part()
    return value


def not_(value: Any) -> Any:
    """`not value`"""
    return comparisons.logical_not(value) if is_staged(value) else not value


def none_of(*flags: Any) -> Any:
    """Whether none of the flags of jumps is set."""
    found: Any = None
    for flag in flags:
        if is_staged(flag):
            found = flag if found is None else comparisons.logical_or(found, flag)
        elif flag:
            return False
    return True if found is None else comparisons.logical_not(found)


_COMPARISONS = {
    "Lt": operator.lt,
    "LtE": operator.le,
    "Gt": operator.gt,
    "GtE": operator.ge,
    "Eq": operator.eq,
    "NotEq": operator.ne,
    "Is": operator.is_,
    "IsNot": operator.is_not,
    "In": lambda x, y: x in y,
    "NotIn": lambda x, y: x not in y,
}


def compare(left: Any, name: str, right: Any, *rest: Any) -> Any:
    """A chain of comparisons, `left < right < rest...`: each value is computed once."""
    result = _COMPARISONS[name](left, right)
    if not rest:
        return result
    following, thunk = rest[0], rest[1]
    return and_(result, lambda: compare(right, following, thunk(), *rest[2:]))


def assert_stmt(test: Any, message: Thunk, given: bool = True) -> None:
    """`assert test, message`; of a tensor, `tf.debugging.Assert`."""
    if is_staged(test):
        text = message()
        assertions.Assert(test, list(text) if isinstance(text, (list, tuple)) else [text])
    elif not test:
        raise AssertionError(message()) if given else AssertionError


def ret(value: Any, returned: Any, always: bool) -> Any:
    """What a function with early returns gives back.

    Args:
        value: what the `return` that was met has given.
        returned: whether one was met.
        always: whether every way through the function has one.
    Raises:
        NotImplementedError: it depends on a tensor whether it returns anything.
    """
    if isinstance(value, UndefinedReturn):
        return None
    if not always and is_staged(returned):
        raise NotImplementedError(NONRETURNING)
    return value


# State of branches and loops


def no_state() -> tuple[Any, ...]:
    """`get_state` of a body that changes nothing."""
    return ()


def no_update(values: Sequence[Any]) -> None:
    """`set_state` of a body that changes nothing."""


def absent(value: Any) -> bool:
    """Whether an attribute or item does not exist."""
    return isinstance(value, Undefined)


def differs(read: Thunk, value: Any) -> bool:
    """Whether an attribute or item has to be changed to have this value."""
    try:
        current = read()
    except (NameError, AttributeError, KeyError, IndexError):
        return not absent(value)
    return current is not value


# Feature.LISTS


def list_append(held: Any, value: Any) -> Any:
    """`held.append(value)`; gives the list back."""
    if hasattr(held, "write") and hasattr(held, "size"):
        return held.write(held.size(), value)
    held.append(value)
    return held


def set_item(held: Any, index: Any, value: Any) -> Any:
    """`held[index] = value`; gives back what `held` is then (of a tensor, a new one)."""
    if not isinstance(held, Tensor):
        held[index] = value
        return held
    scatter = EXPORTS["tensor_scatter_nd_update"]
    row = convert(value, held.dtype)
    return scatter(held, reshape.reshape(convert(index), (1, 1)), reshape.expand_dims(row, 0))
