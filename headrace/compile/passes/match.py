"""Patterns: how a rule of `simplify` is written, matched and applied.

A pattern is an expression in Python's form: `AddV2(x, Neg(y))`.

- A call is a node of that op. Keywords bind its attributes: `Cast(x, DstT=d)`; attributes that
  are not named may be anything.
- A small letter is any value; the same letter twice is the same value twice. `C` and `D` are
  constants.
- A number is a constant all of whose elements are that number; `0` and `-0.0` differ.
- The operands of a commutative op match in both orders.

In a replacement, a call of an op is a new node (of the pattern's outer op: with all its other
attributes), and a call of a small-letter function, with what was matched, is computed now:
`Mul(x, product(C, D))`, `Transpose(x, perm=composed(p, q))`.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np

from headrace.base import errors
from headrace.base.dtypes import DType, from_numpy
from headrace.compile.passes.program import Node, Value, known_array
from headrace.core.op import OPS, Op, Spec

COMMUTATIVE = frozenset(
    "AddV2 Mul Maximum Minimum LogicalAnd LogicalOr Equal NotEqual BitwiseAnd BitwiseOr "
    "BitwiseXor".split()
)
Found = dict[str, Any]
Producers = Mapping[Value, Node]


class Rule:
    """What may stand for what.

    Args:
        pattern, result: as the module says.
        dtypes: of the first operand.
        when: a condition on what was matched: `m.x` is what `x` stands for, `m.C` an array,
            `m.numbers` the constants that were numbers.
        functions: those that the result calls, by name.
    """

    def __init__(
        self,
        pattern: str,
        result: str,
        dtypes: Iterable[DType] | None = None,
        when: Callable[[Any], bool] | None = None,
        functions: Mapping[str, Callable[..., Any]] | None = None,
    ) -> None:
        self.pattern, self.result = pattern, result
        self.dtypes = None if dtypes is None else frozenset(dtypes)
        self.when = when
        self.functions = functions or {}
        self.op = pattern.partition("(")[0]

    @cached_property
    def left(self) -> ast.Call:
        """The pattern."""
        found = ast.parse(self.pattern, mode="eval").body
        assert isinstance(found, ast.Call), self.pattern
        return found

    @cached_property
    def right(self) -> ast.expr:
        """The result."""
        return ast.parse(self.result, mode="eval").body

    def apply(self, node: Node, producers: Producers, name: Callable[[str], str]) -> Any:
        """What stands for a node: a list of nodes, the last with its results, or a value.

        Returns: None if the rule does not apply.
        """
        if self.dtypes is not None and node.inputs[0].spec.dtype not in self.dtypes:
            return None
        for found in _matches(self.left, node, {}, producers):
            if self.when is None or self.when(_shown(found, producers)):
                try:
                    made = _Making(self, node, found, producers, name).made()
                except (errors.OpError, ValueError):  # shapes that do not fit: left to the run
                    continue
                if made is not None:
                    return made
        return None

    def __repr__(self) -> str:
        return f"{self.pattern} -> {self.result}"


def _called(call: ast.Call) -> str:
    assert isinstance(call.func, ast.Name)
    return call.func.id


def _shown(found: Found, producers: Producers) -> SimpleNamespace:
    """What was matched, for a condition."""
    arrays = {key: known_array(v, producers) for key, v in found.items() if key.isupper()}
    return SimpleNamespace(**(found | arrays))


# Matching


def _matches(
    pattern: ast.Call, node: Node, found: Found, producers: Producers
) -> Iterator[Found]:
    """All ways in which a node is what a pattern says."""
    if node.op.name != _called(pattern) or len(pattern.args) != len(node.inputs):
        return
    for keyword in pattern.keywords:
        assert keyword.arg is not None
        found = _with_attr(keyword, node, found)
        if not found:
            return
    yield from _operands(pattern.args, node.inputs, found, producers)
    if node.op.name in COMMUTATIVE:
        yield from _operands(pattern.args, node.inputs[::-1], found, producers)


def _with_attr(keyword: ast.keyword, node: Node, found: Found) -> Found:
    assert keyword.arg is not None and isinstance(keyword.value, ast.Name)
    key, label = keyword.arg, keyword.value.id
    if key not in node.attrs and key not in node.op.attrs:
        return {}
    attr = node.attrs.get(key, node.op.attrs.get(key))
    if attr.__class__ is Value or (
        attr.__class__ is tuple and any(a.__class__ is Value for a in attr)
    ):
        return {}
    return {**found, label: attr}


def _operands(
    patterns: list[ast.expr], values: tuple[Value, ...], found: Found, producers: Producers
) -> Iterator[Found]:
    if not patterns:
        yield found
        return
    for first in _operand(patterns[0], values[0], found, producers):
        yield from _operands(patterns[1:], values[1:], first, producers)


def _operand(
    pattern: ast.expr, value: Value, found: Found, producers: Producers
) -> Iterator[Found]:
    if isinstance(pattern, ast.Call):
        node = producers.get(value)
        if node is not None and len(node.outputs) == 1:
            yield from _matches(pattern, node, found, producers)
    elif isinstance(pattern, ast.Name):
        if pattern.id in found:
            if found[pattern.id] is value:
                yield found
        elif not pattern.id.isupper() or known_array(value, producers) is not None:
            yield {**found, pattern.id: value}
    else:
        array = known_array(value, producers)
        if array is not None and is_number(array, ast.literal_eval(pattern)):
            yield {**found, "numbers": (*found.get("numbers", ()), value)}


def is_number(array: np.ndarray, number: Any) -> bool:
    """Whether all elements of an array are a number, the sign of a zero included."""
    if not array.size or array.dtype.kind not in "biufcV":
        return False
    if isinstance(number, bool) != (array.dtype.kind == "b"):
        return False
    if not bool((array == number).all()):
        return False
    if number != 0 or array.dtype.kind in "biuc":
        return True
    return bool((np.signbit(array) == (math.copysign(1, number) < 0)).all())


# Replacing


class _Making:
    """The nodes that a rule puts in a node's place."""

    def __init__(
        self,
        rule: Rule,
        node: Node,
        found: Found,
        producers: Producers,
        name: Callable[[str], str],
    ) -> None:
        self._rule, self._node, self._found = rule, node, found
        self._producers, self._name = producers, name
        self._nodes: list[Node] = []

    def made(self) -> Any:
        """The value that is the same, or the nodes of which the last gives it."""
        output = self._node.outputs[0]
        right = self._rule.right
        if isinstance(right, ast.Name):
            value = self._found[right.id]
            return value if self._same(value.spec, output.spec) else None
        assert isinstance(right, ast.Call)
        op = OPS[_called(right)]
        inputs, attrs = self._parts(right)
        inherited = self._node.attrs if op is self._node.op else {}
        attrs = {**inherited, **attrs}
        if not self._same(_result(op, inputs, attrs), output.spec):
            return None
        last = self._node.like(op=op, inputs=inputs, attrs=attrs)
        return [*self._nodes, last]

    def _parts(self, call: ast.Call) -> tuple[tuple[Value, ...], dict[str, Any]]:
        inputs = tuple([self._value(arg) for arg in call.args])
        attrs = {str(keyword.arg): self._attr(keyword.value) for keyword in call.keywords}
        return inputs, attrs

    def _value(self, expression: ast.expr) -> Value:
        if isinstance(expression, ast.Name):
            return self._found[expression.id]
        assert isinstance(expression, ast.Call)
        label = _called(expression)
        if label.islower():
            array = self._computed(expression)
            node = self._constant(array)
        else:
            inputs, attrs = self._parts(expression)
            spec = _result(OPS[label], inputs, attrs)
            name = self._name(f"{self._node.name}/{label}")
            node = self._node.like(
                op=OPS[label],
                name=name,
                inputs=inputs,
                attrs=attrs,
                outputs=(Value(name, spec),),
            )
        self._nodes.append(node)
        return node.outputs[0]

    def _constant(self, array: np.ndarray) -> Node:
        name = self._name(f"{self._node.name}/Const")
        dtype = from_numpy[array.dtype]
        value = Value(name, Spec(array.shape, dtype, array))
        attrs = {"value": array, "dtype": dtype}
        return self._node.like(
            op=OPS["Const"], name=name, inputs=(), attrs=attrs, outputs=(value,), listed=False
        )

    def _attr(self, expression: ast.expr) -> Any:
        if isinstance(expression, ast.Name):
            return self._found[expression.id]
        if isinstance(expression, ast.Call):
            return self._computed(expression)
        return ast.literal_eval(expression)

    def _computed(self, call: ast.Call) -> Any:
        """What a function of the rule gives for what was matched; constants as arrays."""
        arguments = []
        for arg in call.args:
            assert isinstance(arg, ast.Name)
            found = self._found[arg.id]
            known = known_array(found, self._producers) if isinstance(found, Value) else None
            arguments.append(found if known is None else known)
        return self._rule.functions[_called(call)](*arguments)

    def _same(self, new: Spec, old: Spec) -> bool:
        """Whether a replacement has the dtype and shape, for all that can come."""
        if new.dtype is not old.dtype or new.shape != old.shape:
            return False
        if new.shape is not None and None not in new.shape:
            return True
        # A constant that is matched and gone could have stretched an unknown dimension.
        return all(value.spec.shape == () for value in self._found.get("numbers", ()))


def _result(op: type[Op], inputs: tuple[Value, ...], attrs: Mapping[str, Any]) -> Spec:
    found = op.infer(*[value.spec for value in inputs], **attrs)
    return found if isinstance(found, Spec) else found[0]
