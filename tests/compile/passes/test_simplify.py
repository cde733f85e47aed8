"""Every rule of the table, bit for bit, on operands chosen to break it."""

from __future__ import annotations

import ast
import itertools
import zlib
from typing import Any

import numpy as np
import pytest

import headrace as tf
from headrace.base import dtypes
from headrace.base.dtypes import COMPLEX, FLOATS, INTS, NUMERIC, DType
from headrace.compile.passes import simplify as table
from headrace.compile.passes.match import COMMUTATIVE, Rule
from headrace.compile.passes.program import Node, Program, Value, constant
from headrace.compile.passes.verify import verify
from headrace.compile.run.plan import Plan
from headrace.core.op import OPS, Spec
from tests.compile.passes.support import (
    assert_same,
    nasty,
)

RULES: list[Rule] = [
    *table.NOTHING_DONE,
    *table.ARITHMETIC,
    *table.LOGIC,
    *table.MOVEMENT,
    *table.REMAPPING,
]
SHAPE = (4, 4)
ATTRS: dict[str, list[Any]] = {
    "perm": [(0, 1), (1, 0)],
    "shape": [(4, 4), (2, 8), (-1,), (16,), (8, -1)],
    "axis": [(), (0,), (1,), (0, 1)],
    "ExpandDims.axis": [0, 1, 2, -1],
    "squeeze_dims": [(0,), (1,), (2,), (-1,)],
    "BroadcastTo.shape": [(4, 4), (2, 4, 4)],
    "SumToShape.shape": [(4, 4), (4,)],
    "multiples": [(1, 1), (2, 1)],
    "transpose_a": [False, True],
    "transpose_b": [False, True],
    "DstT": sorted(NUMERIC | {dtypes.bool}, key=lambda d: d.name),
}


class Instance:
    """A program that is what a pattern says.

    Args:
        attrs: the value of each attribute that the pattern binds, by its letter.
        scalars: whether the numbers of the pattern are scalars, else arrays.
    """

    def __init__(self, rule: Rule, dtype: DType, attrs: dict[str, Any], seed: int) -> None:
        self.dtype, self.attrs, self.seed = dtype, attrs, seed
        self.random = np.random.default_rng(seed)
        self.nodes: list[Node] = []
        self.arrays: list[np.ndarray] = []
        self.known: dict[str, Value] = {}
        result = self.value(rule.left)
        inputs = tuple(v for k, v in self.known.items() if k.islower())
        self.program = Program(self.nodes, inputs, (result,))

    def value(self, expression: ast.expr) -> Value:
        name = f"n{len(self.nodes)}"
        if isinstance(expression, ast.Name):
            return self.known.setdefault(expression.id, self._letter(expression.id))
        if not isinstance(expression, ast.Call):
            number = ast.literal_eval(expression)
            dtype = dtypes.bool if isinstance(number, bool) else self.dtype
            shape = [(), SHAPE, (1,), (4,)][self.seed % 4]
            return self._constant(name, np.full(shape, number, dtype.np))
        inputs = tuple(self.value(arg) for arg in expression.args)
        op = OPS[ast.unparse(expression.func)]
        attrs = {str(k.arg): self.attrs[k.value.id] for k in expression.keywords}
        attrs = {**{k: v for k, v in op.attrs.items() if k not in attrs}, **attrs}
        found = op.infer(*[v.spec for v in inputs], **attrs)
        name = f"n{len(self.nodes)}"
        output = Value(name, found)
        self.nodes.append(Node(op, name, inputs, attrs, (output,)))
        return output

    def _letter(self, letter: str) -> Value:
        dtype = dtypes.bool if letter == "c" else self.dtype
        array = nasty(SHAPE, dtype, self.random)
        if letter.isupper():
            return self._constant(letter, self._chosen())
        if letter not in self.known:
            self.arrays.append(array)
        return Value(letter, Spec(SHAPE, dtype))

    @np.errstate(all="ignore")
    def _chosen(self) -> np.ndarray:
        shape = [(), SHAPE, (1,), (4,)][self.seed % 4]
        if self.dtype.is_floating:
            return np.exp2(self.random.integers(-12, 12, shape)).astype(self.dtype.np)
        return nasty(shape, self.dtype, self.random)

    def _constant(self, name: str, array: Any) -> Value:
        array = np.asarray(array)
        node = constant(f"{name}/Const{len(self.nodes)}", array, Spec(array.shape, _of(array)))
        self.nodes.append(node)
        return node.outputs[0]


def _of(array: np.ndarray) -> DType:
    return tf.as_dtype(array.dtype)


def _dtypes(rule: Rule) -> list[DType]:
    op = OPS[rule.op]
    found = rule.dtypes or (op.dtypes & (NUMERIC | {dtypes.bool}))
    if rule.op == "LogicalNot":
        found = rule.dtypes or NUMERIC & OPS["Equal"].dtypes
        if rule.pattern == "LogicalNot(LogicalNot(x))":
            found = {dtypes.bool}
    for call in ast.walk(rule.left):
        if isinstance(call, ast.Call) and call.func.id in ("Relu", "Relu6"):
            found = found & OPS[call.func.id].dtypes
    return sorted(found, key=lambda d: d.name)


def _choices(rule: Rule) -> list[dict[str, Any]]:
    """All combinations of the attributes that a pattern binds."""
    letters: dict[str, list[Any]] = {}
    for call in ast.walk(rule.left):
        if isinstance(call, ast.Call):
            for keyword in call.keywords:
                special = ATTRS.get(f"{call.func.id}.{keyword.arg}")
                letters[keyword.value.id] = special or ATTRS[keyword.arg]
    return [
        dict(zip(letters, values, strict=True))
        for values in itertools.product(*letters.values())
    ]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.pattern)
def test_rule(rule):
    """A rule is applied somewhere, and where it is, nothing differs."""
    applied = 0
    seed = zlib.crc32(rule.pattern.encode()) % 4000 * 4
    for dtype in _dtypes(rule):
        for attrs in _choices(rule):
            for each in range(4 if len(_choices(rule)) < 8 else 1):
                applied += _check(rule, dtype, attrs, seed + each)
    assert applied


@np.errstate(all="ignore")
def _check(rule: Rule, dtype: DType, attrs: dict[str, Any], seed: int) -> bool:
    try:
        instance = Instance(rule, dtype, attrs, seed)
    except tf.errors.OpError:
        return False  # attributes that do not fit together
    before = instance.program
    verify(before)
    after = table.rewritten(before, {rule.op: [rule]})
    if after is before:
        return False
    verify(after, before)
    try:
        wanted = Plan(before)(instance.arrays)
    except (tf.errors.OpError, ValueError):
        with pytest.raises((tf.errors.OpError, ValueError)):
            Plan(after)(instance.arrays)
        return True
    assert_same(Plan(after)(instance.arrays), wanted)
    return True


def test_ops_of_the_table_exist():
    for rule in RULES:
        for expression in (rule.left, rule.right):
            for call in ast.walk(expression):
                if isinstance(call, ast.Call) and not call.func.id.islower():
                    assert call.func.id in OPS, rule
    assert COMMUTATIVE - set(OPS) <= {"BitwiseAnd", "BitwiseOr", "BitwiseXor"}


@pytest.mark.parametrize(
    "wrong",
    [
        Rule("AddV2(x, 0)", "x", FLOATS),
        Rule("Sub(x, -0.0)", "x", FLOATS),
        Rule("Mul(x, 0)", "Sub(x, x)", FLOATS),
        Rule("Pow(x, 3)", "Mul(Square(x), x)", FLOATS),
        Rule("Mul(x, 1)", "x", COMPLEX),
        Rule("LogicalNot(Less(x, y))", "GreaterEqual(x, y)", FLOATS),
        Rule(
            "Mul(Mul(x, C), D)", "Mul(x, product(C, D))", FLOATS, None, {"product": np.multiply}
        ),
        Rule("Log(Exp(x))", "x", FLOATS),
        Rule("Sqrt(Square(x))", "Abs(x)", FLOATS),
        Rule("Cast(Cast(x, DstT=d), DstT=e)", "Cast(x, DstT=e)", INTS | FLOATS),
    ],
    ids=repr,
)
def test_wrong_rules_are_caught(wrong):
    with pytest.raises((AssertionError, TypeError)):
        for _ in range(8):
            test_rule(wrong)
