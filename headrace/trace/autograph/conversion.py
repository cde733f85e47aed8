"""From a Python function to one whose control flow the graph can take.

The function's syntax tree is rewritten (jumps, then expressions, then branches and loops) and
compiled with the user's file name and lines, so that tracebacks show the user's own code. The
new code gets the old one's globals and closure cells. Read `rewrite_control.py` before.
"""

from __future__ import annotations

import ast
import functools
import logging
import weakref
from collections.abc import Callable
from types import CellType, CodeType, FunctionType, SimpleNamespace
from typing import Any

from headrace.base.lazy import lazy_module
from headrace.trace.autograph.errors import NotConverted
from headrace.trace.autograph.libraries import is_library
from headrace.trace.autograph.liveness import Liveness
from headrace.trace.autograph.rewrite_control import ControlRewriter
from headrace.trace.autograph.rewrite_expr import ExpressionRewriter
from headrace.trace.autograph.rewrite_jump import lower_jumps
from headrace.trace.autograph.scopes import captured_names, declared, is_generator
from headrace.trace.autograph.source import FunctionNode, argument_names, function_node
from headrace.trace.autograph.templates import AG, operator, statements

runtime = lazy_module("headrace.trace.autograph.runtime")
logger = logging.getLogger("headrace")
Features = frozenset[str]
NO_FEATURES: Features = frozenset()


class _Conversions:
    """Converted code by the code that it came from, without keeping that alive.

    Code objects are equal if they do the same; two functions of different files that do so must
    not share a conversion, hence identities and not equality.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, Features], CodeType | None] = {}
        self._alive: dict[int, weakref.ref[CodeType]] = {}

    def get(self, code: CodeType, features: Features) -> CodeType | None:
        return self._known[id(code), features]

    def put(self, code: CodeType, features: Features, converted: CodeType | None) -> None:
        key = id(code)
        if key not in self._alive:
            self._alive[key] = weakref.ref(code, lambda _: self._forget(key))
        self._known[key, features] = converted

    def _forget(self, key: int) -> None:
        del self._alive[key]
        for known in [k for k in self._known if k[0] == key]:
            del self._known[known]


_conversions = _Conversions()


def converted(function: FunctionType, features: Features = NO_FEATURES) -> FunctionType:
    """The function with its control flow converted; itself if that is not to be."""
    code = function.__code__
    try:
        new = _conversions.get(code, features)
    except KeyError:
        new = None if _left_alone(function) else _try_to_convert(function, features)
        _conversions.put(code, features, new)
    if new is None or hasattr(function, "_headrace_do_not_convert"):
        return function
    return _with_code(function, new, features)


def _left_alone(function: FunctionType) -> bool:
    code = function.__code__
    flags = code.co_flags
    return AG in code.co_freevars or bool(flags & _PRODUCERS) or is_library(function)


_PRODUCERS = 0x20 | 0x80 | 0x100 | 0x200
"""Generators, coroutines, iterable coroutines and asynchronous generators."""


def _try_to_convert(function: FunctionType, features: Features) -> CodeType | None:
    try:
        return _compiled(function, features)
    except (NotConverted, SyntaxError, RecursionError) as error:
        logger.warning(
            "AutoGraph could not transform %r and will run it as-is.\nCause: %s\nTo silence "
            "this warning, decorate the function with "
            "@tf.autograph.experimental.do_not_convert",
            function,
            error,
        )
        return None


def _with_code(function: FunctionType, code: CodeType, features: Features) -> FunctionType:
    """A function like the given one, with other code in the same surroundings."""
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    cells[AG] = _operators(features)
    made = FunctionType(
        code,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        tuple(cells[name] for name in code.co_freevars),
    )
    made.__kwdefaults__ = function.__kwdefaults__
    if getattr(function, "__annotate__", None) is None:
        made.__annotations__ = function.__annotations__
    else:  # from Python 3.14 on they are computed when asked for
        made.__annotate__ = function.__annotate__  # type: ignore[attr-defined]
    made.__qualname__ = function.__qualname__
    made.__module__ = function.__module__
    made.__doc__ = function.__doc__
    made.__dict__.update(function.__dict__)
    return made


@functools.cache
def _operators(features: Features) -> CellType:
    """The cell of `ag__`; calls hand the features on."""
    if not features:
        return CellType(runtime)
    names = {name: getattr(runtime, name) for name in runtime.__all__}
    names["call"] = functools.partial(runtime.call, features=features)
    return CellType(SimpleNamespace(**names))


# The tree


def rewritten(function: FunctionType, features: Features = NO_FEATURES) -> FunctionNode:
    """The syntax tree of a function after conversion.

    Raises:
        NotConverted: it has something that is not converted, or no source.
    """
    node = function_node(function)
    if is_generator(node) or isinstance(node, ast.AsyncFunctionDef):
        raise NotConverted("generators and coroutines are not converted")
    return _Conversion(node, features).result()


class _Conversion:
    """The conversion of one function and those defined in it."""

    def __init__(
        self,
        node: ast.FunctionDef | ast.Lambda,
        features: Features,
        used: set[str] | None = None,
    ) -> None:
        self.node, self.features = node, features
        self.used = used if used is not None else _identifiers(node)

    def new_name(self, wish: str) -> str:
        """A name that is used nowhere in the function."""
        name, number = wish, 0
        while name in self.used:
            number += 1
            name = f"{wish}_{number}"
        self.used.add(name)
        return name

    def result(self) -> FunctionNode:
        arguments = argument_names(self.node)
        rewriter = ExpressionRewriter(
            arguments[0] if arguments else None, "LISTS" in self.features
        )
        if isinstance(self.node, ast.Lambda):
            self.node.body = rewriter.visit(self.node.body)
            return self.node
        return self._function(self.node, rewriter)

    def _function(self, node: ast.FunctionDef, rewriter: ExpressionRewriter) -> FunctionNode:
        names = declared(node)
        node.body = _without_declarations(node.body)
        lower_jumps(node, self.new_name)
        captured = captured_names(node.body)
        node.body = [rewriter.visit(statement) for statement in node.body]
        _visit_extra_tests(node, rewriter)
        live = Liveness(node.body, names.globals | names.nonlocals)
        again = declared_again(node, names)
        control = ControlRewriter(live, again, captured, self.new_name, self._nested)
        documented = ast.get_docstring(node, clean=False) is not None
        body = control.block(node.body, set(argument_names(node)))
        head = []
        for keyword, declared_names in (
            ("global", names.globals),
            ("nonlocal", names.nonlocals),
        ):
            if declared_names:
                head += statements(
                    f"{keyword} {', '.join(sorted(declared_names))}", node.body[0]
                )
        node.body = [*body[:documented], *head, *body[documented:]]
        if control.undefined:
            checker = _Checked(frozenset(control.undefined))
            node.body = checker.block(node.body)
        return node

    def _nested(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.stmt:
        """A function that is defined in the function."""
        if isinstance(node, ast.AsyncFunctionDef) or is_generator(node):
            return node
        made = _Conversion(node, self.features, self.used).result()
        assert isinstance(made, ast.FunctionDef)
        return made


def declared_again(node: ast.FunctionDef, names: Any) -> Any:
    """The names of a function whose declarations were taken out, flags of jumps included."""
    return declared(node)._replace(
        globals=names.globals,
        nonlocals=names.nonlocals,
        locals=declared(node).locals - names.globals - names.nonlocals,
    )


def _identifiers(node: ast.AST) -> set[str]:
    """All names and attributes in a tree."""
    found: set[str] = set()
    for part in ast.walk(node):
        for key in ("id", "arg", "name", "attr"):
            value = getattr(part, key, None)
            if isinstance(value, str):
                found.add(value)
    return found


def _visit_extra_tests(node: ast.AST, rewriter: ExpressionRewriter) -> None:
    """The conditions that `rewrite_jump` added to `for` loops are expressions too."""
    for part in ast.walk(node):
        extra = getattr(part, "extra_test", None)
        if extra is not None:
            part.extra_test = rewriter.visit(extra)  # type: ignore[attr-defined]


class _Undeclared(ast.NodeTransformer):
    def _gone(self, node: ast.AST) -> ast.AST:
        return ast.copy_location(ast.Pass(), node)

    visit_Global = visit_Nonlocal = _gone

    def _untouched(self, node: ast.AST) -> ast.AST:
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = _untouched


def _without_declarations(body: list[ast.stmt]) -> list[ast.stmt]:
    """The statements without `global` and `nonlocal`: they are put first in the function."""
    remover = _Undeclared()
    return [remover.visit(statement) for statement in body]


class _Checked(ast.NodeTransformer):
    """Lets reads of names that may be undefined raise Python's error."""

    def __init__(self, names: frozenset[str]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> Any:
        if node.id in self.names and isinstance(node.ctx, ast.Load):
            return node if hasattr(node, "generated") else operator("ld", node, node)
        return node

    def visit_Delete(self, node: ast.Delete) -> Any:
        names = [t for t in node.targets if isinstance(t, ast.Name) and t.id in self.names]
        checks = [
            ast.Expr(operator("ld", t, ast.copy_location(ast.Name(t.id, ast.Load()), t)))
            for t in names
        ]
        return [*(ast.copy_location(check, node) for check in checks), self.generic_visit(node)]

    def _without(self, hidden: Any, node: Any) -> Any:
        outer, self.names = self.names, self.names - frozenset(hidden)
        self.generic_visit(node)
        self.names = outer
        return node

    def visit_FunctionDef(self, node: Any) -> Any:
        if hasattr(node, "generated"):
            return self.generic_visit(node)
        node.decorator_list = [self.visit(d) for d in node.decorator_list]
        node.args = self.visit(node.args)
        return self._body(node)

    visit_AsyncFunctionDef = visit_FunctionDef

    def _body(self, node: Any) -> Any:
        outer, self.names = self.names, self.names - declared(node).locals
        node.body = self.block(node.body)
        self.names = outer
        return node

    def block(self, body: list[ast.stmt]) -> list[ast.stmt]:
        """The statements with their reads checked."""
        return self.generic_visit(ast.Module(body, [])).body  # type: ignore[attr-defined]

    def visit_Lambda(self, node: ast.Lambda) -> Any:
        return self._without(argument_names(node), node)

    def _comprehension(self, node: Any) -> Any:
        targets = {
            part.id
            for generator in node.generators
            for part in ast.walk(generator.target)
            if isinstance(part, ast.Name)
        }
        return self._without(targets, node)

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension


# The code


def _compiled(function: FunctionType, features: Features) -> CodeType:
    node = rewritten(function, features)
    if isinstance(node, ast.FunctionDef):
        node.decorator_list = []
        node.args.defaults = [ast.Constant(None) for _ in node.args.defaults]
        node.args.kw_defaults = [d and ast.Constant(None) for d in node.args.kw_defaults]
        for argument in ast.walk(node.args):
            if isinstance(argument, ast.arg):
                argument.annotation = None
        node.returns = None
        placed: ast.stmt = node
    else:
        node.args.defaults = [ast.Constant(None) for _ in node.args.defaults]
        node.args.kw_defaults = [d and ast.Constant(None) for d in node.args.kw_defaults]
        placed = ast.Expr(node)
    free = [*dict.fromkeys((*function.__code__.co_freevars, AG))]
    owner = _class_of(function)
    tree = _surrounded(placed, free, owner)
    ast.fix_missing_locations(tree)
    filename = function.__code__.co_filename
    code = compile(tree, filename, "exec", dont_inherit=True)
    found = _innermost(code, 2 if owner is None else 3)
    return _renamed(found, found.co_name, function.__code__.co_qualname)


def _surrounded(node: ast.stmt, free: list[str], owner: str | None) -> ast.Module:
    """A module in which the function stands in another one whose arguments are its free names.

    A class around it lets the compiler mangle names with two underscores as before.
    """
    body: list[ast.stmt] = [node]
    if isinstance(node, ast.FunctionDef) and node.name not in free:
        body.insert(0, ast.Global([node.name]))
    if owner is not None:
        node = ast.ClassDef(name=owner, bases=[], keywords=[], body=body, decorator_list=[])
        body = [node]
        node.type_params = []  # type: ignore[attr-defined]
    arguments = [ast.arg(name) for name in free]
    outer = ast.FunctionDef(
        name="surroundings",
        args=ast.arguments([], arguments, None, [], [], None, []),
        body=body,
        decorator_list=[],
    )
    outer.type_params = []  # type: ignore[attr-defined]
    return ast.Module([outer], [])


def _class_of(function: FunctionType) -> str | None:
    """The class in whose body a function was defined, from its qualified name."""
    parts = function.__code__.co_qualname.split(".")[:-1]
    for position in range(len(parts) - 1, -1, -1):
        following = parts[position + 1] if position + 1 < len(parts) else None
        if parts[position] != "<locals>" and following != "<locals>":
            return parts[position]
    return None


def _innermost(code: CodeType, depth: int) -> CodeType:
    """The function's code inside that of its surroundings."""
    for _ in range(depth):
        code = next(c for c in code.co_consts if isinstance(c, CodeType))
    return code


def _renamed(code: CodeType, owner: str, qualname: str) -> CodeType:
    """The code with the functions made for branches and loops named as the user's function.

    Tracebacks then say `in step`, not `in ag__if_body`; the qualified name keeps the latter.
    """
    constants = []
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            generated = constant.co_name.startswith(AG)
            name = owner if generated else constant.co_name
            inner = f"{qualname}.<locals>.{constant.co_name}"
            constant = _renamed(constant, name, inner).replace(co_name=name)
        constants.append(constant)
    return code.replace(co_consts=tuple(constants), co_qualname=qualname)


def callable_of(function: Any, features: Features = NO_FEATURES) -> Callable[..., Any]:
    """What runs a callable that is no plain function with its code converted."""

    def run(*args: Any, **kwargs: Any) -> Any:
        return runtime.call(function, args, kwargs, features)

    return run


__all__ = ["NO_FEATURES", "Features", "callable_of", "converted", "rewritten"]
