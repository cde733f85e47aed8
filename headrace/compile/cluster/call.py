"""A cluster as machine code that a plan can call like a kernel.

Variables that the code writes to are locked, in one order in all threads, and written in place
(a buffer that a tensor still shares is left to it). Random places move on as eager ops would
move them. `made.py` compiles what no other process has compiled.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from headrace.base.dtypes import resource
from headrace.base.errors import OpError
from headrace.base.lazy import lazy_module
from headrace.compile.cluster import stored
from headrace.compile.cluster.partition import Group, partition
from headrace.compile.cluster.support import Refused, writes
from headrace.compile.passes.program import Node, Program
from headrace.compile.run.entry import Method
from headrace.compile.run.plan import located
from headrace.core import rng
from headrace.core.graph import Const
from headrace.core.op import Kind, Op

if TYPE_CHECKING:
    from headrace.compile.loops import ir

cold = lazy_module("headrace.compile.cluster.made")
_serial = attrgetter("_serial")


class Native(Op):
    """Native code for a part of a program; a node of it gives a list."""

    kind = Kind.OPAQUE
    inputs = ("*inputs",)
    attrs = {"code": None}
    no_grad = "gradients are taken before"
    no_lower = "it is native code already"

    def infer(*inputs: Any, code: Any) -> Any:
        return [value.spec for value in code.program.fetches]

    def kernel(*values: Any, code: Any) -> Any:
        return code(values)


class Code:
    """A cluster's native code: `code(values) -> arrays`."""

    def __init__(self, program: Program) -> None:
        self.program = program
        found = stored.find(program) or cold.made(program)
        changed = writes(program)
        self._inputs = [i for i, v in enumerate(program.inputs) if v not in changed]
        self._states = [i for i, v in enumerate(program.inputs) if v in changed]
        handles = [v.spec.dtype is resource for v in program.inputs]
        self._variables = [k for k, i in enumerate(self._inputs) if handles[i]]
        self._sources, self._constants = found.sources, found.constants
        self._draws = [Draw(*stored.resolved(program, place)) for place in found.draws]
        self._lock = threading.Lock()
        self.executable = found.executable
        self._call = self.executable.call
        self._given = bool(self._variables or self._states or self._constants or self._draws)

    @property
    def loops(self) -> ir.Loops:
        """The program of loops, as it runs."""
        loops: ir.Loops | None = self.executable.loops
        return cold.scheduled(self.program) if loops is None else loops

    def __call__(self, values: Sequence[Any]) -> Sequence[np.ndarray]:
        """Run it on an array or variable for each input of the program.

        Raises:
            OpError: a check failed; the error names the node and the user's lines.
        """
        if self._given:
            return self._with_variables(values)
        result = self._call(*values)
        return result if result.__class__ is tuple else self._settled(result, values)

    def _with_variables(self, values: Sequence[Any]) -> Sequence[np.ndarray]:
        arrays = [values[i] for i in self._inputs]
        for place in self._variables:
            arrays[place] = arrays[place]._array
        arrays += self._constants
        if self._states or self._draws:
            return self._changing(arrays, [values[i] for i in self._states])
        result = self._call(*arrays)
        return result if result.__class__ is tuple else self._settled(result, arrays)

    def _changing(self, arrays: Sequence[np.ndarray], variables: list[Any]) -> Any:
        """Run with the locks of everything that changes."""
        locks = [variable._lock for variable in sorted(variables, key=_serial)]
        if self._draws:
            locks.append(self._lock)
        for lock in locks:
            lock.acquire()
        try:
            words = [draw.begin() for draw in self._draws]
            memory = [variable._writable() for variable in variables]
            return self._drawing((*arrays, *memory, *words), words)
        finally:
            for lock in locks:
                lock.release()

    def _drawing(self, given: Sequence[np.ndarray], words: Sequence[np.ndarray]) -> Any:
        """Run, and note what was drawn, by a run that fails as well."""
        try:
            result = self._call(*given)
            return result if result.__class__ is tuple else self._settled(result, given)
        finally:
            for draw, state in zip(self._draws, words, strict=True):
                draw.end(state)

    def immediate(
        self, places: Sequence[int], captured: Sequence[Any], program: Program
    ) -> Immediate | None:
        """See `immediate` below; `places` say which inputs of the program the code takes."""
        count = len(program.inputs) - len(captured)
        inputs = [places[i] for i in self._inputs]
        states = [places[i] for i in self._states]
        unlock = self.executable.program.unlock
        if inputs[:count] != [*range(count)] or self._draws:
            return None
        if unlock and (self._variables or states):  # they are locked first
            return None
        fixed = [captured[place - count] for place in inputs[count:]]
        changed = [captured[place - count] for place in states]
        return Immediate(self._call, (*fixed, *self._constants, *changed), not unlock, self)

    def _settled(self, result: Any, given: Sequence[Any]) -> tuple[np.ndarray, ...]:
        """The results of a call that gave something else, or its error."""
        try:
            return self.executable.settle(result, given)
        except OpError as error:
            number = getattr(error, "failure", None)
            if number is None:
                raise
            _, node = stored.resolved(self.program, self._sources[number - 1])
            raise located(error, node, self.program.name) from None


class Immediate(NamedTuple):
    """Native code called with the arrays of some arguments, and nothing in between.

    Attributes:
        call: `call(*arrays, *rest)` gives the results as a tuple; bytes: a check failed
            (`error`); else nothing was done, and the program's ordinary way must be taken.
        rest: what comes after the arguments: constants, and the variables themselves.
        borrows: whether arrays may be the user's own: nobody can change them meanwhile.
    """

    call: Method
    rest: tuple[Any, ...]
    borrows: bool
    code: Code

    def error(self, result: bytes) -> Exception:
        """The error of a call whose check failed."""
        try:
            self.code._settled(result, ())
        except OpError as error:
            return error
        raise AssertionError(result)


class Draw:
    """Where a random node draws, from call to call."""

    def __init__(self, program: Program, node: Node) -> None:
        self._owner = rng.owner_of(program.source, node.name)
        attrs = {**node.op.attrs, **node.attrs}
        assert node.op.draws is not None
        self._place, _ = node.op.draws(*[v.spec for v in node.inputs], **attrs)
        self._seeds = attrs["seed"], attrs["seed2"]

    def begin(self) -> np.ndarray:
        """The words that the code draws from: the counter's two halves, and the key."""
        with rng.running(self._owner):
            counter, key = rng.start(self._place, *self._seeds, 0)
        self._first = counter
        return np.array([counter & _WORD, counter >> 64, key], np.uint64)

    def end(self, words: np.ndarray) -> None:
        """Move on by as much as the code has drawn."""
        low, high = int(words[0]), int(words[1])
        drawn = (high << 64) + low - self._first
        with rng.running(self._owner):
            rng.start(self._place, *self._seeds, drawn)


_WORD = (1 << 64) - 1


def compiled(program: Program) -> Program:
    """The program with native code in place of what can be lowered.

    Args:
        program: after the passes.
    """
    refused: dict[Node, str] = {}
    while True:
        nodes: list[Node] = []
        try:
            for number, group in enumerate(partition(program, refused)):
                nodes += _as_nodes(group, number)
        except Refused as error:
            refused[error.node] = error.reason
            continue
        kept = [node for node in program.nodes if node.op is Const]
        found = Program(
            [*kept, *nodes], program.inputs, program.fetches, program.name, program.source
        )
        found.refused = refused
        return found


def _as_nodes(group: Group, number: int) -> list[Node]:
    part = group.program
    if not group.lowered or not any(node.op.kind is not Kind.STATE for node in part.nodes):
        return [node for node in part.nodes if node.op is not Const]
    code = Code(part)
    return [
        Node(Native, f"native_{number}", part.inputs, {"code": code}, part.fetches, listed=True)
    ]


def _single(program: Program) -> tuple[Code, list[int]] | None:
    """The code of a program that is one piece of it, and which inputs it takes."""
    nodes = [node for node in program.nodes if node.op is not Const]
    if len(nodes) != 1 or nodes[0].op is not Native or nodes[0].outputs != program.fetches:
        return None
    places = [program.inputs.index(value) for value in nodes[0].inputs]
    return nodes[0].attrs["code"], places


def direct(program: Program) -> Callable[[Sequence[Any]], Sequence[Any]] | None:
    """What runs a program that is one piece of native code; None if it is more than that."""
    found = _single(program)
    if found is None:
        return None
    code, places = found
    if places == [*range(len(program.inputs))]:
        return code
    return lambda values: code([values[place] for place in places])


def immediate(program: Program, captured: Sequence[Any]) -> Immediate | None:
    """The shortest way to call a program whose last inputs are always the same.

    Args:
        captured: values of these inputs: arrays and variables. A variable is handed to the
            code as such (`llvm/entry.py`).
    Returns:
        None where there is more to do than to call the code.
    """
    found = _single(program)
    return None if found is None else found[0].immediate(found[1], captured, program)
