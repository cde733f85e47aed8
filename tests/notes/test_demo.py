"""`make demo`: the training loop, the test error, and the picture of the learning curve."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.notes import housing

EXAMPLE = Path(__file__).parents[2] / "examples" / "custom_training_loop.py"
NO_NETWORK = {f"{scheme}_proxy": "http://127.0.0.1:9" for scheme in ("http", "https")}


def demo(folder, **environment):
    """What the demo prints; it leaves its picture in `folder`."""
    done = subprocess.run(
        [sys.executable, "-m", "headrace", "run", str(EXAMPLE), "curve.png"],
        cwd=folder,
        env={**os.environ, **NO_NETWORK, **environment},
        capture_output=True,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert (folder / "curve.png").read_bytes().startswith(b"\x89PNG")
    return done.stdout.decode()  # as bytes: the status bar's "\r" are kept


def test_demo(tmp_path):
    shown = demo(tmp_path, SCIKIT_LEARN_DATA=str(housing.data_home(tmp_path)))
    assert shown.count("\r11610/11610 - mean: ") == 5
    mse, mae = re.search(r"Test error: ([\d.]+) .*, ([\d.]+) ", shown).groups()
    assert 0 < float(mae) < 1 and 0 < float(mse) < 1.5
    assert shown.endswith("Learning curve: curve.png\n")


def test_demo_without_the_data_and_the_network(tmp_path):
    shown = demo(tmp_path, SCIKIT_LEARN_DATA=str(tmp_path / "empty"))
    assert "Training on scikit-learn's diabetes data instead" in shown
    mse = float(re.search(r"Test error: ([\d.]+)", shown)[1])
    assert mse < 0.59  # the variance of the targets: better than guessing the mean
