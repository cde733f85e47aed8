"""The cache of compiled code on disk: what is kept, what is refused, who may write at once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from headrace.base import errors, flags
from headrace.compile import executable
from headrace.compile.llvm.emit import emit
from headrace.compile.llvm.engine import Engine
from headrace.compile.run import cache
from headrace.compile.run.executable import Executable
from headrace.compile.schedule import schedule
from tests.compile.support import compiled, elementwise
from tests.compile.test_run_entry import positive, scaled

KEY = cache.key("a program")


@pytest.fixture
def folder(tmp_path):
    """An empty cache."""
    with flags.CACHE.override(str(tmp_path / "cache")):
        yield tmp_path / "cache" / "code"


def test_what_is_stored_is_found(folder):
    assert cache.lookup(KEY) is None and not folder.exists()
    assert cache.store(KEY, b"object", b"more")
    assert cache.lookup(KEY) == cache.Entry(b"object", b"more")
    assert cache.store(KEY, b"", b"")
    assert cache.lookup(KEY) == cache.Entry(b"", b"")
    assert cache.lookup(cache.key("another")) is None
    assert os.stat(folder).st_mode & 0o777 == 0o700
    assert [os.stat(folder / name).st_mode & 0o777 for name in os.listdir(folder)] == [0o600]


def test_keys_differ():
    assert cache.key("a", 1) == cache.key("a", 1)
    assert (
        len({cache.key("a", 1), cache.key("a", 2), cache.key("a1"), cache.key(("a", 1))}) == 4
    )
    assert cache.fingerprint() == cache.fingerprint() and len(cache.fingerprint()) == 64


def test_no_folder_no_cache():
    with flags.CACHE.override(""):
        assert not cache.store(KEY, b"object") and cache.lookup(KEY) is None


@pytest.mark.parametrize("cut", [0, 1, 20, 56, 60, -1])
def test_a_cut_file_is_absent_and_rewritten(folder, cut):
    cache.store(KEY, b"object" * 10, b"more")
    path = folder / (KEY + cache.ENDING)
    path.write_bytes(path.read_bytes()[:cut])
    assert cache.lookup(KEY) is None
    assert cache.store(KEY, b"object", b"more") and cache.lookup(KEY) is not None


def test_every_changed_byte_is_noticed(folder):
    cache.store(KEY, b"object", b"more")
    path = folder / (KEY + cache.ENDING)
    whole = path.read_bytes()
    for k in range(len(whole)):
        path.write_bytes(whole[:k] + bytes([whole[k] ^ 1]) + whole[k + 1 :])
        assert cache.lookup(KEY) is None, k
    path.write_bytes(whole + b"x")
    assert cache.lookup(KEY) is None


def test_a_file_under_the_name_of_another_is_not_taken(folder):
    other = cache.key("another")
    cache.store(KEY, b"object")
    os.rename(folder / (KEY + cache.ENDING), folder / (other + cache.ENDING))
    assert cache.lookup(other) is None


def test_a_folder_that_others_may_write_is_not_used(folder):
    cache.store(KEY, b"object")
    os.chmod(folder, 0o770)
    assert cache.lookup(KEY) is None and not cache.store(KEY, b"other")
    os.chmod(folder, 0o700)
    assert cache.lookup(KEY) == cache.Entry(b"object", b"")


def test_a_folder_or_file_of_somebody_else_is_not_used(folder, monkeypatch):
    cache.store(KEY, b"object")
    monkeypatch.setattr("os.geteuid", lambda: os.getuid() + 1)
    assert cache.lookup(KEY) is None and not cache.store(KEY, b"other")


def test_a_folder_that_cannot_be_made(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    with flags.CACHE.override(str(tmp_path / "file")), flags.LOG.override("compile"):
        assert not cache.store(KEY, b"object") and cache.lookup(KEY) is None
        x = np.arange(7, dtype=np.float32)
        run = executable(compiled(elementwise(lambda b, x: x * 7 - 11), x))
        np.testing.assert_array_equal(run((x,))[0], x * 7 - 11)
    assert "can't be used" in caplog.text


def test_a_full_disk_leaves_nothing_behind(folder, monkeypatch):
    cache.store(cache.key("other"), b"object")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    assert not cache.store(KEY, b"object")
    assert len(os.listdir(folder)) == 1


def test_the_least_used_go_first(folder):
    keys = [cache.key(k) for k in range(10)]
    for k, key in enumerate(keys):
        cache.store(key, bytes(1000))
        os.utime(folder / (key + cache.ENDING), (k, k))
    assert cache.lookup(keys[0]) is not None  # now it is the one used last
    cache.prune(folder, 8000)  # down to three quarters of it
    left = {key for key in keys if cache.lookup(key) is not None}
    assert left == {keys[0], *keys[6:]}


def test_what_dead_processes_left_is_removed(folder):
    cache.store(KEY, b"object")
    (folder / ".old").write_bytes(b"half")
    (folder / ".new").write_bytes(b"half")
    past = time.time() - 2 * cache.PATIENCE
    os.utime(folder / ".old", (past, past))
    cache.prune(folder)
    assert sorted(os.listdir(folder)) == [".new", KEY + cache.ENDING]


def test_stores_bound_the_folder(folder, monkeypatch):
    monkeypatch.setattr("headrace.compile.run.cache.MOST", 20_000)
    for k in range(200):
        cache.store(cache.key(k), bytes(1000))
    assert len(os.listdir(folder)) < 100


def test_threads_and_processes_write_at_once(folder):
    script = (
        "import sys\n"
        "from headrace.compile.run import cache\n"
        "for k in range(300):\n"
        "    key, text = cache.key(k % 7), str(k % 7).encode() * 5000\n"
        "    found = cache.lookup(key)\n"
        "    assert found is None or found == (text, b'm'), found\n"
        "    assert cache.store(key, text, b'm')\n"
        "    if k % 50 == 0:\n"
        "        cache.prune(cache.flags.CACHE.value / 'code', 9000)\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(3)]
    threads = [threading.Thread(target=exec, args=(script, {})) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]


# The engine's use of it


def text_of(factor):
    x = np.ones(5, np.float32)
    return emit(schedule(compiled(elementwise(lambda b, x: x * factor), x)))


def test_a_second_engine_starts_hot(folder):
    first, second = Engine(), Engine()
    first.code(text_of(3))
    second.code(text_of(3))
    assert (first.compiled, second.compiled) == (1, 0)
    second.code(text_of(4))
    assert second.compiled == 1


def test_an_object_that_does_not_link_is_made_anew(folder, caplog):
    first, second, third = Engine(), Engine(), Engine()
    first.code(text_of(5))
    (name,) = os.listdir(folder)
    key = name.removesuffix(cache.ENDING)
    cache.store(key, b"no object file")
    assert second.code(text_of(5)).address and second.compiled == 1
    assert "can't be loaded" in caplog.text
    third.code(text_of(5))
    assert third.compiled == 0


def test_programs_are_saved_and_restored(folder):
    run = executable(scaled())
    cache.store(KEY, *run.saved())
    again = Executable.restored(cache.lookup(KEY))
    x, v = np.array([1, 2, 3], np.float32), np.full(3, 10, np.float32)
    assert again((x,), (v,))[0].tolist() == [10, 10, 10] and v.tolist() == [10, 20, 30]
    assert again.program[3:] == run.program[3:]
    checked = Executable.restored(executable(positive()).saved())
    with pytest.raises(errors.InvalidArgumentError, match="element 1 is not positive"):
        checked((np.array([1, 0, 0, 1], np.int32),))


def test_a_second_process_starts_hot(folder):
    script = (
        "import sys, numpy as np\n"
        "from headrace.compile.llvm.engine import ENGINE\n"
        "from tests.compile.support import *\n"
        "x = np.arange(9, dtype=np.float32)\n"
        "run = executable(compiled(elementwise(lambda b, x: b.math.exp(x) + 1), x))\n"
        "np.testing.assert_allclose(run((x,))[0], np.exp(x) + 1, rtol=1e-6)\n"
        "print(ENGINE.compiled)\n"
    )
    counts = [
        int(
            subprocess.run(
                [sys.executable, "-c", script], check=True, capture_output=True
            ).stdout
        )
        for _ in range(2)
    ]
    assert counts == [2, 0]  # the program and the runtime; then neither
