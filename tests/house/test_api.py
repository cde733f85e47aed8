"""The public interface is the reviewed one and reachable; generated docs are current."""

import subprocess
import sys
from difflib import unified_diff

import pytest

from tools import api_golden, ops_table
from tools.exports import public_names

REACH = """
import sys
import headrace

for name in sys.stdin.read().split():
    found = headrace
    for part in name.split("."):
        found = getattr(found, part)
"""


def difference(path, text):
    """The lines by which a file differs from a text."""
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    return list(unified_diff(old.splitlines(), text.splitlines(), "file", "code", n=0))


def test_the_interface_is_the_golden_one():
    assert difference(api_golden.GOLDEN, api_golden.interface()) == [], "run `make api`"


def test_the_table_of_ops_is_current():
    assert difference(ops_table.TABLE, ops_table.table()) == [], "run `make api`"


@pytest.mark.smoke
def test_every_public_name_is_reached_from_the_root():
    """In a fresh process, where only the root has been imported."""
    done = subprocess.run(
        [sys.executable, "-c", REACH], input="\n".join(public_names()), text=True, stderr=-1
    )
    assert done.stderr == ""
