"""The shell in which a notebook's cells run: one namespace, last values shown, magics.

It is what a cell finds as `get_ipython()`. Magics that steer a front end (`%matplotlib`,
`%load_ext`, ...) mean nothing on a terminal and are passed over in silence; `%time`, `%timeit`,
`%cd`, `%%capture`, `%%writefile` and `!command` do what they say; installing packages is left
to the user, and any other magic is reported and skipped. Read `cells.py` before.
"""

from __future__ import annotations

import ast
import contextlib
import io
import linecache
import os
import re
import subprocess
import sys
import time
import timeit
from collections.abc import Callable
from types import CodeType
from typing import Any

from headrace.cli.cells import to_python
from headrace.cli.display import pretty

FRONT_END = frozenset(
    "matplotlib config load_ext reload_ext unload_ext autoreload aimport autosave precision "
    "pylab_inline tensorflow_version tensorboard".split()
)
TIMEIT_OPTIONS = re.compile(r"^(-[a-z]\s*\d*\s+)+")
INSTALLERS = ("pip", "pip3", "conda", "mamba", "apt", "apt-get")


class Shell:
    """Runs cells one after the other in a namespace.

    Args:
        names: the namespace, the `__dict__` of the `__main__` module.
        title: the notebook's name, for tracebacks.
    """

    def __init__(self, names: dict[str, Any], title: str = "notebook") -> None:
        self.names, self.title = names, title
        self.count = 0
        names.update(get_ipython=lambda: self, display=self.display, _=None)

    def run_cell(self, source: str) -> None:
        """Run one cell and show the value of its last expression; exceptions pass through."""
        self.count += 1
        self.run_python(source, show=True)

    def run_python(self, text: str, *, part: str = "", show: bool = False) -> None:
        """Run a cell's text, or the `part` of it that a magic hands over."""
        file = f"{self.title}[{self.count}]{part}"  # what tracebacks and `inspect` know it by
        source = to_python(text, file)
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        tree = ast.parse(source, file)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, file, "exec", dont_inherit=True), self.names)
        if last is not None:
            value = eval(expression(last, file), self.names)
            if show and value is not None and not source.rstrip().endswith(";"):
                self.names["_"] = value
                self.display(value)

    def display(self, *values: Any, **options: Any) -> None:
        """Show values as a notebook does; options for richer front ends are ignored."""
        for value in values:
            print(pretty(value))

    def run_line_magic(self, name: str, line: str) -> Any:
        """What `%name line` means here."""
        if name in FRONT_END:
            return None
        if name in INSTALLERS:
            return self.system(f"{name} {line}")
        magic = LINE_MAGICS.get(name)
        if magic is None:
            return self.report(f"%{name}", "the line is skipped")
        return magic(self, line)

    def run_cell_magic(self, name: str, line: str, body: str) -> Any:
        """What a cell that begins with `%%name line` means here."""
        magic = CELL_MAGICS.get(name)
        if magic is None:
            return self.report(f"%%{name}", "the cell is skipped")
        return magic(self, line, body)

    def system(self, command: str) -> None:
        """What `!command` means: the system's shell runs it, its output is shown."""
        if command.split()[:1] and command.split()[0] in INSTALLERS:
            self.report(f"!{command}", "packages are for you to install")
            return
        for line in self.getoutput(command):
            print(line)

    def getoutput(self, command: str) -> list[str]:
        """What `name = !command` assigns: the lines of the command's output."""
        done = subprocess.run(
            command, shell=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        return done.stdout.splitlines()

    def report(self, what: str, outcome: str) -> None:
        """Tell the user of a line that is not followed."""
        place = f"{self.title}[{self.count}]"
        print(f"headrace run: {place}: {what} is not followed: {outcome}", file=sys.stderr)

    def timed(self, source: str) -> None:
        """Run Python text, showing its value and then the time it took."""
        start = time.perf_counter()
        self.run_python(source, part="%time", show=True)
        print(f"Wall time: {duration(time.perf_counter() - start)}")

    def timeit(self, line: str, body: str = "") -> None:
        """Time a statement: `%timeit statement`, or `%%timeit setup` above a cell."""
        line = TIMEIT_OPTIONS.sub("", line)
        setup, statement = (line, body) if body else ("", line)
        timer = timeit.Timer(statement, setup or "pass", globals=self.names)
        number, _ = timer.autorange()
        best = min(timer.repeat(3, number)) / number
        print(f"{duration(best)} per loop (best of 3, {number:,} loops each)")

    def captured(self, line: str, body: str) -> None:
        """Run a cell without showing what it prints (`%%capture [name]`)."""
        with contextlib.redirect_stdout(io.StringIO()) as out:
            self.run_python(body, part="%capture")
        if line and not line.startswith("-"):
            self.names[line.split()[0]] = out

    def write_file(self, line: str, body: str) -> None:
        """Write a cell's text into a file (`%%writefile [-a] name`)."""
        *options, name = line.split()
        with open(name, "a" if "-a" in options else "w", encoding="utf-8") as file:
            file.write(body)


LINE_MAGICS: dict[str, Callable[[Shell, str], Any]] = {
    "time": Shell.timed,
    "timeit": Shell.timeit,
    "cd": lambda shell, line: os.chdir(os.path.expanduser(line or "~")),
    "pwd": lambda shell, line: os.getcwd(),
}
CELL_MAGICS: dict[str, Callable[[Shell, str, str], Any]] = {
    "time": lambda shell, line, body: shell.timed(body),
    "timeit": Shell.timeit,
    "capture": Shell.captured,
    "writefile": Shell.write_file,
    "bash": lambda shell, line, body: shell.system(body),
    "sh": lambda shell, line, body: shell.system(body),
}


def expression(last: ast.Expr, file: str) -> CodeType:
    """The code of a cell's last expression."""
    return compile(ast.Expression(last.value), file, "eval", dont_inherit=True)


def duration(seconds: float) -> str:
    """A time with three digits and a fitting unit.

    >>> duration(0.00123456)
    '1.23 ms'
    """
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"
