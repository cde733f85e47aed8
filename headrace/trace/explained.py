"""`headrace.explain`: what of a function is native code, and what is not, and why."""

from __future__ import annotations

from typing import Any

from headrace.base.export import export
from headrace.base.lazy import lazy_module
from headrace.trace.concrete import ConcreteFunction
from headrace.trace.function import Function

reports = lazy_module("headrace.compile.report")


@export("explain")
def explain(function: Any, *args: Any, **kwargs: Any) -> str:
    """Say how a function runs: what was fused into native code, what was not, and why.

    Args:
        function: a `tf.function`, or one of its traces.
        args, kwargs: arguments, or their specs: the trace for a call with these; without any,
            all traces that there are.
    Returns: a text; a line for each piece of native code and for each operation that runs by
        its kernel.
    Raises: TypeError: something else than a function.

    >>> @tf.function
    ... def scaled(x):
    ...     return tf.reduce_sum(x * 2.)
    >>> print(tf.explain(scaled, tf.TensorSpec([3])).splitlines()[1])
    native   2 nodes in 1 loops (1 reduce)
    """
    if isinstance(function, ConcreteFunction):
        traces = [function]
    elif isinstance(function, Function):
        if args or kwargs or not function._traces.concretes:
            traces = [function.get_concrete_function(*args, **kwargs)]
        else:
            traces = function._traces.concretes
    else:
        raise TypeError(f"Expected a tf.function or a trace of one, got {function!r}.")
    return "\n\n".join(reports.report(trace._body.runner) for trace in traces)


__all__ = ["explain"]
