"""Branches and loops: `tf.cond`, `tf.case`, `tf.switch_case`, `tf.while_loop`.

Eagerly they are Python's own; in a graph, nodes of `trace/branches.py` and `trace/loops.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from headrace.base import errors, nest, shapes
from headrace.base.dtypes import bool as bool_dtype
from headrace.base.dtypes import int32
from headrace.base.export import export
from headrace.base.shapes import TensorShape
from headrace.core.context import state
from headrace.core.convert import convert
from headrace.core.graph import Symbol
from headrace.core.indexed_slices import IndexedSlices
from headrace.core.tensor import Tensor
from headrace.core.variable import Variable
from headrace.ops.assertions import Assert
from headrace.ops.cast import cast
from headrace.ops.compare import logical_and
from headrace.ops.concat_pad import stack
from headrace.ops.reduce import reduce_any, reduce_sum
from headrace.ops.reshape import stop_gradient
from headrace.trace.branches import branching
from headrace.trace.loops import looping
from headrace.trace.structures import packed, parts_of

Function = Callable[..., Any]


@export("cond")
def cond(pred: Any, true_fn: Any = None, false_fn: Any = None, name: str | None = None) -> Any:
    """`true_fn()` if `pred` is true, else `false_fn()`.

    Args:
        pred: bool tensor of one element.
        true_fn, false_fn: functions without arguments; in a graph both must return the same
            structure of the same dtypes.
        name: of the operation in a graph.
    Raises: TypeError: something that is no function, a Python bool in a graph, or branches that
        return different things.
    Source: TensorFlow's `If`.

    >>> x = tf.constant(3.)
    >>> float(tf.cond(x > 0., lambda: x * 2., lambda: x))
    6.0
    """
    for label, function in (("true_fn", true_fn), ("false_fn", false_fn)):
        if not callable(function):
            raise TypeError(f"'{label}' must be callable.")
    if state.graph is None:
        result = true_fn() if pred else false_fn()
        return _unpacked(result)
    if isinstance(pred, bool):
        raise TypeError("pred must not be a Python bool", pred)
    return _unpacked(branching(_predicate(pred), (true_fn, false_fn), name or "cond"))


def _unpacked(result: Any) -> Any:
    """A list or tuple of one is that one, as in TensorFlow."""
    if isinstance(result, (list, tuple)) and len(result) == 1:
        return result[0]
    return result


def _predicate(pred: Any) -> Any:
    tensor: Any = state.graph.own(convert(pred), "pred")
    if tensor.dtype is not bool_dtype:
        raise errors.invalid_argument(
            f"Input 'pred' passed {tensor.dtype.name} expected bool", "If"
        )
    return tensor


@export("switch_case")
def switch_case(
    branch_index: Any, branch_fns: Any, default: Any = None, name: str = "switch_case"
) -> Any:
    """The function of number `branch_index` is called.

    Args:
        branch_index: int32 scalar.
        branch_fns: functions without arguments in a list, by number in a dictionary, or as
            pairs `(number, function)`.
        default: function for numbers that have none (by default that of the highest number).
        name: of the operation in a graph.
    Raises: TypeError: something that is no function, or no int32 index. ValueError: no function
        at all, or numbers that are not those from 0 on.
    Source: TensorFlow's `Case`.

    >>> int(tf.switch_case(tf.constant(1), [lambda: 10, lambda: 20]))
    20
    """
    if not isinstance(branch_index, (Tensor, Variable)):
        raise TypeError(f"'branch_index' must be a Tensor, got {type(branch_index)}")
    numbered = _numbered(branch_fns)
    if default is not None and not callable(default):
        raise TypeError("callable is expected for default")
    highest = numbered[-1][1] if default is None else default
    by_number = dict(numbered)
    index = convert(branch_index)
    if index.dtype != int32:
        raise TypeError(f"branch_index must a int32 tensor, got {index.dtype.name}.")
    if state.graph is None:
        return _unpacked(by_number.get(int(index), highest)())  # type: ignore[call-overload]
    functions = [function for _, function in numbered]
    if default is not None:
        functions.append(default)
    index = state.graph.own(index, "branch_index")
    return _unpacked(branching(index, functions, name))


def _numbered(branch_fns: Any) -> list[tuple[int, Function]]:
    if isinstance(branch_fns, dict):
        pairs = sorted(branch_fns.items())
    elif branch_fns and all(isinstance(item, tuple) for item in branch_fns):
        pairs = sorted(branch_fns, key=lambda pair: pair[0])
    else:
        pairs = list(enumerate(branch_fns))
    if not pairs:
        raise ValueError("Argument `branch_fns` must not be empty.")
    for key, function in pairs:
        if not isinstance(key, int):
            raise TypeError(f"Keys in `branch_fns` must be ints, got {key!r}.")
        if not callable(function):
            raise TypeError(f"fn for key {key} must be callable.")
    keys = [key for key, _ in pairs]
    if keys != list(range(len(keys))):
        found = ",".join(map(str, sorted(set(keys))))
        raise ValueError(
            f"branch indices (keys) must form contiguous range of [0 to {len(keys)}) but found "
            f"{{{found}}}"
        )
    return pairs


@export("case")
def case(
    pred_fn_pairs: Any,
    default: Any = None,
    exclusive: bool = False,
    strict: bool = False,
    name: str = "case",
) -> Any:
    """The function of the first predicate that holds is called.

    Args:
        pred_fn_pairs: pairs `(bool scalar, function without arguments)`.
        default: function for the case that none holds (by default the last one's).
        exclusive: whether it is an error if more than one holds.
        strict: has no effect, as in TensorFlow 2.
        name: of the operation in a graph.
    Raises: TypeError: no such pairs. InvalidArgumentError: more than one predicate holds and
        `exclusive` is set, or none and there is no default.

    >>> x = tf.constant(5.)
    >>> float(tf.case([(x < 0., lambda: -x), (x > 9., lambda: 9.)], default=lambda: x))
    5.0
    """
    pairs = _pairs(pred_fn_pairs)
    if default is not None and not callable(default):
        raise TypeError("'default' must be callable.")
    preds = [convert(pred) for pred, _ in pairs]
    if exclusive:
        count = reduce_sum(cast(stack(preds), int32))
        Assert(count <= 1, ["Input error: exclusive=True: more than 1 conditions", preds])
    if default is None:
        preds_hold = reduce_any(stack(preds))
        Assert(preds_hold, ["None of the conditions evaluated as True:", preds])
        *pairs, (_, default) = pairs
        preds = preds[:-1]
    chosen = default
    for pred, (_, function) in reversed(list(zip(preds, pairs, strict=True))):
        chosen = _either(pred, function, chosen, name)
    return chosen()


def _either(pred: Any, function: Function, otherwise: Function, name: str) -> Function:
    return lambda: cond(pred, function, otherwise, name)


def _pairs(pred_fn_pairs: Any) -> list[tuple[Any, Function]]:
    if isinstance(pred_fn_pairs, dict):
        pairs: Any = list(pred_fn_pairs.items())
    elif isinstance(pred_fn_pairs, (list, tuple)):
        pairs = pred_fn_pairs
    else:
        raise TypeError(
            f"'pred_fn_pairs' must be a list, tuple, or dict. Received: {pred_fn_pairs}."
        )
    for pair in pairs:
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise TypeError(
                f"Each entry in 'pred_fn_pairs' must be a 2-tuple. Received {pair}."
            )
        if not callable(pair[1]):
            raise TypeError(f"Callables in 'pred_fn_pairs' must be callable. Received {pair}.")
    if not pairs:
        raise ValueError("'pred_fn_pairs' must not be empty.")
    return list(pairs)


@export("while_loop")
def while_loop(
    cond: Any,
    body: Any,
    loop_vars: Any,
    shape_invariants: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    maximum_iterations: Any = None,
    name: str | None = None,
) -> Any:
    """Repeat `loop_vars = body(*loop_vars)` as long as `cond(*loop_vars)` is true.

    Args:
        cond: function of the loop variables that gives a bool scalar.
        body: function of the loop variables that gives the next ones, in the same structure.
        loop_vars: list or tuple of tensors, or structures of them.
        shape_invariants: structure like `loop_vars` of shapes that hold in all iterations.
        parallel_iterations, swap_memory: how TensorFlow would schedule the work; the result
            does not depend on them.
        back_prop: False lets no gradient through.
        maximum_iterations: int or int scalar tensor: the loop ends after so many.
        name: of the operation in a graph.
    Returns: the final loop variables, in the structure of `loop_vars`.
    Raises: TypeError: something that is no function. ValueError: `body` changes the
        structure, a dtype or a shape.
    Source: TensorFlow's `While`.

    >>> i, total = tf.while_loop(lambda i, s: i < 5, lambda i, s: (i + 1, s + i), (0, 0))
    >>> int(total)
    10
    """
    if not callable(cond):
        raise TypeError("'cond' must be callable.")
    if not callable(body):
        raise TypeError("'body' must be callable.")
    if parallel_iterations < 1:
        raise TypeError("'parallel_iterations' must be a positive integer.")
    if state.graph is None:
        return _eager_loop(cond, body, loop_vars, maximum_iterations)
    structure = nest.map_structure(_variable_form, loop_vars)
    results = _graph_loop(cond, body, structure, shape_invariants, maximum_iterations, name)
    if not back_prop:
        results = nest.map_structure(stop_gradient, results)
    return results


def _variable_form(value: Any) -> Any:
    """A loop variable before the loop: numbers and arrays are tensors."""
    if hasattr(value, "_with_flow") or isinstance(value, (IndexedSlices, type(None))):
        return value
    return state.graph.own(convert(value), "Const") if state.graph else convert(value)


def _eager_loop(cond: Function, body: Function, loop_vars: Any, limit: Any) -> Any:
    single = not isinstance(loop_vars, (list, tuple))
    rounds = 0
    form = loop_vars
    values = loop_vars
    while (limit is None or rounds < int(limit)) and cond(*values):
        values = body(*values)
        if not isinstance(values, (list, tuple)) and not single:
            values = (values,)
        nest.assert_same_structure(list(form), list(values))
        rounds += 1
    return nest.map_structure(_variable_form, values)


def _graph_loop(
    cond: Function, body: Function, form: Any, invariants: Any, limit: Any, name: str | None
) -> Any:
    len(form)
    flat: list[Any] = []
    dims: list[Any] = []
    given = nest.flatten(form)
    for leaf, shape in zip(given, _invariants(form, invariants, given), strict=True):
        parts = parts_of(leaf)
        flat += parts
        for part in parts:
            own = part.spec.shape
            dims.append(own if shape is None or len(parts) > 1 else shapes.as_tuple(shape))
            if shape is not None and not part.shape.is_subtype_of(TensorShape(shape)):
                raise ValueError(
                    f"The shape invariant specified for {part.name} is not compatible with the "
                    f"initial shape of the loop variable. It enters the loop with shape "
                    f"{part.shape}, but the specified shape invariant is {TensorShape(shape)}."
                )

    def structured(parts: Sequence[Any]) -> Any:
        return packed(form, parts)

    def again(counter: Any, *parts: Any) -> Any:
        held = cond(*structured(parts))
        return held if limit is None else logical_and(counter < limit, held)

    def step(counter: Any, *parts: Any) -> list[Any]:
        returned = body(*structured(parts))
        if not isinstance(returned, (list, tuple)) or (
            len(form) == 1 and not nest.is_nested(returned)
        ):
            returned = (returned,)
        same = (
            returned
            if isinstance(form, dict)
            else type(form)(returned)
            if type(form) in (list, tuple)
            else returned
        )
        nest.assert_same_structure(same, form)
        found: list[Any] = [counter + 1]
        for old, new in zip(nest.flatten(form), nest.flatten(same), strict=True):
            dtype = None if not isinstance(old, Symbol) else old.dtype
            found += parts_of(new, dtype)
        return found

    results = looping(again, step, [np.int32(0), *flat], [(), *dims], name or "while")
    return structured(results[1:])


def _invariants(form: Any, invariants: Any, given: Sequence[Any]) -> Sequence[Any]:
    if invariants is None:
        return [None] * len(given)
    flat = nest.flatten_up_to(form, invariants, check_types=False)
    return [getattr(shape, "shape", shape) for shape in flat]
