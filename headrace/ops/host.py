"""What a program does besides computing: printing, checking, waiting for one another.

Eagerly these happen at once. In a graph each is an operation without results that keeps its
place in the program's order.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from headrace.base import nest
from headrace.base.export import export
from headrace.base.lazy import lazy_module
from headrace.core.context import state
from headrace.core.convert import convert
from headrace.core.dispatch import add_node
from headrace.core.graph import Node, Symbol
from headrace.core.op import Kind, Op, Spec
from headrace.core.tensor import Tensor, wrap
from headrace.core.variable import Variable

pprint = lazy_module("pprint")

_ITEMS = 3


class NoOp(Op):
    """Nothing; other operations may wait for it, and it for others."""

    kind = Kind.CONTROL
    stateful = True
    no_grad = "it has no result"
    no_lower = "there is nothing to do"

    def infer() -> Any:  # type: ignore[misc]
        return ()

    def kernel() -> Any:  # type: ignore[misc]
        return ()


class Assert(Op):
    """A condition, and values about which `check` raises an error where it does not hold."""

    kind = Kind.CONTROL
    inputs = ("*data",)
    attrs = {"check": None}
    stateful = True
    no_grad = "it has no result"
    no_lower = "its text is made of values"

    def infer(*data: Spec, check: Any) -> Any:  # type: ignore[misc]
        return ()

    def kernel(*data: Any, check: Callable[..., None]) -> Any:  # type: ignore[misc]
        condition, *values = data
        if not condition:
            check(*map(wrap, values))
        return ()


class PrintV2(Op):
    """Text with values in it, written somewhere."""

    kind = Kind.CONTROL
    inputs = ("*input",)
    attrs = {"template": "", "summarize": _ITEMS, "end": "\n", "output_stream": "stderr"}
    stateful = True
    no_grad = "it has no result"
    no_lower = "it writes text"

    def infer(*input: Spec, **attrs: Any) -> Any:  # type: ignore[misc]
        return ()

    def kernel(  # type: ignore[misc]
        *input: Any, template: Sequence[str], summarize: int, end: str, output_stream: Any
    ) -> Any:
        texts = [value_text(array, summarize) for array in input]
        parts = [text for pair in zip(template, [*texts, ""], strict=True) for text in pair]
        write("".join(parts) + end, output_stream)
        return ()


def deferred(
    check: Callable[..., None], values: Sequence[Any], holds: Callable[..., Any]
) -> Any:
    """Let `check(*values)` run where it stands in the program: now, or in the graph.

    Args:
        check: function of tensors that raises an error or returns.
        values: tensors, or what becomes tensors.
        holds: function of the same tensors: a bool scalar, whether `check` would return.
    """
    tensors = [convert(value) for value in values]
    if state.graph is None:
        check(*tensors)
        return None
    add_node(Assert, [holds(*tensors), *tensors], {"check": check}, None)
    return state.graph.nodes[-1]


@export("no_op")
def no_op(name: str | None = None) -> Any:
    """An operation that does nothing; None eagerly.

    >>> tf.no_op()
    """
    return group(name=name)


@export("group")
def group(*inputs: Any, **kwargs: Any) -> Any:
    """One operation that has run when all the given ones have; None eagerly.

    Args:
        inputs: operations, tensors, or structures of them.
        name: of the operation in a graph.
    Raises: TypeError: something else, or another keyword.

    >>> tf.group(tf.constant(1.))
    """
    name = kwargs.pop("name", None)
    if kwargs:
        raise ValueError(f"Unknown keyword arguments: {', '.join(kwargs)}.")
    if state.graph is None:
        return None
    before = [node for item in nest.flatten(list(inputs)) for node in _nodes_of(item)]
    with control_dependencies(before):
        add_node(NoOp, (), {}, name)
    return state.graph.nodes[-1]


def _nodes_of(item: Any) -> list[Node]:
    """The operations that must run for something to be there."""
    if item is None:
        return []
    if isinstance(item, Node):
        return [item]
    if isinstance(item, Symbol):
        return [item.node]
    if isinstance(item, (Tensor, Variable)):
        return []  # there already; writes of variables keep their order by themselves
    raise TypeError(f"'inputs' should be zero or more (nested) Tensors. Received {item!r}.")


@export("control_dependencies")
class control_dependencies:
    """Context manager: what is added inside to a graph runs after the given operations.

    Args:
        control_inputs: list of operations and tensors, or None to forget all that is set.
            Eagerly it has no effect, but functions in it are called.

    >>> with tf.control_dependencies([tf.constant(1.)]):
    ...     y = tf.constant(2.)
    """

    def __init__(self, control_inputs: Any) -> None:
        self._given = control_inputs

    def __enter__(self) -> None:
        self._graph = state.graph
        if self._graph is None:
            for item in self._given or ():
                if callable(item) and not isinstance(item, (Tensor, Variable)):
                    item()
            return
        self._saved = self._graph.control
        if self._given is None:
            self._graph.control = ()
            return
        added = [n for item in self._given for n in _nodes_of(item) if n.graph is self._graph]
        self._graph.control = (*self._saved, *added)

    def __exit__(self, *exc: object) -> None:
        if self._graph is not None:
            self._graph.control = self._saved


# Printing

_STREAMS: dict[Any, Any] = {
    "stdout": lambda text: print(text, end="", file=sys.stdout),
    "stderr": lambda text: print(text, end="", file=sys.stderr),
    "log(info)": lambda text: _log(logging.INFO, text),
    "log(warning)": lambda text: _log(logging.WARNING, text),
    "log(error)": lambda text: _log(logging.ERROR, text),
}


def _log(level: int, text: str) -> None:
    logging.getLogger("headrace").log(level, text.removesuffix("\n"))


def write(text: str, stream: Any) -> None:
    """Write text to a stream's name, a `file://` path, or an open file."""
    if stream in _STREAMS:
        _STREAMS[stream](text)
    else:
        with open(stream.removeprefix("file://"), "a") as file:
            file.write(text)


def _stream_name(stream: Any) -> str:
    if stream is None or stream is sys.stderr or stream is sys.__stderr__:
        return "stderr"
    if stream is sys.stdout or stream is sys.__stdout__:
        return "stdout"
    if isinstance(stream, str) and (stream in _STREAMS or stream.startswith("file://")):
        return stream
    for level in ("info", "warning", "error"):
        if getattr(stream, "__name__", None) == level:
            return f"log({level})"
    raise ValueError(
        f"Unsupported output stream, logging level, or file.{stream}. Supported streams are "
        "sys.stdout, sys.stderr, tf.logging.info, tf.logging.warning, tf.logging.error. File "
        "needs to be in the form of 'file://<filepath>'."
    )


class _Hole:
    """Where in the text a tensor's value goes."""

    def __init__(self, mark: str) -> None:
        self.mark = mark

    def __repr__(self) -> str:
        return self.mark


@export("print")
def print_v2(*inputs: Any, **kwargs: Any) -> Any:
    """Print values, in a function each time it runs.

    Args:
        inputs: tensors, Python values, or structures of them.
        output_stream: `sys.stderr` (default), `sys.stdout`, `"file://PATH"`, or a function of
            `logging`.
        summarize: int, how many elements of each dimension are shown at its beginning and end
            (default 3, all for -1).
        sep: text between the inputs (default a space).
        end: text after them (default a new line).
        name: of the operation in a graph.
    Returns: the operation in a graph, None eagerly.
    Raises: ValueError: an unknown stream or keyword.
    Source: TensorFlow's `PrintV2`.

    >>> import sys
    >>> tf.print("x:", tf.range(10), output_stream=sys.stdout)
    x: [0 1 2 ... 7 8 9]
    """
    stream = _stream_name(kwargs.pop("output_stream", None))
    kwargs.pop("name", None)
    attrs = {"summarize": kwargs.pop("summarize", _ITEMS), "end": kwargs.pop("end", "\n")}
    sep = kwargs.pop("sep", " ")
    if kwargs:
        raise ValueError(f"Unrecognized keyword arguments for tf.print: {kwargs}")
    tensors: list[Any] = []
    text = sep.join(_with_holes(item, tensors) for item in inputs)
    template = tuple(text.split(_MARK))
    attrs.update(template=template, output_stream=stream)
    if state.graph is None:
        PrintV2.kernel(*(t._array for t in tensors), **attrs)
        return None
    add_node(PrintV2, tensors, attrs, None)
    return state.graph.nodes[-1]


_MARK = "\x00tensor\x00"


def _with_holes(item: Any, tensors: list[Any]) -> str:
    """The text of an input, with marks for the tensors in it."""

    def leaf(value: Any) -> Any:
        if isinstance(value, (Tensor, Variable)):
            tensor = convert(value)
            tensors.append(tensor)
            text = tensor.dtype.name == "string" and nested
            return _Hole(f'"{_MARK}"' if text else _MARK)
        return value

    nested = nest.is_nested(item)
    shown = nest.map_structure(leaf, item)
    return item if isinstance(item, str) else pprint.pformat(shown, width=1 << 20)


def value_text(array: np.ndarray, items: int) -> str:
    """A tensor's value as `tf.print` shows it."""
    if not array.ndim:
        return _scalar(array[()], False)
    return _rows(array, items, 0)


def _rows(array: np.ndarray, items: int, depth: int) -> str:
    count = len(array)
    if array.ndim == 1:
        parts = [_scalar(x, True) for x in _ends(array, items)]
        if 0 <= items and count > 2 * items:
            parts.insert(items, "...")
        return f"[{' '.join(parts)}]"
    parts = [_rows(row, items, depth + 1) for row in _ends(array, items)]
    if 0 <= items and count > 2 * items:
        parts.insert(items, "...")
    gap = "\n" * (array.ndim - 1) + " " * (depth + 1)
    return f"[{gap.join(parts)}]"


def _ends(array: np.ndarray, items: int) -> Sequence[Any]:
    if items < 0 or len(array) <= 2 * items:
        return list(array)
    return [*array[:items], *array[len(array) - items :]]


def _scalar(x: Any, quoted: bool) -> str:
    if isinstance(x, bytes):
        text = x.decode(errors="backslashreplace")
        return f'"{text}"' if quoted else text
    if isinstance(x, (bool, np.bool_)):
        return str(int(x))
    if isinstance(x, np.complexfloating):
        return f"({_number(x.real)},{_number(x.imag)})"
    if isinstance(x, (np.integer, int)):
        return str(int(x))
    return _number(x)


def _number(x: Any) -> str:
    """A float in the fewest of two lengths that gives it back."""
    wide = isinstance(x, (np.float64, float))
    value = float(x)
    for digits in (15, 17) if wide else (6, 9):
        text = f"{value:.{digits}g}"
        if not wide and np.float32(text) == np.float32(value):
            break
        if wide and float(text) == value:
            break
    return text


__all__ = ["deferred", "group", "no_op", "print_v2"]
