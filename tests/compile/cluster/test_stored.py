"""Clusters that another process compiled: the same results, draws and errors."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

SCRIPT = """
import numpy as np, headrace as tf
tf.random.set_seed(7)
table = tf.constant(np.arange(40, dtype=np.float32).reshape(20, 2) ** 0.5)
v = tf.Variable(tf.zeros([2]))

def step(index, n):
    total = tf.zeros([2])
    for k in tf.range(3):
        noise = tf.random.uniform([2])
        total = total + tf.gather(table, index)[0] * noise
    v.assign_add(total)
    if n > 0:
        total = total + tf.random.normal([2])
    return total

step = tf.function(step, jit_compile=True, autograph=AUTOGRAPH)
"""
CALLS = """
for index in ([3, 4], [5, 1]):
    print(step(tf.constant(index), tf.constant(1)).numpy().tolist(), v.numpy().tolist())
try:
    step(tf.constant([99, 0]), tf.constant(1))
except tf.errors.InvalidArgumentError as error:
    print("indices[0] = 99 is not in [0, 20)" in str(error), "defined at" in str(error))
from headrace.compile.llvm.engine import ENGINE
print("compiled", ENGINE.compiled > 0)
"""


def ran(path, folder) -> list[str]:
    done = subprocess.run(
        [sys.executable, str(path)],
        env={"HEADRACE_CACHE": str(folder), "PATH": "/usr/bin:/bin", "PYTHONPATH": "."},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_second_process_compiles_nothing_and_gives_the_same(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(SCRIPT.replace("AUTOGRAPH", "True") + CALLS)
    first, second = ran(path, tmp_path / "cache"), ran(path, tmp_path / "cache")
    assert first[:-1] == second[:-1]
    assert first[2] == "True True"
    assert (first[-1], second[-1]) == ("compiled True", "compiled False")


def test_another_constant_is_another_program(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(SCRIPT.replace("AUTOGRAPH", "True") + CALLS)
    first = ran(path, tmp_path / "cache")
    path.write_text(
        (SCRIPT.replace("AUTOGRAPH", "True") + CALLS).replace("range(3)", "range(2)")
    )
    second = ran(path, tmp_path / "cache")
    assert first[0] != second[0] and second[-1] == "compiled True"


@pytest.mark.parametrize("damage", ["cut", "changed", "exchanged"])
def test_damaged_files_are_compiled_anew(tmp_path, damage):
    """Half of a file, a wrong byte in it, or another program's file under its name."""
    path, folder = tmp_path / "script.py", tmp_path / "cache"
    path.write_text(SCRIPT.replace("AUTOGRAPH", "True") + CALLS)
    first = ran(path, folder)
    files = sorted((folder / "code").iterdir())
    contents = [file.read_bytes() for file in files]
    assert len(files) > 1
    for number, (file, whole) in enumerate(zip(files, contents, strict=True)):
        wrong = bytes([whole[len(whole) // 2] ^ 1])
        found = {
            "cut": whole[: len(whole) // 2],
            "changed": whole[: len(whole) // 2] + wrong + whole[len(whole) // 2 + 1 :],
            "exchanged": contents[number - 1],
        }[damage]
        file.write_bytes(found)
    second, third = ran(path, folder), ran(path, folder)
    assert first == second and second[:-1] == third[:-1]
    assert (second[-1], third[-1]) == ("compiled True", "compiled False")


def test_processes_fill_one_cache_at_once(tmp_path):
    path, folder = tmp_path / "script.py", tmp_path / "cache"
    path.write_text(SCRIPT.replace("AUTOGRAPH", "True") + CALLS)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: ran(path, folder)[:-1], range(4)))
    assert found == [found[0]] * 4
    assert ran(path, folder) == [*found[0], "compiled False"]
