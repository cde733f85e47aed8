"""The passes over programs, in their order.

`HEADRACE_PASSES` and `tf.config.optimizer.set_experimental_options` choose among them;
`HEADRACE_DUMP=graph` prints the program before them and after each that changed it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from headrace.base import flags
from headrace.compile.passes import options, show
from headrace.compile.passes.branches import dead_branches
from headrace.compile.passes.cse import cse
from headrace.compile.passes.dead import dead
from headrace.compile.passes.fold import fold
from headrace.compile.passes.inline import inline
from headrace.compile.passes.narrow import narrow
from headrace.compile.passes.program import Program
from headrace.compile.passes.shapes import shapes
from headrace.compile.passes.simplify import bypass, remap, simplify


class Pass(NamedTuple):
    """One pass: what runs, why it stands where it does, and TensorFlow's option for it."""

    run: Callable[[Program], Program]
    why: str
    option: str

    @property
    def name(self) -> str:
        """What `HEADRACE_PASSES` calls it."""
        return self.run.__name__


PIPELINE = (
    Pass(inline, "first: a call hides everything from the others", "function_optimization"),
    Pass(shapes, "a body sees its caller's shapes; shapes are constants", "shape_optimization"),
    Pass(fold, "before branches, whose predicates may become constant", "constant_folding"),
    Pass(dead_branches, "what it opens is new: then all run again", "loop_optimization"),
    Pass(bypass, "identities stand between what patterns match", "dependency_optimization"),
    Pass(simplify, "before cse: it writes one thing in one way", "arithmetic_optimization"),
    Pass(remap, "transposes that are left go into the products", "remapping"),
    Pass(cse, "after all that makes nodes alike", "arithmetic_optimization"),
    Pass(dead, "the others leave behind what nobody reads", "disable_model_pruning"),
    Pass(narrow, "last: what is dead read what loops kept", "loop_optimization"),
)
ROUNDS = 4
"""So often the passes run over a program that still changes."""


def optimized(program: Program, passes: Sequence[Pass] = PIPELINE) -> Program:
    """The program after the passes that are switched on."""
    printed = "graph" in flags.DUMP.value
    found = program
    for when, found in stages(program, passes):
        if printed:
            _print(when, found)
    return found


def stages(
    program: Program, passes: Sequence[Pass] = PIPELINE
) -> Iterator[tuple[str, Program]]:
    """The program as it was traced and after each pass that changed it, with titles."""
    yield "as traced", program
    if len(program.nodes) < options.smallest():
        return
    chosen = [each for each in passes if options.wants(each.name, each.option)]
    for _ in range(ROUNDS):
        before = program
        for each in chosen:
            after = each.run(program)
            if after is not program:
                yield f"after {each.name}", after
            program = after
        if program is before:
            return


def _print(when: str, program: Program) -> None:
    print(f"# {when}\n{show.text(program, lines=True)}\n", file=sys.stderr)
