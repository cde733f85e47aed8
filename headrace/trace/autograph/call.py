"""Calls in converted code: the user's functions are converted on the way, not libraries'."""

from __future__ import annotations

import functools
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

from headrace.trace.autograph.builtins import OVERLOADS
from headrace.trace.autograph.conversion import NO_FEATURES, Features, converted

NOTHING: dict[str, Any] = {}


def call(
    function: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any] = NOTHING,
    features: Features = NO_FEATURES,
) -> Any:
    """`function(*args, **kwargs)`, with the function converted if it is the user's."""
    kind = function.__class__
    if kind is FunctionType:
        return converted(function, features)(*args, **kwargs)
    if kind is MethodType:
        inner = function.__func__
        if inner.__class__ is FunctionType:
            return converted(inner, features)(function.__self__, *args, **kwargs)
        return function(*args, **kwargs)
    if kind is type or kind is BuiltinFunctionType:
        overload = OVERLOADS.get(function)
        return (overload or function)(*args, **kwargs)
    if isinstance(function, type) or hasattr(function, "_is_headrace_function"):
        return function(*args, **kwargs)
    if kind is functools.partial:
        args, kwargs = (*function.args, *args), {**function.keywords, **kwargs}
        return call(function.func, args, kwargs, features)
    method = getattr(type(function), "__call__", None)  # noqa: B004
    if method.__class__ is FunctionType:
        return converted(method, features)(function, *args, **kwargs)
    return function(*args, **kwargs)


__all__ = ["call"]
