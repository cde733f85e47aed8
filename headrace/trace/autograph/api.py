"""The public names of AutoGraph, and `convert`, which `tf.function` uses."""

from __future__ import annotations

import enum
import functools
import logging
from collections.abc import Callable, Iterable
from types import FunctionType, MethodType
from typing import Any

from headrace.base.export import export, publish
from headrace.base.lazy import lazy_module
from headrace.core.context import state
from headrace.trace.autograph import errors

ast = lazy_module("ast")
conversion = lazy_module("headrace.trace.autograph.conversion")
libraries = lazy_module("headrace.trace.autograph.libraries")
logger = logging.getLogger("headrace")


@export("autograph.experimental.Feature")
class Feature(enum.Enum):
    """Optional features of AutoGraph, for `experimental_autograph_options`."""

    ALL = "ALL"
    AUTO_CONTROL_DEPS = "AUTO_CONTROL_DEPS"
    ASSERT_STATEMENTS = "ASSERT_STATEMENTS"
    BUILTIN_FUNCTIONS = "BUILTIN_FUNCTIONS"
    EQUALITY_OPERATORS = "EQUALITY_OPERATORS"
    LISTS = "LISTS"
    NAME_SCOPES = "NAME_SCOPES"

    @classmethod
    def all(cls) -> tuple[Feature, ...]:
        """All features."""
        return tuple(cls)

    @classmethod
    def all_but(cls, exclude: Any) -> tuple[Feature, ...]:
        """All features but those given (one, or several)."""
        left_out = set(exclude) if isinstance(exclude, (list, tuple, set)) else {exclude}
        return tuple(set(cls) - left_out - {cls.ALL})


def convert(python_function: Any, features: Any = None) -> Any:
    """A callable that runs `python_function` with its control flow converted.

    What it calls is converted too when it is called. A function that is not to be converted
    (a library's, one marked with `do_not_convert`, a `tf.function`) is returned as it is.

    Args:
        python_function: a function, method or other callable.
        features: a `Feature`, several, or None.
    """
    wanted = _features(features)
    if isinstance(python_function, FunctionType):
        libraries.own(python_function)
        return conversion.converted(python_function, wanted)
    if hasattr(python_function, "_is_headrace_function") or isinstance(python_function, type):
        return python_function
    inner = getattr(python_function, "__func__", None)
    if isinstance(inner, FunctionType):
        libraries.own(inner)
        made = conversion.converted(inner, wanted)
        if made is inner:
            return python_function
        return MethodType(made, python_function.__self__)
    return conversion.callable_of(python_function, wanted)


@export("__internal__.autograph.user_code")
def user_code(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function as the graph that is being built needs it.

    A library that calls what users write (a layer's `call`) hands it in here. It comes back
    converted if AutoGraph converts what the graph is traced from.

    Args:
        function: a function, method or other callable.
    """
    features = getattr(state.graph, "autograph", None)
    if features is None:
        return function
    return conversion.callable_of(function, _features(features))


def _features(features: Any) -> frozenset[str]:
    given = features if isinstance(features, Iterable) else (features,) if features else ()
    names = {Feature(f).value if isinstance(f, str) else f.value for f in given}
    return frozenset(f.value for f in Feature) if "ALL" in names else frozenset(names)


@export("autograph.to_graph")
def to_graph(
    entity: Callable[..., Any],
    recursive: bool = True,
    experimental_optional_features: Any = None,
) -> Any:
    """A function with its control flow converted, as `tf.function` uses it.

    Args:
        entity: the function.
        recursive: whether what it calls is converted too (it always is).
        experimental_optional_features: a `tf.autograph.experimental.Feature`, or several.
    Returns: a Python function.
    Raises: ConversionError: it is no Python function.

    >>> def positive(x):
    ...     return x if x > 0 else -x
    >>> tf.autograph.to_graph(positive)(tf.constant(-2))
    <tf.Tensor: shape=(), dtype=int32, numpy=2>
    """
    _code_of(entity, entity)
    return convert(entity, experimental_optional_features)


def _code_of(entity: Any, function: Any) -> None:
    if not hasattr(function, "__code__"):
        raise errors.ConversionError(
            f"converting {entity}: ValueError: Cannot apply autograph to a function that "
            "doesn't expose a __code__ object. If this is a @tf.function, try passing "
            "f.python_function instead."
        )


@export("autograph.to_code")
def to_code(
    entity: Callable[..., Any],
    recursive: bool = True,
    experimental_optional_features: Any = None,
) -> str:
    """The source of a function after conversion.

    Args:
        entity: the function.
        recursive: whether what it calls is converted too (it always is).
        experimental_optional_features: a `tf.autograph.experimental.Feature`, or several.
    Returns: text.
    Raises: ConversionError: it is no Python function, or has no source.

    >>> print(tf.autograph.to_code(lambda x: not x))
    lambda x: ag__.not_(x)
    """
    function = getattr(entity, "python_function", entity)
    function = getattr(function, "__func__", function)
    _code_of(entity, function)
    try:
        node = conversion.rewritten(function, _features(experimental_optional_features))
    except errors.NotConverted as error:
        raise errors.ConversionError(f"converting {entity}: {error}") from None
    return ast.unparse(node)


@export("autograph.experimental.do_not_convert")
def do_not_convert(func: Any = None) -> Any:
    """Decorator: the function runs as it is, and so does all that it calls.

    Args:
        func: the function; without it, a decorator is returned.
    Returns: the function in a wrapper.

    >>> @tf.autograph.experimental.do_not_convert
    ... def plain(x):
    ...     return x + 1
    >>> plain(1)
    2
    """
    if func is None:
        return do_not_convert

    @functools.wraps(func)
    def unconverted(*args: Any, **kwargs: Any) -> Any:
        return func(*args, **kwargs)

    unconverted._headrace_do_not_convert = True  # type: ignore[attr-defined]
    return unconverted


@export("autograph.experimental.set_loop_options")
def set_loop_options(
    parallel_iterations: Any = None,
    swap_memory: Any = None,
    maximum_iterations: Any = None,
    shape_invariants: Any = None,
) -> None:
    """Say more about the loop in whose body this stands; elsewhere it does nothing.

    Args:
        parallel_iterations: how many iterations may run at the same time.
        swap_memory: whether memory may be moved off a device.
        maximum_iterations: the loop ends after so many.
        shape_invariants: pairs of a variable and the shape that it keeps to, for variables
            whose shape changes.

    >>> @tf.function
    ... def doubled(x):
    ...     for _ in tf.range(3):
    ...         tf.autograph.experimental.set_loop_options(
    ...             shape_invariants=[(x, tf.TensorShape([None]))])
    ...         x = tf.concat([x, x], 0)
    ...     return x
    >>> doubled(tf.constant([1])).shape
    TensorShape([8])
    """


@export("autograph.set_verbosity")
def set_verbosity(level: int, alsologtostdout: bool = False) -> None:
    """Say how much AutoGraph tells of its work.

    Args:
        level: 0 for warnings only; more is more.
        alsologtostdout: whether it is also printed.
    """
    _Verbosity.level, _Verbosity.echo = level, alsologtostdout


class _Verbosity:
    """How much is told, and whether it is printed."""

    level = 0
    echo = False


@export("autograph.trace")
def trace(*args: Any) -> None:
    """Print arguments while a function is traced.

    >>> tf.autograph.trace("here", 1)
    here 1
    """
    print(*args)


publish("autograph")
__all__ = ["Feature", "convert", "do_not_convert", "set_loop_options", "to_code", "to_graph"]
