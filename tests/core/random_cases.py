"""What is drawn and compared with TensorFlow's stored numbers (`tests/goldens/random.npz`).

Each case is an expression that gives a tensor, or a list of tensors that are drawn one after
another; before each the global seed is set to 7. `tools/goldens_random.py` stores TensorFlow's
answers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

FLOATS = ("float16", "bfloat16", "float32", "float64")
SIZES = ("[]", "[1]", "[0]", "[5]", "[2, 3]", "[1000]")
LARGE = "[70001], seed=5"


def _uniforms() -> list[str]:
    cases = [f"tf.random.uniform({s}, dtype=tf.{d}, seed=5)" for d in FLOATS for s in SIZES]
    cases += [f"tf.random.uniform({LARGE}, dtype=tf.{d})[::331]" for d in FLOATS]
    cases += [
        f"tf.random.uniform([{n}], {bounds}, tf.{d}, seed=5)[::{n // 200 + 1}]"
        for d in ("int32", "int64")
        for bounds in ("0, 10", "-5, 7", "-2**31, 2**31 - 1", "3, 4", "100, 2**31 - 1")
        for n in (9, 70001)
    ]
    return cases + [
        "tf.random.uniform([9], -2**63, 2**62, tf.int64, seed=5)",
        "tf.random.uniform([9], 0, 2**63 - 1, tf.int64, seed=5)",
        "tf.random.uniform([1000], -0.3, 0.7, seed=5)",
        "tf.random.uniform([1000], 2, 5, seed=5)",
        "tf.random.uniform([1000], 0, 5, seed=5)",
        "tf.random.uniform([200], -0.3, 0.7, tf.float16, seed=5)",
        "tf.random.uniform([200], -0.3, 0.7, tf.bfloat16, seed=5)",
        "tf.random.uniform([200], -0.3, 0.7, tf.float64, seed=5)",
        "tf.random.uniform([3, 2], [0., 1.], [[3.], [4.], [5.]], seed=5)",
        *_stateless_uniforms(),
    ]


def _stateless_uniforms() -> list[str]:
    seeds = ("[0, 0]", "[1, 2]", "[-1, 2**40]", "[2**63 - 1, -2**63]")
    draw = "tf.random.stateless_uniform"
    cases = [f"{draw}([50], {seed}, dtype=tf.{d})" for seed in seeds for d in FLOATS]
    cases += [
        f"{draw}([{n}], [1, 2], None, None, tf.{d})[::{n // 200 + 1}]"
        for d in ("int32", "int64", "uint32", "uint64")
        for n in (50, 70001)
    ]
    return cases + [
        f"{draw}([50], [1, 2], -3, 40, tf.int32)",
        f"{draw}([50], [1, 2], -3, 2**40, tf.int64)",
        f"{draw}([2, 25], tf.constant([1, 2]), -3, 40)",
        f"{draw}([50], [1, 2], alg='philox')",
        "tf.random.split([1, 2], 5)",
        "tf.random.split(tf.constant([1, 2], tf.int64), 5)",
        "tf.random.fold_in([1, 2], 3)",
        "tf.random.fold_in([1, 2], tf.constant(3, tf.int64))",
        "tf.random.fold_in(tf.constant([1, 2], tf.int64), 3)",
    ]


def _orders_and_classes() -> list[str]:
    cases = [f"tf.random.shuffle(tf.range({n}), seed=5)" for n in (0, 1, 2, 3, 10, 500, 3000)]
    shuffle = "tf.random.experimental.stateless_shuffle"
    cases += [f"{shuffle}(tf.range({n}), [1, 2])" for n in (1, 2, 10, 500)]
    logits = "tf.reshape(tf.cast(tf.range(12) % 5, tf.{0}), [3, 4])"
    cases += [
        f"tf.random.categorical({logits.format(d)}, {n}, seed=5)"
        for d in FLOATS
        for n in (1, 2, 7)
    ]
    return cases + [
        "tf.random.shuffle(tf.reshape(tf.range(60), [10, 2, 3]), seed=5)",
        "tf.random.shuffle(tf.range(9) > 4, seed=5)",
        "tf.random.categorical(tf.math.log([[0.1, 0.2, 0.7]]), 300, seed=5)",
        "tf.random.categorical([[1., -np.inf, 2., -np.inf]], 50, tf.int32, seed=5)",
        "tf.random.categorical([[np.nan, 1., 2.]], 9, seed=5)",
        "tf.random.stateless_categorical([[0., 1., 2.], [1., 1., 1.]], 50, [1, 2], tf.int32)",
    ]


def _normals() -> list[str]:
    cases = []
    for kind in ("normal", "truncated_normal"):
        draw, stateless = f"tf.random.{kind}", f"tf.random.stateless_{kind}"
        cases += [f"{draw}({s}, dtype=tf.{d}, seed=5)" for d in FLOATS for s in SIZES]
        cases += [f"{draw}({LARGE}, dtype=tf.{d})[::331]" for d in FLOATS]
        cases += [f"{stateless}([50], [1, 2], dtype=tf.{d})" for d in FLOATS]
        cases += [
            f"{draw}([200], 0, 0.1, seed=5)",
            f"{draw}([200], stddev=2, dtype=tf.float16, seed=5)",
            f"{draw}([200], stddev=0.3, dtype=tf.bfloat16, seed=5)",
            f"{stateless}([2, 3], [1, 2], stddev=[[1.], [2.]])",
        ]
    return cases


def _sequences() -> list[str]:
    """Ops that go on where they, or others with the same seed, stopped."""
    again = {
        "shapes": "[tf.random.uniform(s, seed=5) for s in ([3], [2, 2], [0], [], [3])]",
        "dtypes": "[tf.cast(tf.random.uniform([3], dtype=d, seed=5), tf.float64) "
        "for d in ('float32', 'float64', 'float16', 'float32', 'float64', 'float16')]",
        "shape's dtype": "[tf.random.uniform(s, seed=5) "
        "for s in ([3], np.array([3]), [3], tf.constant([3], tf.int64), [np.int64(3)], [3])]",
        "integers": "[tf.cast(tf.random.uniform([3], maxval=n, dtype=d, seed=5), tf.int64) "
        "for n in (9, 99) for d in ('int32', 'int64', 'int32')]",
        "rows": "[tf.random.shuffle(tf.range(n), seed=5) for n in (10, 10, 1, 0, 3, 3)]",
        "types of rows": "[tf.cast(tf.random.shuffle(tf.range(9, dtype=d), seed=5), tf.int64) "
        "for d in ('int32', 'float32', 'int32', 'float32')]",
        "classes": "[tf.cast(tf.random.categorical(tf.zeros([3, 5]), n, d, seed=5), tf.int64) "
        "for n in (7, 3) for d in (tf.int64, tf.int32, tf.int64)]",
        "own seeds": "[tf.random.uniform([3], seed=s) for s in (0, 1, None, 0, None, 1, None)]",
        "seeds": "[tf.random.uniform([3], seed=s) "
        "for s in (2**31 - 1, 2**31, 2**40, -1, -5, 2.7, True, np.int64(4))]",
        "ops": "[f([3], seed=5) for _ in range(2) for f in "
        "(tf.random.uniform, tf.random.normal, tf.random.truncated_normal)]",
        "mixed": "[tf.random.normal([3]), tf.random.uniform([3]), tf.random.normal([3]), "
        "tf.cast(tf.random.shuffle(tf.range(9)), tf.float32), tf.random.uniform([3])]",
    }
    cases = list(again.values())
    set_seed = (
        "[tf.random.set_seed({0}), tf.random.uniform([3]), tf.random.uniform([3], seed=3)]"
    )
    cases += [
        set_seed.format(seed) + "[1:]"
        for seed in ("0", "1", "42", "2**31 - 1", "2**31", "2**70", "-5", "3.7", "np.int64(4)")
    ]
    return cases + [
        "[tf.random.set_seed(None), tf.random.uniform([3], seed=3)][1:]",
        "[tf.random.set_seed(0), tf.random.uniform([3], seed=0), "
        "tf.random.uniform([3], seed=2**31 - 1)][1:]",
        "[tf.random.uniform([3], seed=5), tf.random.set_seed(7), "
        "tf.random.uniform([3], seed=5)][::2]",
    ]


def _generators() -> list[str]:
    make = "tf.random.Generator.from_seed(7)"
    cases = [f"{make}.uniform([50], dtype=tf.{d})" for d in FLOATS]
    cases += [f"{make}.normal([50], dtype=tf.{d})" for d in FLOATS]
    cases += [f"{make}.truncated_normal([50], 1., 2., tf.{d})" for d in FLOATS]
    cases += [
        f"{make}.uniform_full_int([50], tf.{d})" for d in ("int32", "int64", "uint32", "uint64")
    ]
    cases += [f"{make}.uniform([50], -3, 40, tf.{d})" for d in ("int32", "int64")]
    states = ("[-1, 0, 5]", "[2**63 - 1, 0, 5]", "[-3, -1, 5]", "[-3 * 256, 9, -5]")
    start = "tf.random.Generator.from_state({0}, 'philox')"
    cases += [f"{start.format(s)}.uniform_full_int([40], tf.uint32)" for s in states]
    cases += [
        f"[(g.normal([3]), g.state.value())[1] for g in [{start.format(s)}]]" for s in states
    ]
    return cases + [
        f"[f([3]) for g in [{make}] for f in (g.normal, g.uniform, g.truncated_normal, g.skip)"
        " if f != g.skip]",
        f"[[g.skip(3), g.normal([3])][1] for g in [{make}]]",
        f"{make}.make_seeds(5)",
        f"[g.normal([3]) for g in {make}.split(3)]",
    ]


def _counts() -> list[str]:
    poisson, binomial = "tf.random.stateless_poisson", "tf.random.stateless_binomial"
    types = ("float16", "float32", "float64", "int32", "int64")
    cases = [f"{poisson}([100], [1, 2], {r}, tf.{d})" for r in (0.5, 3.0, 90.0) for d in types]
    cases += [f"{poisson}([300], [1, 2], {r})" for r in (0.0, 9.99, 10.0, 1000.0, -1.0)]
    cases += [
        f"{binomial}([300], [1, 2], {n}, {p}, tf.{d})"
        for n, p in ((5.0, 0.3), (5.0, 0.7), (100.0, 0.3), (100.0, 0.9), (1000.0, 0.5))
        for d in ("int32", "float32")
    ]
    cases += [
        f"{binomial}([20], [1, 2], {n}, {p})" for n in (0.0, 9.0) for p in (0.0, 1.0, 1.5)
    ]
    arrays = "tf.constant([50., 9.], tf.{0}), tf.constant([0.3, 0.95], tf.{0}), tf.{0}"
    cases += [f"{binomial}([50, 2], [1, 2], {arrays.format(d)})" for d in types[:3]]
    draw = "[tf.random.poisson({0}, {1}, tf.{2}, seed=5) for _ in range(3)]"
    cases += [
        draw.format(shape, rate, d)
        for shape, rate in (("[30]", "4."), ("[5]", "[3., 30.]"), ("[]", "[[3., 30.]]"))
        for d in ("float32", "int64")
    ]
    generator = "tf.random.Generator.from_seed(7)"
    return cases + [
        f"{poisson}([50, 2, 2], [1, 2], [[1., 20.], [5., 300.]])",
        f"{binomial}([50, 2, 2], [1, 2], [[5.], [100.]], [0.1, 0.9])",
        f"{generator}.binomial([50], 100., 0.3)",
        f"[[g.binomial([5, 2], [10., 99.], 0.4), g.state.value()][1] for g in [{generator}]]",
    ]


EXACT = _uniforms() + _orders_and_classes() + _counts()
CLOSE = _normals() + _sequences() + _generators()


def numbers(case: str, tf: Any) -> np.ndarray:
    """What an implementation draws for a case; the tensors of a list end to end."""
    tf.random.set_seed(7)
    drawn = eval(case, {"tf": tf, "np": np})
    if isinstance(drawn, list):
        return np.concatenate([tensor.numpy().reshape(-1) for tensor in drawn])
    return np.asarray(drawn.numpy())


def storable(array: np.ndarray) -> np.ndarray:
    """The array; one of bfloat16 as its bits, for NumPy's files do not know the type."""
    return array.view(np.uint16) if array.dtype.name == "bfloat16" else array
