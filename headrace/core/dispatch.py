"""`apply`: one function through which every op runs.

Eagerly: arrays out of the tensors, dtypes compared, the kernel called, the result wrapped. The
checks that explain a mistake run only after a kernel failed (`core/explain.py`). When somebody
listens (`context.modes`), the op is also recorded on this thread's tapes, or added to its graph
instead of being run. Read `core/op.py`, `core/tensor.py` and `core/context.py` before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from headrace.core.context import modes, state
from headrace.core.convert import convert
from headrace.core.explain import explain
from headrace.core.graph import out_of_scope
from headrace.core.op import Attrs, Op
from headrace.core.tensor import EagerTensor, Tensor, as_array, new, wrap
from headrace.core.variable import Variable

NO_ATTRS: dict[str, Any] = {}
ndarray = np.ndarray


def apply(
    op: type[Op], inputs: Sequence[Any], attrs: Attrs = NO_ATTRS, name: str | None = None
) -> Any:
    """Run `op` on `inputs`, or add it to the graph that is being built.

    Args:
        op: the record.
        inputs: tensors, or what can be converted to them, in the order of `op.operands`
            (a list input is spread out).
        attrs: attributes and static inputs by name.
        name: what the node is called in a graph.
    Returns:
        A tensor, or a list of tensors for an op with several results.
    """
    recorders: tuple[Any, ...] = ()
    if modes:
        if state.graph is not None:
            return add_node(op, matched(op, inputs), attrs, name)
        recorders = state.recorders
        if recorders:
            for x in inputs:
                if x.__class__ is not EagerTensor:
                    inputs = taken(op, inputs)
                    break
    try:
        if len(inputs) == 2:
            x, y = inputs
            arrays = [x._array, y._array]
        else:
            arrays = [x._array for x in inputs]
    except AttributeError:
        inputs = matched(op, inputs)
        symbol: Any = next((x for x in inputs if not isinstance(x, EagerTensor)), None)
        if symbol is not None:
            raise out_of_scope(symbol) from None
        arrays = [x._array for x in inputs]  # type: ignore[attr-defined]
    first = arrays[0].dtype
    kernel = op.table.get(first)
    if kernel is None or (
        len(arrays) > 1
        and not (len(arrays) == 2 and op.mixed is None and arrays[1].dtype is first)
        and not agree(op, arrays, first)
    ):
        raise explain(op, arrays, attrs)
    try:
        result = kernel(*arrays, **attrs)
    except Exception as error:
        raise explain(op, arrays, attrs, error) from None
    if result.__class__ is ndarray:
        output = new(EagerTensor)
        output._array = result
        output._uid = None
        outputs: Sequence[Any] = (output,)
    else:
        output = wrap_result(result)
        outputs = output if output.__class__ is list else (output,)
    for recorder in recorders:
        recorder.record(op, inputs, outputs, attrs)
    return output


def add_node(op: type[Op], inputs: Sequence[Any], attrs: Attrs, name: str | None) -> Any:
    """Add `op` to this thread's graph, and let its tapes see it there."""
    output = state.graph.add(op, inputs, attrs, name)
    if state.recorders:
        node = state.graph.nodes[-1]
        if node.outputs:  # the very list, which may grow
            for recorder in state.recorders:
                recorder.record(op, node.inputs, node.outputs, node.attrs)
    return output


def create(op: type[Op], attrs: Attrs, name: str | None = None) -> Any:
    """`apply` for an op without tensor inputs: its dtype comes from its attributes."""
    if state.graph is not None:
        return state.graph.add(op, (), attrs, name)
    try:
        return wrap_result(op.kernel(**attrs))
    except Exception as error:
        raise explain(op, [], attrs, error) from None


def agree(op: type[Op], arrays: Sequence[np.ndarray], first: np.dtype) -> bool:
    """Whether the dtypes of all inputs fit the record."""
    if op.mixed is None:
        for array in arrays:
            if array.dtype is not first and array.dtype != first:
                return False
        return True
    shared = None
    for allowed, array in zip(op.mixed, arrays, strict=True):
        dtype = array.dtype
        if allowed is not None:
            if dtype not in allowed:
                return False
        elif shared is None:
            shared = dtype
            if op.types and dtype not in op.shared_dtypes:
                return False
        elif dtype != shared:
            return False
    return True


def wrap_result(result: Any) -> Any:
    """What a kernel returned as a tensor, or as a list of tensors."""
    if result.__class__ is tuple or result.__class__ is list:
        return [wrap(as_array(item)) for item in result]
    return wrap(as_array(result))


def taken(op: type[Op], inputs: Sequence[Any]) -> Sequence[Tensor]:
    """All inputs as tensors: variables are read, the rest is `matched`."""
    tensors = [x.value() if x.__class__ is Variable else x for x in inputs]
    for x in tensors:
        if x.__class__ is not EagerTensor:
            return matched(op, tensors)
    return tensors


def matched(op: type[Op], inputs: Sequence[Any]) -> list[Tensor]:
    """All inputs as tensors; plain values take the dtype of the first tensor among them."""
    names = ("",) * len(inputs) if op.variadic else op.operands
    shared = None
    for name, value in zip(names, () if op.hinted else inputs, strict=not op.hinted):
        if name not in op.types and _has_dtype(value):
            shared = value.dtype
            break
    tensors: list[Tensor] = []
    for name, value in zip(names, inputs, strict=True):
        if value.__class__ is EagerTensor:
            tensors.append(value)
        elif name in op.types:
            tensors.append(convert(value, None, op.defaults.get(name)))
        elif op.hinted or _has_dtype(value):
            tensors.append(convert(value, None, shared))
        else:
            tensors.append(convert(value, shared))
        if shared is None and name not in op.types:
            shared = tensors[-1].dtype
    return tensors


def _has_dtype(value: Any) -> bool:
    return isinstance(value, Tensor) or hasattr(value, "__tf_tensor__")
