"""Programs as text, and as drawings for Graphviz.

One line a node: `%sum = AddV2(%x, %y) : float32[2,?]  # file.py:12`. The lines are stable from
run to run, so that a test or a diff can compare them.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from headrace.base.dtypes import DType
from headrace.compile.passes.program import Node, Program, Value
from headrace.core.op import Op, Spec

_ITEMS = 8
"""Arrays of so many elements are written out."""


def text(program: Program, lines: bool = False) -> str:
    """A program, a line for each node.

    Args:
        lines: whether to say from which of the user's lines a node comes.
    """
    given = ", ".join(f"%{v.name}: {spec_text(v.spec)}" for v in program.inputs)
    parts = [f"function {program.name or 'main'}({given})"]
    for node in program.nodes:
        line = f"  {node_text(node)}"
        if lines and node.where:
            file, number, _ = node.where[0]
            line += f"  # {os.path.basename(file)}:{number}"
        parts.append(line)
    parts.append(f"  return {', '.join(map(repr, program.fetches))}".rstrip())
    return "\n".join(parts)


def node_text(node: Node) -> str:
    """`%name = Op(%inputs){attrs} : specs`."""
    operands = ", ".join(map(repr, node.inputs))
    attrs = _attrs_text(node)
    left = ", ".join(map(repr, node.outputs)) + " = " if node.outputs else ""
    right = ", ".join(spec_text(v.spec) for v in node.outputs)
    waits = "".join(f" after {name}" for name in node.control)
    label = f" : {right}" if right else ""
    return f"{left}{node.op.name}({operands}){attrs}{label}{waits}"


def spec_text(spec: Spec) -> str:
    """`float32[2,?]`; `float32[...]` if the rank is unknown."""
    if isinstance(spec.value, Spec):
        return f"{spec.dtype.name}<{spec_text(spec.value)}>"
    if spec.shape is None:
        return f"{spec.dtype.name}[...]"
    dims = ",".join("?" if n is None else str(n) for n in spec.shape)
    return f"{spec.dtype.name}[{dims}]"


def _attrs_text(node: Node) -> str:
    shown = {
        name: _attr_text(attr)
        for name, attr in node.attrs.items()
        if not _is_default(node.op, name, attr, node)
    }
    return "{" + ", ".join(f"{k}={v}" for k, v in shown.items()) + "}" if shown else ""


def _is_default(op: type[Op], name: str, attr: Any, node: Node) -> bool:
    if isinstance(attr, DType):  # that of a result says the same
        return any(v.spec.dtype is attr for v in node.outputs)
    if isinstance(attr, (np.ndarray, Value)) or name not in op.attrs:
        return False
    default = op.attrs[name]
    return type(default) is type(attr) and bool(default == attr)


def _attr_text(attr: Any) -> str:
    if isinstance(attr, np.ndarray):
        return array_text(attr)
    if isinstance(attr, DType):
        return attr.name
    if isinstance(attr, tuple):
        return "(" + ", ".join(map(_attr_text, attr)) + ("," if len(attr) == 1 else "") + ")"
    if hasattr(attr, "graph") and hasattr(attr, "fetches"):
        return f"@{attr.graph.name}"
    if callable(attr) or hasattr(attr, "__dict__"):
        return f"<{getattr(attr, '__name__', type(attr).__name__)}>"
    return repr(attr)


def array_text(array: np.ndarray) -> str:
    """The value of a small array; of a large one that it has many elements."""
    if array.size <= _ITEMS:
        return str(array.tolist())
    return f"[{array.size} elements]"


def dot(program: Program) -> str:
    """A program as a drawing in Graphviz' language."""
    lines = [f"digraph {_quoted(program.name or 'main')} {{", "  node [shape=box];"]
    source: dict[Value, str] = {}
    for value in program.inputs:
        label = f"{value.name}\\n{spec_text(value.spec)}"
        lines.append(f"  {_quoted(value.name)} [label={_quoted(label)}, shape=ellipse];")
        source[value] = value.name
    for node in program.nodes:
        lines.append(f"  {_quoted(node.name)} [label={_quoted(_label(node))}];")
        for value in node.outputs:
            source[value] = node.name
        for value in node.reads:
            lines.append(f"  {_quoted(source.get(value, value.name))} -> {_quoted(node.name)};")
        for before in node.control:
            lines.append(f"  {_quoted(before)} -> {_quoted(node.name)} [style=dashed];")
    for i, value in enumerate(program.fetches):
        lines.append(f'  "return {i}" [shape=ellipse];')
        lines.append(f'  {_quoted(source.get(value, value.name))} -> "return {i}";')
    return "\n".join([*lines, "}"])


def _label(node: Node) -> str:
    specs = ", ".join(spec_text(v.spec) for v in node.outputs)
    return f"{node.op.name}{_attrs_text(node)}\\n{node.name}" + (f"\\n{specs}" if specs else "")


def _quoted(label: str) -> str:
    return '"' + label.replace('"', '\\"') + '"'
