"""Functions that bring their own gradient: `tf.custom_gradient`, `tf.recompute_grad`.

The function runs unseen by the tapes; then one entry is recorded, whose rule is what the
function returned. Variables that it read become inputs of that entry.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from types import MethodType
from typing import Any

from headrace.autodiff.tape import GradientTape, _base
from headrace.base import nest
from headrace.base.export import export
from headrace.core.context import state, without_recording
from headrace.core.convert import convert
from headrace.core.dispatch import add_node
from headrace.core.op import Kind, Op
from headrace.core.tensor import EagerTensor, Tensor, wrap
from headrace.core.variable import Variable, hooks
from headrace.ops.reshape import identity

_VAR_KEYWORDS = 0x08
"""The flag of a code object that takes `**kwargs`."""


class CustomOp:
    """What a tape needs of an op record, for one call of a custom function."""

    keep = None
    no_grad = None
    partial = False

    def __init__(self, name: str, grad: Callable[..., Any]) -> None:
        self.name, self.grad = name, grad


class CustomGradient:
    """A function with its own gradient; also works as a method."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        functools.update_wrapper(self, function)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return (
            self if instance is None else CustomGradient(MethodType(self._function, instance))
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return call(self._function, args, kwargs)


@export("custom_gradient")
def custom_gradient(f: Callable[..., Any] | None = None) -> Any:
    """Decorator for a function that says itself what its gradient is.

    Args:
        f: `f(*args, **kwargs) -> (result, grad_fn)`. `grad_fn(*dresults)` gives a gradient for
            each tensor argument; if `f` reads trainable variables it also takes
            `variables=[...]` and gives `(gradients, [gradient of each variable])`.
    Returns: `h(*args, **kwargs) -> result`.

    >>> @tf.custom_gradient
    ... def clipped(x):
    ...     return x, lambda dy: tf.clip_by_value(dy, -1., 1.)
    >>> x = tf.constant(3.)
    >>> with tf.GradientTape() as tape:
    ...     tape.watch(x)
    ...     y = 10. * clipped(x)
    >>> tape.gradient(y, x)
    <tf.Tensor: shape=(), dtype=float32, numpy=1.0>
    """
    return custom_gradient if f is None else CustomGradient(f)


def call(function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Run a custom function and record it as one op."""
    if state.graph is None and not state.recorders:
        result, _ = _checked(function, function(*args, **kwargs))
        return nest.map_structure(convert, result)
    with without_recording():
        with GradientTape() as reads:
            result, grad_fn = _checked(function, function(*args, **kwargs))
    flat = nest.flatten(list(args))
    passed = {id(_base(a)) for a in flat if isinstance(a, Variable)}
    variables = [v for v in reads.watched_variables() if id(v) not in passed]
    if variables and not _takes_variables(grad_fn):
        raise TypeError(
            "@tf.custom_gradient grad_fn must accept keyword argument 'variables', since "
            f"function uses variables: {variables}"
        )
    rule = _rule(grad_fn, [_differentiable(a) for a in flat], variables)
    if state.graph is not None:
        outputs = _in_graph(rule, nest.flatten(result), flat, variables)
        return nest.pack_sequence_as(result, outputs)
    outputs = [_fresh(y) for y in nest.flatten(result)]
    op = CustomOp(getattr(function, "__name__", "custom_gradient"), rule)
    operands = [convert(a) for a in flat if _differentiable(a)] + [v.value() for v in variables]
    for recorder in state.recorders:
        recorder.record(op, operands, outputs, {})
    return nest.pack_sequence_as(result, outputs)


class IdentityN(Op):
    """Some tensors themselves; of the first `count` the gradient is what `rule` says.

    A function with its own gradient stands so in a graph: first its results, then what they
    depend on.
    """

    kind = Kind.CONTROL
    inputs = ("*input",)
    attrs = {"rule": None, "count": 0}
    no_lower = "nothing is computed"

    def infer(*input: Any, rule: Any, count: int) -> Any:  # type: ignore[misc]
        return list(input)

    def kernel(*input: Any, rule: Any, count: int) -> Any:  # type: ignore[misc]
        return input

    def grad(dys: Any, ys: Any, *inputs: Any, rule: Any, count: int) -> Any:  # type: ignore
        dys, ys = (list(x) if isinstance(x, (list, tuple)) else [x] for x in (dys, ys))
        single = count == 1
        upstream = dys[0] if single else dys[:count]
        found = rule(upstream, ys[0] if single else ys[:count], *inputs[count:])
        return [*[None] * count, *found]


def _in_graph(
    rule: Callable[..., Any], results: Sequence[Any], flat: Sequence[Any], variables: Any
) -> list[Any]:
    """The results of a custom function as results of one node."""
    operands = [convert(a) for a in flat if _differentiable(a)]
    operands += [hooks.handle(v, "IdentityN/resource") for v in variables]
    tensors = [convert(y) for y in results]
    attrs = {"rule": rule, "count": len(tensors)}
    return add_node(IdentityN, [*tensors, *operands], attrs, None)[: len(tensors)]


def _differentiable(value: Any) -> bool:
    """Whether an argument is a tensor; others get gradients too, which nobody reads."""
    return isinstance(value, (Tensor, Variable))


def _checked(function: Callable[..., Any], returned: Any) -> tuple[Any, Callable[..., Any]]:
    if not isinstance(returned, tuple) or len(returned) != 2 or not callable(returned[1]):
        name = getattr(function, "__name__", repr(function))
        raise TypeError(
            f"A function with a custom gradient returns `(result, grad_fn)`; {name} returned "
            f"{returned!r}."
        )
    return returned


def _takes_variables(grad_fn: Callable[..., Any]) -> bool:
    code = getattr(getattr(grad_fn, "__func__", grad_fn), "__code__", None)
    if code is None or code.co_flags & _VAR_KEYWORDS:
        return True
    count = code.co_argcount + code.co_kwonlyargcount
    return "variables" in code.co_varnames[:count]


def _fresh(y: Any) -> Tensor:
    """A tensor of its own for a result, which may be an argument handed back."""
    tensor = convert(y)
    return wrap(tensor._array) if isinstance(tensor, EagerTensor) else identity(tensor)


def _rule(
    grad_fn: Callable[..., Any], tensors: Sequence[bool], variables: Sequence[Variable]
) -> Callable[..., Any]:
    """The entry's rule: gradients of the tensors, then of the variables."""

    def rule(dy: Any, y: Any, *inputs: Any) -> list[Any]:
        upstream = dy if isinstance(dy, list) else [dy]
        if not variables:
            gradients, extra = grad_fn(*upstream), []
        else:
            gradients, extra = grad_fn(*upstream, variables=list(variables))
            if len(extra) != len(variables):
                raise ValueError(
                    "Must return gradient for each variable from @custom_gradient grad_fn."
                )
        flat = nest.flatten(gradients)
        if len(flat) != len(tensors):
            raise ValueError(
                f"custom_gradient function expected to return {len(tensors)} gradients, but "
                f"returned {len(flat)} instead."
            )
        read = [g for g, is_tensor in zip(flat, tensors, strict=True) if is_tensor]
        return [g if g is None else convert_gradient(g) for g in (*read, *extra)]

    return rule


def convert_gradient(gradient: Any) -> Any:
    """A gradient as a tensor; `tf.IndexedSlices` stay."""
    return gradient if hasattr(gradient, "dense_shape") else convert(gradient)


@export("recompute_grad")
def recompute_grad(f: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: what `f` computes inside is computed again for its gradient, not kept.

    Args:
        f: function of tensors that gives a tensor or a structure of tensors.
    Source: Chen et al. 2016, "Training deep nets with sublinear memory cost".

    >>> x = tf.Variable(2.)
    >>> with tf.GradientTape() as tape:
    ...     y = tf.recompute_grad(lambda x: tf.exp(tf.sin(x)))(x)
    >>> float(tape.gradient(y, x)).__round__(3)
    -1.033
    """

    @functools.wraps(f)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        def function(*tensors: Any, **options: Any) -> tuple[Any, Callable[..., Any]]:
            def grad_fn(*upstream: Any, variables: Sequence[Variable] = ()) -> Any:
                flat = nest.flatten(list(tensors))
                fresh = [identity(convert(t)) if _differentiable(t) else t for t in flat]
                again = nest.pack_sequence_as(list(tensors), fresh)
                copies = [c for c in fresh if isinstance(c, Tensor)]
                with GradientTape() as tape:
                    tape.watch([c for c in copies if c.dtype.is_floating or c.dtype.is_complex])
                    result = f(*again, **options)
                found = tape.gradient(
                    result, [*copies, *variables], output_gradients=list(upstream)
                )
                by_copy = iter(found)
                gradients = [next(by_copy) if isinstance(c, Tensor) else None for c in fresh]
                return (gradients, found[len(copies) :]) if variables else gradients

            return f(*tensors, **options), grad_fn

        return call(function, args, kwargs)

    return wrapped


@export("grad_pass_through")
def grad_pass_through(f: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: `f` for values, the identity for gradients.

    Args:
        f: function of one tensor.

    >>> x = tf.Variable(1.6)
    >>> with tf.GradientTape() as tape:
    ...     y = tf.grad_pass_through(tf.round)(x)
    >>> float(y), float(tape.gradient(y, x))
    (2.0, 1.0)
    """

    def function(*args: Any, **kwargs: Any) -> tuple[Any, Callable[..., Any]]:
        def grad_fn(*upstream: Any, variables: Sequence[Variable] = ()) -> Any:
            gradients = list(upstream)
            return (gradients, [None] * len(variables)) if variables else gradients

        return f(*args, **kwargs), grad_fn

    return CustomGradient(functools.wraps(f)(function))


__all__ = ["CustomGradient", "custom_gradient", "recompute_grad"]
