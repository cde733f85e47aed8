"""How functions are found, converted, called and left alone."""

import ast
import functools
import gc
import linecache
import logging
import sys
import textwrap
import traceback
import weakref
from pathlib import Path

import numpy as np
import pytest

import headrace as tf
from headrace.base.export import EXPORTS
from headrace.trace.autograph import convert, source
from headrace.trace.autograph.api import Feature, do_not_convert, to_code, to_graph
from headrace.trace.autograph.source import function_node


def is_converted(function):
    """Whether a function is the result of a conversion that changed something."""
    return "ag__" in function.__code__.co_freevars


def define(text, name="f", filename="<cell 1>", **names):
    """A function from a text that `linecache` knows, as in a notebook."""
    text = textwrap.dedent(text)
    linecache.cache[filename] = (len(text), None, text.splitlines(True), filename)
    exec(compile(text, filename, "exec"), names)
    return names[name]


# Finding the source


def test_lambdas_of_one_line_are_told_apart():
    pair = [lambda x: x if x > 1 else -x, lambda x: x and -x, lambda x: not x]
    codes = [to_code(f) for f in pair]
    assert "if_exp" in codes[0] and "and_" in codes[1] and "not_" in codes[2]
    assert [convert(f)(2) for f in pair] == [2, -2, False]


def test_nested_lambdas_are_told_apart():
    outer = lambda x: lambda y: y or x  # noqa: E731
    inner = outer(5)
    assert to_code(inner) == "lambda y: ag__.or_(y, lambda: x)"
    assert convert(inner)(0) == 5


def test_functions_of_a_notebook_cell():
    f = define(
        """
        # a cell
        def f(x):
            if x > 0:
                return x
            return -x
        """
    )
    assert is_converted(convert(f))
    assert convert(f)(-3) == 3


def test_a_cell_that_is_no_python():
    text = "%matplotlib inline\ndef f(x):\n    return x or 5\n"
    linecache.cache["<cell 2>"] = (len(text), None, text.splitlines(True), "<cell 2>")
    names = {}
    exec(compile("\n" + text.partition("\n")[2], "<cell 2>", "exec"), names)
    assert to_code(names["f"]) == "def f(x):\n    return ag__.or_(x, lambda: 5)"


ODD = '''
class A:
    @staticmethod
    @functools.lru_cache(
        maxsize=3,
    )
    def decorated(
        x,
    ): return (
        x
    )

    async def waiting(self):
        if 0:
            unused = 1
    # the end

        # of it
    def dead(self):
        return [
            1,
        ]
        y = 2
        """text
to the left"""

    def text(self): return """
no code here
  """
def after(): pass; pass
'''


def codes_in(code):
    for constant in code.co_consts:
        if hasattr(constant, "co_code"):
            yield constant
            yield from codes_in(constant)


@pytest.mark.parametrize("module", [ast, functools, textwrap, traceback, weakref, "odd"])
def test_a_functions_own_lines_give_what_the_whole_file_gives(module):
    text = ODD if module == "odd" else Path(module.__file__).read_text()
    lines, compared = text.splitlines(True), 0
    for code in codes_in(compile(text, "<own lines>", "exec", dont_inherit=True)):
        own = source._from_own_lines(code, lines)
        if own is not None:
            whole = source._functions(text)[code.co_firstlineno]
            assert ast.dump(own, include_attributes=True) in [
                ast.dump(node, include_attributes=True) for node in whole
            ]
            compared += 1
    assert compared >= 4


def test_without_source_a_warning_is_logged_once(caplog):
    names = {}
    exec("def f(x):\n    return x if x > 0 else -x", names)
    with caplog.at_level(logging.WARNING, "headrace"):
        assert convert(names["f"]) is names["f"]
        assert convert(names["f"])(-1) == 1
    assert len(caplog.records) == 1
    text = caplog.records[0].getMessage()
    assert text.startswith(f"AutoGraph could not transform {names['f']} and will run it as-is.")
    assert "To silence this warning, decorate the function with @tf.autograph" in text


def test_unsupported_code_runs_as_it_is(caplog):
    def f(n):
        for i in range(n):
            try:
                continue
            finally:
                if i == 2:
                    break  # noqa: B012
        return i

    with caplog.at_level(logging.WARNING, "headrace"):
        assert convert(f)(9) == 2
    assert "a jump out of `finally`" in caplog.text


def test_every_node_keeps_its_place():
    def f(x, n):
        for i in range(n):
            if x > i and x != 7:
                x = abs(x) - 1
        return x

    node = function_node(f)
    assert node.lineno == f.__code__.co_firstlineno
    original = {n.lineno for n in ast.walk(node) if hasattr(n, "lineno")}
    lines = set()

    def collect(code):
        lines.update(line for _, _, line in code.co_lines() if line)
        for constant in code.co_consts:
            if hasattr(constant, "co_code"):
                collect(constant)

    collect(convert(f).__code__)
    assert lines <= original


def test_a_traceback_shows_the_users_code():
    def f(x):
        for i in range(3):
            if i == 2:
                if x:
                    raise KeyError("here")

    with pytest.raises(KeyError) as caught:
        convert(f)(1)
    frames = traceback.extract_tb(caught.value.__traceback__)
    mine = [frame for frame in frames if frame.filename == __file__][1:]
    assert {frame.name for frame in mine} == {"f"}
    assert mine[-1].line == 'raise KeyError("here")'


# The converted function


def test_what_a_function_carries():
    def f(x: int, y: "str" = "a", *rest, z=3, **more) -> bool:
        """Text."""
        return x and (y, rest, z, more)

    f.note = 5
    g = convert(f)
    assert g is not f
    for name in ("__name__", "__qualname__", "__doc__", "__module__", "__defaults__"):
        assert getattr(g, name) == getattr(f, name)
    assert (g.__kwdefaults__, g.__annotations__) == (f.__kwdefaults__, f.__annotations__)
    assert g.note == 5
    assert g(1, "b", 2, z=4, w=5) == f(1, "b", 2, z=4, w=5)


def test_closures_share_their_cells():
    count = 0

    def add(n):
        nonlocal count
        if n > 0:
            count += n
        return count

    converted = convert(add)
    assert converted(2) == 2 and add(3) == 5 and converted(0) == 5
    count = 10
    assert converted(1) == 11


def test_globals_are_late_bound(monkeypatch):
    converted = convert(_uses_a_global)
    assert converted(1) == 2
    monkeypatch.setattr(sys.modules[__name__], "SCALE", 5)
    assert converted(1) == 5


SCALE = 2


def _uses_a_global(x):
    return x * SCALE if x else None


def test_a_conversion_is_made_once():
    def make(n):
        def f(x):
            return x or n

        return f

    one, two = convert(make(1)), convert(make(2))
    assert one.__code__ is two.__code__
    assert (one(0), two(0)) == (1, 2)


def test_a_conversion_does_not_keep_the_function():
    f = define("def f(x):\n    return x or 1\n", filename="<cell 3>")
    gone = weakref.ref(f)
    convert(f)(0)
    del f
    gc.collect()
    assert gone() is None


def test_converted_functions_are_not_converted_again():
    def f(x):
        return x or 1

    once = convert(f)
    assert convert(once) is once


def test_methods_and_objects():
    class Thing:
        bias = 3

        def method(self, x):
            return x or self.bias

        def __call__(self, x):
            return not x

    thing = Thing()
    converted = convert(thing.method)
    assert converted.__self__ is thing and is_converted(converted.__func__)
    assert converted(0) == 3
    assert convert(thing)(0) is True
    assert convert(functools.partial(thing.method, 0))() == 3


# What is left alone


def test_libraries_are_not_converted():
    for function in (np.linspace, tf.abs, textwrap.dedent, functools.wraps, tf.nest.flatten):
        if hasattr(function, "__code__"):
            assert not is_converted(convert(function))
    assert convert(dict) is dict


def test_the_users_installed_package_is_the_users(tmp_path, monkeypatch):
    package = tmp_path / "site-packages" / "theirs"
    package.mkdir(parents=True)
    package.joinpath("__init__.py").write_text(
        "def helper(x):\n    return x or 1\n\n\ndef entry(x):\n    return helper(x)\n"
    )
    monkeypatch.syspath_prepend(str(package.parent))
    theirs = __import__("theirs")
    call = sys.modules["headrace.trace.autograph.call"].converted
    assert not is_converted(call(theirs.helper))
    assert convert(theirs.entry)(0) == 1


def test_do_not_convert():
    @do_not_convert
    def f(x):
        """Text."""
        return x or 1

    @do_not_convert()
    def g(x):
        return x

    assert convert(f) is f
    assert f.__name__ == "f" and f.__doc__ == "Text." and f(0) == 1 and g(2) == 2


def test_generators_and_coroutines_are_left_alone():
    def numbers(n):
        yield n or 1

    async def later(n):
        return n or 1

    assert convert(numbers) is numbers
    assert convert(later) is later
    with pytest.raises(Exception, match="generators and coroutines are not converted"):
        to_code(numbers)


def test_functions_of_tf_are_called_as_they_are():
    traced = tf.function(lambda x: x + 1.0)
    assert convert(traced) is traced


def test_an_unconverted_place_says_so():
    @do_not_convert
    def f(x):
        if x > 0:
            return x
        return -x

    with pytest.raises(TypeError, match="Using a symbolic `tf.Tensor` as a Python `bool`"):
        tf.function(f)(tf.constant(1.0))


# The public names


def test_to_graph_and_its_errors():
    assert to_graph(lambda x: x or 3)(0) == 3
    for wrong in (3, len, tf.function(lambda x: x)):
        with pytest.raises(Exception, match="doesn't expose a __code__ object") as caught:
            to_graph(wrong)
        assert caught.type.__name__ == "ConversionError"


def test_features():
    assert [f.name for f in Feature.all()] == [f.value for f in Feature]
    rest = Feature.all_but(Feature.LISTS)
    assert Feature.LISTS not in rest and Feature.ALL not in rest and len(rest) == 5
    assert len(Feature.all_but([Feature.LISTS, Feature.NAME_SCOPES])) == 4


def test_lists_are_rewritten_only_if_asked_for():
    def f(n):
        found = []
        for i in range(n):
            found.append(i)
            found[0] = n
        return found

    assert "list_append" not in to_code(f)
    code = to_code(f, experimental_optional_features=Feature.LISTS)
    assert "list_append" in code and "set_item" in code
    assert convert(f, Feature.LISTS)(3) == convert(f)(3) == f(3)


def test_items_of_tensors_can_be_set():
    def f(x):
        x[1] = 5.0
        return x

    if "tensor_scatter_nd_update" not in EXPORTS:
        pytest.skip("there is no tf.tensor_scatter_nd_update yet")
    found = convert(f, Feature.LISTS)(tf.constant([1.0, 2.0, 3.0]))
    assert found.numpy().tolist() == [1.0, 5.0, 3.0]


# Effects in graphs


def test_python_runs_only_while_tracing():
    seen = []

    @tf.function
    def f(x):
        seen.append(x)
        if x > 0:
            seen.append("main")
            x = x * 2.0
        else:
            seen.append("else")
        return x

    f(tf.constant(1.0))
    f(tf.constant(-1.0))
    assert seen[1:] == ["main", "else"]


def test_print_is_left_alone(capsys):
    @tf.function
    def f(x):
        print("traced")
        return x

    f(tf.constant(1.0))
    f(tf.constant(2.0))
    assert capsys.readouterr().out == "traced\n"


def test_variables_in_branches_and_loops():
    v = tf.Variable(1.0)

    @tf.function
    def f(x):
        if v > 0:
            v.assign_add(x)
        else:
            v.assign_sub(x)
        for _ in tf.range(3):
            v.assign_add(1.0)
        while v < 20.0:
            v.assign(v * 2.0)
        return v

    assert float(f(tf.constant(3.0))) == 28.0 == float(v)


def test_unknown_sizes():
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
    def f(x):
        total = 0.0
        for i, e in enumerate(x):
            if e > 2.0:
                continue
            total += e * float(i)
        return total + float(len(x))

    assert float(f(tf.constant([1.0, 2.0, 3.0]))) == 5.0
    assert float(f(tf.constant([]))) == 0.0


class Repeated:
    """An object that makes its own loop: an element `count` times."""

    element_spec = tf.TensorSpec([], tf.float32)

    def __init__(self, element, count):
        self.element, self.count = element, count

    def __iter__(self):
        return iter([self.element] * self.count)

    def __autograph_for__(self, initial, step, keep_going):
        def going(i, more, *carried):
            return tf.logical_and(i < self.count, more)

        def body(i, more, *carried):
            after = step(carried, self.element)
            more = True if keep_going is None else keep_going(after)
            return (i + 1, more, *after)

        return tuple(tf.while_loop(going, body, (0, True, *initial))[2:])


@pytest.mark.parametrize("limit", [100.0, 5.0])
def test_objects_that_make_their_own_loop(limit):
    def f(x):
        total, last = 0.0, 0.0
        for e in Repeated(x, 5):
            total += e
            square = e * e
            if total > limit:
                break
            last = square
        return total, last, square

    expected = f(2.0)
    for run in (convert(f), tf.function(f)):
        assert tuple(map(float, run(tf.constant(2.0)))) == expected
