"""The traces of one function: finding the one for a call, and why a new one was needed."""

from __future__ import annotations

import logging
from typing import Any

from headrace.base import shapes
from headrace.core.tensor import Tensor
from headrace.core.type_spec import TensorSpec
from headrace.trace import signature as signatures
from headrace.trace.concrete import ConcreteFunction
from headrace.trace.signature import Bound

_RECENT = 5
"""So many traces among as many calls are worth a warning."""

logger = logging.getLogger("headrace")


class Traces:
    """Keeps the traces of a function by the form of their arguments."""

    def __init__(self, function: Any) -> None:
        self.function = function
        self.count = 0
        self.hits = 0
        self.concretes: list[ConcreteFunction] = []
        self._by_key: dict[Any, ConcreteFunction] = {}
        self._general: list[tuple[Bound, Any, ConcreteFunction]] = []
        self._last: Bound | None = None
        self._streak = 0
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
        if found is not None:
            self.hits += 1
        return found

    def add(self, general: Bound, bound: Bound, context: Any, concrete: Any) -> None:
        """Keep a trace that was made for `bound`, perhaps in a more general form."""
        self.concretes.append(concrete)
        self._by_key[general.key, context] = concrete
        self._by_key[bound.key, context] = concrete
        if any(_open(leaf) for leaf in general.leaves if signatures.is_input(leaf)):
            self._general.append((general, context, concrete))
        self._streak = 1 if self.hits else self._streak + 1
        self.hits = 0
        self._last = bound
        if self._streak >= _RECENT and not self._warned:
            self._warned = True
            logger.warning(self._warning(concrete))

    def reason(self, bound: Bound) -> str:
        """Why a call needs a trace of its own: what differs from the one before."""
        last = self._last
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

    def _warning(self, concrete: ConcreteFunction) -> str:
        code = getattr(self.function.python_function, "__code__", None)
        where = f" ({code.co_filename}, line {code.co_firstlineno})" if code else ""
        return (
            f"The last {self._streak} calls of {self.function._name}{where} were each traced "
            f"anew, which costs far more than running them. The last time "
            f"{concrete.reason}. Give numbers that change as tensors, let "
            "`@tf.function(reduce_retracing=True)` leave differing dimensions open (or fix an "
            "`input_signature` with None there), and do not make the tf.function inside a loop."
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
