"""`headrace run` behaves as `python` does, except for the name `tensorflow`."""

import json
import subprocess
import sys
import textwrap

import pytest


@pytest.fixture
def run(tmp_path):
    """Write a program, run it by the command, and return the finished process."""

    def run(text, *args, name="program.py", options=()):
        if isinstance(text, str):
            text = textwrap.dedent(text)
        (tmp_path / name).write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "headrace", "run", *options, name, *args]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    return run


def notebook(*sources, tags=()):
    """The text of a notebook with these code cells."""
    cells = [
        {"cell_type": "code", "source": source, "metadata": {"tags": list(tags)}, "outputs": []}
        for source in sources
    ]
    cells.insert(0, {"cell_type": "markdown", "source": ["# A title"], "metadata": {}})
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells})


def test_a_script_is_main(run):
    done = run(
        """\
        import pickle, sys
        import tensorflow as tf

        class Local:
            pass

        print(__name__, __file__, sys.argv, type(pickle.loads(pickle.dumps(Local()))).__name__)
        print(sys.modules["__main__"].Local is Local, __doc__, __spec__)
        print(tf.constant(2.0) + 1)
        """,
        "--flag",
        "--",
        "x",
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "__main__ program.py ['program.py', '--flag', '--', 'x'] Local",
        "True None None",
        "tf.Tensor(3.0, shape=(), dtype=float32)",
    ]
    assert done.returncode == 0


def test_a_script_finds_the_modules_beside_it(run, tmp_path):
    (tmp_path / "neighbour.py").write_text("import tensorflow as tf\nhere = tf.constant(7)\n")
    assert run("import neighbour; print(int(neighbour.here))").stdout == "7\n"


@pytest.mark.parametrize(
    "end, status", [("sys.exit(3)", 3), ("sys.exit('no')", 1), ("sys.exit()", 0), ("1 / 0", 1)]
)
def test_exit_status(run, end, status):
    assert run(f"import sys\n{end}\n").returncode == status


def test_a_traceback_shows_the_users_lines_only(run):
    done = run(
        """\
        def divide():
            return 1 / 0
        divide()
        """
    )
    assert done.stderr.splitlines()[0] == "Traceback (most recent call last):"
    assert done.stderr.splitlines()[1] == '  File "program.py", line 3, in <module>'
    assert done.stderr.splitlines()[-1] == "ZeroDivisionError: division by zero"
    assert "headrace" not in done.stderr


def test_a_syntax_error_is_shown_as_python_shows_it(run):
    done = run("x = = 1\n")
    assert done.stderr.startswith('  File "program.py", line 1\n    x = = 1\n')
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)


def test_a_file_that_is_not_there(run):
    command = [sys.executable, "-m", "headrace", "run", "nowhere.py"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "headrace: can't open 'nowhere.py': No such file or directory\n"


def test_a_notebook_shows_last_values(run):
    done = run(
        notebook(
            ["%matplotlib inline\n", "import tensorflow as tf\n", "%load_ext tensorboard"],
            "t = tf.constant([[1., 2., 3.], [4., 5., 6.]])\nt",
            "t + 1;",
            "t.shape",
            "[t, None]",
            "print('printed')\nNone",
            "import sys\n__name__, sys.argv[1:]",
            "",
        ),
        "word",
        name="notes.ipynb",
    )
    assert done.stderr == ""
    assert done.stdout == textwrap.dedent(
        """\
        <tf.Tensor: shape=(2, 3), dtype=float32, numpy=
        array([[1., 2., 3.],
               [4., 5., 6.]], dtype=float32)>
        TensorShape([2, 3])
        [<tf.Tensor: shape=(2, 3), dtype=float32, numpy=
         array([[1., 2., 3.],
                [4., 5., 6.]], dtype=float32)>,
         None]
        printed
        ('__main__', ['word'])
        """
    )
    assert done.returncode == 0


def test_magics(run):
    done = run(
        notebook(
            "x = 17\n%strange x % 2\nx % 5",
            "!echo from the shell",
            "words = !echo one; echo two\nwords",
            "%%capture kept\nprint('hidden')",
            "kept.getvalue()",
            "%%strange\nnot python at all",
            "!pip install something",
            'text = """\n%no magic\n"""\n%strange\nlen(text)',
            "%%time\ny = 4\ny",
            "x?",
        ),
        name="magics.ipynb",
    )
    shown = done.stdout.splitlines()
    assert shown[:-2] == ["2", "from the shell", "['one', 'two']", "'hidden\\n'", "11"]
    assert shown[-2] == "4" and shown[-1].startswith("Wall time: ")
    assert done.stderr.splitlines() == [
        "headrace run: magics.ipynb[1]: %strange is not followed: the line is skipped",
        "headrace run: magics.ipynb[6]: %%strange is not followed: the cell is skipped",
        "headrace run: magics.ipynb[7]: !pip install something is not followed: "
        "packages are for you to install",
        "headrace run: magics.ipynb[8]: %strange is not followed: the line is skipped",
        "headrace run: magics.ipynb[10]: %pinfo is not followed: the line is skipped",
    ]
    assert done.returncode == 0


def test_magics_that_touch_files_and_clocks(run, tmp_path):
    (tmp_path / "folder").mkdir()
    done = run(
        notebook(
            "%cd folder",
            "%%writefile module.py\nx = 1\n",
            "%%writefile -a module.py\ny = 2\n",
            "%timeit -n 10 -r 2 1 + 1",
            "%%timeit x = 3\nx + 1",
            "where = %pwd\nwhere[-6:]",
        ),
        name="a.ipynb",
    )
    assert done.stderr == ""
    assert (tmp_path / "folder" / "module.py").read_text() == "x = 1\ny = 2\n"
    *timed, where = done.stdout.splitlines()
    assert [line.partition(" per loop")[1] for line in timed] == [" per loop"] * 2
    assert where == "'folder'"


def test_a_failing_cell_ends_the_run(run):
    done = run(notebook("print(1)", "def f():\n    1 / 0\nf()", "print(3)"), name="a.ipynb")
    assert (done.stdout, done.returncode) == ("1\n", 1)
    assert done.stderr.splitlines()[1:3] == [
        '  File "a.ipynb[2]", line 3, in <module>',
        "    f()",
    ]


def test_a_failing_cell_may_be_expected(run):
    cells = notebook("1 / 0", "print('after')")
    kept = run(cells, name="a.ipynb", options=["--keep-going"])
    assert (kept.stdout, kept.returncode) == ("after\n", 1)
    tagged = run(notebook("1 / 0", "print('after')", tags=["raises-exception"]), name="a.ipynb")
    assert (tagged.stdout, tagged.returncode) == ("after\n", 0)
    assert "ZeroDivisionError" in tagged.stderr


def test_the_source_of_a_cell_can_be_asked_for(run):
    cells = notebook(
        "def f():\n    return 1\n", "%time f()", "import inspect\nprint(inspect.getsource(f))"
    )
    done = run(cells, name="a.ipynb")
    assert done.stdout.endswith("def f():\n    return 1\n\n")


@pytest.mark.parametrize(
    "text", ["not json", "{}", '{"cells": [{"cell_type": "code"}]}', "[1]"]
)
def test_what_is_not_a_notebook_is_refused(run, text):
    done = run(text, name="a.ipynb")
    assert done.returncode == 2
    assert done.stderr.startswith("headrace: a.ipynb is not a notebook")


def test_a_notebook_in_another_language_is_refused(run):
    text = '{"cells": [], "metadata": {"kernelspec": {"language": "R"}}}'
    done = run(text, name="a.ipynb")
    assert done.stderr == "headrace: a.ipynb is a notebook in R, not in Python.\n"


def test_version():
    command = [sys.executable, "-m", "headrace", "--version"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.startswith("headrace ")
