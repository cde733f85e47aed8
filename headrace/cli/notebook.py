"""Running a notebook: its code cells from first to last, in one namespace.

Like a script (see `script.py`), except that each cell shows the value of its last expression.
The first error stops the run, unless the cell is tagged `raises-exception` or the user asks to
keep going. Nothing is written back into the file.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from headrace.cli.cells import read_cells
from headrace.cli.script import enter_main, report_error
from headrace.cli.shell import Shell


def run_notebook(file: str, args: Sequence[str], *, keep_going: bool = False) -> int:
    """Run a notebook with `tensorflow` resolved to Headrace.

    Args:
        file: path of the `.ipynb` file.
        args: what the cells find in `sys.argv[1:]`.
        keep_going: report a failing cell and run the next.
    Returns:
        0, or 1 after an exception, which has been reported as Python reports it.
    Raises:
        OSError: the file can't be read; its `filename` is `file`.
    """
    try:
        cells = read_cells(file)
    except ValueError as error:
        print(f"headrace: {error}", file=sys.stderr)
        return 2
    shell = Shell(enter_main(file, args).__dict__, os.path.basename(file))
    status = 0
    for cell in cells:
        shell.count = cell.number - 1
        try:
            shell.run_cell(cell.source)
        except Exception as error:
            report_error(error)
            if "raises-exception" in cell.tags:
                continue
            status = 1
            if not keep_going:
                break
    return status
