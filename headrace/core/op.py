"""The op record: all that the system knows about one operation, in one class.

An op is a class that is never instantiated: a namespace of rules (`infer`, `kernel`, `grad`,
`scalar` or `lower`, `oracle`, `samples`). Dispatch, the tape, the graph, the compiler, the
tests and the documentation read these rules and nothing else, so that an op is added, changed
and understood in one place. Read this file first, then `core/dispatch.py`.

Conventions
- `inputs` are TensorFlow's input names in TensorFlow's order. A name that starts with `*` is a
  list of tensors. Names in `static` are inputs whose *value* decides the result's shape (axis,
  perm, shape, begin): rules receive them as an int or a tuple of ints by keyword, like
  attributes; `None` stands for what is not known while a graph is built.
- `types` maps an input to (TensorFlow's type attribute, allowed dtypes); an input that is not
  named there has type `T`, which is the type of the first input.
- `kernel(*arrays, **attrs)` gets NumPy arrays and returns one array or a tuple of arrays.
- `grad` is one rule per input, `(lambda dy, y, a, b: ..., lambda dy, y, a, b: ...)`, so that
  a walk computes only the gradients that it needs; or one function that returns them all.
- The rule of an op with several results gets a list of gradients, zeros where none arrived, or
  None there with `partial`. A sparse gradient (`tf.IndexedSlices`) comes as a dense tensor, or
  as it is with `sparse`.
- `keep` names the operands that `grad` reads, and `output` if it reads that; of all others a
  tape may let go of the values (shape and dtype stay). Without it everything is kept.
- A plain value among the inputs takes the dtype of the first tensor there, and is refused if it
  cannot; with `hinted` it then keeps its own, and the misfit is the op's error.
- `stateful` ops keep their order in a graph; of these, `pure` ones only look (a read of a
  variable) and may go when nobody needs the result.
- `label` is what a node of the op is called in a graph by default, where that is not the op's
  name (`Add` for `AddV2`).
- `computed` names those static inputs of which `lower` takes single numbers as scalars of the
  program, where they are only known when it runs.
- `draws(*specs, **attrs)` of a stateful random op gives `(place, blocks)`: what else than the
  seeds tells its place apart (see `core/rng.py`), and how far one run moves it. Its `lower` has
  the place's three words (counter's lower and upper half, key; uint64) as first operand.
- A rule that is missing says why: `no_grad="integer result"`, `no_lower="string data"`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, NamedTuple

import numpy as np

from headrace.base.dtypes import DType, int32

Shape = tuple[int | None, ...] | None
Attrs = Mapping[str, Any]


class Kind(Enum):
    """What sort of operation an op is; compiler, tests and inference treat kinds alike."""

    ELEMENTWISE = "elementwise"
    REDUCE = "reduce"
    MOVEMENT = "movement"
    CONTRACT = "contract"
    CREATION = "creation"
    RANDOM = "random"
    STATE = "state"
    CONTROL = "control"
    COMPOSITE = "composite"
    OPAQUE = "opaque"


class Spec(NamedTuple):
    """What is known of a tensor before it exists: shape (None: unknown), dtype, maybe value."""

    shape: Shape
    dtype: DType
    value: Any = None


class Op:
    """Base of all op records; see the module's docstring for the rules."""

    name: str = ""
    label: str = ""
    kind: Kind = Kind.OPAQUE
    inputs: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    attrs: Attrs = {}
    dtypes: frozenset[DType] = frozenset()
    types: Mapping[str, tuple[str, frozenset[DType]]] = {}
    keep: tuple[str, ...] | None = None
    stateful: bool = False
    pure: bool = False
    hinted: bool = False
    ulp: Mapping[DType, float] = {}
    samples: tuple[Any, ...] = ()
    no_grad: str | None = None
    partial: bool = False
    sparse: bool = False
    computed: tuple[str, ...] = ()
    no_lower: str | None = None
    kernels: Mapping[DType, Callable[..., Any]] = {}

    infer: Callable[..., Any]
    kernel: Callable[..., Any]
    grad: Any = None
    scalar: Callable[..., Any] | None = None
    lower: Callable[..., Any] | None = None
    oracle: Callable[..., Any] | None = None
    draws: Callable[..., Any] | None = None

    # Derived once per record.
    table: dict[np.dtype, Callable[..., Any]]
    operands: tuple[str, ...]
    variadic: bool
    mixed: tuple[frozenset[np.dtype] | None, ...] | None
    shared_dtypes: frozenset[np.dtype]
    defaults: dict[str, DType]

    def __init_subclass__(cls) -> None:
        if not cls.name:
            cls.name = cls.__name__
        if not cls.label:
            cls.label = cls.name
        if cls.name in OPS:
            raise ValueError(f"An op named {cls.name!r} exists already.")
        OPS[cls.name] = cls
        complete(cls)


OPS: dict[str, type[Op]] = {}


def complete(op: type[Op]) -> None:
    """Derive the lookup tables that dispatch reads from a record's declarations."""
    op.operands = tuple(name for name in op.inputs if name not in op.static)
    op.variadic = any(name.startswith("*") for name in op.operands)
    first = op.operands[0] if op.operands else ""
    leading = op.types[first][1] if first in op.types else op.dtypes
    default: Any = getattr(op, "kernel", None)
    op.table = {dtype.np: op.kernels.get(dtype, default) for dtype in leading}
    op.shared_dtypes = frozenset(dtype.np for dtype in op.dtypes)
    op.defaults = {
        name: int32 if int32 in allowed else min(allowed, key=lambda dtype: dtype.name)
        for name, (_, allowed) in op.types.items()
    }
    op.mixed = None
    if any(name in op.types for name in op.operands):
        op.mixed = tuple(
            frozenset(dtype.np for dtype in op.types[name][1]) if name in op.types else None
            for name in op.operands
        )
