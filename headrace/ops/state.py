"""Variables in graphs: reads and writes as operations, in the order of the program.

Eagerly a variable is read and written by its own methods (`core/variable.py`); while a graph is
built these methods come here. The operand of such an op is a handle, which at run time is the
variable itself, and a gradient with respect to the handle is one with respect to the variable.
"""

from __future__ import annotations

import operator

from headrace.base import errors
from headrace.base.dtypes import ALL, int32, int64, resource
from headrace.base.shapes import compatible
from headrace.core.context import state
from headrace.core.convert import convert
from headrace.core.dispatch import add_node
from headrace.core.indexed_slices import IndexedSlices
from headrace.core.op import Kind, Op, Spec
from headrace.core.scatter import hooks as scatter_hooks
from headrace.core.tensor import wrap
from headrace.core.variable import hooks
from headrace.ops.make import broadcast
from headrace.ops.strided_slice import StridedSlice, key_of, sliced_variable, state_hooks

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

    def infer(resource, dtype):
        return resource.value

    def lower(c, resource, dtype):
        return c.read(resource)

    def kernel(resource, dtype):
        return resource._array

    grad = (lambda dy, y, resource, dtype: dy,)
    sparse = True


def _updating(name, update, combine, doc):
    """A record `name(resource, value)` that changes a variable by `update(variable, x)`.

    `combine(old, value)` is what compiled code makes of an element.
    """

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

    def lower(c, resource, value, dtype, validate_shape=False):
        if combine is None:
            return c.assign(resource, value)
        old = c.read(resource)
        after = c.map(old.shape, old.dtype, lambda *i: combine(old[i], value[i]))
        return c.assign(resource, after)

    rules = {"infer": infer, "kernel": kernel, "__doc__": doc, "__module__": __name__}
    rules.update(kind=Kind.STATE, inputs=("resource", "value"), attrs={"dtype": None})
    rules.update(types=_HANDLE, dtypes=ALL, stateful=True, no_grad="it has no result")
    return type(name, (Op,), rules | {"lower": lower})


UPDATES = {
    "assign": _updating(
        "AssignVariableOp",
        lambda variable, value: variable.assign(value, read_value=False),
        None,
        "Gives a variable a new value.",
    ),
    "assign_add": _updating(
        "AssignAddVariableOp",
        lambda variable, value: variable.assign_add(value, read_value=False),
        operator.add,
        "Adds to a variable.",
    ),
    "assign_sub": _updating(
        "AssignSubVariableOp",
        lambda variable, value: variable.assign_sub(value, read_value=False),
        operator.sub,
        "Subtracts from a variable.",
    ),
}


def _scattering(name, update):
    """A record `name(resource, indices, updates)` that changes parts of a variable."""

    def infer(resource, indices, updates, dtype):
        return ()

    def kernel(resource, indices, updates, dtype):
        update(resource, wrap(indices), wrap(updates))
        return ()

    rules = {"infer": infer, "kernel": kernel, "__module__": __name__}
    rules |= {"__doc__": "Changes rows or elements of a variable.", "kind": Kind.STATE}
    rules |= {"inputs": ("resource", "indices", "updates"), "attrs": {"dtype": None}}
    rules |= {"types": _HANDLE | {"indices": ("Tindices", frozenset({int32, int64}))}}
    rules |= {"dtypes": ALL, "stateful": True, "no_grad": "it has no result"}
    return type(name, (Op,), rules | {"no_lower": "it changes a variable"})


def _rows(rule):
    return lambda v, indices, values: v._scatter(rule, IndexedSlices(values, indices))


def _elements(rule):
    return lambda v, indices, values: v._scatter_nd(rule, indices, values)


SCATTERS = {
    f"ResourceScatter{rule}": _scattering(f"ResourceScatter{rule}", _rows(rule))
    for rule in ("Update", "Add", "Sub", "Mul", "Div", "Max", "Min")
}
SCATTERS |= {
    f"ResourceScatterNd{rule}": _scattering(f"ResourceScatterNd{rule}", _elements(rule))
    for rule in ("Update", "Add", "Sub", "Max", "Min")
}
SCATTERS["BatchScatter"] = _scattering(
    "BatchScatter",
    lambda v, indices, values: v.batch_scatter_update(IndexedSlices(values, indices)),
)


class ResourceStridedSliceAssign(Op):
    """Replaces a regular part of a variable."""

    kind = Kind.STATE
    inputs = ("ref", "value")
    types = {"ref": ("resource", frozenset({resource}))}
    dtypes = ALL
    stateful = True
    no_grad = "it has no result"
    no_lower = "it changes a variable"

    def infer(ref, value, **place):
        part = StridedSlice.infer(ref.value, **place)
        if not compatible(broadcast(part.shape, value.shape), part.shape):
            raise errors.invalid_argument(
                f"Cannot broadcast input shape {value.shape} into final shape {part.shape}"
            )
        return ()

    def kernel(ref, value, **place):
        key = key_of(**place)
        sliced_variable(ref, wrap(ref._array[key]), key).assign(wrap(value))
        return ()


def scatter(variable, name, indices, updates):
    """Add a change of parts of a variable to this thread's graph."""
    tensors = [convert(indices, None, int32), convert(updates, variable.dtype)]
    place = handle(variable, f"{name}/resource")
    add_node(SCATTERS[name], [place, *tensors], {"dtype": variable.dtype}, None)


def assign_part(variable, part, value, name=None, read_value=True):
    """`v[key].assign(value)` in a graph; `part` is the symbol that `v[key]` gave."""
    tensor = convert(value, variable.dtype)
    place = handle(variable, f"{part.node.name}/_assign/resource")
    label = f"{part.node.name}/_assign/"
    add_node(ResourceStridedSliceAssign, [place, tensor], part.node.attrs, name or label)
    return variable._unread() if read_value else None


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


hooks.read, hooks.update, hooks.handle = read, update, handle
scatter_hooks.scatter = scatter
state_hooks.assign_part = assign_part
