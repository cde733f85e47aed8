"""Store what TensorFlow's own ops give on the samples of the op records.

Run it in an environment with TensorFlow 2.21 and Headrace's dependencies, from the checkout:

    python -m tools.goldens_ops

Inputs are not stored: `tests/ops/harness.py` makes the same ones again from each case's name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from headrace.base.dtypes import DType
from tests.ops import harness

GOLDENS = Path("tests/goldens/ops.npz")
DTYPES = ("float32", "float64", "int32", "uint8", "complex64", "bool", "float16")
RENAMED = {"squeeze_dims": "axis"}
"""Attributes that TensorFlow's Python calls otherwise."""


def call(case: harness.Case) -> list[np.ndarray]:
    """TensorFlow's results for a case."""
    op = case.op
    given: dict[str, Any] = {}
    arrays = [tf.constant(array) for array in case.arrays]
    if op.variadic:
        given[op.operands[0][1:]] = arrays
    else:
        given.update(zip(op.operands, arrays, strict=True))
    for name, value in case.attrs.items():
        given[RENAMED.get(name, name)] = converted(name, value, op)
    if op.name == "SplitV":
        given["num_split"] = len(case.attrs["size_splits"])
    results = getattr(tf.raw_ops, op.name)(**given)
    results = results if isinstance(results, (list, tuple)) else [results]
    return [np.asarray(result) for result in results]


def converted(name: str, value: Any, op: Any) -> Any:
    if isinstance(value, DType):
        return tf.as_dtype(value.name)
    if name in op.static:
        return tf.constant(value, tf.int32 if value == () else None)
    return value


def main() -> None:
    """Write the goldens, and say for which ops there are none."""
    answers: dict[str, np.ndarray] = {}
    missing: dict[str, str] = {}
    for name, op in harness.sampled().items():
        if not hasattr(tf.raw_ops, name):
            missing[name] = "TensorFlow has no such op"
            continue
        for case in harness.cases(op):
            if case.dtype.name not in DTYPES or (name == "Round" and case.dtype.is_integer):
                continue  # TensorFlow's Round gives zeros for integers; tf.round never calls it
            try:
                for index, result in enumerate(call(case)):
                    answers[f"{case.name}/{index}"] = result
            except Exception as error:
                missing[case.name] = f"{type(error).__name__}: {error}".split("\n")[0][:150]
    np.savez_compressed(GOLDENS, **answers)
    for name, reason in missing.items():
        print(f"{name}: {reason}")
    print(f"{len(answers)} results in {GOLDENS}")


if __name__ == "__main__":
    main()
