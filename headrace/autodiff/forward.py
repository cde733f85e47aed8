"""Forward-mode differentiation: `tf.autodiff.ForwardAccumulator`.

No op has a forward rule of its own. The reverse rule is linear in the incoming gradient u, so
its transpose is the forward rule: differentiate `vjp(u)` with respect to u, with the tangents
as weights. Read `autodiff/backward.py` before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headrace.autodiff.backward import uid_of, walk
from headrace.autodiff.tape import GradientTape, UnconnectedGradients, _base
from headrace.base import nest
from headrace.base.export import export
from headrace.core import context
from headrace.core.convert import convert
from headrace.core.tensor import Tensor
from headrace.core.variable import Variable
from headrace.ops.create import zeros_like


@export("autodiff.ForwardAccumulator")
class ForwardAccumulator:
    """Computes the directional derivative of what is computed inside, as it is computed.

    Args:
        primals: tensor or variable, or structure of them: the inputs.
        tangents: structure like `primals`: the direction.
    Raises:
        ValueError: a tangent of another dtype or shape, or a primal twice.

    >>> x = tf.constant(3.)
    >>> with tf.autodiff.ForwardAccumulator(x, tf.constant(1.)) as acc:
    ...     y = x * x
    >>> acc.jvp(y)
    <tf.Tensor: shape=(), dtype=float32, numpy=6.0>
    """

    def __init__(self, primals: Any, tangents: Any) -> None:
        nest.assert_same_structure(primals, tangents)
        self._tangents: dict[int, Any] = {}
        self._keep: list[Tensor] = []
        self._variables: dict[int, Any] = {}
        self._recording = False
        for primal, tangent in zip(nest.flatten(primals), nest.flatten(tangents), strict=True):
            self._watch(primal, tangent)

    def _watch(self, primal: Any, tangent: Any) -> None:
        tangent = convert(tangent, primal.dtype)
        if not primal.shape.is_compatible_with(tangent.shape):
            raise ValueError(
                f"Expected a tangent of shape {primal.shape}, got {tangent.shape}."
            )
        if isinstance(primal, Variable):
            key = id(_base(primal))
            if key in self._variables:
                raise _twice(primal)
            self._variables[key] = (_base(primal), tangent)
            return
        uid = uid_of(primal)
        if uid in self._tangents:
            raise _twice(primal)
        self._tangents[uid] = tangent
        self._keep.append(primal)

    def __enter__(self) -> ForwardAccumulator:
        if self._recording:
            raise ValueError("Accumulator is already recording.")
        self._recording = True
        context.push_recorder(self)
        return self

    def __exit__(self, *exc: object) -> None:
        self._recording = False
        context.pop_recorder(self)

    def read(self, variable: Variable, tensor: Tensor) -> None:
        """Note that `tensor` is the value of `variable`."""
        found = self._variables.get(id(variable))
        if found is not None:
            self._tangents[uid_of(tensor)] = found[1]

    def record(
        self, op: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor], attrs: Any
    ) -> None:
        """Push the tangents of the inputs through an op."""
        by_uid = {x._uid: x for x in inputs if x._uid in self._tangents}
        known = [(x, self._tangents[x._uid]) for x in by_uid.values()]
        if not known or op.no_grad is not None:
            return
        saved = context.state.recorders
        position = next(i for i, r in enumerate(saved) if r is self)
        context.state.recorders = saved[:position]
        tangents: list[Any] = []
        try:
            while len(tangents) < len(outputs):  # a graph's node may get more by this
                tangents = _pushed(op, inputs, list(outputs), attrs, known)
        finally:
            context.state.recorders = saved
        for y, tangent in zip(outputs, tangents, strict=True):
            if tangent is not None:
                self._tangents[uid_of(y)] = tangent
                self._keep.append(y)

    def widened(self, node: Any, added: Sequence[Tensor]) -> None:
        """Give tangents to further results of an operation of a graph."""
        self.record(node.op, node.inputs, node.outputs, node.attrs)

    def jvp(self, primals: Any, unconnected_gradients: Any = UnconnectedGradients.NONE) -> Any:
        """The directional derivative of tensors that were computed inside.

        Args:
            primals: tensor or variable, or structure of them.
            unconnected_gradients: `"none"` or `"zero"` for what does not depend on the inputs.
        Returns:
            a structure like `primals`.
        """
        unconnected = UnconnectedGradients(unconnected_gradients)

        def derivative(primal: Any) -> Any:
            if isinstance(primal, Variable):
                found = self._variables.get(id(_base(primal)), (None, None))[1]
            else:
                found = self._tangents.get(primal._uid)
            if found is None and unconnected is UnconnectedGradients.ZERO:
                return zeros_like(primal)
            return found

        return nest.map_structure(derivative, primals)


def _twice(primal: Any) -> ValueError:
    return ValueError(
        f"Tensor {primal!r} was specified as a primal multiple times. This may indicate an "
        "error. If it was intended, please sum the corresponding tangents."
    )


def _pushed(
    op: Any,
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    attrs: Any,
    known: Sequence[tuple[Tensor, Any]],
) -> list[Any]:
    """The tangents of an op's outputs, by transposing its reverse rule."""
    with GradientTape(watch_accessed_variables=False) as tape:
        upstream = [zeros_like(y) for y in outputs]
        tape.watch_all(upstream)
        entry = (op, inputs, outputs, attrs)
        seeds = {uid_of(y): [u] for y, u in zip(outputs, upstream, strict=True)}
        found = walk([entry], seeds, [uid_of(x) for x, _ in known])
        pairs = [
            (convert(found[x._uid]), tangent)  # type: ignore[index]
            for x, tangent in known
            if x._uid in found
        ]
    seeds = {}
    for gradient, tangent in pairs:
        seeds.setdefault(uid_of(gradient), []).append(tangent)
    transposed = walk(tape._entries, seeds, [uid_of(u) for u in upstream])
    tangents = [transposed.get(uid_of(u)) for u in upstream]
    return [t if t is None else convert(t) for t in tangents]


__all__ = ["ForwardAccumulator"]
