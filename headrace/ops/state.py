"""Variables in graphs: reads and writes as operations, in the order of the program.

Eagerly a variable is read and written by its own methods (`core/variable.py`); while a graph is
built these methods come here. The operand of such an op is a handle, which at run time is the
variable itself, and a gradient with respect to the handle is one with respect to the variable.
"""

from __future__ import annotations

from headrace.base import errors
from headrace.base.dtypes import ALL, resource
from headrace.base.shapes import compatible
from headrace.core.context import state
from headrace.core.convert import convert
from headrace.core.dispatch import add_node
from headrace.core.op import Kind, Op, Spec
from headrace.core.tensor import wrap
from headrace.core.variable import hooks

_HANDLE = {"resource": ("resource", frozenset({resource}))}


class ReadVariableOp(Op):
    """The value of a variable."""

    kind = Kind.STATE
    inputs = ("resource",)
    attrs = {"dtype": None}
    types = _HANDLE
    dtypes = ALL
    stateful = True
    pure = True
    no_lower = "a variable's buffer is an input of compiled code"

    def infer(resource, dtype):
        return resource.value

    def kernel(resource, dtype):
        return resource._array

    grad = (lambda dy, y, resource, dtype: dy,)


def _updating(name, update, doc):
    """A record `name(resource, value)` that changes a variable by `update(variable, x)`."""

    def infer(resource, value, dtype, validate_shape=False):
        held = resource.value
        if not compatible(held.shape, value.shape):
            raise errors.invalid_argument(
                f"Cannot update variable with shape {list(held.shape)} using a Tensor with "
                f"shape {list(value.shape)}, shapes must be equal."
            )
        return ()

    def kernel(resource, value, dtype, validate_shape=False):
        update(resource, wrap(value))
        return ()

    rules = {"infer": infer, "kernel": kernel, "__doc__": doc, "__module__": __name__}
    rules.update(kind=Kind.STATE, inputs=("resource", "value"), attrs={"dtype": None})
    rules.update(types=_HANDLE, dtypes=ALL, stateful=True, no_grad="it has no result")
    return type(name, (Op,), rules | {"no_lower": "it changes a variable"})


UPDATES = {
    "assign": _updating(
        "AssignVariableOp",
        lambda variable, value: variable.assign(value, read_value=False),
        "Gives a variable a new value.",
    ),
    "assign_add": _updating(
        "AssignAddVariableOp",
        lambda variable, value: variable.assign_add(value, read_value=False),
        "Adds to a variable.",
    ),
    "assign_sub": _updating(
        "AssignSubVariableOp",
        lambda variable, value: variable.assign_sub(value, read_value=False),
        "Subtracts from a variable.",
    ),
}


def handle(variable, name):
    """The operand that stands for a variable in this thread's graph; tapes learn of it."""
    symbol = state.graph.handle(variable, Spec(_dims(variable), variable.dtype), name)
    for recorder in state.recorders:
        recorder.read(variable, symbol)
    return symbol


def read(variable, name=None):
    """The value of a variable in this thread's graph."""
    attrs = {"dtype": variable.dtype}
    place = handle(variable, f"{name or 'ReadVariableOp'}/resource")
    return add_node(ReadVariableOp, [place], attrs, name)


def update(variable, how, value, name=None):
    """Add an update of a variable (`how` is the method's name) to this thread's graph."""
    op = UPDATES[how]
    tensor = convert(value, variable.dtype)
    place = handle(variable, f"{name or op.name}/resource")
    add_node(op, [place, tensor], {"dtype": variable.dtype}, name)


def _dims(variable):
    shape = variable._shape
    return None if shape.rank is None else tuple(shape.as_list())


hooks.read, hooks.update = read, update
