"""Variables in graphs: reads and writes as operations, in the order of the program.

Eagerly a variable is read and written by its own methods (`core/variable.py`); while a graph is
built these methods come here. The operand of such an op is a handle, which at run time is the
variable itself, and a gradient with respect to the handle is one with respect to the variable.
"""

from __future__ import annotations

import operator

from headrace.base import errors
from headrace.base.dtypes import ALL, NUMERIC, bfloat16, float16, int32, int64, resource
from headrace.base.shapes import compatible
from headrace.core.context import state
from headrace.core.convert import convert
from headrace.core.dispatch import add_node
from headrace.core.indexed_slices import IndexedSlices
from headrace.core.op import Kind, Op, Spec
from headrace.core.scatter import hooks as scatter_hooks
from headrace.core.tensor import wrap
from headrace.core.variable import hooks
from headrace.ops.gather import check_nd
from headrace.ops.make import broadcast
from headrace.ops.strided_slice import (
    StridedSlice,
    key_of,
    native_part,
    sliced_variable,
    state_hooks,
)

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


def _scattering(name, update, lower):
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
    return type(name, (Op,), rules | {"lower": lower})


_COMBINE = {
    "Update": "set",
    "Add": "add",
    "Sub": "add",
    "Mul": "mul",
    "Max": "max",
    "Min": "min",
}


def _scattered(c, rule, resource, extents, place, updates):
    """Combine each element of `updates` into element `place(*i)` of a variable, in order."""
    if rule not in _COMBINE or resource.dtype not in _combined(rule):
        c.refuse(f"{rule} of elements of {resource.dtype.name}, one by one")
    if rule == "Sub":
        given = updates
        updates = c.map(extents, resource.dtype, lambda *i: -given[i])
    return c.scatter_into(_COMBINE[rule], resource, extents, place, updates)


def _combined(rule):
    """The dtypes whose elements may be combined one after another as the kernel does it."""
    return ALL if rule == "Update" else _EXACT


_EXACT = NUMERIC - {float16, bfloat16}


def _rows(rule):
    """The rules for rows: what changes a variable, and what compiled code does."""

    def update(v, indices, values):
        v._scatter(rule, IndexedSlices(values, indices))

    def lower(c, resource, indices, updates, dtype):
        rank, rows = indices.rank, resource.shape[0]
        label = ",".join("{}" for _ in range(rank)) if rank else "0"
        text = f"indices[{label}] = {{}} is not in [0, {rows})"
        extents = (*indices.shape, *resource.shape[1:])
        if updates.rank and updates.shape != extents:
            c.refuse("the shapes do not fit")

        def place(*i):
            k = c.cast(indices[i[:rank]], int64)
            c.check((k >= 0) & (k < rows), text, *i[:rank], k)
            return (k, *i[rank:])

        given = updates
        if not given.rank:
            updates = c.map(extents, dtype, lambda *i: given[()])
        return _scattered(c, rule, resource, extents, place, updates)

    return update, lower


def _elements(rule):
    """The rules for elements or slices: as `_rows`."""

    def update(v, indices, values):
        v._scatter_nd(rule, indices, values)

    def lower(c, resource, indices, updates, dtype):
        outer = indices.rank - 1
        depth = indices.shape[-1] if indices.rank else 0
        extents = (*indices.shape[:-1], *resource.shape[depth:])
        if outer < 0 or depth > len(resource.shape) or updates.shape != extents:
            c.refuse("the shapes do not fit")

        def place(*i):
            at = [c.cast(indices[(*i[:outer], d)], int64) for d in range(depth)]
            check_nd(c, at, i[:outer], resource.shape, "")
            return (*at, *i[outer:])

        return _scattered(c, rule, resource, extents, place, updates)

    return update, lower


def _batches():
    """The rules for rows batch by batch: as `_rows`."""

    def update(v, indices, values):
        v.batch_scatter_update(IndexedSlices(values, indices))

    def lower(c, resource, indices, updates, dtype):
        outer = indices.rank
        extents = (*indices.shape, *resource.shape[outer:])
        batch = resource.shape[: outer - 1]
        if not outer or updates.shape != extents or indices.shape[:-1] != batch:
            c.refuse("the shapes do not fit")

        def place(*i):
            at = [*i[: outer - 1], c.cast(indices[i[:outer]], int64)]
            check_nd(c, at, i[:outer], resource.shape, "")
            return (*at, *i[outer:])

        return _scattered(c, "Update", resource, extents, place, updates)

    return update, lower


SCATTERS = {
    f"ResourceScatter{rule}": _scattering(f"ResourceScatter{rule}", *_rows(rule))
    for rule in ("Update", "Add", "Sub", "Mul", "Div", "Max", "Min")
}
SCATTERS |= {
    f"ResourceScatterNd{rule}": _scattering(f"ResourceScatterNd{rule}", *_elements(rule))
    for rule in ("Update", "Add", "Sub", "Max", "Min")
}
SCATTERS["BatchScatter"] = _scattering("BatchScatter", *_batches())


class ResourceStridedSliceAssign(Op):
    """Replaces a regular part of a variable."""

    kind = Kind.STATE
    inputs = ("ref", "value")
    types = {"ref": ("resource", frozenset({resource}))}
    dtypes = ALL
    stateful = True
    computed = ("begin", "end")
    no_grad = "it has no result"

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

    def lower(c, ref, value, **place):
        sizes, at = native_part(c, ref.shape, **place)
        missing = len(sizes) - value.rank

        def update(*i):
            inner = zip(value.shape, i[missing:], strict=True)
            return value[tuple(0 if n == 1 else k for n, k in inner)]

        if missing < 0:
            c.refuse("a value of more dimensions than the part has")
        return c.scatter_into("set", ref, sizes, at, c.map(sizes, ref.dtype, update))


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
