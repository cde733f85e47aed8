"""Reads `chapter12.txt`, whose first lines describe its form."""

import re
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).with_name("chapter12.txt")


class NotesCell(NamedTuple):
    """A cell: its line in the notes, its text, and what is expected ("shows", "shows like",
    "raises", or "" for nothing)."""

    line: int
    source: str
    kind: str
    expected: str


def read(path: Path | str = FILE) -> list[NotesCell]:
    """All cells of the file in their order."""
    _, *blocks = re.split(r"^%%% cell ", Path(path).read_text(encoding="utf-8"), flags=re.M)
    return [parse(block) for block in blocks]


def parse(block: str) -> NotesCell:
    """One cell from the text after its mark."""
    line, _, rest = block.partition("\n")
    source, *expectation = re.split(r"^%%% (shows like|shows|raises)\n", rest, flags=re.M)
    kind, expected = expectation or ("", "")
    return NotesCell(int(line), source, kind, expected)
