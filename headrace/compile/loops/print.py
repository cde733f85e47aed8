"""Loops as text: for people, and as the key under which compiled code is kept.

The text is complete: two programs with one text compute the same. A value that a statement
uses twice stands on a line of its own before it. Read `ir.py` before.
"""

from __future__ import annotations

from headrace.compile.loops import ir
from headrace.compile.loops.expr import (
    Apply,
    Cast,
    Choose,
    Const,
    Expr,
    Index,
    Load,
    Read,
    operands,
)
from headrace.compile.loops.product import shown

_INFIX = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "div": "/",
    "floordiv": "//",
    "floormod": "%",
    "and": "&",
    "or": "|",
    "xor": "^",
    "shl": "<<",
    "shr": ">>",
    "eq": "==",
    "ne": "!=",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
}


def text(loops: ir.Loops) -> str:
    """The whole program."""
    lines = [f"loops {loops.name}"]
    for role, buffers in (
        ("input", loops.inputs),
        ("output", loops.outputs),
        ("state", loops.states),
        ("temporary", loops.temporaries),
    ):
        for b in buffers:
            local = "local " if b.local else ""
            lines.append(f"{local}{role} {b.name}: {b.dtype.name}{list(b.shape)}")
    for number, failure in enumerate(loops.failures, 1):
        lines.append(f"failure {number}: {failure.error} {failure.message!r}")
    _steps(loops.stages, "", lines)
    return "\n".join(lines) + "\n"


def _steps(steps: ir.Steps, indent: str, lines: list[str]) -> None:
    for step in steps:
        match step:
            case ir.Stage(kind, body, how):
                lines.append(f"{indent}{kind}{f' as {shown(how)}' if how else ''}:")
                _body(body, indent + "  ", lines)
            case ir.Repeat(head, condition, body):
                lines.append(f"{indent}while {condition.name} after:")
                _steps(head, indent + "  ", lines)
                lines.append(f"{indent}do:")
                _steps(body, indent + "  ", lines)
            case ir.Branch(index, sides):
                for number, side in enumerate(sides):
                    lines.append(f"{indent}side {number} of {index.name}:")
                    _steps(side, indent + "  ", lines)


def _body(body: tuple[ir.Statement, ...], indent: str, lines: list[str]) -> None:
    for statement in body:
        names = _shared(statement, indent, lines)
        match statement:
            case ir.For(index, inner):
                lines.append(f"{indent}for {index.name} < {index.extent}{_form(statement)}:")
                _body(inner, indent + "  ", lines)
            case ir.If(condition, inner):
                lines.append(f"{indent}if {_expression(condition, names)}:")
                _body(inner, indent + "  ", lines)
            case _:
                lines.append(indent + _line(statement, names))


def _line(statement: ir.Statement, names: dict[int, str]) -> str:
    match statement:
        case ir.Store(buffer, offset, value, part):
            place = f"{buffer.name}[{_expression(offset, names)}]{_part(part)}"
            return f"{place} = {_expression(value, names)}"
        case ir.Begin(accumulator, value):
            return f"{accumulator.name}: {value.dtype.name} = {_expression(value, names)}"
        case ir.Update(combine, accumulators, values):
            places = ", ".join(a.name for a in accumulators)
            found = ", ".join(_expression(v, names) for v in values)
            return f"{places} {combine}= {found}"
        case ir.Check(condition, failure, values):
            given = "".join(f", {_expression(v, names)}" for v in values)
            return f"check {_expression(condition, names)} else {failure}{given}"
    raise TypeError(statement)


def _form(loop: ir.For) -> str:
    """How a loop runs, where a schedule has said so."""
    lanes = f" lanes {loop.lanes}" if loop.lanes > 1 else ""
    copies = f" copies {loop.copies}" if loop.copies > 1 else ""
    turned = " turned" if loop.turned else ""
    return lanes + copies + turned + (" threads" if loop.threads else "")


def _part(part: int) -> str:
    return ".imag" if part else ""


def _shared(statement: ir.Statement, indent: str, lines: list[str]) -> dict[int, str]:
    """Name what the statement uses twice, one line each, and give the names by id."""
    uses: dict[int, int] = {}
    order: list[Expr] = []

    def visit(x: Expr) -> None:
        uses[id(x)] = uses.get(id(x), 0) + 1
        if uses[id(x)] == 1:
            for y in operands(x):
                visit(y)
            order.append(x)

    for x in ir.expressions(statement):
        visit(x)
    names: dict[int, str] = {}
    for x in order:
        if uses[id(x)] > 1 and operands(x):
            line = f"{indent}v{len(names)} = {_expression(x, names)}"
            names[id(x)] = f"v{len(names)}"
            lines.append(line)
    return names


def _expression(x: Expr, names: dict[int, str]) -> str:
    if id(x) in names:
        return names[id(x)]
    match x:
        case Const(dtype, value):
            return f"{value!r}:{dtype.name}" if dtype is not ir.INDEX else repr(value)
        case Index():
            return x.name
        case Read():
            return x.accumulator.name
        case Load(_, buffer, offset, part):
            return f"{buffer.name}[{_expression(offset, names)}]{_part(part)}"
        case Cast(dtype, y, bitwise):
            return f"{'bits ' if bitwise else ''}{dtype.name}({_expression(y, names)})"
        case Choose(_, condition, then, other, lazy):
            parts = ", ".join(_expression(y, names) for y in (condition, then, other))
            return f"{'branch' if lazy else 'where'}({parts})"
        case Apply(_, name, args):
            shown = [_expression(y, names) for y in args]
            if name in _INFIX:
                return f"({f' {_INFIX[name]} '.join(shown)})"
            return f"{name}({', '.join(shown)})"
    raise TypeError(x)
