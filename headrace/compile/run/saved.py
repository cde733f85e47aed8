"""What a program needs besides its code, as bytes that another process can read.

It is all that a call needs: names, shapes and dtypes of buffers, where temporaries lie, and the
texts of failures; not the loops, which are code by then.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from headrace.base import dtypes, flags
from headrace.compile.loops.status import Failure
from headrace.compile.run.program import Form, Program

_KINDS = ("inputs", "outputs", "states", "temporaries")
_PLAIN = ("name", "places", "arena", "unlock", "failures")


def pack(program: Program) -> bytes:
    """The description of a program."""
    found: dict[str, Any] = {kind: _listed(getattr(program, kind)) for kind in _KINDS}
    found |= {name: getattr(program, name) for name in _PLAIN}
    return json.dumps(found).encode()


def unpack(description: bytes, code: Any) -> Program:
    """What `pack` was given, with its code again."""
    found = json.loads(description)
    return Program(
        found["name"],
        code.address,
        code,
        _forms(found["inputs"]),
        _forms(found["outputs"]),
        _forms(found["states"]),
        _forms(found["temporaries"]),
        tuple(found["places"]),
        found["arena"],
        found["unlock"],
        flags.POISON.value,
        tuple([Failure(*each) for each in found["failures"]]),
    )


def _listed(forms: Sequence[Form]) -> list[Any]:
    return [[form.shape, dtypes.from_numpy[form.dtype].name, form.name] for form in forms]


def _forms(listed: Sequence[Any]) -> tuple[Form, ...]:
    return tuple(
        [Form(tuple(shape), dtypes.as_dtype(kind).np, name) for shape, kind, name in listed]
    )
