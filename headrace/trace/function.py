"""`tf.function`: a Python function whose graph is traced, kept and run.

A call is matched by the form of its arguments with the traces that exist; a new form is traced:
the Python code runs once with placeholders, and its ops are collected in a graph. Read
`trace/signature.py` and `trace/concrete.py` before.
"""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from numpy import ndarray

from headrace.base import nest
from headrace.base.export import export
from headrace.base.lazy import lazy_module
from headrace.core.context import modes, state
from headrace.core.convert import convert
from headrace.core.graph import Symbol
from headrace.core.op import Spec
from headrace.core.scopes import init_scope
from headrace.core.tensor import EagerTensor, wrap
from headrace.core.variable import Variable
from headrace.core.variable import hooks as variable_hooks
from headrace.trace import autograph as autographs
from headrace.trace import signature as signatures
from headrace.trace.body import Body
from headrace.trace.concrete import ConcreteFunction, Shortcut, as_result
from headrace.trace.func_graph import NUMBERS, FuncGraph, array_of
from headrace.trace.signature import Bound, Fixed, Signature
from headrace.trace.traces import Trace, Traces

_SINGLETON = (
    "tf.function only supports singleton tf.Variables created on the first call. Make sure the "
    "tf.Variable is only created once or created outside tf.function. See "
    "https://www.tensorflow.org/guide/function#creating_tfvariables for more information."
)

_MOST_KEYS = 1 << 12
"""So many forms of arguments find their trace without being bound."""


class _Mode:
    """Whether functions run as plain Python (`tf.config.run_functions_eagerly`)."""

    eager = False


class Function:
    """A Python function with its traces. Made by `tf.function`."""

    _is_headrace_function = True

    def __init__(self, python_function: Callable[..., Any], options: dict[str, Any]) -> None:
        self._python_function = python_function
        self._options = options
        self._lock = threading.RLock()
        self._traces = Traces(self)
        self._fast: dict[Any, ConcreteFunction] = {}
        self._shortcut: Shortcut | None = None  # of the trace that was called last
        self._bound_to: WeakKeyDictionary[Any, Function] = WeakKeyDictionary()
        self._created: list[Variable] | None = None
        self._signature_: Signature | None = None
        functools.update_wrapper(self, python_function, updated=())
        self._name = options["name"] or getattr(python_function, "__name__", "function")

    # What it is

    @property
    def python_function(self) -> Callable[..., Any]:
        """The Python function that is wrapped."""
        return self._python_function

    @property
    def input_signature(self) -> Any:
        """The specs that were fixed for the arguments, or None."""
        return self._signature.input_signature

    @property
    def _signature(self) -> Signature:
        if self._signature_ is None:
            self._signature_ = Signature(
                self._python_function,
                self._options["input_signature"],
                self._options["follow_type_hints"],
            )
        return self._signature_

    def experimental_get_tracing_count(self) -> int:
        """How many times the Python function was traced."""
        return self._traces.count

    def traces(self) -> list[Trace]:
        """The traces that are kept, in the order in which they were made, with their reasons.

        Returns: list of pairs `(function, reason)`.

        >>> @tf.function
        ... def same(x):
        ...     return x
        >>> same(tf.constant([1, 2])).shape, same(tf.constant(1)).shape
        (TensorShape([2]), TensorShape([]))
        >>> same.traces()[0].reason
        'the first call'
        """
        return [Trace(each, each.reason) for each in self._traces.concretes]

    def pretty_printed_concrete_signatures(self, verbose: bool = True) -> str:
        """The arguments and results of each trace as a text."""
        texts = [c.pretty_printed_signature(verbose) for c in self._traces.concretes]
        return "\n\n".join(texts) or "No concrete functions have been traced."

    def pretty_graph(
        self, *args: Any, dot: bool = False, file: Any = None, **kwargs: Any
    ) -> None:
        """Print graphs as they were traced and after each pass that changed them.

        Args:
            args, kwargs: arguments, or their specs: the graph for a call with these; without
                any, the graphs of all traces.
            dot: print pictures of what is run instead, in Graphviz' language.
            file: where to (default: the standard output).

        >>> @tf.function
        ... def same(x):
        ...     return x * 1.
        >>> same.pretty_graph(tf.TensorSpec([2]), dot=True)  # doctest: +ELLIPSIS
        digraph "__inference_same_..." {
        ...
        """
        if args or kwargs or not self._traces.concretes:
            chosen = [self.get_concrete_function(*args, **kwargs)]
        else:
            chosen = self._traces.concretes
        for concrete in chosen:
            concrete.pretty_graph(dot, file)

    def experimental_get_compiler_ir(self, *args: Any, **kwargs: Any) -> Any:
        """XLA's text of the function: there is none here."""
        raise NotImplementedError(
            "There is no XLA here; `fn.pretty_graph()` prints what is run instead."
        )

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        try:
            found = self._bound_to.get(instance)
        except TypeError:
            return Function(self._python_function.__get__(instance, owner), self._options)
        if found is None:
            with self._lock:
                method = _weak_method(self._python_function, instance)
                found = self._bound_to.setdefault(instance, Function(method, self._options))
        return found

    def __repr__(self) -> str:
        return f"<tensorflow.python.eager.def_function.Function at {id(self):#x}>"

    # Calling

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function; a form of arguments that is new is traced first."""
        short = self._shortcut
        if (
            short is not None
            and len(args) == short.count
            and not (kwargs or modes or _Mode.eager or state.devices)
        ):
            borrowed = short.borrowed
            arrays = [
                v._array
                if v.__class__ is EagerTensor
                else v
                if v.__class__ is borrowed
                else None
                for v in args
            ]
            results = short.call(*arrays, *short.rest)
            if results.__class__ is tuple:
                self._traces.called(short.concrete)
                return wrap(results[0]) if short.single else short.packed(results)
            if results.__class__ is bytes:
                self._traces.called(short.concrete)
                raise short.error(results)
        if _Mode.eager or state.devices:
            return self._call(args, kwargs, None)
        return self._by_form(args, kwargs)

    def _by_form(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Find the trace by the arguments' forms, without binding them, if it was there."""
        key: list[Any] = []
        tensors = []
        for value in (*args, *kwargs.values()) if kwargs else args:
            kind = value.__class__
            if kind is EagerTensor or kind is ndarray:
                tensors.append(value)
                array = value._array if kind is EagerTensor else value
                key.append(array.dtype)
                key.append(array.shape)
            elif kind is int or kind is float or kind is bool or kind is str:
                key.append(kind)
                key.append(value)
            else:
                return self._call(args, kwargs, None)
        form: Any = (tuple(key), tuple(kwargs)) if kwargs else tuple(key)
        concrete = self._fast.get(form)
        if concrete is None:
            return self._call(args, kwargs, form)
        self._traces.called(concrete)
        results = concrete.run([signatures.as_leaf(value) for value in tensors])
        if len(tensors) == len(args) and not kwargs:  # other values decide which trace it is
            self._shortcut = concrete._shortcut
        return results

    def _call(self, args: Sequence[Any], kwargs: dict[str, Any], fast: Any) -> Any:
        if _Mode.eager:
            return self._python_function(*args, **kwargs)
        bound = self._signature.bind(args, kwargs)
        traces = self._traces
        traces.calls += 1
        count = traces.count
        concrete = self._concrete(bound)
        concrete.called = traces.calls
        if traces.count > count:
            traces.warn_if_often(concrete)
        inputs = inputs_of(bound)
        if fast is not None and not concrete._nested and self._same(inputs, args, kwargs):
            if len(self._fast) >= _MOST_KEYS:
                self._fast = {}
            self._fast[fast] = concrete
        return concrete.run(inputs)

    def _same(self, inputs: Sequence[Any], args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
        """Whether a trace's inputs are the tensors and arrays of a call, in their order.

        They are not where a default argument is a tensor, a fixed spec changes a dtype, or
        keywords are in an order of their own.
        """
        values = (*args, *kwargs.values())
        given = [value for value in values if value.__class__ in (EagerTensor, ndarray)]
        ordered = [name for name in self._signature.names() if name in kwargs] == [*kwargs]
        return (
            ordered
            and len(given) == len(inputs)
            and all(
                value is tensor or value.dtype == tensor._array.dtype
                for value, tensor in zip(given, inputs, strict=True)
            )
        )

    def _forget(self, concrete: ConcreteFunction) -> None:
        """Let go of a trace."""
        self._fast = {k: each for k, each in self._fast.items() if each is not concrete}
        self._shortcut = None

    def get_concrete_function(self, *args: Any, **kwargs: Any) -> ConcreteFunction:
        """The trace for arguments of this form.

        Args:
            args, kwargs: tensors, `tf.TensorSpec`s or plain values; none if the function has an
                input signature.
        """
        specs = self._signature.input_signature
        if specs is not None and not args and not kwargs:
            args = specs
        return self._concrete(self._signature.bind(args, kwargs))

    def _concrete(self, bound: Bound) -> ConcreteFunction:
        context = (state.devices,)
        with self._lock:
            found = self._traces.find(bound, context)
            if found is None:
                found = self._traced(bound, context)
            return found

    def _traced(self, bound: Bound, context: Any) -> ConcreteFunction:
        general = (
            self._traces.generalised(bound) if self._options["reduce_retracing"] else bound
        )
        births: list[Variable] | None = [] if self._created is None else None
        reason = self._traces.note(bound)
        concrete = self._trace(general, births, reason, bound)
        if births is not None:
            self._created = births
            if births:
                concrete = self._trace(general, None, reason, bound)
        self._traces.add(general, bound, context, concrete)
        return concrete

    def _trace(
        self, bound: Bound, births: list[Variable] | None, reason: str, actual: Bound
    ) -> ConcreteFunction:
        self._traces.count += 1
        graph = FuncGraph(f"__inference_{self._name}_{next(NUMBERS)}")
        graph.function = self._name
        graph.jit = graph.jit or bool(self._options["jit_compile"])
        graph.birth = Birth(births, actual)  # type: ignore[attr-defined]
        function = self._python_function
        graph.autograph = None
        if self._options["autograph"]:
            graph.autograph = self._options["autograph_options"] or ()
            function = autographs.convert(function, graph.autograph)
        with graph:
            leaves = []
            for leaf, path in zip(bound.leaves, bound.paths, strict=True):
                if signatures.is_input(leaf):
                    spec = signatures.spec_of(leaf)
                    rank = spec.shape.rank
                    dims = None if rank is None else tuple(spec.shape.as_list())
                    leaf = graph.argument(Spec(dims, spec.dtype), spec.name or path)
                leaves.append(leaf)
            args, kwargs = nest.pack_sequence_as(bound.structure, leaves)
            returned = function(*args, **kwargs)
            flat: list[Symbol] = []
            graph.structured_outputs = nest.map_structure(
                lambda value: as_result(value, graph, self._python_function, flat), returned
            )
            graph.outputs = flat
        return ConcreteFunction(graph, bound, bound.paths, reason)


class Birth:
    """Where variables that a trace makes are noted, and the arguments of the call."""

    def __init__(self, variables: list[Variable] | None, bound: Bound) -> None:
        self.variables, self._bound = variables, bound

    def value(self, symbol: Symbol) -> EagerTensor:
        """The value that a symbolic tensor has in the call that is traced."""
        graph = symbol.graph
        assert isinstance(graph, FuncGraph)
        tensors = inputs_of(self._bound)
        arrays = [t._array for t in tensors if isinstance(t, EagerTensor)]
        if len(arrays) != len(graph.inputs):
            raise ValueError(
                "The initial value of a variable that a tf.function makes depends on arguments "
                "of which only the specs are known; call the function with tensors first."
            )
        body = Body(graph, [symbol])
        with init_scope():
            return wrap(body([*arrays, *map(array_of, graph.outside)])[0])


def _lift(variable: Variable, initial_value: Any, dtype: Any) -> Any:
    """The eager initial value of a variable that is made while a function is traced."""
    graph = state.graph
    birth = None
    while graph is not None:
        birth = getattr(graph, "birth", birth)
        graph = getattr(graph, "outer", None)
    if birth is None or birth.variables is None:
        raise ValueError(_SINGLETON)
    birth.variables.append(variable)
    if callable(initial_value) and not isinstance(initial_value, (Symbol, Variable)):
        with init_scope():
            return initial_value()
    if isinstance(initial_value, Variable):
        initial_value = initial_value.value()
    if not isinstance(initial_value, Symbol):
        initial_value = convert(initial_value, dtype)
    return birth.value(initial_value) if isinstance(initial_value, Symbol) else initial_value


variable_hooks.lift = _lift


def inputs_of(bound: Bound) -> list[Any]:
    """The tensors of a call, in the order of the placeholders."""
    found = []
    for leaf in bound.leaves:
        if isinstance(leaf, Fixed):
            found.append(leaf.tensor)
        elif signatures.is_input(leaf):
            found.append(leaf)
    return found


def _weak_method(function: Callable[..., Any], instance: Any) -> Callable[..., Any]:
    """The method, which does not keep its object alive."""
    return WeakMethod(function, instance)


class WeakMethod:
    """A method that finds its object through a weak reference."""

    def __init__(self, function: Callable[..., Any], instance: Any) -> None:
        functools.update_wrapper(self, function)
        self.__func__ = function
        self._reference = weakref_.ref(instance)

    @property
    def __self__(self) -> Any:
        return self._reference()

    @property
    def __signature__(self) -> Any:
        return signatures.inspect.signature(self.__func__.__get__(self._alive()))

    def _alive(self) -> Any:
        instance = self._reference()
        if instance is None:
            raise ReferenceError(
                f"The object whose method {self.__func__.__qualname__} is called is gone: a "
                "tf.function does not keep it. Keep it in a variable: `model = Model()`, then "
                f"`model.{self.__func__.__name__}(...)`."
            )
        return instance

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__func__(self._alive(), *args, **kwargs)


weakref_ = lazy_module("weakref")


@export("function")
def function(
    func: Callable[..., Any] | None = None,
    input_signature: Any = None,
    autograph: bool = True,
    jit_compile: bool | None = None,
    reduce_retracing: bool = False,
    experimental_implements: str | None = None,
    experimental_autograph_options: Any = None,
    experimental_attributes: Any = None,
    experimental_relax_shapes: bool | None = None,
    experimental_compile: bool | None = None,
    experimental_follow_type_hints: bool | None = None,
    name: str | None = None,
) -> Any:
    """Compile a Python function to a graph; also a decorator.

    The graph is traced when the function is called with a new form of arguments: tensors count
    with their dtype and shape, Python values with themselves.

    Args:
        func: the Python function; without it, a decorator is returned.
        input_signature: `tf.TensorSpec`s of the arguments; then there is one trace only.
        autograph: whether Python's control flow on tensors becomes the graph's.
        jit_compile: whether native code is made at once.
        reduce_retracing: whether dimensions that differ between calls are left open.
        experimental_autograph_options: optional features of AutoGraph.
        experimental_relax_shapes: older spelling of `reduce_retracing`.
        experimental_compile: older spelling of `jit_compile`.
        experimental_implements, experimental_attributes: notes that change nothing here.
        experimental_follow_type_hints: whether arguments annotated as `tf.Tensor` are made
            tensors.
        name: of the function in graphs.
    Returns: the function, or a decorator.
    Raises: TypeError: `func` cannot be called.

    >>> @tf.function
    ... def cube(x):
    ...     return x ** 3
    >>> cube(tf.constant(2.))
    <tf.Tensor: shape=(), dtype=float32, numpy=8.0>
    """
    options = {
        "input_signature": input_signature,
        "autograph": autograph,
        "autograph_options": experimental_autograph_options,
        "jit_compile": experimental_compile if jit_compile is None else jit_compile,
        "reduce_retracing": bool(reduce_retracing or experimental_relax_shapes),
        "follow_type_hints": bool(experimental_follow_type_hints),
        "name": name,
    }
    if func is None:
        return lambda f: function_of(f, options)
    return function_of(func, options)


def function_of(python_function: Any, options: dict[str, Any]) -> Function:
    """A `Function` of something that can be called.

    Raises:
        TypeError: it cannot be called.
    """
    if not callable(python_function):
        raise TypeError(f"{python_function!r} is not a callable object")
    return Function(python_function, options)


@export("config.run_functions_eagerly", "config.experimental_run_functions_eagerly")
def run_functions_eagerly(run_eagerly: bool) -> None:
    """Let every `tf.function` run as the plain Python function that it wraps, or not.

    >>> tf.config.run_functions_eagerly(True)
    >>> tf.config.functions_run_eagerly()
    True
    >>> tf.config.run_functions_eagerly(False)
    """
    _Mode.eager = bool(run_eagerly)


@export("config.functions_run_eagerly", "config.experimental_functions_run_eagerly")
def functions_run_eagerly() -> bool:
    """Whether functions run as plain Python."""
    return _Mode.eager


logger = logging.getLogger("headrace")
__all__ = ["Function", "function"]
