"""Store what TensorFlow's Keras answers to the cases of `tests/keras/cases.py`.

Run it in an environment with TensorFlow 2.21 and tf_keras 2.21, from the checkout:

    TF_USE_LEGACY_KERAS=1 python -m tools.goldens_keras
"""

import json
from pathlib import Path

import tensorflow as tf

from tests.keras.cases import all_cases

GOLDENS = Path("tests/goldens/keras.json")


def main() -> None:
    """Write the goldens."""
    answers = {name: case(tf, tf.keras).tolist() for name, case in all_cases().items()}
    lines = (f"{json.dumps(name)}: {json.dumps(value)}" for name, value in answers.items())
    GOLDENS.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    print(f"{len(answers)} answers in {GOLDENS}")


if __name__ == "__main__":
    main()
