"""Python inside graphs, and gradients by name: `tf.py_function`, `tf.gradients`, their kin."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from headrace.autodiff.backward import uid_of, walk
from headrace.autodiff.tape import GradientTape, UnconnectedGradients, policy
from headrace.base import errors, nest
from headrace.base.dtypes import as_dtype, from_numpy, kernel_name
from headrace.base.export import export
from headrace.base.lazy import lazy_module
from headrace.core.context import state
from headrace.core.convert import convert, to_array
from headrace.core.dispatch import add_node
from headrace.core.op import Kind, Op, Spec
from headrace.core.tensor import Tensor, as_array, wrap
from headrace.core.variable import Variable
from headrace.ops.create import ones_like, zeros_like
from headrace.trace.gradients import entries_of

traceback = lazy_module("traceback")
PACKAGE = os.path.dirname(os.path.dirname(__file__))


class EagerPyFunc(Op):
    """A Python function of eager tensors."""

    kind = Kind.CONTROL
    inputs = ("*input",)
    attrs = {"func": None, "Tout": ()}
    stateful = True
    no_lower = "it is Python"

    def infer(*input: Spec, func: Any, Tout: Any) -> Any:  # type: ignore[misc]
        return [Spec(None, dtype) for dtype in Tout]

    def kernel(*input: Any, func: Any, Tout: Any) -> Any:  # type: ignore[misc]
        tensors = [wrap(as_array(x)) for x in input]
        with _told():
            return [t._array for t in results_of(func, tensors, Tout)]

    def grad(dys: Any, ys: Any, *inputs: Any, func: Any, Tout: Any) -> Any:  # type: ignore
        places = [i for i, x in enumerate(inputs) if x.dtype.is_floating or x.dtype.is_complex]

        def backward(*values: Any) -> Any:
            xs, upstream = list(values[: len(inputs)]), list(values[len(inputs) :])
            sources = [xs[i] for i in places]
            with GradientTape() as tape:
                tape.watch(sources)
                found = results_of(func, xs, Tout)
            return tape.gradient(
                found, sources, upstream, unconnected_gradients=UnconnectedGradients.ZERO
            )

        dtypes = [inputs[i].dtype for i in places]
        given = dys if isinstance(dys, list) else [dys]
        found = iter(_listed(py_function(backward, [*inputs, *given], dtypes)))
        gradients = [next(found) if i in places else None for i in range(len(inputs))]
        for x, gradient in zip(inputs, gradients, strict=True):
            if gradient is not None and hasattr(gradient, "node"):
                gradient.set_shape(x.shape)
        return gradients


class PyFunc(Op):
    """A Python function of NumPy arrays."""

    kind = Kind.CONTROL
    inputs = ("*input",)
    attrs = {"func": None, "Tout": ()}
    stateful = True
    no_grad = "TensorFlow has no gradient of it either"
    no_lower = "it is Python"

    def infer(*input: Spec, func: Any, Tout: Any) -> Any:  # type: ignore[misc]
        return [Spec(None, dtype) for dtype in Tout]

    def kernel(*input: Any, func: Any, Tout: Any) -> Any:  # type: ignore[misc]
        with _told():
            return _arrays_of(func, input, Tout)


class StatelessPyFunc(PyFunc):
    """A Python function of NumPy arrays without effects."""

    name = "PyFuncStateless"
    label = "PyFunc"
    stateful = False


_CODES: tuple[tuple[Any, Any], ...] = (
    (StopIteration, errors.OutOfRangeError),
    (MemoryError, errors.ResourceExhaustedError),
    (NotImplementedError, errors.UnimplementedError),
    ((TypeError, ValueError), errors.InvalidArgumentError),
    (Exception, errors.UnknownError),
)
"""What a Python error in a graph becomes."""


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Turn an error of Python into one of a graph, with the lines that it came through."""
    try:
        yield
    except errors.OpError:
        raise
    except Exception as error:
        kind = next(made for raised, made in _CODES if isinstance(error, raised))
        lines = [f for f in traceback.extract_tb(error.__traceback__) if _is_users(f)]
        trail = "".join(traceback.format_list(lines))
        text = f"{type(error).__name__}: {error}\nTraceback (most recent call last):\n{trail}"
        raise kind(None, None, text.rstrip()) from error


def _is_users(frame: Any) -> bool:
    return not frame.filename.startswith(PACKAGE)


def _label(func: Any) -> str:
    return getattr(func, "__name__", type(func).__name__)


def _paired(func: Any, returned: Any, dtypes: Sequence[Any]) -> list[tuple[Any, Any]]:
    results = list(returned) if isinstance(returned, (list, tuple)) else [returned]
    if not dtypes:
        return []
    if len(results) != len(dtypes):
        raise errors.invalid_argument(
            f"{_label(func)} returns {len(results)} values, but expects to see {len(dtypes)} "
            "values."
        )
    return list(zip(results, dtypes, strict=True))


def _arrays_of(func: Any, arrays: Sequence[Any], dtypes: Sequence[Any]) -> list[np.ndarray]:
    """What a function of arrays returns, as arrays of the declared dtypes."""
    given = [x.copy() if x.ndim else x[()] for x in arrays]
    found = _paired(func, func(*given), dtypes)
    return [_of_dtype(func, i, *pair) for i, pair in enumerate(found)]


def _of_dtype(func: Any, place: int, value: Any, dtype: Any) -> np.ndarray:
    array = to_array(value, None if isinstance(value, np.ndarray) else dtype)
    if array.dtype != dtype.np:
        raise errors.invalid_argument(
            f"{place}-th value returned by {_label(func)} is "
            f"{kernel_name(from_numpy[array.dtype])}, but expects {kernel_name(dtype)}"
        )
    return array


def results_of(func: Any, tensors: Sequence[Tensor], dtypes: Sequence[Any]) -> list[Any]:
    """What a Python function of eager tensors returns, as tensors of the declared dtypes."""
    return [convert(r, dtype) for r, dtype in _paired(func, func(*tensors), dtypes)]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@export("py_function")
def py_function(
    func: Callable[..., Any] | None = None,
    inp: Sequence[Any] | None = None,
    Tout: Any = None,
    name: str | None = None,
) -> Any:
    """Call a Python function of eager tensors, in a function each time it runs.

    Args:
        func: function of one eager tensor for each input; it may use all of Python.
        inp: list of tensors.
        Tout: dtype of the result, or a structure of dtypes, an empty list for none.
        name: of the operation in a graph.
    Returns: tensor, or a structure like `Tout`; gradients flow through it.
    Source: TensorFlow's `EagerPyFunc`.

    >>> f = tf.function(lambda x: tf.py_function(lambda v: v.numpy() + 1., [x], tf.float32))
    >>> float(f(tf.constant(1.)))
    2.0
    """
    return _called(EagerPyFunc, func, inp or (), Tout, name)


@export("numpy_function")
def numpy_function(
    func: Callable[..., Any] | None = None,
    inp: Sequence[Any] | None = None,
    Tout: Any = None,
    stateful: bool = True,
    name: str | None = None,
) -> Any:
    """Call a function of NumPy arrays, in a function each time it runs.

    Args:
        func: function of one array for each input.
        inp: list of tensors.
        Tout: dtype of the result, or a structure of dtypes, an empty list for none.
        stateful: whether it has effects; without, it is not called when nobody needs it.
        name: of the operation in a graph.
    Returns: tensor, or a structure like `Tout`; no gradients flow through it.
    Source: TensorFlow's `PyFunc`.

    >>> float(tf.numpy_function(lambda v: v + np.float32(1.), [tf.constant(1.)], tf.float32))
    2.0
    """
    return _called(PyFunc if stateful else StatelessPyFunc, func, inp or (), Tout, name)


def _called(op: type[Op], func: Any, inp: Sequence[Any], form: Any, name: str | None) -> Any:
    tensors = [convert(x) for x in inp]
    dtypes = tuple(as_dtype(getattr(d, "dtype", d)) for d in nest.flatten(form))
    if state.graph is not None:
        found: Any = add_node(op, tensors, {"func": func, "Tout": dtypes}, name)
    elif op is EagerPyFunc:
        found = results_of(func, tensors, dtypes)
    else:
        arrays = [t._array for t in tensors]  # type: ignore[attr-defined]
        found = [wrap(as_array(r)) for r in _arrays_of(func, arrays, dtypes)]
    return nest.pack_sequence_as(form, _listed(found))


@export("gradients")
def gradients(
    ys: Any,
    xs: Any,
    grad_ys: Any = None,
    name: str = "gradients",
    gate_gradients: bool = False,
    aggregation_method: Any = None,
    stop_gradients: Any = None,
    unconnected_gradients: Any = UnconnectedGradients.NONE,
) -> list[Any]:
    """The gradients of the sum of `ys` with respect to each of `xs`, inside a `tf.function`.

    Args:
        ys, xs: tensors or lists of tensors of the graph that is being built.
        grad_ys: weights for `ys` instead of ones.
        name: of the operations.
        gate_gradients, aggregation_method: how TensorFlow would schedule the sums; the result
            does not depend on them.
        stop_gradients: tensors that count as constants.
        unconnected_gradients: `"none"` or `"zero"` for those of `xs` that do not matter.
    Raises: RuntimeError: no graph is being built; use `tf.GradientTape` there.

    >>> tf.function(lambda x: tf.gradients(x * x, x))(tf.constant(3.))
    [<tf.Tensor: shape=(), dtype=float32, numpy=6.0>]
    """
    graph = state.graph
    if graph is None:
        raise RuntimeError(
            "tf.gradients is not supported when eager execution is enabled. Use "
            "tf.GradientTape instead."
        )
    targets = [graph.own(convert(y), "y") for y in nest.flatten(ys)]
    sources = [_in_graph(x, graph) for x in nest.flatten(xs)]
    weights = [None] * len(targets) if grad_ys is None else nest.flatten(grad_ys)
    blocked = {uid_of(graph.own(convert(x), "x")) for x in nest.flatten(stop_gradients or [])}
    seeds: dict[int, list[Any]] = {}
    for target, weight in zip(targets, weights, strict=True):
        given = ones_like(target) if weight is None else convert(weight, target.dtype)
        seeds.setdefault(uid_of(target), []).append(given)
    entries = [
        entry for entry in entries_of(graph) if not any(y._uid in blocked for y in entry[2])
    ]
    found = walk(entries, seeds, [uid_of(x) for x in sources])
    results = [found.get(uid_of(x)) for x in sources]
    if policy(unconnected_gradients) is UnconnectedGradients.ZERO:
        results = [
            zeros_like(x) if g is None else g for x, g in zip(sources, results, strict=True)
        ]
    return results


def _in_graph(x: Any, graph: Any) -> Any:
    if isinstance(x, Variable):
        from_reads = graph.captures.get(id(getattr(x, "_parent", x)))
        return from_reads[1] if from_reads is not None else convert(x)
    return graph.own(convert(x), "x")


@export("inside_function")
def inside_function() -> bool:
    """Whether the code runs inside a `tf.function` that is being traced.

    >>> tf.inside_function()
    False
    """
    return state.graph is not None
