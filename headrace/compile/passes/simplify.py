"""`simplify`: cheaper ways to the same value, from one table.

Every rule gives the same value bit for bit (NaN for NaN) for all operands of its dtypes, NaN,
infinities, both zeros and integers that overflow included; a test holds each to that. So
`x + 0` is `x` for integers only (of floats, `-0. + 0.` is `0.`), and what is merely true of
real numbers is not here: `log(exp(x))`, `sqrt(x * x)`, `x * 2. * 3.`.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import ml_dtypes
import numpy as np

from headrace.base.dtypes import COMPLEX, FLOATS, INTS, SIGNED, DType
from headrace.base.dtypes import bool as bool_dtype
from headrace.compile.passes.match import Rule
from headrace.compile.passes.program import (
    Node,
    Program,
    Value,
    fresh_name,
    renamed,
    static,
)

_ROUNDS = 8
"""So often the rules are tried on one node, at most."""


# What conditions and results say


def composed(inner: tuple[int, ...], outer: tuple[int, ...]) -> tuple[int, ...]:
    """The permutation that does `inner`, then `outer`."""
    return tuple([inner[i] for i in outer])


def in_order(perm: tuple[int, ...]) -> bool:
    """Whether a permutation changes nothing."""
    return perm == tuple(range(len(perm)))


def swaps_matrix(perm: tuple[int, ...]) -> bool:
    """Whether a permutation exchanges the last two axes and nothing else."""
    rank = len(perm)
    return rank >= 2 and perm == (*range(rank - 2), rank - 1, rank - 2)


def flipped(flag: bool) -> bool:
    """The opposite."""
    return not flag


def product(c: np.ndarray, d: np.ndarray) -> np.ndarray:
    """The product of two constants."""
    return np.asarray(np.multiply(c, d))


def total(c: np.ndarray, d: np.ndarray) -> np.ndarray:
    """The sum of two constants."""
    return np.asarray(np.add(c, d))


def reciprocal(c: np.ndarray) -> np.ndarray:
    """One over a constant."""
    return np.asarray(np.true_divide(np.ones((), c.dtype), c))


def power_of_two(m: Any) -> bool:
    """Whether `C` has few elements, all powers of two whose reciprocals are exact, too."""
    if not 0 < m.C.size <= 64:
        return False
    info = ml_dtypes.finfo(m.C.dtype)
    for item in m.C.reshape(-1).tolist():
        if not math.isfinite(item) or abs(math.frexp(item)[0]) != 0.5:
            return False
        if not float(info.tiny) <= abs(1 / item) <= float(info.max):
            return False
    return True


def holds(wide: DType, narrow: DType) -> bool:
    """Whether every value of `narrow` is one of `wide`."""
    if wide is narrow or narrow is bool_dtype:
        return True
    if wide is bool_dtype or not (wide.is_numeric and narrow.is_numeric):
        return False
    return _exact_in(wide.np, narrow.np)


def _exact_in(wide: np.dtype, narrow: np.dtype) -> bool:
    kinds = {np.dtype(t): "f" for t in (np.float16, np.float32, np.float64)}
    kinds[np.dtype(ml_dtypes.bfloat16)] = "f"
    if wide in kinds and narrow in kinds:
        a, b = ml_dtypes.finfo(wide), ml_dtypes.finfo(narrow)
        return bool(a.nmant >= b.nmant and a.maxexp >= b.maxexp and a.minexp <= b.minexp)
    if narrow.kind in "iu" and wide in kinds:
        digits = 8 * narrow.itemsize - (narrow.kind == "i")
        room = ml_dtypes.finfo(wide)
        return bool(room.nmant + 1 >= digits and room.maxexp > digits)
    if narrow.kind in "iu" and wide.kind in "iu":
        return np.can_cast(narrow, wide)
    return False


def scalars(m: Any) -> bool:
    """Whether the numbers are scalars: only then the kernel of `x ** 2` multiplies."""
    return all(value.spec.shape == () for value in m.numbers)


def integers(m: Any) -> bool:
    """Whether there is no NaN."""
    return m.x.spec.dtype in INTS


def same_dtype(m: Any) -> bool:
    """Whether a cast casts to what is there."""
    return bool(m.x.spec.dtype is m.d)


def there_and_back(m: Any) -> bool:
    """Whether a cast undoes one that lost nothing."""
    return bool(m.x.spec.dtype is m.e and holds(m.d, m.e))


def on_the_way(m: Any) -> bool:
    """Whether the first of two casts loses nothing, and the second reads numbers alike."""
    first, middle, last = m.x.spec.dtype, m.d, m.e
    if not holds(middle, first) or last is bool_dtype:
        return False
    if last.is_floating:
        return bool(first.is_floating or first.is_integer)
    return bool(last.is_integer and first.is_integer and middle.is_integer)


def never_fails(m: Any) -> bool:
    """Whether the first of two reshapes fits whatever comes."""
    if static(m.x.spec) is not None:
        return True
    shape, before = m.s, m.x.spec.shape
    if before is None or shape.count(-1) != 1:
        return False
    sizes = math.prod(n for n in shape if n != -1)
    known = math.prod(n for n in before if n is not None)
    return bool(sizes and known % sizes == 0 and before.count(None) == 1)


REAL = FLOATS | INTS

# Operations that change nothing: TensorFlow calls their removal dependency optimization.
NOTHING_DONE = [
    Rule("Identity(x)", "x"),
    Rule("StopGradient(x)", "x"),
]

# The rules of numbers.
ARITHMETIC = [
    Rule("AddV2(x, 0)", "x", INTS),
    Rule("AddV2(x, -0.0)", "x", FLOATS),
    Rule("Sub(x, 0)", "x", REAL),
    Rule("Sub(0, x)", "Neg(x)", SIGNED),
    Rule("Sub(-0.0, x)", "Neg(x)", FLOATS),
    Rule("Mul(x, 1)", "x", REAL),
    Rule("Mul(x, -1)", "Neg(x)", FLOATS | SIGNED),
    Rule("RealDiv(x, 1)", "x", FLOATS),
    Rule("RealDiv(x, -1)", "Neg(x)", FLOATS),
    Rule("FloorDiv(x, 1)", "x", INTS),
    Rule("TruncateDiv(x, 1)", "x", INTS),
    Rule("DivNoNan(x, 1)", "x", FLOATS),
    Rule("Neg(Neg(x))", "x"),
    Rule("AddV2(x, Neg(y))", "Sub(x, y)", FLOATS | SIGNED | COMPLEX),
    Rule("Sub(x, Neg(y))", "AddV2(x, y)", FLOATS | SIGNED | COMPLEX),
    Rule("Mul(Neg(x), Neg(y))", "Mul(x, y)", FLOATS | SIGNED),
    Rule("RealDiv(Neg(x), Neg(y))", "RealDiv(x, y)", FLOATS),
    Rule("Square(Neg(x))", "Square(x)", FLOATS | SIGNED),
    Rule("Square(Abs(x))", "Square(x)", FLOATS | SIGNED),
    Rule("Abs(Neg(x))", "Abs(x)", FLOATS | SIGNED),
    Rule("Pow(x, 1)", "x", FLOATS | SIGNED),
    Rule("Pow(x, 2)", "Square(x)", SIGNED),
    Rule("Pow(x, 2)", "Square(x)", FLOATS, scalars),
    Rule("Pow(x, 3)", "Mul(Square(x), x)", SIGNED),
    Rule("AddV2(AddV2(x, C), D)", "AddV2(x, total(C, D))", INTS, None, {"total": total}),
    Rule("Mul(Mul(x, C), D)", "Mul(x, product(C, D))", INTS, None, {"product": product}),
    Rule(
        "RealDiv(x, C)",
        "Mul(x, reciprocal(C))",
        FLOATS,
        power_of_two,
        {"reciprocal": reciprocal},
    ),
    Rule("Conj(Conj(x))", "x"),
    *[Rule(f"{op}({op}(x))", f"{op}(x)") for op in "Abs Floor Ceil Round Relu Relu6".split()],
    Rule("Maximum(x, x)", "x"),
    Rule("Minimum(x, x)", "x"),
]

# The rules of logic.
LOGIC = [
    Rule("LogicalNot(LogicalNot(x))", "x"),
    Rule("LogicalNot(Equal(x, y))", "NotEqual(x, y)"),
    Rule("LogicalNot(NotEqual(x, y))", "Equal(x, y)"),
    Rule("LogicalNot(Less(x, y))", "GreaterEqual(x, y)", None, integers),
    Rule("LogicalNot(LessEqual(x, y))", "Greater(x, y)", None, integers),
    Rule("LogicalNot(Greater(x, y))", "LessEqual(x, y)", None, integers),
    Rule("LogicalNot(GreaterEqual(x, y))", "Less(x, y)", None, integers),
    Rule("LogicalAnd(x, True)", "x"),
    Rule("LogicalOr(x, False)", "x"),
    Rule("LogicalAnd(x, x)", "x"),
    Rule("LogicalOr(x, x)", "x"),
    Rule("SelectV2(c, x, x)", "x"),
    Rule("SelectV2(True, x, y)", "x"),
    Rule("SelectV2(False, x, y)", "y"),
]

# Other forms and orders of the same elements.
MOVEMENT = [
    Rule("Cast(x, DstT=d)", "x", None, same_dtype),
    Rule("Cast(Cast(x, DstT=d), DstT=e)", "x", None, there_and_back),
    Rule("Cast(Cast(x, DstT=d), DstT=e)", "Cast(x, DstT=e)", None, on_the_way),
    Rule("Transpose(x, perm=p)", "x", None, lambda m: in_order(m.p)),
    Rule(
        "Transpose(Transpose(x, perm=p), perm=q)",
        "Transpose(x, perm=composed(p, q))",
        functions={"composed": composed},
    ),
    Rule("Reshape(x, shape=s)", "x", None, lambda m: static(m.x.spec) == m.s),
    Rule("Reshape(Reshape(x, shape=s), shape=t)", "Reshape(x, shape=t)", None, never_fails),
    Rule("Squeeze(ExpandDims(x, axis=a), squeeze_dims=b)", "x", None, lambda m: m.b == (m.a,)),
    Rule("ReverseV2(ReverseV2(x, axis=a), axis=b)", "x", None, lambda m: m.a == m.b),
    Rule("ReverseV2(x, axis=a)", "x", None, lambda m: m.a == ()),
    Rule("BroadcastTo(x, shape=s)", "x", None, lambda m: static(m.x.spec) == m.s),
    Rule("SumToShape(x, shape=s)", "x", INTS, lambda m: static(m.x.spec) == m.s),
    Rule("Tile(x, multiples=n)", "x", None, lambda m: set(m.n) <= {1}),
]

# Work that another op does along the way: TensorFlow's remapping.
REMAPPING = [
    Rule(
        "MatMul(Transpose(x, perm=p), y, transpose_a=t)",
        "MatMul(x, y, transpose_a=flipped(t))",
        FLOATS,
        lambda m: swaps_matrix(m.p),
        {"flipped": flipped},
    ),
    Rule(
        "MatMul(x, Transpose(y, perm=p), transpose_b=t)",
        "MatMul(x, y, transpose_b=flipped(t))",
        FLOATS,
        lambda m: swaps_matrix(m.p),
        {"flipped": flipped},
    ),
]


def simplify(program: Program) -> Program:
    """The program with the rules of numbers, logic and forms applied."""
    return rewritten(program, _by_op("arithmetic"))


def bypass(program: Program) -> Program:
    """The program without operations that change nothing."""
    return _without_groups(rewritten(program, _by_op("nothing")))


def _without_groups(program: Program) -> Program:
    """The program without what gives its operands (a function with its own gradient)."""
    pinned = program.pinned()
    groups = [
        node
        for node in program.nodes
        if node.op.name == "IdentityN" and not node.control and node.name not in pinned
    ]
    if not groups:
        return program
    known_as: dict[Value, Value] = {}
    for node in groups:
        given = [known_as.get(value, value) for value in node.inputs]
        known_as.update(zip(node.outputs, given, strict=True))
    gone = set(groups)
    rest = [renamed(node, known_as) for node in program.nodes if node not in gone]
    return program.like(rest, known_as)


def remap(program: Program) -> Program:
    """The program with work handed to ops that do it along the way."""
    return rewritten(program, _by_op("remapping"))


@functools.cache
def _by_op(section: str) -> dict[str, list[Rule]]:
    """The rules of a section by the name of the op that they begin with."""
    rules = {
        "nothing": NOTHING_DONE,
        "arithmetic": [*ARITHMETIC, *LOGIC, *MOVEMENT],
        "remapping": REMAPPING,
    }[section]
    table: dict[str, list[Rule]] = {}
    for rule in rules:
        table.setdefault(rule.op, []).append(rule)
    return table


def rewritten(program: Program, rules: dict[str, list[Rule]]) -> Program:
    """The program with every rule applied as long as one applies."""
    if not any(node.op.name in rules for node in program.nodes):
        return program
    work = _Rewriting(program, rules)
    for node in program.nodes:
        work.add(node)
    return program.like(work.nodes, work.known_as) if work.changed else program


class _Rewriting:
    """A program in the making."""

    def __init__(self, program: Program, rules: dict[str, list[Rule]]) -> None:
        self._rules = rules
        self._pinned = program.pinned()
        self._taken = {node.name for node in program.nodes}
        self._producers: dict[Value, Node] = {}
        self.nodes: list[Node] = []
        self.known_as: dict[Value, Value] = {}
        self.changed = False

    def add(self, old: Node) -> None:
        """Add what a node becomes."""
        node = renamed(old, self.known_as) if self.known_as else old
        if node.op.name in self._rules and not node.control and node.name not in self._pinned:
            for _ in range(_ROUNDS):
                made = self._applied(node)
                if made is None:
                    break
                self.changed = True
                if isinstance(made, Value):
                    self.known_as[node.outputs[0]] = made
                    return
                for extra in made[:-1]:
                    self._append(extra)
                node = made[-1]
        self._append(node)

    def _applied(self, node: Node) -> Any:
        for rule in self._rules.get(node.op.name, ()):
            made = rule.apply(node, self._producers, lambda n: fresh_name(n, self._taken))
            if made is not None:
                return made
        return None

    def _append(self, node: Node) -> None:
        self.nodes.append(node)
        for value in node.outputs:
            self._producers[value] = node
