"""Every cell of the notes runs unmodified and prints what stands there."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.notes import cells, housing

CELLS = cells.read()
TRAINING = 815
ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.smoke


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What each cell did, by its line in the notes; all ran in one process."""
    scratch = tmp_path_factory.mktemp("notes")
    results = scratch / "results.json"
    environment = {
        **os.environ,
        "SCIKIT_LEARN_DATA": str(housing.data_home(scratch)),
        "PYTHONPATH": str(ROOT),
        "MPLBACKEND": "agg",
    }
    command = [sys.executable, "-W", "error", "-m", "tests.notes.run_cells"]
    done = subprocess.run(
        [*command, str(cells.FILE), str(results)],
        env=environment,
        cwd=scratch,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return {int(line): outcome for line, outcome in json.loads(results.read_text()).items()}


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"line {cell.line}")
def test_cell(cell, outcomes):
    outcome = outcomes[cell.line]
    if cell.kind == "raises":
        assert outcome["error"] == cell.expected.rstrip("\n")
        return
    assert outcome["error"] == ""
    if cell.kind == "shows like":
        assert forms(outcome["shown"]) == forms(cell.expected)
    else:
        assert outcome["shown"] == cell.expected


def forms(text: str) -> set[str]:
    """The forms of a text's lines, with `#` for each figure that varies."""
    lines = (line for line in re.split(r"[\r\n]+", text) if line)
    varying = r"\d+(?=/11610)|\d+\.\d{4}|(?<=에포크 )\d|0x[0-9a-f]+"
    return {re.sub(varying, "#", line) for line in lines}


def test_status_bar(outcomes):
    """The bar is rewritten at each of 362 steps, and closed once an epoch."""
    shown = outcomes[TRAINING]["shown"]
    epochs = re.split(r"에포크 (\d)/5\n", shown)
    assert epochs[1::2] == ["1", "2", "3", "4", "5"]
    for epoch in epochs[2::2]:
        bars = epoch.split("\r")[1:]
        seen = [int(bar.partition("/")[0]) for bar in bars]
        assert seen == [32 * step for step in range(1, 363)] + [11610]
        assert [bar.endswith("\n") for bar in bars] == [False] * 362 + [True]


def test_loss_falls(outcomes):
    """Training works: each epoch's mean loss is below the first's."""
    shown = outcomes[TRAINING]["shown"]
    losses = [float(loss) for loss in re.findall(r"11610/11610 - mean: ([\d.]+)", shown)]
    assert len(losses) == 5 and max(losses[1:]) < losses[0]


def test_the_data_file_is_whole():
    kinds = Counter(cell.kind for cell in CELLS)
    assert kinds == {"shows": 31, "shows like": 2, "raises": 2, "": 18}
