"""Clusters that another process has compiled: found by what the program says.

The key is the whole program as a text, with the bodies in it; what is kept beside the code is
what a call needs: the form of the buffers, constants, and which nodes draw and fail. Nodes are
told by a path: the names of the nodes, and which of their bodies, that lead to them.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from headrace.base import flags
from headrace.base.dtypes import DType
from headrace.compile.cluster.bodies import bodies_of, program_of_body
from headrace.compile.llvm import cpu
from headrace.compile.passes.inline import is_body
from headrace.compile.passes.program import Node, Program, Value
from headrace.compile.run import cache
from headrace.compile.run.executable import Executable

LARGEST = 1 << 22
"""Programs with more bytes of constants are not kept."""

Path = tuple[tuple[str, int], ...]


class Place(NamedTuple):
    """Where a node is: the bodies that lead to it, and its name."""

    path: Path
    name: str


class Found(NamedTuple):
    """A cluster that was kept."""

    executable: Executable
    constants: list[np.ndarray]
    draws: list[Place]
    sources: list[Place]


def resolved(program: Program, place: Place) -> tuple[Program, Node]:
    """A node of a program, or of a body in it, and the program that it stands in."""
    for name, number in place.path:
        node = _named(program, name)
        program = program_of_body(bodies_of(node)[number], ())
    return program, _named(program, place.name)


def _named(program: Program, name: str) -> Node:
    return next(node for node in program.nodes if node.name == name)


def find(program: Program) -> Found | None:
    """The cluster as it was kept, if it was."""
    if flags.CACHE.value is None or flags.DUMP.value:
        return None
    entry = cache.lookup(_key(program))
    if entry is None:
        return None
    size = int.from_bytes(entry.metadata[:8], "little")
    about = json.loads(entry.metadata[8 : 8 + size])
    arrays = io.BytesIO(entry.metadata[8 + size + about["own"] :])
    constants = [np.lib.format.read_array(arrays) for _ in range(about["constants"])]
    own = entry.metadata[8 + size : 8 + size + about["own"]]
    executable = Executable.restored(cache.Entry(entry.object, own))
    places = [[_place(each) for each in about[kind]] for kind in ("draws", "sources")]
    return Found(executable, constants, *places)


def _place(given: Any) -> Place:
    path, name = given
    return Place(tuple([(node, body) for node, body in path]), name)


def keep(program: Program, found: Found) -> None:
    """Keep a cluster for other processes."""
    size = sum(array.nbytes for array in found.constants)
    if flags.CACHE.value is None or flags.DUMP.value or size > LARGEST:
        return
    entry = found.executable.saved()
    about = json.dumps(
        {
            "own": len(entry.metadata),
            "constants": len(found.constants),
            "draws": found.draws,
            "sources": found.sources,
        }
    ).encode()
    arrays = io.BytesIO()
    for array in found.constants:
        np.lib.format.write_array(arrays, np.asarray(array))
    parts = [len(about).to_bytes(8, "little"), about, entry.metadata, arrays.getvalue()]
    cache.store(_key(program), entry.object, b"".join(parts))


def _key(program: Program) -> str:
    numbers: dict[Value, int] = {}
    lines = list(_lines(program, numbers))
    return cache.key("cluster", cpu.identity(), cache.fingerprint(), flags.POISON.value, lines)


def _lines(program: Program, numbers: dict[Value, int]) -> Iterator[Any]:
    """All that decides what the code of a program is."""

    def number(value: Value) -> int:
        return numbers.setdefault(value, len(numbers))

    def told(value: Value) -> Any:
        spec = value.spec
        content = spec.value
        inner = (content.shape, content.dtype.name) if hasattr(content, "dtype") else None
        return number(value), spec.shape, spec.dtype.name, inner

    yield [told(value) for value in program.inputs]
    for node in program.nodes:
        attrs = [(key, _said(attr, number)) for key, attr in sorted(node.attrs.items())]
        inputs = [number(value) for value in node.inputs]
        yield node.op.name, node.name, inputs, attrs, [told(v) for v in node.outputs]
        for body in bodies_of(node):
            yield list(_lines(program_of_body(body, ()), {}))
    yield [number(value) for value in program.fetches]


def _said(attr: Any, number: Any) -> Any:
    if attr.__class__ is Value:
        return "value", number(attr)
    if isinstance(attr, np.ndarray):
        data = hashlib.sha256(np.ascontiguousarray(attr).tobytes()).hexdigest()
        return attr.shape, str(attr.dtype), data
    if attr.__class__ is tuple:
        return tuple([_said(item, number) for item in attr])
    if isinstance(attr, DType):
        return attr.name
    return "body" if is_body(attr) else repr(attr)


def places(nodes: Sequence[Node], paths: dict[Node, Path]) -> list[Place]:
    """Where some nodes are."""
    return [Place(paths[node], node.name) for node in nodes]
