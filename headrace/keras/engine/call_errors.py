"""Errors inside a layer's `call`, with the layer and its arguments in their text."""

from __future__ import annotations

from typing import Any

import headrace as tf


def explained(error: Exception, layer: Any, inputs: Any, kwargs: dict[str, Any]) -> Exception:
    """The error with the layer and its arguments in its text, once."""
    if getattr(error, "_layer_named", False):
        return error
    lines = [
        f"Exception encountered when calling layer '{layer.name}' (type "
        f"{type(layer).__name__}).",
        "",
        str(error),
        "",
        f"Call arguments received by layer '{layer.name}' (type {type(layer).__name__}):",
    ]
    arguments = {layer._first_name: inputs, **kwargs}
    lines += [f"  • {key}={_brief(value)}" for key, value in arguments.items()]
    text = "\n".join(lines)
    try:
        if isinstance(error, tf.errors.OpError):
            named: Exception = type(error)(error.node_def, error.op, text)
        else:
            named = type(error)(text)
    except TypeError:
        named = RuntimeError(text)
    named._layer_named = True  # type: ignore[attr-defined]
    return named.with_traceback(error.__traceback__)


def _brief(value: Any) -> str:
    if isinstance(value, tf.Tensor):
        return f"tf.Tensor(shape={value.shape}, dtype={value.dtype.name})"
    if isinstance(value, (list, tuple, dict)):
        return str(tf.nest.map_structure(_brief, value))
    return repr(value)
