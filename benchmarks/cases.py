"""What is measured, and what is asked of Headrace: one `Case` a row of the table.

A case names a *program*, which each library in `implementations/` writes in its own way, and
the inputs that all of them get. The results of the first calls are compared, so that nobody
measures something else. Whatever a program prepares once (tensors, models, compiled code) is
made before the clock starts, but for the cases that measure just that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import partial

from benchmarks import data

CALL = "seconds of a warm call"
IMPORT = "seconds of an import in a fresh process"
FIRST = "seconds of the first call in a fresh process, imports done"
CACHED = "the same, with what an earlier process left on the disk"
MEMORY = "bytes above what stood after imports and inputs, in a fresh process"


COMPILED = ("tensorflow", "xla", "jax", "torch.compile")
PEERS = (*COMPILED, "torch")


@dataclass(frozen=True)
class Ask:
    """What is asked of Headrace; where both are given, either will do."""

    of_best: float | None = None  # share of the best peer's figure
    among: tuple[str, ...] = PEERS  # the peers that count
    limit: float | None = None  # the figure itself
    of_case: tuple[str, float] | None = None  # share of Headrace's figure of another case


@dataclass(frozen=True)
class Case:
    """A row of the table."""

    name: str
    program: str = ""
    inputs: Callable[[], data.Inputs] = dict
    ask: Ask | None = None
    kind: str = CALL
    compared: int = 1  # results of so many first calls are compared
    tolerance: float = 1e-4
    apart: tuple[str, ...] = ()  # libraries whose results are known to be others
    steps: int = 1  # the figure is that of one of so many steps
    flops: float = 0
    used: str = ""  # of an import: the attribute that is used
    own: bool = False  # measured in Headrace only


def sized(number: int) -> str:
    """A size as the table shows it."""
    return f"1e{len(str(number)) - 1}"


EAGER = [
    Case("import", kind=IMPORT),
    Case("import, keras.layers included", kind=IMPORT, used=".keras.layers"),
    Case("t + u", "add", data.small),
    Case("t + 10", "add number", data.small),
    Case("tf.square(t)", "square", data.small),
    Case("t @ t.T", "matmul small", data.small),
    Case("tf.reduce_mean(t)", "mean", data.small),
    Case("t[:, 1:]", "slice", data.small),
    Case("v.assign_add(t)", "assign_add", data.small),
    Case("tape of 3*w1**2 + 2*w1*w2", "tape"),
    Case("step of the custom training loop", "loop step"),
]

TRAINING = [
    Case(
        "notes' step",
        "notes step",
        data.notes,
        Ask(1 / 3),
        compared=5,
        tolerance=1e-3,
        apart=("tensorflow", "xla"),  # in functions its Nadam's momentum moves once a variable
    ),
    Case(
        "notes' epoch, a step",
        "notes epoch",
        data.notes,
        Ask(1 / 2),
        steps=data.STEPS,
        tolerance=0.2,  # each library draws its own batches
    ),
    Case("MLP 784-300-100-10", "mlp", data.mlp, Ask(1.1), compared=5, tolerance=2e-3),
    Case("LSTM(128) x 2", "lstm", data.lstm, Ask(1.0), compared=3, tolerance=2e-3),
    Case(
        "transformer x 2",
        "transformer",
        data.transformer,
        Ask(1.1),
        compared=3,
        tolerance=2e-3,
    ),
]

KERNELS = [
    Case("cube, warm", "cube", data.cube, Ask(1 / 2, COMPILED)),
    Case("huber 1e7", "huber", data.huber, Ask(1.2), tolerance=1e-2),  # XLA's sums are long
    Case("softmax cross-entropy 1e5x100", "softmax loss", data.softmax_losses, Ask(1.2)),
    Case("layer norm 1e5x100", "layer norm", data.layer_norm, Ask(1.2), tolerance=1e-3),
    Case("GELU 1e7", "gelu", data.gelu, Ask(1.2)),
    Case("Adam 1e7", "adam", data.adam, Ask(1.2), compared=3, tolerance=1e-3),
    *(
        Case(f"matmul {n}", "matmul", partial(data.square, n), Ask(1.0), flops=2.0 * n**3)
        for n in (64, 256, 1024, 2048)
    ),
]

FAMILIES = [
    Case(
        f"{name} {sized(n)}",
        name,
        partial(inputs, n),
        Ask(1.2, limit=5e-6 if n == 100 else None),
        tolerance=1e-3,
    )
    for name, inputs in [
        ("chain", data.vector),
        ("reduction", data.vector),
        ("matvec", data.matrix_vector),
        ("gather", data.picked),
        ("scatter-add", data.picked),
    ]
    for n in (100, 10_000, 1_000_000, 10_000_000)
]

COMPILING = [
    Case("first call of notes' step", "notes step", data.notes, Ask(limit=1.5), FIRST),
    Case("first call of notes' step, cached", "notes step", data.notes, Ask(limit=0.1), CACHED),
    Case("first call, 500 nodes", "graph", partial(data.graph, 500), kind=FIRST, own=True),
    *(
        Case(
            f"first call, {n} nodes",
            "graph",
            partial(data.graph, n),
            Ask(of_case=("first call, 500 nodes", 1.5 * n / 500)),
            FIRST,
            own=True,
        )
        for n in (2000, 8000)
    ),
]

FOOTPRINTS = [
    Case(f"memory, {case.name}", case.program, case.inputs, Ask(1.0), MEMORY)
    for case in TRAINING
]

CASES = [*EAGER, *TRAINING, *KERNELS, *FAMILIES, *COMPILING, *FOOTPRINTS]


def chosen(patterns: list[str]) -> list[Case]:
    """The cases whose names begin with one of the patterns (with wildcards); all for none."""

    def fits(case: Case, pattern: str) -> bool:
        return fnmatch(case.name.lower(), f"{pattern.lower()}*")

    return [c for c in CASES if not patterns or any(fits(c, pattern) for pattern in patterns)]
