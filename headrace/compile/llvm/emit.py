"""Loops become LLVM text: a function for each stage, and one that calls them in order.

The text is written directly: LLVM's own builder objects cost twenty times as much. A program is
the function `kernel(ctx)`: ctx points to the buffers' addresses in the order of `Loops.buffers`
and then to the status words, so that compiled code holds no address and may be kept. Stages
that do the same with other buffers, as those of equal layers do, are one function. How a loop
runs (in lanes, in copies) is decided in `compile/schedule` and written on the loop. Read
`loops/ir.py` before; `values.py` has the expressions, `reductions.py` accumulators in lanes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from headrace.compile.llvm import mathlib, memory, parallel, products, turned
from headrace.compile.llvm.abi import ENTRY, slot
from headrace.compile.llvm.microkernel import Kernels
from headrace.compile.llvm.pool import counted
from headrace.compile.llvm.reductions import Reduction
from headrace.compile.llvm.text import memory_type, value_type
from headrace.compile.llvm.values import Emitter
from headrace.compile.loops import ir
from headrace.compile.loops.accumulate import carried
from headrace.compile.loops.expr import Index, Load, operands
from headrace.compile.loops.product import Product


def emit(loops: ir.Loops) -> str:
    """LLVM text of a verified program."""
    return _Module(loops).text()


class _Module:
    """The functions of a program's stages, and `kernel`, which calls them."""

    def __init__(self, loops: ir.Loops) -> None:
        self.loops = loops
        self.places = {id(b): k for k, b in enumerate(loops.buffers)}
        self.declarations: dict[str, str] = {}
        self.functions: list[str] = []
        self.kernels = Kernels()
        self.calls: list[str] = []
        self.named: dict[tuple[str, ...], str] = {}
        self.tasks: set[str] = set()
        self.most = 0  # the longest list of addresses that tasks are given
        self.count = 0
        self.begins: list[int] = []  # where in `calls` the loops that are open begin
        self.jobs = 0  # how often threads are asked for; in a loop, more than once

    def text(self) -> str:
        self._steps(self.loops.stages)
        declarations = self.declarations | self.kernels.declarations
        functions = [*self.kernels.functions.values(), *self.functions]
        lines = [*declarations.values(), *functions, *self._entry(), mathlib.PURE]
        return "\n".join(lines) + "\n"

    def _entry(self) -> list[str]:
        """`kernel`: takes the addresses out of the context and runs the steps."""
        lines = [f"define void @{ENTRY}(ptr %ctx) nounwind {{", "start:"]
        lines += [f"  %env = alloca [{self.most} x ptr]"] if self.most else []
        names = [f"%b{k}" for k in range(len(self.loops.buffers))] + ["%status"]
        for k, name in enumerate(names):
            lines.append(f"  %p{k} = getelementptr inbounds ptr, ptr %ctx, i64 {k}")
            lines.append(f"  {name} = load ptr, ptr %p{k}")
        began, ended = self._counted_in() if self.jobs > 1 else ([], [])
        calls = [*self.calls, "  br label %end", "end:", *ended, "  ret void", "}"]
        return [*lines, *began, *calls]

    def _counted_in(self) -> tuple[list[str], list[str]]:
        """Lines for the begin and the end of a program, between which workers stay awake."""
        at = slot("pool", len(self.places))
        found = [
            f"  %pool.at = getelementptr inbounds ptr, ptr %ctx, i64 {at}",
            "  %pool = load ptr, ptr %pool.at",
        ]
        return [*found, *counted("%pool", 1, "%in")], counted("%pool", -1, "%out")

    def _steps(self, steps: ir.Steps) -> None:
        for step in steps:
            match step:
                case ir.Stage():
                    self._stage(step)
                case ir.Repeat():
                    self._repeat(step)
                case ir.Branch():
                    self._branch(step)

    def _number(self) -> int:
        self.count += 1
        return self.count

    def _stage(self, stage: ir.Stage) -> None:
        if not stage.body:
            return
        if stage.how is not None:
            self._product(stage, stage.how)
            return
        emitter = self._emitter(stage.body)
        self._shared(stage.body, emitter)
        more = ("ptr %status", "ptr %ctx")
        name = self._function("i1", "stage", emitter, more, "i1 true")
        number = self._number()
        arguments = ", ".join([*self._passed(emitter), *more])
        self.calls.append(f"  %r{number} = call i1 @{name}({arguments})")
        if any(isinstance(s, ir.Check) for s in ir.statements(stage.body)):
            self.calls.append(f"  br i1 %r{number}, label %after{number}, label %end")
            self.calls.append(f"after{number}:")

    def _passed(self, e: Emitter) -> list[str]:
        """The addresses in `kernel` of the buffers that a function takes."""
        return [f"ptr %b{self.places[key]}" for key in e.given]

    def _product(self, stage: ir.Stage, how: Product) -> None:
        def emitter() -> Emitter:
            return self._emitter(stage.body, stage.copies)

        lines: list[str] = []
        for kind, parts, e in products.emit(how, emitter, self.kernels, _body):
            self._early(lines, how.outside)  # all but the last: packing
            name = self._function("void", kind, e, ("i64 %part",), "void")
            if parts == 1:
                passed = ", ".join([*self._passed(e), "i64 0"])
                lines = [f"  call void @{name}({passed})"]
                continue
            self._once(parallel.task_of_parts(name, len(e.given)))
            lines = self._parts(name, parts, self._passed(e), bool(how.shared))
        self.calls += lines

    def _early(self, lines: list[str], outside: int) -> None:
        """Put calls before so many of the loops that are open."""
        if not outside:
            self.calls += lines
            return
        at = self.begins[-outside]
        self.calls[at:at] = lines
        for k in range(len(self.begins) - outside, len(self.begins)):
            self.begins[k] += len(lines)

    def _parts(self, name: str, parts: int, passed: Sequence[str], shared: bool) -> list[str]:
        """Lines that call a task for all its parts, by threads or one after the other."""
        number, self.most = self._number(), max(self.most, len(passed))
        lines = []
        for k, address in enumerate(passed):
            place = f"%e{number}.{k}"
            lines.append(f"  {place} = getelementptr inbounds ptr, ptr %env, i64 {k}")
            lines.append(f"  store {address}, ptr {place}")
        if not shared:
            return [*lines, f"  call void @task.{name}(ptr %env, i64 0, i64 {parts})"]
        self.jobs += 1
        for word in ("parallel", "pool"):
            place, at = f"%{word}{number}", slot(word, len(self.places))
            lines.append(f"  {place}.at = getelementptr ptr, ptr %ctx, i64 {at}")
            lines.append(f"  {place} = load ptr, ptr {place}.at")
        given = f"ptr %pool{number}, ptr @task.{name}, ptr %env, i64 {parts}"
        return [*lines, f"  call void %parallel{number}({given})"]

    def _emitter(self, body: Sequence[ir.Statement], more: Sequence[ir.Buffer] = ()) -> Emitter:
        """What writes the function of some statements; it is given the buffers they touch."""
        loaded, stored = _touched(body)
        used = loaded | stored | {id(b): b for b in more}
        return Emitter(list(used.values()), loaded.keys() - stored.keys())

    def _function(
        self, result: str, kind: str, e: Emitter, more: Sequence[str], value: str
    ) -> str:
        """Define what an emitter has written; the name of what has the same text."""
        self.declarations |= e.declarations
        given = ", ".join([*[f"ptr noalias {name}" for name in e.given.values()], *more])
        lines = ["entry:", *e.allocations, *e.frame.lines, f"  ret {value}", "}"]
        key = (given, *lines)
        if key not in self.named:
            name = self.named[key] = f"{kind}{self._number()}"
            head = f"define internal {result} @{name}({given}) noinline nounwind {{"
            self.functions += [head, *lines]
        return self.named[key]

    def _once(self, lines: Sequence[str]) -> None:
        """Add a function that may be there already."""
        if lines[0] not in self.tasks:
            self.tasks.add(lines[0])
            self.functions += lines

    def _shared(self, body: Sequence[ir.Statement], e: Emitter) -> None:
        """Statements of which some loops are functions of their own, for threads."""
        rest: list[ir.Statement] = []
        for statement in body:
            cut = parallel.cut(statement)
            if cut is None:
                rest.append(statement)
                continue
            _body(rest, e)
            rest = []
            self._task(statement, cut, e)
        _body(rest, e)

    def _task(self, statement: ir.Statement, cut: parallel.Cut, e: Emitter) -> None:
        """A function that runs some chunks of a loop, and the call that shares them out."""
        assert isinstance(statement, ir.For)
        inner = self._emitter((statement,))
        self.jobs += 1
        span = parallel.span(inner, cut)
        if statement.lanes > 1:
            _lanes(statement, inner, span)
        else:
            _loop(statement, inner, span)
        name = self._function("void", "chunks", inner, ("i64 %begin", "i64 %end"), "void")
        self._once(parallel.task(name, len(inner.given)))
        parallel.share(e, name, list(inner.given), cut, slot("parallel", len(self.places)))

    def _repeat(self, repeat: ir.Repeat) -> None:
        number, jobs = self._number(), self.jobs
        self.begins.append(len(self.calls))
        self.calls += [f"  br label %head{number}", f"head{number}:"]
        self._steps(repeat.head)
        self._load("c", number, "i8", repeat.condition)
        self.calls.append(f"  %go{number} = trunc i8 %c{number} to i1")
        self.calls.append(f"  br i1 %go{number}, label %body{number}, label %over{number}")
        self.calls.append(f"body{number}:")
        self._steps(repeat.body)
        self.calls += [f"  br label %head{number}", f"over{number}:"]
        self.jobs += self.jobs > jobs
        self.begins.pop()

    def _branch(self, branch: ir.Branch) -> None:
        number, last = self._number(), len(branch.sides) - 1
        kind = memory_type(branch.index.dtype)
        cases = [f"{kind} {k}, label %side{number}.{k}" for k in range(last)]
        if branch.index.dtype.is_bool:  # true is the first side, and everything else the last
            cases = [f"{kind} 1, label %side{number}.0"]
        self._load("c", number, kind, branch.index)
        listed = " ".join(cases)
        otherwise = f"label %side{number}.{last}"
        self.calls.append(f"  switch {kind} %c{number}, {otherwise} [ {listed} ]")
        for k, side in enumerate(branch.sides):
            self.calls.append(f"side{number}.{k}:")
            self._steps(side)
            self.calls.append(f"  br label %over{number}")
        self.calls.append(f"over{number}:")

    def _load(self, letter: str, number: int, kind: str, buffer: ir.Buffer) -> None:
        place = f"%b{self.places[id(buffer)]}"
        self.calls.append(f"  %{letter}{number} = load {kind}, ptr {place}")


def _touched(
    body: Sequence[ir.Statement],
) -> tuple[dict[int, ir.Buffer], dict[int, ir.Buffer]]:
    """The buffers that statements load from, and those that they store into, by id, as they
    come."""
    found: dict[int, ir.Buffer] = {}
    stored: dict[int, ir.Buffer] = {}
    seen: set[int] = set()
    for statement in ir.statements(tuple(body)):
        if isinstance(statement, ir.Store):
            stored[id(statement.buffer)] = statement.buffer
        stack = list(ir.expressions(statement))
        while stack:
            x = stack.pop()
            if id(x) in seen:
                continue
            seen.add(id(x))
            if isinstance(x, Load):
                found[id(x.buffer)] = x.buffer
            stack.extend(operands(x))
    return found, stored


def _body(body: Sequence[ir.Statement], e: Emitter) -> None:
    done: ir.Statement | None = None
    for k, statement in enumerate(body):
        following = body[k + 1] if k + 1 < len(body) else None
        if statement is done:
            continue
        e.statement()
        if memory.stored_pairs(e, statement, following):
            done = following
            continue
        match statement:
            case ir.For():
                if statement.index.extent == 0:
                    continue
                if statement.lanes > 1:
                    _lanes(statement, e)
                elif statement.turned:
                    _turned(statement, e)
                else:
                    _loop(statement, e)
            case ir.If():
                _if(statement, e)
            case ir.Store(buffer, offset, value, part):
                memory.store(e, buffer, part, offset, value)
            case ir.Begin(accumulator, value):
                lanes = 1 if e.vector is None else e.lanes
                if id(accumulator) not in e.registers:
                    e.register(accumulator, lanes)
                e.set(accumulator, e.either(value))
            case ir.Update():
                _update(statement, e)
            case ir.Check():
                _check(statement, e)


def _update(update: ir.Update, e: Emitter) -> None:
    combined = ir.combined(update)
    e.hold(*combined)
    after = [e.either(x) for x in combined]
    for accumulator, value in zip(update.accumulators, after, strict=True):
        if e.tail is not None and id(accumulator) in e.partial:
            value = e.where(e.tail, value, e.read(accumulator), value_type(accumulator.dtype))
        e.set(accumulator, value)


def _if(statement: ir.If, e: Emitter) -> None:
    _inside(e.scalar(statement.condition), e, lambda: _body(statement.body, e))


def _inside(condition: str, e: Emitter, write: Callable[[], None]) -> None:
    """What `write` writes, run only where a condition holds."""
    inside, after = e.label("if"), e.label("endif")
    e.push(inside)
    e.conditional += 1
    write()
    e.conditional -= 1
    e.jump(after)
    frame = e.pop()
    e.branch(condition, inside, after)
    e.frame.lines += [f"{inside}:", *frame.lines]
    e.start(after)


def _loop(loop: ir.For, e: Emitter, span: parallel.Span | None = None) -> None:
    """One element at a time."""
    _counted(loop.index, loop.index.extent, 1, e, lambda: _body(loop.body, e), span)


def _turned(loop: ir.For, e: Emitter) -> None:
    """A loop across blocks that are turned before it; written out where its steps are light."""
    before = dict(e.blocks)
    _placed(loop.index, "0", e, lambda: turned.prepare(e, loop))
    if not turned.light(loop.body):
        _loop(loop, e)
    else:
        for k in range(loop.index.extent):
            _placed(loop.index, str(k), e, lambda: _body(loop.body, e))
    e.blocks = before


def _counted(
    index: Index,
    until: int,
    step: int,
    e: Emitter,
    write: Callable[[], None],
    span: parallel.Span | None = None,
) -> None:
    """A loop for index = 0, step, ... below `until`, which is a multiple of `step`; or for
    those of a span."""
    if until == step:
        _placed(index, "0", e, write)
        return
    start, end = ("0", str(until)) if span is None else (span.start, span.end)
    head, done = e.label("loop"), e.label("done")
    name, after, before = e.name(), e.name(), e.frame.block
    e.push(head)
    e.levels[id(index)] = len(e.frames) - 1
    e.defined[name] = len(e.frames) - 1
    e.indices[id(index)] = name
    e.trips *= until // step
    write()
    e.trips //= until // step
    e.effect(f"{after} = add nuw nsw i64 {name}, {step}")
    more = e.line(f"icmp slt i64 {after}, {end}")
    e.branch(more, head, done)
    frame = e.pop()
    e.jump(head)
    phi = f"  {name} = phi i64 [ {start}, %{before} ], [ {after}, %{frame.block} ]"
    e.frame.lines += [f"{head}:", phi, *frame.lines]
    e.start(done)


def _placed(index: Index, value: str, e: Emitter, write: Callable[[], None]) -> None:
    """What `write` writes, with `index` at one place."""
    e.push(e.frame.block)
    e.levels[id(index)] = len(e.frames) - 1
    e.indices[id(index)] = value
    write()
    frame = e.pop()
    e.frame.lines += frame.lines
    e.frame.block = frame.block


def _lanes(loop: ir.For, e: Emitter, span: parallel.Span | None = None) -> None:
    """`loop.lanes` elements at a time; what is left over runs once more under a mask."""
    index, lanes = loop.index, loop.lanes
    whole, rest = divmod(index.extent, lanes)
    copies = max(1, min(loop.copies, whole))
    sums = [Reduction(e, update, index, lanes, copies) for update in carried(loop.body)]
    e.vectorise(index, lanes)

    def one(copy: int, place: str) -> None:
        for each in sums:
            each.use(copy)
        e.vectorise(index, lanes)
        _placed(index, place, e, lambda: _body(loop.body, e))

    def several() -> None:
        first = e.indices[id(index)]
        for copy in range(copies):
            place = first if not copy else _plus(first, copy * lanes, e)
            one(copy, place)

    together = whole // copies * copies
    if together:
        _counted(index, together * lanes, copies * lanes, e, several, span)

    def last() -> None:
        for k in range(together, whole):
            one(k - together, str(k * lanes))
        if rest:
            e.tail, e.rest = memory.lanes_mask(lanes, 0, rest), rest
            one(0, str(whole * lanes))
            e.tail = None

    if span is None:
        last()
    elif index.extent > together * lanes:
        _inside(span.last, e, last)
    for each in sums:
        each.finish()
    e.vectorise(None, 1)


def _plus(first: str, count: int, e: Emitter) -> str:
    if first.isdigit():
        return str(int(first) + count)
    return e.line(f"add nuw nsw i64 {first}, {count}")


def _check(check: ir.Check, e: Emitter) -> None:
    good, bad = e.label("good"), e.label("bad")
    condition = e.scalar(check.condition)
    e.push(bad)
    words = [str(check.failure), *(e.scalar(v) for v in check.values)]
    for k, word in enumerate(words):
        place = e.line(f"getelementptr inbounds i64, ptr %status, i64 {k}")
        e.effect(f"store i64 {word}, ptr {place}")
    e.effect("ret i1 false")
    frame = e.pop()
    e.branch(condition, good, bad)
    e.frame.lines += [f"{bad}:", *frame.lines]
    e.start(good)
