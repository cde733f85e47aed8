"""Run the notes' cells as a notebook would, and write what each did as JSON.

A program of its own, since `tensorflow` means Headrace in its process:
`python run_cells.py CELLS RESULTS`.
"""

import contextlib
import io
import json
import sys

import headrace
from headrace.cli.shell import Shell
from tests.notes.cells import read


def outcome(shell: Shell, source: str) -> dict[str, str]:
    """What one cell prints and shows, and its error if it has one."""
    error = ""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            shell.run_cell(source)
        except Exception as raised:
            error = f"{type(raised).__name__}: {raised}"
    return {"shown": out.getvalue(), "error": error}


def main() -> None:
    """Run all cells in one namespace, which is that of `__main__`."""
    cells, results = sys.argv[1:]
    headrace.install_as_tensorflow()
    shell = Shell({"__name__": "__main__"}, "notes")
    outcomes = {cell.line: outcome(shell, cell.source) for cell in read(cells)}
    with open(results, "w", encoding="utf-8") as file:
        json.dump(outcomes, file, ensure_ascii=False)


if __name__ == "__main__":
    main()
