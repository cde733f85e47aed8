"""The `headrace` command: parses the command line and hands over to the command's module.

    headrace run FILE [ARGS]              run a script or a notebook written for TensorFlow
    headrace graph FILE:FUNCTION [SPECS]  print the graph of a function of a script

What stands before FILE is for Headrace; all that follows it belongs to the program.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version

from headrace.cli.graph import show_graph
from headrace.cli.notebook import run_notebook
from headrace.cli.script import run_script


class Version(argparse.Action):
    """Prints the version of the installed package, which is looked up only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"headrace {version('headrace')}")
        parser.exit()


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    top = argparse.ArgumentParser(
        prog="headrace", description="TensorFlow 2 and Keras, rewritten in readable Python."
    )
    top.add_argument("--version", action=Version, nargs=0, help="show the version and exit")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    run = commands.add_parser(
        "run",
        help="run a script or a notebook written for TensorFlow",
        description="Run a Python script, or the cells of a notebook (.ipynb), with "
        "`tensorflow` resolved to Headrace at every depth.",
    )
    run.add_argument(
        "--keep-going",
        action="store_true",
        help="notebooks only: report a failing cell and go on with the next",
    )
    run.add_argument("file", metavar="FILE", help="a Python script, or a notebook (.ipynb)")
    run.add_argument("args", metavar="ARGS", nargs=argparse.REMAINDER, help="for the program")
    graph = commands.add_parser(
        "graph",
        help="print the graph of a function of a script",
        description="Run a script, then print the graphs of one of its functions: as they were "
        "traced, and after each pass that changed them.",
    )
    graph.add_argument("--dot", action="store_true", help="a picture in Graphviz' language")
    graph.add_argument(
        "--stages",
        action="store_true",
        help="what the compiler makes of it, down to machine code",
    )
    graph.add_argument("file", metavar="FILE:FUNCTION", help="a script, and a name in it")
    graph.add_argument(
        "args",
        metavar="SPECS",
        nargs="*",
        help="the arguments: float32[?,3], or literals (without: as the script called it)",
    )
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status.

    Args:
        argv: the words of the command line without the program's name (None: the process's).
    """
    options = parser().parse_args(argv)
    try:
        if options.command == "graph":
            return show_graph(options.file, options.args, options.dot, options.stages)
        if options.file.endswith(".ipynb"):
            return run_notebook(options.file, options.args, keep_going=options.keep_going)
        return run_script(options.file, options.args)
    except OSError as error:
        if error.filename not in (options.file, options.file.rpartition(":")[0]):
            raise
        print(f"headrace: can't open {error.filename!r}: {error.strerror}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
