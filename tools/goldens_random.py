"""Store the random numbers that TensorFlow draws for the cases of `tests/core/random_cases.py`.

Run it in an environment with TensorFlow 2.21 (a CPU is enough), from the checkout:

    python -m tools.goldens_random           writes tests/goldens/random.npz
    python -m tools.goldens_random answers   prints tests/core/random.txt as it answers
"""

import re
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from tests.core import transcript
from tests.core.random_cases import CLOSE, EXACT, numbers, storable

GOLDENS = Path("tests/goldens/random.npz")
TRANSCRIPT = Path("tests/core/random.txt")


def functions() -> dict[str, np.ndarray]:
    """Two functions with the same seeds, run in turn: each op has a place of its own."""

    @tf.function
    def first():
        return tf.random.uniform([3]), tf.random.uniform([3], seed=5), tf.random.uniform([3])

    @tf.function
    def second():
        seeded = tf.random.uniform([3], seed=5), tf.random.uniform([3], seed=5)
        return tf.random.uniform([3]), *seeded

    tf.random.set_seed(7)
    runs = [first(), first(), second(), first()]
    tf.random.set_seed(8)
    runs.append(first())
    return {"functions": np.stack([np.stack(run) for run in runs])}


def answers() -> str:
    """The transcript as TensorFlow answers it, without what it adds for its own developers."""
    text = "\n\n".join(transcript.run(block, tf) for block in transcript.load(TRANSCRIPT))
    text = re.sub(r"\n\t; NodeDef: .*> (?=\[Op:)", "", text)
    return re.sub(r" name:( \w+)?$", "", text, flags=re.MULTILINE)


def main() -> None:
    """Write the goldens."""
    cases = EXACT + CLOSE
    answers = {f"{i:04}": storable(numbers(case, tf)) for i, case in enumerate(cases)}
    np.savez_compressed(GOLDENS, cases=np.array(cases), **answers, **functions())
    print(f"{len(answers)} answers in {GOLDENS}")


if __name__ == "__main__":
    if sys.argv[1:] == ["answers"]:
        print(answers())
    else:
        main()
