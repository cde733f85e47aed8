"""The table that `model.summary()` prints."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def print_summary(
    model: Any,
    line_length: int | None,
    positions: Sequence[float] | None,
    print_fn: Callable[[str], Any] | None,
    expand_nested: bool,
    show_trainable: bool,
    layer_range: Sequence[str] | None,
) -> None:
    """Print layers, output shapes and numbers of weights; see `Model.summary`."""
    write = print if print_fn is None else print_fn
    shares = list(positions or [0.45, 0.85, 1.0])
    headings = ["Layer (type)", "Output Shape", "Param #"]
    if show_trainable:
        headings.append("Trainable")
        shares = [*shares[:-1], 0.95, 1.0] if len(shares) == 3 else shares
        shares = [0.45, 0.75, 0.9, 1.0] if positions is None else shares
    width = line_length or 65
    stops = [int(width * p) for p in shares] if shares[-1] <= 1 else [int(p) for p in shares]
    write(f'Model: "{model.name}"')
    write("_" * width)
    write(_row(headings, stops))
    write("=" * width)
    for layer, depth in _listed(model, expand_nested, layer_range):
        for line in _lines(layer, depth, stops, show_trainable):
            write(line)
        write(" " * width)
    write("=" * width)
    trained, fixed = _count(model.trainable_weights), _count(model.non_trainable_weights)
    write(f"Total params: {trained[0] + fixed[0]} ({_memory(trained[1] + fixed[1])})")
    write(f"Trainable params: {trained[0]} ({_memory(trained[1])})")
    write(f"Non-trainable params: {fixed[0]} ({_memory(fixed[1])})")
    write("_" * width)


def _listed(model: Any, nested: bool, layer_range: Any) -> list[tuple[Any, int]]:
    layers = model.layers
    if layer_range is not None:
        found = [
            [i for i, layer in enumerate(layers) if re.match(pattern, layer.name)]
            for pattern in layer_range
        ]
        if not all(found):
            raise ValueError(f"layer_range {layer_range} names no layer of the model")
        layers = layers[min(found[0]) : max(found[1]) + 1]
    rows: list[tuple[Any, int]] = []

    def add(layer: Any, depth: int) -> None:
        rows.append((layer, depth))
        if nested and hasattr(layer, "layers"):
            for inner in layer.layers:
                add(inner, depth + 1)

    for layer in layers:
        add(layer, 0)
    return rows


def _lines(layer: Any, depth: int, stops: list[int], show_trainable: bool) -> list[str]:
    try:
        shape = str(layer.output_shape)
    except AttributeError:
        shape = "multiple"
    count = layer.count_params() if layer.built else "0 (unused)"
    prefix = "|" * depth + (" " if depth else "")
    cells = [f"{prefix}{layer.name} ({type(layer).__name__})", shape, str(count)]
    if show_trainable:
        cells.append("Y" if layer.trainable else "N")
    return [_row(cells, stops)]


def _row(cells: Sequence[str], stops: Sequence[int]) -> str:
    line = ""
    for cell, stop in zip(cells, stops, strict=False):
        line = (line + " " + cell)[: max(stop - 1, 0)]
        line += " " * (stop - len(line))
    return line


def _count(variables: Sequence[Any]) -> tuple[int, int]:
    numbers = [int(np.prod(v.shape.as_list())) for v in variables]
    sizes = [n * v.dtype.size for n, v in zip(numbers, variables, strict=True)]
    return sum(numbers), sum(sizes)


def _memory(size: float) -> str:
    for unit in ("Byte", "KB", "MB", "GB", "TB"):
        if size < 1024 or unit == "TB":
            return f"{size:.2f} {unit}"
        size /= 1024
    raise AssertionError
