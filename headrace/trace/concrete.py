"""One trace of a function: `ConcreteFunction`.

It belongs to one form of the arguments (dtypes, shapes, plain values), holds the graph that was
traced for it, and runs it. Read `trace/func_graph.py` and `trace/gradients.py` before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from numpy import ndarray

from headrace.base import errors, nest
from headrace.base.dtypes import kernel_name
from headrace.base.export import export
from headrace.base.lazy import lazy_module
from headrace.core.context import modes, state
from headrace.core.convert import convert
from headrace.core.graph import Node, Symbol
from headrace.core.indexed_slices import IndexedSlices
from headrace.core.tensor import EagerTensor, Tensor, wrap
from headrace.core.type_spec import TensorSpec
from headrace.core.variable import Variable
from headrace.ops.reshape import identity
from headrace.trace import signature as signatures
from headrace.trace.body import Body
from headrace.trace.func_graph import FuncGraph, array_of
from headrace.trace.gradients import call
from headrace.trace.signature import Bound

if TYPE_CHECKING:
    from headrace.compile.pipeline import Immediate

graph_defs = lazy_module("headrace.core.graph_def")
picture = lazy_module("headrace.trace.picture")


@export("types.experimental.ConcreteFunction")
class ConcreteFunction:
    """A traced function.

    Made by tracing a `tf.function`; call it with tensors like those it was traced with.
    """

    def __init__(
        self, graph: FuncGraph, bound: Bound, paths: Sequence[str], reason: str
    ) -> None:
        self.graph = graph
        self.reason = reason
        self.called = 0
        self._bound = bound
        self._paths = list(paths)
        self._body = Body(graph)
        self._captured = [array_of(x) for x in graph.outside if not isinstance(x, Symbol)]
        self._outside = graph.outside
        self._nested = len(self._captured) < len(self._outside)
        outputs = graph.structured_outputs
        self._single = isinstance(outputs, Symbol)
        self._build = _builder(outputs)
        self._known_shortcut: Shortcut | None = None
        self._asked = False  # whether it can have one
        self.name = graph.name.encode()

    # What it is

    @property
    def inputs(self) -> list[Symbol]:
        """The graph's placeholders: arguments, then captures."""
        return self.graph.parameters

    @property
    def outputs(self) -> list[Symbol]:
        """The graph's results, flat."""
        return list(self.graph.outputs)

    @property
    def captured_inputs(self) -> list[Any]:
        """What the function takes from outside: tensors and variables."""
        return list(self._outside)

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The variables that the function uses."""
        return self.graph.variables

    @property
    def trainable_variables(self) -> tuple[Variable, ...]:
        """Those of its variables that are trained."""
        return tuple(v for v in self.variables if v.trainable)

    @property
    def structured_outputs(self) -> Any:
        """The results in their structure, symbolic."""
        return self.graph.structured_outputs

    @property
    def structured_input_signature(self) -> tuple[Any, Any]:
        """The arguments' specs and values, in their structure: `(args, kwargs)`."""
        return self._specs(named=True)

    def _specs(self, named: bool) -> tuple[Any, Any]:
        """The arguments as specs (`named`: as their placeholders) and values."""
        specs = []
        names = iter(self.graph.inputs)
        for leaf in self._bound.leaves:
            if signatures.is_input(leaf):
                name = next(names).node.name
                spec = signatures.spec_of(leaf)
                leaf = TensorSpec(spec.shape, spec.dtype, name if named else spec.name)
            specs.append(leaf)
        args, kwargs = nest.pack_sequence_as(self._bound.structure, specs)
        return tuple(args), dict(kwargs)

    @property
    def function_def(self) -> Any:
        """The function as TensorFlow's `FunctionDef` message."""
        return graph_defs.function_def(self.graph, self.graph.name)

    @property
    def output_shapes(self) -> Any:
        """The shapes of the results, in their structure."""
        return nest.map_structure(lambda t: getattr(t, "shape", None), self.structured_outputs)

    @property
    def output_dtypes(self) -> Any:
        """The dtypes of the results, in their structure."""
        return nest.map_structure(lambda t: getattr(t, "dtype", None), self.structured_outputs)

    # Calling

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function.

        Args:
            args: tensors in the order of the traced arguments, or their structure.
            kwargs: tensors by the arguments' names.
        Raises:
            TypeError: arguments are missing, or too many.
            InvalidArgumentError: a tensor of another dtype than was traced.
        """
        return self.run(self._tensors(args, kwargs))

    def run(self, tensors: Sequence[Any]) -> Any:
        """Run on a tensor for each placeholder of an argument; results in their structure."""
        if modes and (state.graph is not None or state.recorders):
            return self._packed(call(self._body, [*tensors, *self._given()]))
        if self._nested:
            self._given()
        results = self._body([*(t._array for t in tensors), *self._captured])
        if self._single:
            return wrap(results[0])
        return self._packed([wrap(r) for r in results])

    @property
    def _shortcut(self) -> Shortcut | None:
        """How it is called with arrays at once, if its native code is there and all that it
        takes besides is what was captured."""
        if not self._asked and self._body.runner.native is not None:
            found = None if self._nested else self._body.runner.immediate(self._captured)
            self._known_shortcut = None if found is None else Shortcut(self, found)
            self._asked = True
        return self._known_shortcut

    def _given(self) -> list[Any]:
        """What the captures stand for at a call, in this thread's graph if it builds one."""
        if state.graph is None:
            for outside in self._outside:
                if isinstance(outside, Symbol):
                    state_error = "a tensor of a graph that is not being built"
                    raise errors.invalid_argument(
                        f"{self.graph.name} uses {outside!r}, {state_error}; call it there."
                    )
            return self._outside
        return self.graph.arguments_in(state.graph, self.graph.name)

    def _packed(self, flat: Sequence[Any]) -> Any:
        return flat[0] if self._single else self._build(iter(flat))

    def _tensors(self, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Any]:
        """The arguments of a direct call, one tensor for each placeholder."""
        wanted = [leaf for leaf in self._bound.leaves if signatures.is_input(leaf)]
        names = [s.node.name for s in self.graph.inputs]
        flat = nest.flatten(list(args))
        if len(wanted) != len(flat) <= len(self._bound.leaves):
            flat = self._without_literals(flat, args, kwargs)
        given: dict[str, Any] = dict(zip(names, flat, strict=False))
        if len(flat) > len(names):
            raise TypeError(
                "Binding inputs to tf.function failed due to `too many positional arguments`. "
                f"Received args: {tuple(args)} and kwargs: {kwargs} for signature: "
                f"{self.signature_text()}.\nFallback to flat signature also failed due to: "
                f"{self._described()} takes {len(names)} positional arguments, got {len(flat)}."
            )
        for key, value in kwargs.items():
            leaves = nest.flatten(value)
            own = self._named(key, names)
            if len(own) != len(leaves):
                self._check_literal(key, value, args, kwargs)
                continue
            for name, leaf in zip(own, leaves, strict=True):
                if name in given:
                    raise TypeError(
                        f"{self._described()} got multiple values for argument {name!r}"
                    )
                given[name] = leaf
        missing = [n for n in names if n not in given]
        if missing:
            raise TypeError(
                f"Binding inputs to tf.function failed due to `missing a required argument: "
                f"{self._path_of(missing[0])!r}`. Received args: {tuple(args)} and kwargs: "
                f"{kwargs} for signature: {self.signature_text()}.\n"
                f"Fallback to flat signature also failed due to: {self._described()} missing "
                "required arguments: "
                f"{', '.join(missing)}."
            )
        return [
            self._fitting(i, given[n], leaf)
            for i, (n, leaf) in enumerate(zip(names, wanted, strict=True))
        ]

    def _check_literal(self, key: str, value: Any, args: Any, kwargs: Any) -> None:
        """Refuse a keyword that is no argument, or a plain value that was not traced."""
        if key not in self._paths:
            raise TypeError(f"{self._described()} got unexpected keyword argument {key}")
        traced = self._bound.leaves[self._paths.index(key)]
        if isinstance(traced, signatures._PLAIN) and traced != value:
            why = f"got unexpected keyword arguments: {key}."
            raise self._other_literal(traced, value, args, kwargs, why)

    def _without_literals(self, flat: Sequence[Any], args: Any, kwargs: Any) -> list[Any]:
        """Positional arguments without the plain values; those must be what was traced."""
        kept = []
        for value, traced in zip(flat, self._bound.leaves, strict=False):
            if signatures.is_input(traced):
                kept.append(value)
            elif isinstance(traced, signatures._PLAIN) and traced != value:
                count = len(self.graph.inputs)
                why = f"takes {count} positional arguments, got {len(flat)}."
                raise self._other_literal(traced, value, args, kwargs, why)
        return kept

    def _other_literal(
        self, traced: Any, value: Any, args: Any, kwargs: Any, why: str
    ) -> TypeError:
        return TypeError(
            f"Binding inputs to tf.function failed due to `Can not cast {value!r} to "
            f"Literal[{traced!r}]`. Received args: {tuple(args)} and kwargs: {kwargs} for "
            f"signature: {self.signature_text()}.\nFallback to flat signature also failed "
            f"due to: {self._described()} {why}"
        )

    def _named(self, key: str, names: Sequence[str]) -> list[str]:
        """The placeholders that a keyword stands for: an argument's, or one by its own name."""
        own = [n for n, path in zip(names, self._input_paths(), strict=True) if path == key]
        return own or [n for n in names if n == key]

    def _input_paths(self) -> list[str]:
        leaves = zip(self._bound.leaves, self._paths, strict=True)
        return [path for leaf, path in leaves if signatures.is_input(leaf)]

    def _fitting(self, index: int, value: Any, leaf: Any) -> Any:
        spec = signatures.spec_of(leaf)
        tensor = (
            convert(value) if isinstance(value, Tensor) else convert(value, None, spec.dtype)
        )
        if tensor.dtype != spec.dtype:
            raise errors.invalid_argument(
                f"cannot compute {self.graph.name} as input #{index}(zero-based) was expected "
                f"to be a {kernel_name(spec.dtype)} tensor but is a "
                f"{kernel_name(tensor.dtype)} tensor",
                self.graph.name,
            )
        return tensor

    def _described(self) -> str:
        return f"{self.graph.function}({', '.join(s.node.name for s in self.graph.inputs)})"

    def _path_of(self, name: str) -> str:
        names = [s.node.name for s in self.graph.inputs]
        return self._input_paths()[names.index(name)]

    def signature_text(self) -> str:
        """The arguments and results in one line."""
        args, kwargs = self._specs(named=False)
        names = dict.fromkeys(self._paths)
        parts = zip(names, [*args, *kwargs.values()], strict=False)
        given = ", ".join(f"{name}: {_described_value(value)}" for name, value in parts)
        return f"({given}) -> {self._output_type()}"

    # Looking

    def pretty_graph(self, dot: bool = False, file: Any = None) -> None:
        """Print the graph as it was traced and after each pass that changed it.

        Args:
            dot: print a picture of what is run instead, in Graphviz' language.
            file: where to (default: the standard output).
        """
        body = self._body
        print(picture.drawing(body) if dot else picture.story(body), file=file)

    def pretty_printed_signature(self, verbose: bool = True) -> str:
        """The arguments, results and captures as a text."""
        args, kwargs = self._specs(named=False)
        names = list(dict.fromkeys(self._paths))
        lines = ["Input Parameters:"]
        values = [*args, *kwargs.values()]
        for name, value in zip(names, values, strict=False):
            lines.append(f"  {name} (POSITIONAL_OR_KEYWORD): {_described_value(value)}")
        if not values:
            lines.append("  None")
        lines += ["Output Type:", f"  {self._output_type()}", "Captures:"]
        captured = [
            f"  {id(x)}: TensorSpec(shape={s.shape}, dtype={s.dtype!r}, name=None)"
            for x, s in zip(self._outside, self.graph.internal_captures, strict=True)
        ]
        return "\n".join(lines + (captured or ["  None"]))

    def _output_type(self) -> Any:
        return nest.map_structure(
            lambda t: None if t is None else TensorSpec(t.shape, t.dtype),
            self.structured_outputs,
        )

    def __repr__(self) -> str:
        return f"<ConcreteFunction {self.signature_text()} at 0x{id(self):X}>"

    def __str__(self) -> str:
        return f"ConcreteFunction {self.pretty_printed_signature()}"


class Shortcut:
    """A trace with its native code: `call(*arrays, *rest)`, as `Immediate` says.

    Attributes:
        count: of the arguments.
        borrowed: the class of arrays that the code may have as they are, besides tensors'.
        single: whether a tensor is what it returns.
    """

    __slots__ = ("borrowed", "call", "concrete", "count", "error", "rest", "single")

    def __init__(self, concrete: ConcreteFunction, native: Immediate) -> None:
        self.concrete = concrete
        self.count = len(concrete.graph.inputs)
        self.borrowed = ndarray if native.borrows else None
        self.single = concrete._single
        self.call, self.rest, self.error = native.call, native.rest, native.error

    def packed(self, results: Sequence[Any]) -> Any:
        """The results as tensors in their structure."""
        return self.concrete._packed([wrap(result) for result in results])


def _described_value(value: Any) -> str:
    if isinstance(value, TensorSpec) or not isinstance(value, signatures._PLAIN):
        return repr(value)
    return f"Literal[{value!r}]"


def _builder(structure: Any) -> Callable[[Iterator[Any]], Any]:
    """What makes a result of its tensors: `map_structure` with the usual forms unrolled."""
    kind = structure.__class__
    if kind is Symbol:
        return next
    if kind is tuple or kind is list:
        parts = [_builder(part) for part in structure]
        return lambda rest: kind([part(rest) for part in parts])
    if kind is dict and all(key.__class__ is str for key in structure):
        names = list(structure)
        items = [(key, _builder(structure[key])) for key in sorted(names)]

        def build(rest: Iterator[Any]) -> Any:
            found = {key: part(rest) for key, part in items}
            return {key: found[key] for key in names}

        return build
    return lambda rest: nest.map_structure(lambda form: _rebuilt(form, rest), structure)


def _rebuilt(form: Any, rest: Any) -> Any:
    """A result in the form of the traced one."""
    if form is None:
        return None
    if isinstance(form, IndexedSlices):
        parts = [next(rest) for _ in range(2 + (form.dense_shape is not None))]
        return IndexedSlices(*parts)
    return next(rest)


def as_result(value: Any, graph: FuncGraph, function: Any, flat: list[Symbol]) -> Any:
    """What a traced function returned, as results of its graph.

    Raises:
        TypeError: something that no tensor can be made of.
    """
    if value is None:
        return None
    if isinstance(value, IndexedSlices):
        parts = [value.values, value.indices]
        parts += [] if value.dense_shape is None else [value.dense_shape]
        return IndexedSlices(*[_result(part, graph, flat) for part in parts])
    try:
        tensor = convert(value)
    except (TypeError, ValueError):
        raise TypeError(
            "To be compatible with tf.function, Python functions must return zero or more "
            "Tensors or ExtensionTypes or None values; in compilation of "
            f"{function}, found return value of type {_kind(value)}, which is not a "
            "Tensor or ExtensionType."
        ) from None
    return _result(tensor, graph, flat)


def _kind(value: Any) -> str:
    return "Operation" if isinstance(value, Node) else type(value).__name__


def _result(tensor: Tensor, graph: FuncGraph, flat: list[Symbol]) -> Symbol:
    if isinstance(tensor, EagerTensor):
        tensor = graph.own(tensor, "Const")
    symbol = identity(tensor)
    flat.append(symbol)
    return symbol


__all__ = ["ConcreteFunction", "as_result"]
