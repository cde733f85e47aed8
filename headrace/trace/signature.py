"""How a call of a `tf.function` is told from another: which trace serves it.

The arguments are bound to the Python function's parameters and flattened. A tensor counts with
its dtype and shape, a plain value with itself, any other object with its identity; all of them
and their structure make the key under which a trace is kept.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from headrace.base import nest
from headrace.base.lazy import lazy_module
from headrace.core.context import state
from headrace.core.convert import convert
from headrace.core.graph import Symbol
from headrace.core.tensor import EagerTensor, Tensor
from headrace.core.type_spec import TensorSpec
from headrace.core.variable import Variable

inspect = lazy_module("inspect")
_PLAIN = (bool, int, float, complex, str, bytes, type(None))


class Identity:
    """A hashable stand-in for an object that is only equal to itself."""

    __slots__ = ("_reference", "_hash", "text")

    def __init__(self, value: Any) -> None:
        try:
            self._reference: Callable[[], Any] = weakref.ref(value)
        except TypeError:
            self._reference = lambda: value
        self._hash = id(value)
        self.text = f"{type(value).__name__} object"

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Identity):
            return False
        mine = self._reference()
        return mine is not None and mine is other._reference()

    def __repr__(self) -> str:
        return f"{self.text} at {self._hash:#x}"


class Bound:
    """The arguments of one call: their tensors, and the key of the trace that serves them."""

    __slots__ = ("structure", "leaves", "key", "paths")

    def __init__(self, structure: Any, leaves: list[Any], paths: list[str]) -> None:
        self.structure, self.leaves, self.paths = structure, leaves, paths
        self.key = (form_of(structure), tuple(map(key_of, leaves)))

    @property
    def tensors(self) -> list[Any]:
        """The leaves that are tensors."""
        return [leaf for leaf in self.leaves if isinstance(leaf, Tensor)]


class Signature:
    """The parameters of a Python function, and the specs that were fixed for them.

    Args:
        function: the Python function.
        input_signature: specs of the arguments in the structure of the arguments, or None.
        follow_hints: whether numbers for parameters that are annotated as tensors become such.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        input_signature: Any = None,
        follow_hints: bool = False,
    ) -> None:
        self._parameters = inspect.signature(function)
        self._hinted = _hinted(self._parameters) if follow_hints else set()
        self.name = getattr(function, "__name__", type(function).__name__)
        self.input_signature = _checked(input_signature, self._parameters)

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Bound:
        """The arguments of a call, bound and flattened.

        Raises:
            TypeError: they do not fit the parameters or the specs.
        """
        try:
            bound = self._parameters.bind(*args, **kwargs)
            bound.apply_defaults()
            for name in self._hinted:
                bound.arguments[name] = _as_tensors(bound.arguments[name])
        except TypeError as error:
            raise self.misfit(str(error), args, kwargs) from None
        structure = (bound.args, bound.kwargs)
        if self.input_signature is None:
            paths = self._paths(bound)
        else:
            structure = (self._cast(bound.args, args, kwargs), bound.kwargs)
            last = self.names()[-1:]
            names = self.names() + last * len(structure[0])
            given = [*zip(names, structure[0], strict=False), *bound.kwargs.items()]
            paths = [name for name, value in given for _ in nest.flatten(value)]
        leaves = [as_leaf(leaf) for leaf in nest.flatten(structure)]
        return Bound(structure, leaves, paths)

    def misfit(self, why: str, args: Any, kwargs: Any) -> TypeError:
        """The error for arguments that do not fit."""
        return TypeError(
            f"Binding inputs to tf.function failed due to `{why}`. Received args: "
            f"{tuple(args)} and kwargs: {dict(kwargs)} for signature: {self.text()}."
        )

    def text(self) -> str:
        """The signature as errors show it: `(x: TensorSpec(...), n)`."""
        parts = []
        specs = iter(self.input_signature or ())
        for name, parameter in self._parameters.parameters.items():
            spec = next(specs, None)
            text = str(parameter.replace(annotation=parameter.empty))
            parts.append(text if spec is None else f"{name}: {spec}")
        return f"({', '.join(parts)})"

    def names(self) -> list[str]:
        """The names of the parameters."""
        return list(self._parameters.parameters)

    def _paths(self, bound: Any) -> list[str]:
        """For each leaf the name of the argument that it belongs to."""
        paths: list[str] = []
        for name, value in bound.arguments.items():
            kind = self._parameters.parameters[name].kind
            if kind is inspect.Parameter.VAR_POSITIONAL:
                for i, item in enumerate(value):
                    paths += [f"{name}_{i}"] * len(nest.flatten(item))
            elif kind is inspect.Parameter.VAR_KEYWORD:
                for key in sorted(value):
                    paths += [key] * len(nest.flatten(value[key]))
            else:
                paths += [name] * len(nest.flatten(value))
        return paths

    def _cast(self, values: Sequence[Any], args: Any, kwargs: Any) -> tuple[Any, ...]:
        """The arguments as tensors that fit the fixed specs."""
        specs = self.input_signature
        if len(values) > len(specs):
            extra = values[len(specs) :]
            defaults = list(self._parameters.parameters.values())[len(specs) :]
            if any(v is not p.default for v, p in zip(extra, defaults, strict=False)):
                raise self.misfit("too many positional arguments", args, kwargs)
        found = []
        for value, spec in zip(values, specs, strict=False):
            try:
                parts = nest.flatten_up_to(spec, value)
                fitted = map(_fitting, nest.flatten(spec), parts)
                found.append(nest.pack_sequence_as(spec, list(fitted)))
            except (TypeError, ValueError) as error:
                raise self.misfit(str(error), args, kwargs) from None
        return (*found, *values[len(specs) :])


def _hinted(parameters: Any) -> set[str]:
    """The parameters that are annotated as tensors, by the class or by its name."""
    return {
        name
        for name, parameter in parameters.parameters.items()
        if parameter.annotation is Tensor
        or (
            isinstance(parameter.annotation, str)
            and parameter.annotation.rpartition(".")[2] == "Tensor"
        )
    }


def _as_tensors(value: Any) -> Any:
    """The numbers in an argument as tensors: itself, or the items of `*args` and `**kwargs`."""
    if isinstance(value, tuple):
        return tuple(map(_as_tensors, value))
    if isinstance(value, dict):
        return {key: _as_tensors(item) for key, item in value.items()}
    return convert(value) if isinstance(value, (bool, int, float, complex)) else value


def _checked(input_signature: Any, parameters: Any) -> Any:
    if input_signature is None:
        return None
    if not isinstance(input_signature, (tuple, list)):
        raise TypeError(
            f"input_signature must be either a tuple or a list, got {type(input_signature)}."
        )
    for spec in nest.flatten(input_signature):
        if not isinstance(spec, TensorSpec):
            raise TypeError(
                "input_signature must be a possibly nested sequence of TensorSpec objects, got "
                f"invalid args {input_signature!r} with types "
                f"{list(map(type, input_signature))}."
            )
    taken = [
        p
        for p in parameters.parameters.values()
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    open_ended = any(p.kind is p.VAR_POSITIONAL for p in parameters.parameters.values())
    if len(input_signature) > len(taken) and not open_ended:
        raise TypeError(
            f"input_signature contains {len(input_signature) - len(taken)} extra type "
            "constraints."
        )
    return tuple(input_signature)


def _fitting(spec: Any, value: Any) -> Any:
    """A value as a tensor of the spec."""
    if isinstance(value, TensorSpec):
        tensor: Any = value
    elif isinstance(value, Tensor):
        tensor = value
    else:
        tensor = convert(value, spec.dtype)
    if not spec.is_compatible_with(tensor):
        got = TensorSpec(tensor.shape, tensor.dtype)
        raise TypeError(f"Can not cast {got!r} to {spec!r}")
    if isinstance(tensor, TensorSpec):
        return spec
    return Fixed(tensor, spec)


class Fixed:
    """A tensor that counts with the spec that was fixed for it."""

    __slots__ = ("tensor", "spec")

    def __init__(self, tensor: Any, spec: TensorSpec) -> None:
        self.tensor, self.spec = tensor, spec


def as_leaf(value: Any) -> Any:
    """A leaf as the trace sees it: arrays are tensors, all else stays."""
    if isinstance(value, (np.ndarray, np.generic)):
        return convert(value)
    return value


def is_input(leaf: Any) -> bool:
    """Whether a leaf becomes a placeholder."""
    return isinstance(leaf, (Tensor, TensorSpec, Fixed))


def spec_of(leaf: Any) -> TensorSpec:
    """The spec of a leaf that is a tensor."""
    if isinstance(leaf, Fixed):
        return leaf.spec
    if isinstance(leaf, TensorSpec):
        return leaf
    return TensorSpec(leaf.shape, leaf.dtype)


def key_of(leaf: Any) -> Any:
    """What a leaf counts as."""
    if isinstance(leaf, EagerTensor):
        return leaf._array.dtype, leaf._array.shape
    if isinstance(leaf, Symbol):
        return leaf.dtype.np, leaf.spec.shape
    if isinstance(leaf, (TensorSpec, Fixed)):
        spec = spec_of(leaf)
        rank = spec.shape.rank
        return spec.dtype.np, None if rank is None else tuple(spec.shape.as_list())
    if isinstance(leaf, _PLAIN):
        return leaf.__class__, leaf
    if isinstance(leaf, Variable):
        return Identity(leaf)
    try:
        hash(leaf)
    except TypeError:
        return Identity(leaf)
    return leaf if type(leaf).__eq__ is not object.__eq__ else Identity(leaf)


def form_of(structure: Any) -> Any:
    """A hashable description of a structure without its leaves."""
    if isinstance(structure, (list, tuple)):
        return structure.__class__, tuple(map(form_of, structure))
    if isinstance(structure, Mapping):
        items = sorted(structure.items(), key=lambda item: repr(item[0]))
        return structure.__class__, tuple((key, form_of(value)) for key, value in items)
    return None


def graphs_here() -> list[Any]:
    """The graph that this thread builds, and those in which it lies."""
    found = []
    graph = state.graph
    while graph is not None:
        found.append(graph)
        graph = getattr(graph, "outer", None)
    return found
