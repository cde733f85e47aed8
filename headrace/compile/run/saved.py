"""What a compiled program needs besides its code, as bytes that another process can read.

It is all that a call needs: names, shapes and dtypes of buffers, where temporaries lie, and the
texts of failures; not the loops, which are code by then.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from headrace.base import dtypes
from headrace.compile.loops import ir
from headrace.compile.run.arena import Arena

_KINDS = ("inputs", "outputs", "temporaries", "states")


def pack(loops: ir.Loops, plan: Arena, unlock: bool) -> bytes:
    """The description of a program."""
    found: dict[str, Any] = {kind: _listed(getattr(loops, kind)) for kind in _KINDS}
    found["name"] = loops.name
    found["failures"] = [[f.error, f.message] for f in loops.failures]
    found["places"], found["arena"], found["unlock"] = plan.places, plan.size, unlock
    return json.dumps(found).encode()


def unpack(description: bytes) -> tuple[ir.Loops, Arena, bool]:
    """What `pack` was given, without the stages."""
    found = json.loads(description)
    buffers = {kind: _buffers(found[kind]) for kind in _KINDS}
    failures = tuple([ir.Failure(*each) for each in found["failures"]])
    loops = ir.Loops(name=found["name"], stages=(), failures=failures, **buffers)
    return loops, Arena(tuple(found["places"]), found["arena"]), found["unlock"]


def _listed(buffers: Sequence[ir.Buffer]) -> list[Any]:
    return [[b.name, b.shape, b.dtype.name] for b in buffers]


def _buffers(listed: Sequence[Any]) -> tuple[ir.Buffer, ...]:
    return tuple(
        [ir.Buffer(name, tuple(shape), dtypes.as_dtype(kind)) for name, shape, kind in listed]
    )
