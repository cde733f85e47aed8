"""Loops become LLVM text: one function, simple loops, one element at a time.

The text is written directly: LLVM's own builder objects cost twenty times as much. A program is
the function `kernel(ctx)`: ctx points to the buffers' addresses in the order of `Loops.buffers`
and then to the status words, so that compiled code holds no address and may be kept. What is
scheduled (tiles, vectors, threads) is none of this module's business. Read `loops/ir.py`
before; `values.py` has the expressions.
"""

from __future__ import annotations

from headrace.compile.llvm import mathlib
from headrace.compile.llvm.values import Emitter, Seen
from headrace.compile.loops import ir

ENTRY = "kernel"


def emit(loops: ir.Loops) -> str:
    """LLVM text of a verified program."""
    emitter = Emitter({id(b): f"%b{k}" for k, b in enumerate(loops.buffers)})
    for stage in loops.stages:
        _body(stage.body, emitter)
    written = len(loops.buffers) - len(loops.inputs)
    kinds = ["ptr noalias readonly"] * len(loops.inputs) + ["ptr noalias"] * written
    named = [f"{kind} %b{k}" for k, kind in enumerate(kinds)] + ["ptr noalias %status"]
    lines = [
        *emitter.declarations.values(),
        f"define internal void @body({', '.join(named)}) alwaysinline nounwind {{",
        "entry:",
        *emitter.allocations,
        *emitter.lines,
        "  ret void",
        "}",
        *_entry(len(loops.buffers)),
        mathlib.PURE,
    ]
    return "\n".join(lines) + "\n"


def _entry(buffers: int) -> list[str]:
    """`kernel`: takes the addresses out of the context and calls the body."""
    lines = [f"define void @{ENTRY}(ptr %ctx) nounwind {{"]
    for k in range(buffers + 1):
        lines.append(f"  %p{k} = getelementptr inbounds ptr, ptr %ctx, i64 {k}")
        lines.append(f"  %a{k} = load ptr, ptr %p{k}")
    arguments = ", ".join(f"ptr %a{k}" for k in range(buffers + 1))
    return [*lines, f"  call void @body({arguments})", "  ret void", "}"]


def _body(body: tuple[ir.Statement, ...], emitter: Emitter) -> None:
    for statement in body:
        seen: Seen = {}
        match statement:
            case ir.For():
                _loop(statement, emitter)
            case ir.If(condition, inner):
                inside, after = emitter.label("if"), emitter.label("endif")
                emitter.branch(emitter.value(condition, seen), inside, after)
                emitter.start(inside)
                _body(inner, emitter)
                emitter.jump(after)
                emitter.start(after)
            case ir.Store(buffer, offset, value, part):
                emitter.store(buffer, part, emitter.value(offset, seen), value, seen)
            case ir.Begin(accumulator, value):
                emitter.register(accumulator)
                emitter.set(accumulator, emitter.value(value, seen))
            case ir.Update(_, accumulators, _):
                after_ = [emitter.value(x, seen) for x in ir.combined(statement)]
                for accumulator, x in zip(accumulators, after_, strict=True):
                    emitter.set(accumulator, x)
            case ir.Check():
                _check(statement, emitter, seen)


def _loop(loop: ir.For, emitter: Emitter) -> None:
    head, body, done = (emitter.label(name) for name in ("head", "loop", "done"))
    index, before = emitter.name(), emitter.block
    after = emitter.name()
    emitter.jump(head)
    emitter.start(head)
    place = len(emitter.lines)
    more = emitter.line(f"icmp slt i64 {index}, {loop.index.extent}")
    emitter.branch(more, body, done)
    emitter.start(body)
    emitter.indices[id(loop.index)] = index
    _body(loop.body, emitter)
    emitter.lines.append(f"  {after} = add nuw nsw i64 {index}, 1")
    last = emitter.block
    phi = f"  {index} = phi i64 [ 0, %{before} ], [ {after}, %{last} ]"
    emitter.lines.insert(place, phi)
    emitter.jump(head)
    emitter.start(done)


def _check(check: ir.Check, emitter: Emitter, seen: Seen) -> None:
    good, bad = emitter.label("good"), emitter.label("bad")
    emitter.branch(emitter.value(check.condition, seen), good, bad)
    emitter.start(bad)
    inside: Seen = dict(seen)
    words = [str(check.failure), *(emitter.value(v, inside) for v in check.values)]
    for k, word in enumerate(words):
        place = emitter.line(f"getelementptr inbounds i64, ptr %status, i64 {k}")
        emitter.lines.append(f"  store i64 {word}, ptr {place}")
    emitter.lines.append("  ret void")
    emitter.start(good)
