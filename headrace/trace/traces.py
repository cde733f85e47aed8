"""The traces of one function: finding the one for a call, and why a new one was needed."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

from headrace.base import shapes
from headrace.core.tensor import Tensor
from headrace.core.type_spec import TensorSpec
from headrace.trace import signature as signatures
from headrace.trace.concrete import ConcreteFunction
from headrace.trace.signature import Bound

_RECENT, _WINDOW = 5, 10
"""So many traces among so many calls are worth a warning."""

logger = logging.getLogger("headrace")


class Trace(NamedTuple):
    """One trace of a function, and why it was made."""

    function: ConcreteFunction
    reason: str

    def __repr__(self) -> str:
        return f"<trace {self.function.signature_text()}: {self.reason}>"


class Traces:
    """Keeps the traces of a function by the form of their arguments.

    Attributes:
        count: how many traces were made.
        calls: how many calls there were, and the number of the latest one.
        most: so many traces are kept; the one that was not called for the longest time goes.
    """

    most = 1024

    def __init__(self, function: Any) -> None:
        self.function = function
        self.count = 0
        self.calls = 0
        self.concretes: list[ConcreteFunction] = []
        self._by_key: dict[Any, ConcreteFunction] = {}
        self._general: list[tuple[Bound, Any, ConcreteFunction]] = []
        self._last: Bound | None = None
        self._made: list[int] = []
        self._warned = False

    def find(self, bound: Bound, context: Any) -> ConcreteFunction | None:
        """The trace that serves a call, or None."""
        found = self._by_key.get((bound.key, context))
        if found is None:
            for general, given, concrete in self._general:
                if given == context and covers(general, bound):
                    self._by_key[bound.key, context] = found = concrete
                    break
        if found is not None and found._nested and not reachable(found):
            found = None
        return found

    def add(self, general: Bound, bound: Bound, context: Any, concrete: Any) -> None:
        """Keep a trace that was made for `bound`, perhaps in a more general form."""
        self.concretes.append(concrete)
        self._by_key[general.key, context] = concrete
        self._by_key[bound.key, context] = concrete
        if any(_open(leaf) for leaf in general.leaves if signatures.is_input(leaf)):
            self._general.append((general, context, concrete))
        concrete.called = self.calls
        if len(self.concretes) > self.most:
            self._forget(min(self.concretes, key=lambda each: each.called))

    def _forget(self, old: ConcreteFunction) -> None:
        """Let go of a trace."""
        self.concretes = [each for each in self.concretes if each is not old]
        self._general = [entry for entry in self._general if entry[2] is not old]
        self._by_key = {k: each for k, each in self._by_key.items() if each is not old}
        self.function._forget(old)

    def called(self, concrete: ConcreteFunction) -> None:
        """Note that a trace is called once more."""
        self.calls = concrete.called = self.calls + 1

    def warn_if_often(self, concrete: ConcreteFunction) -> None:
        """Say once that most of the latest calls had to be traced; one of them just was."""
        self._made = [*self._made, self.calls][-_RECENT:]
        if len(self._made) < _RECENT or self._warned:
            return
        calls = self.calls - self._made[0] + 1
        if calls <= _WINDOW:
            self._warned = True
            logger.warning(self._warning(concrete, calls))

    def note(self, bound: Bound) -> str:
        """Why a call needs a trace of its own: what differs from the one before."""
        last, self._last = self._last, bound
        if last is None:
            return "the first call"
        if last.key[0] != bound.key[0] or last.paths != bound.paths:
            return "the structure of the arguments changed"
        for path, before, now in zip(bound.paths, last.leaves, bound.leaves, strict=True):
            if signatures.key_of(before) != signatures.key_of(now):
                return f"argument {path!r} changed from {_shown(before)} to {_shown(now)}"
        return "the surroundings changed (device, or the graph that is built)"

    def generalised(self, bound: Bound) -> Bound:
        """The form with dimensions open that differ from the last call's."""
        last = self._last
        if last is None or last.key[0] != bound.key[0]:
            return bound
        pairs = [
            (g if signatures.is_input(g) else None)
            for g in (self._general[-1][0].leaves if self._general else last.leaves)
        ]
        leaves = []
        for before, now in zip(pairs, bound.leaves, strict=False):
            if before is not None and signatures.is_input(now):
                one, two = signatures.spec_of(before), signatures.spec_of(now)
                shape = one.shape.most_specific_compatible_shape(two.shape)
                if one.dtype == two.dtype and shapes.as_tuple(shape) != shapes.as_tuple(
                    two.shape
                ):
                    now = TensorSpec(shape, two.dtype)
            leaves.append(now)
        if len(leaves) != len(bound.leaves):
            return bound
        return Bound(bound.structure, leaves, bound.paths)

    def _warning(self, concrete: ConcreteFunction, calls: int) -> str:
        code = getattr(self.function.python_function, "__code__", None)
        where = f" ({code.co_filename}, line {code.co_firstlineno})" if code else ""
        return (
            f"{_RECENT} of the last {calls} calls of {self.function._name}{where} had to be "
            "traced, which costs far more than running them. The latest one because "
            f"{concrete.reason}. Give numbers that change as tensors, let "
            "`@tf.function(reduce_retracing=True)` leave differing dimensions open (or fix an "
            "`input_signature` with None there), and do not make the tf.function in a loop. "
            "`fn.traces()` lists all traces with their reasons."
        )


def covers(general: Bound, bound: Bound) -> bool:
    """Whether a trace of a more general form serves a call."""
    if general.key[0] != bound.key[0] or len(general.leaves) != len(bound.leaves):
        return False
    for wide, leaf in zip(general.leaves, bound.leaves, strict=True):
        if signatures.is_input(wide) and signatures.is_input(leaf):
            one, two = signatures.spec_of(wide), signatures.spec_of(leaf)
            if one.dtype != two.dtype or not two.shape.is_subtype_of(one.shape):
                return False
        elif signatures.key_of(wide) != signatures.key_of(leaf):
            return False
    return True


def reachable(concrete: ConcreteFunction) -> bool:
    """Whether the tensors of other graphs that a trace uses can be had where it is called."""
    from_here = signatures.graphs_here()
    return all(
        not isinstance(x, Tensor) or not hasattr(x, "node") or x.graph in from_here
        for x in concrete.captured_inputs
    )


def _open(leaf: Any) -> bool:
    return not signatures.spec_of(leaf).shape.is_fully_defined()


def _shown(leaf: Any) -> str:
    if signatures.is_input(leaf):
        spec = signatures.spec_of(leaf)
        return f"a tensor of shape {spec.shape} and dtype {spec.dtype.name}"
    return repr(leaf)
