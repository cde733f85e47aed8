"""`tf.GradientTape`: records what is computed, to differentiate it afterwards.

A tape listens through `core.context`: every op of its thread is offered to it, and it keeps
those that depend on something it watches. Of an op whose rule needs little (`keep` in the
record) large arrays are let go at once. Read `autodiff/backward.py` before.
"""

from __future__ import annotations

import logging
import operator
from collections.abc import Sequence
from enum import Enum
from typing import Any

import numpy as np

from headrace.autodiff import jacobians
from headrace.autodiff.backward import Entry, total, uid_of, walk
from headrace.base import errors, nest
from headrace.base.dtypes import variant
from headrace.base.export import export
from headrace.core import context
from headrace.core.convert import convert
from headrace.core.indexed_slices import IndexedSlices
from headrace.core.tensor import EagerTensor, Tensor, next_uid, wrap
from headrace.core.variable import UnreadVariable, Variable
from headrace.ops.create import ones_like, zeros_like

LARGE = 1 << 16
"""Bytes from which on an array that no gradient rule needs is not kept."""


@export("UnconnectedGradients")
class UnconnectedGradients(Enum):
    """What `gradient` returns for a source that the target does not depend on."""

    NONE = "none"
    ZERO = "zero"


@export("GradientTape", "autodiff.GradientTape")
class GradientTape:
    """Records operations for automatic differentiation.

    Trainable variables are watched when they are read; other tensors with `watch`.

    Args:
        persistent: whether `gradient` may be called more than once.
        watch_accessed_variables: whether variables are watched by themselves.

    >>> x = tf.Variable(3.)
    >>> with tf.GradientTape() as tape:
    ...     y = x * x
    >>> tape.gradient(y, x)
    <tf.Tensor: shape=(), dtype=float32, numpy=6.0>
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True) -> None:
        self._persistent = persistent
        self._watch_accessed = watch_accessed_variables
        self._recording = False
        self._spent = False
        self._entered = False
        self._forget()

    def _forget(self) -> None:
        self._variables: dict[int, Variable] = {}
        self._release()

    def _release(self) -> None:
        """Let go of all values; which variables were watched is still known."""
        self._entries: list[Entry] = []
        self._watched: set[int] = set()
        self._reads: dict[int, list[int]] = {}

    def __enter__(self) -> GradientTape:
        self._start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._recording:
            self._stop()

    def _start(self) -> None:
        if self._recording:
            raise ValueError(
                "Tape is still recording, This can happen if you try to re-enter an "
                "already-active tape."
            )
        self._recording = self._entered = True
        context.push_recorder(self)

    def _stop(self) -> None:
        if not self._recording:
            raise ValueError("Tape is not recording.")
        self._recording = False
        context.pop_recorder(self)

    # What `core` calls

    def record(
        self, op: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor], attrs: Any
    ) -> None:
        """Keep an op that depends on something watched."""
        watched = self._watched
        for x in inputs:
            if x._uid in watched:
                break
        else:
            return
        if op.no_grad is not None:
            return
        for y in outputs:
            uid = y._uid
            if uid is None:
                uid = y._uid = next_uid()
            watched.add(uid)
        if op.keep is not None:
            for tensor in (*inputs, *outputs):
                if tensor.__class__ is EagerTensor and tensor._array.nbytes >= LARGE:
                    inputs, outputs = _hollowed(op, inputs, outputs)
                    break
        self._entries.append((op, inputs, outputs, attrs))

    def widened(self, node: Any, added: Sequence[Tensor]) -> None:
        """Note that an operation of a graph has further results from now on."""
        if any(y._uid in self._watched for y in node.outputs):
            self._watched.update([uid_of(y) for y in added])

    def read(self, variable: Variable, tensor: Tensor) -> None:
        """Note that `tensor` is the value of `variable`."""
        key = id(variable)
        if key not in self._variables:
            if not (self._watch_accessed and variable._trainable and differentiable(variable)):
                return
            self._variables[key] = variable
            self._reads[key] = []
        uid = uid_of(tensor)
        self._watched.add(uid)
        self._reads[key].append(uid)

    # What users call

    def watch(self, tensor: Any) -> None:
        """Record what depends on `tensor`: a tensor, a variable or a structure of them."""
        for item in nest.flatten(tensor):
            if isinstance(item, Variable):
                variable = _base(item)
                self._variables.setdefault(id(variable), variable)
                self._reads.setdefault(id(variable), [])
            elif isinstance(item, IndexedSlices):
                self.watch(item.values)
            elif not isinstance(item, Tensor):
                raise ValueError(
                    f"Passed in object {item} of type {type(item).__name__!r}, not tf.Tensor "
                    "or tf.Variable or ExtensionType."
                )
            elif not differentiable(item):
                logging.getLogger("headrace").warning(
                    "The dtype of the watched tensor must be floating (e.g. tf.float32), got "
                    "%r",
                    item.dtype,
                )
            else:
                self._watched.add(uid_of(item))

    def watch_all(self, tensors: Sequence[Tensor]) -> None:
        """Record what depends on tensors, lists of tensors among them."""
        self._watched.update(
            uid_of(x) for x in tensors if differentiable(x) or x.dtype is variant
        )

    def stop_recording(self) -> Any:
        """Context manager: what is computed inside is not recorded."""
        return _Paused(self)

    def reset(self) -> None:
        """Forget everything that was recorded."""
        self._stop()
        self._forget()
        self._spent = False
        self._start()

    def watched_variables(self) -> tuple[Variable, ...]:
        """The variables that were watched, in the order in which they were made."""
        return tuple(sorted(self._variables.values(), key=lambda v: v._serial))

    def gradient(
        self,
        target: Any,
        sources: Any,
        output_gradients: Any = None,
        unconnected_gradients: Any = UnconnectedGradients.NONE,
    ) -> Any:
        """The gradient of the sum of `target` with respect to each of `sources`.

        Args:
            target: tensor, or structure of tensors, that was computed under the tape.
            sources: tensor or variable, or structure of them.
            output_gradients: structure like `target`: weights instead of ones.
            unconnected_gradients: `"none"` or `"zero"` for sources that do not matter.
        Returns:
            a structure like `sources`, with None (or zeros) for what is not connected.
        Raises:
            RuntimeError: a second call of a tape that is not persistent.
        """
        self._claim()
        unconnected = policy(unconnected_gradients)
        targets = [self._target(item) for item in nest.flatten(target)]
        weights = _weights(targets, output_gradients)
        flat = nest.flatten(sources)
        for source in flat:
            _check_source(source)
        try:
            results = self._gradients(targets, flat, weights)
        finally:
            if not self._persistent:
                self._release()
        if unconnected is UnconnectedGradients.ZERO:
            results = [
                zeros_like(s) if g is None else g for s, g in zip(flat, results, strict=True)
            ]
        if sources.__class__ is list and len(sources) == len(flat):
            if all(map(operator.is_, sources, flat)):
                return results
        return nest.pack_sequence_as(sources, results)

    def jacobian(
        self,
        target: Any,
        sources: Any,
        unconnected_gradients: Any = UnconnectedGradients.NONE,
        parallel_iterations: int | None = None,
        experimental_use_pfor: bool = True,
    ) -> Any:
        """The derivative of every element of `target` with respect to every source.

        Args:
            target: tensor of shape `[t...]`.
            sources: tensor or variable of shape `[s...]`, or structure of them.
            unconnected_gradients: `"none"` or `"zero"`.
            parallel_iterations, experimental_use_pfor: how TensorFlow would schedule the work;
                the result does not depend on them.
        Returns:
            a structure like `sources` of tensors `[t..., s...]`.
        """
        self._claim()
        unconnected = policy(unconnected_gradients)
        flat = nest.flatten(sources)
        target = self._target(_single(target))
        try:
            results = jacobians.rows(self._gradients, target, flat)
        finally:
            if not self._persistent:
                self._release()
        if unconnected is UnconnectedGradients.ZERO:
            results = [
                jacobians.zeros(target, s) if g is None else g
                for s, g in zip(flat, results, strict=True)
            ]
        return nest.pack_sequence_as(sources, results)

    def batch_jacobian(
        self,
        target: Any,
        source: Any,
        unconnected_gradients: Any = UnconnectedGradients.NONE,
        parallel_iterations: int | None = None,
        experimental_use_pfor: bool = True,
    ) -> Any:
        """The jacobian of each example: `[b, t...]` and `[b, s...]` give `[b, t..., s...]`.

        Args:
            target: tensor `[b, t...]`; row i depends on row i of `source` alone.
            source: tensor `[b, s...]`.
            unconnected_gradients: `"none"` or `"zero"`; either way the jacobian of what does
                not depend on `source` is zeros, as in TensorFlow.
        Raises:
            ValueError: a target of rank 1, or different first dimensions.
        """
        self._claim()
        policy(unconnected_gradients)
        target = self._target(_single(target))
        jacobians.check_batches(target, source)
        try:
            result = jacobians.batch_rows(self._gradients, target, source)
        finally:
            if not self._persistent:
                self._release()
        if result is None:
            return jacobians.batch_zeros(target, source)
        return result

    # How

    def _claim(self) -> None:
        if self._spent or not self._entered:
            raise RuntimeError(
                "A non-persistent GradientTape can only be used to compute one set of "
                "gradients (or jacobians)"
            )
        if self._recording:
            if not self._persistent:
                self._stop()
        self._spent = not self._persistent

    def _target(self, target: Any) -> Tensor:
        if not isinstance(target, (Tensor, Variable)) and not hasattr(target, "__tf_tensor__"):
            raise TypeError(
                "Argument `target` should be a list or nested structure of Tensors, Variables "
                f"or CompositeTensors to be differentiated, but received {target}."
            )
        if isinstance(target, Variable):
            variable = _base(target)
            tensor = wrap(variable._array)
            self.read(variable, tensor)
            return tensor
        tensor = convert(target)
        if not differentiable(tensor):
            logging.getLogger("headrace").warning(
                "The dtype of the target tensor must be floating (e.g. tf.float32) when "
                "calling GradientTape.gradient, got %r",
                tensor.dtype,
            )
        return tensor

    def _gradients(
        self, targets: Sequence[Tensor], sources: Sequence[Any], weights: Sequence[Any]
    ) -> list[Any]:
        seeds: dict[int, list[Any]] = {}
        for target, weight in zip(targets, weights, strict=True):
            if target._uid in self._watched:
                given = ones_like(target) if weight is None else weight
                seeds.setdefault(target._uid, []).append(given)  # type: ignore[arg-type]
        uids = [self._uids(source) for source in sources]
        found = walk(self._entries, seeds, (uid for group in uids for uid in group))
        return [_sum([found[u] for u in dict.fromkeys(group) if u in found]) for group in uids]

    def _uids(self, source: Any) -> list[int]:
        if isinstance(source, Variable):
            return self._reads.get(id(_base(source)), [])[::-1]
        if isinstance(source, IndexedSlices):
            source = source.values
        return [] if source._uid is None else [source._uid]


class _Paused:
    """Context manager of `stop_recording`."""

    __slots__ = ("_tape",)

    def __init__(self, tape: GradientTape) -> None:
        self._tape = tape

    def __enter__(self) -> None:
        if not self._tape._recording:
            raise RuntimeError("Trying to stop recording a tape which is not recording.")
        self._tape._stop()

    def __exit__(self, *exc: object) -> None:
        self._tape._start()


def policy(name: Any) -> UnconnectedGradients:
    """What to do with unconnected sources, from its name."""
    try:
        return UnconnectedGradients(name)
    except ValueError:
        raise ValueError(f"Unknown value for unconnected_gradients: {name!r}") from None


def _single(target: Any) -> Any:
    """The target of a jacobian, which is one tensor."""
    if isinstance(target, (Tensor, Variable)):
        return target
    raise AttributeError(f"{type(target).__name__!r} object has no attribute 'shape'")


def _weights(targets: Sequence[Tensor], given: Any) -> list[Any]:
    """`output_gradients` as tensors of the targets' shapes and dtypes, or None for ones."""
    if given is None:
        return [None] * len(targets)
    flat = nest.flatten(given)
    if len(flat) != len(targets):
        raise ValueError(
            f"`output_gradients` must have the structure of `target`: got {len(flat)} for "
            f"{len(targets)} tensors."
        )
    weights: list[Any] = []
    for target, weight in zip(targets, flat, strict=True):
        tensor = weight if weight is None else convert(weight, None, target.dtype)
        if tensor is not None and not tensor.shape.is_compatible_with(target.shape):
            raise errors.invalid_argument(
                f"An output gradient has the shape {tensor.shape}, its target {target.shape}."
            )
        weights.append(tensor)
    return weights


def differentiable(tensor: Any) -> bool:
    """Whether the tensor's dtype can carry gradients."""
    dtype = tensor.dtype
    return dtype.is_floating or dtype.is_complex


def _base(variable: Variable) -> Variable:
    return variable._parent if isinstance(variable, UnreadVariable) else variable


def _check_source(source: Any) -> None:
    if not isinstance(source, (Tensor, Variable, IndexedSlices)):
        raise ValueError(
            f"Passed in object {source!r} of type {type(source).__name__!r}, not tf.Tensor or "
            "tf.Variable or ExtensionType."
        )


def _sum(gradients: list[Any]) -> Any:
    return total(gradients) if gradients else None


def _hollowed(
    op: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor]
) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    """Inputs and outputs, large ones that the op's rule does not read without their values."""
    keep = op.keep
    names = op.operands * len(inputs) if op.variadic else op.operands
    inputs = [x if name in keep else hollow(x) for name, x in zip(names, inputs, strict=True)]
    return inputs, outputs if "output" in keep else [hollow(y) for y in outputs]


def hollow(tensor: Tensor) -> Tensor:
    """A tensor of the same shape, dtype and identity that holds no memory."""
    if not isinstance(tensor, EagerTensor) or tensor._array.nbytes < LARGE:
        return tensor
    array = tensor._array
    shell = wrap(np.broadcast_to(np.zeros((), array.dtype), array.shape))
    shell._uid = tensor._uid
    return shell
