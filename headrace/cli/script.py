"""Running a program in this process as if Python had been started with its file.

The program is `__main__`: `sys.argv`, `sys.path[0]`, `__file__`, pickling of its classes, exit
status and tracebacks are what `python FILE ARGS` gives; only the name `tensorflow` means
Headrace. `notebook.py` uses the same stage for cells.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from importlib.machinery import SourceFileLoader
from types import ModuleType

from headrace.api import tensorflow_alias

HERE = os.path.dirname(__file__)


def run_script(file: str, args: Sequence[str]) -> int:
    """Run a Python script with `tensorflow` resolved to Headrace.

    Args:
        file: path of the script.
        args: what the script finds in `sys.argv[1:]`.
    Returns:
        0, or 1 after an exception, which has been reported as Python reports it. `SystemExit`
        passes through.
    Raises:
        OSError: the file can't be read; its `filename` is `file`.
    """
    with open(file, "rb") as source:
        text = source.read()
    main = enter_main(file, args)
    main.__file__ = file
    main.__loader__ = SourceFileLoader("__main__", file)
    try:
        exec(compile(text, file, "exec", dont_inherit=True), main.__dict__)
    except Exception as error:
        report_error(error)
        return 1
    return 0


def enter_main(file: str, args: Sequence[str]) -> ModuleType:
    """Make this process the program's own, and return its empty `__main__` module."""
    tensorflow_alias.install()
    sys.argv = [file, *args]
    if not sys.flags.safe_path:
        sys.path[0] = os.path.dirname(os.path.realpath(file))
    main = ModuleType("__main__")
    main.__dict__["__builtins__"] = sys.modules["builtins"]
    main.__dict__["__annotations__"] = {}
    sys.modules["__main__"] = main
    return main


def report_error(error: Exception) -> None:
    """Report an exception of the program as Python does, without the frames of this package
    through which the program was entered."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(HERE):
        trace = trace.tb_next
    sys.stdout.flush()
    if sys.excepthook is sys.__excepthook__:
        traceback.print_exception(error.with_traceback(trace))  # knows the lines of cells
    else:
        sys.excepthook(type(error), error, trace)
