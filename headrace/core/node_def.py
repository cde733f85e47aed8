"""One graph's nodes as `NodeDef` messages.

A node becomes the message of TensorFlow's operation of its name: what is a static input here is
a constant there, and the types of its operands are attributes. Where TensorFlow says the same
with other operations, a function of `FORMS` writes these. Read `core/op_signatures.py` before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from headrace.base import protos
from headrace.base.dtypes import DType, as_dtype, from_numpy, int32, string, variant
from headrace.core.effects import waits
from headrace.core.graph import Node, Placeholder, Symbol
from headrace.core.messages import attr_value, guessed_value, parsed_default
from headrace.core.op import Spec
from headrace.core.op_signatures import Argument, Attribute, Signature, signature_of
from headrace.core.tensor import EagerTensor, Tensor

_LEFT_OUT = {"max_num_elements": -1}
"""Inputs that records do not have, with the value that says nothing."""
_UNKNOWN = -1
"""An unknown dimension of a shape that is a tensor."""
Bound = list[tuple[Argument, list[Any]]]


class Region:
    """The messages for the nodes of one graph.

    Args:
        graph: the graph.
        library: where the functions that it calls are entered.
        arguments: inside a function: the names of its parameters by the ids of their symbols.
        shapes: whether the shapes of results are written.
    """

    def __init__(
        self,
        graph: Any,
        library: Any,
        arguments: dict[int, str] | None = None,
        shapes: bool = False,
    ) -> None:
        self.messages: list[Any] = []
        self.library = library
        self._arguments, self._shapes = arguments, shapes
        self._waits = waits(graph.nodes)
        self._names = {node.name for node in graph.nodes}
        self.shifted: dict[int, tuple[int, int]] = {}
        """Nodes whose results from the first number on stand so many places further there."""

    # What nodes are called

    def reference(self, tensor: Any, name: str) -> str:
        """The text by which a node names what it reads; a value becomes a constant `name`."""
        if isinstance(tensor, EagerTensor):
            return self.constant(name, tensor._array)
        if self._arguments is not None and id(tensor) in self._arguments:
            return self._arguments[id(tensor)]
        count, shift = self.shifted.get(id(tensor.node), (0, 0))
        index = tensor.index + (shift if tensor.index >= count else 0)
        if self._arguments is None:
            return f"{tensor.node.name}:{index}" if index else tensor.node.name
        return self.output(tensor.node.name, *_place(tensor, index))

    def result(self, symbol: Symbol | Spec) -> str:
        """The text by which a function names what it returns; nobody reads a mere spec."""
        if isinstance(symbol, Spec):
            return _nothing(self, symbol)
        if self._arguments is None or id(symbol) not in self._arguments:
            return self.reference(symbol, symbol.node.name)
        copy = self.add(self.fresh(f"{symbol.node.name}/passed"), "Identity")
        copy.input.append(self._arguments[id(symbol)])
        copy.attr["T"].CopyFrom(attr_value("type", symbol.dtype))
        return self.output(copy.name, "output", 0)

    def output(self, node: str, result: str = "output", index: int = 0) -> str:
        """The text that names a result of a node, in a function or outside of one."""
        return node if self._arguments is None else f"{node}:{result}:{index}"

    def fresh(self, name: str) -> str:
        """`name`, or one like it that no node has."""
        found, count = name, 0
        while found in self._names:
            count += 1
            found = f"{name}_{count}"
        self._names.add(found)
        return found

    # Messages

    def add(self, name: str, op: str, **attrs: Any) -> Any:
        """A message; `attrs` are dtypes, numbers, truth values, texts or tuples of these."""
        message = protos.NodeDef(name=name, op=op)
        for key, value in attrs.items():
            message.attr[key].CopyFrom(guessed_value(value))
        self.messages.append(message)
        return message

    def constant(self, name: str, array: np.ndarray) -> str:
        """Add a constant; returns what it is called."""
        message = self.add(self.fresh(name), "Const", dtype=from_numpy[array.dtype])
        message.attr["value"].CopyFrom(attr_value("tensor", array))
        return self.output(message.name)

    def write(self, node: Node) -> None:
        """Add the messages for a node; the one of its name comes last."""
        FORMS.get(node.op.name, plain)(self, node)
        self._finish(node)

    def _finish(self, node: Node) -> None:
        """What each message says: for what it waits, its device, the shapes of its results."""
        message = self.messages[-1]
        before = [*node.control, *self._waits.get(id(node), ())]
        for name in dict.fromkeys(n.name for n in before if n.op is not Placeholder):
            message.input.append(f"^{name}")
        message.device = node.device
        if self._shapes and node.outputs:
            shapes = [_dims(symbol) for symbol in node.outputs]
            message.attr["_output_shapes"].CopyFrom(attr_value("list(shape)", shapes))

    def operand(self, value: Any, name: str, dtype: DType) -> str:
        """What an operand is called; a static one is made a constant, or packed of parts."""
        if isinstance(value, Tensor):
            return self.reference(value, name)
        if isinstance(value, tuple) and any(isinstance(v, (Tensor, tuple)) for v in value):
            if _holds_symbols(value):
                return self._packed(value, name, dtype)
        if value is None:
            value = _UNKNOWN
        elif isinstance(value, tuple):
            value = [_UNKNOWN if n is None else n for n in value]
        return self.constant(name, np.asarray(value, dtype.np))

    def _packed(self, parts: Sequence[Any], name: str, dtype: DType) -> str:
        items = [self.operand(p, f"{name}/{i}", dtype) for i, p in enumerate(parts)]
        message = self.add(self.fresh(name), "Pack", N=len(items), T=dtype, axis=0)
        message.input.extend(items)
        return self.output(message.name)


def _place(symbol: Symbol, index: int) -> tuple[str, int]:
    """Result number `index` of TensorFlow's operation: the result's name, and its place."""
    signature = signature_of(symbol.node.op.name)
    if signature is None or not signature.results:
        return "output", index
    if len(signature.results) == 1:
        return signature.results[0].name, index
    return signature.results[index].name, 0


def _holds_symbols(value: Any) -> bool:
    if isinstance(value, tuple):
        return any(map(_holds_symbols, value))
    return isinstance(value, Tensor)


def _dims(tensor: Any) -> Any:
    rank = tensor.shape.rank
    return None if rank is None else tensor.shape.as_list()


# Nodes


def plain(region: Region, node: Node, changed: dict[str, Any] | None = None) -> None:
    """The message of TensorFlow's operation of this name.

    Args:
        changed: attributes that have other names or values there.
    """
    signature = signature_of(node.op.name)
    if signature is None:
        return _foreign(region, node)
    attrs = {**node.attrs, **(changed or {})}
    bound = _bound(node, signature, attrs)
    types = _types(bound, signature, attrs, len(node.outputs))
    inputs = [
        region.operand(item, f"{node.name}/{argument.name}", _dtype_of(argument, types))
        for argument, items in bound
        for item in items
    ]
    values = {
        attribute: _value(region, node, attribute, types, attrs)
        for attribute in signature.attributes
    }
    message = region.add(node.name, node.op.name)
    message.input.extend(inputs)
    for attribute, value in values.items():
        if value is not None:
            message.attr[attribute.name].CopyFrom(attr_value(attribute.kind, value))
        elif attribute.kind == "shape":
            message.attr[attribute.name].CopyFrom(attr_value("shape", None))
    return None


def _foreign(region: Region, node: Node) -> None:
    """The message of an operation that TensorFlow does not have: what can be said of it."""
    names = [n.lstrip("*") for n in node.op.inputs if n in node.op.static]
    inputs = [region.reference(x, f"{node.name}/input") for x in node.inputs]
    inputs += [
        region.operand(node.attrs[n], f"{node.name}/{n}", int32)
        for n in names
        if n in node.attrs
    ]
    message = region.add(node.name, node.op.name)
    message.input.extend(inputs)
    if node.inputs:
        message.attr["T"].CopyFrom(attr_value("type", node.inputs[0].dtype))
    for name, value in node.attrs.items():
        found = None if name in names else guessed_value(value)
        if found is not None:
            message.attr[name].CopyFrom(found)


def _bound(node: Node, signature: Signature, attrs: Any) -> Bound:
    """What stands for each input of TensorFlow's operation: tensors, or static values."""
    record, rest = node.op.inputs, list(node.inputs)
    if node.op.variadic and len(record) < len(signature.inputs):
        operands: list[Any] = rest
    elif len(record) == len(signature.inputs):
        extra = len(rest) - len(node.op.operands)
        operands = []
        for name in record:
            if name in node.op.static:
                operands.append(attrs[name])
            else:
                count = 1 + extra if name.startswith("*") else 1
                operands += [rest.pop(0) for _ in range(count)]
    else:
        operands = [
            rest.pop(0)
            if a.name in node.op.operands
            else attrs.get(a.name, _LEFT_OUT.get(a.name))
            for a in signature.inputs
        ]
    return _dealt(operands, signature)


def _dealt(operands: list[Any], signature: Signature) -> Bound:
    """The operands, given to the inputs in their order."""
    singles = sum(not a.many for a in signature.inputs)
    rest = list(operands)
    found = []
    for argument in signature.inputs:
        count = len(operands) - singles if argument.many else 1
        found.append((argument, [rest.pop(0) for _ in range(count)]))
    return found


def _types(bound: Bound, signature: Signature, attrs: Any, results: int) -> dict[str, Any]:
    """The attributes that follow from the operands: their types and how many they are."""
    types: dict[str, Any] = {}
    for argument, items in bound:
        tensors = [x for x in items if isinstance(x, Tensor)]
        if argument.listed:
            types[argument.type] = [x.dtype for x in tensors]
        elif tensors:
            types.setdefault(argument.type, tensors[0].dtype)
        if argument.number:
            types[argument.number] = len(items)
    defaults = {a.name: a for a in signature.attributes}
    for argument in signature.results:
        if argument.number and argument.number not in types:
            types[argument.number] = results
    for argument, _ in bound:
        attribute = defaults.get(argument.type)
        if attribute is not None and argument.type not in types:
            given = attrs.get(argument.type)
            default = as_dtype(attribute.default) if attribute.default else int32
            types[argument.type] = given if isinstance(given, DType) else default
    return types


def _dtype_of(argument: Argument, types: dict[str, Any]) -> DType:
    found = types.get(argument.type)
    if isinstance(found, DType):
        return found
    return int32 if argument.listed else as_dtype(argument.type)


def _value(
    region: Region, node: Node, attribute: Attribute, types: dict[str, Any], attrs: Any
) -> Any:
    """The value of an attribute, or None for one that nothing is known of."""
    name, kind = attribute.name, attribute.kind
    if name in types:
        return types[name]
    given = attrs.get(name)
    if kind == "func" and given is not None:
        return _function(region, given)
    if kind == "list(func)" and given is not None:
        return [_function(region, body) for body in given]
    if given is not None or (kind == "shape" and name in attrs):
        return given
    if kind == "list(shape)":
        return [_dims(symbol) for symbol in node.outputs]
    results = _results_of(node, name)
    if results:
        return results if kind == "list(type)" else results[0]
    if attribute.default:
        return parsed_default(kind, attribute.default)
    return "" if kind == "string" else None


def _results_of(node: Node, name: str) -> list[DType]:
    """The dtypes of the results whose type an attribute is."""
    signature = signature_of(node.op.name)
    assert signature is not None
    found = []
    for symbol in node.outputs:
        at = 0 if len(signature.results) == 1 else symbol.index
        if signature.results and signature.results[at].type == name:
            found.append(symbol.dtype)
    return found


def _function(region: Region, body: Any) -> str:
    """The name of the function that a body is: something with a `graph` and `fetches`."""
    return region.library.function(
        body.graph, body.fetches, carried=getattr(body, "carried", ())
    )


class Changed:
    """A body with other results.

    Attributes:
        fetches: its results; a spec stands for one that nobody reads.
        carried: what it takes and returns besides, see `Carried`.
    """

    def __init__(self, graph: Any, fetches: Sequence[Any], carried: Any = ()) -> None:
        self.graph, self.fetches, self.carried = graph, tuple(fetches), tuple(carried)


class Carried(NamedTuple):
    """A value that a function takes after its parameters and, if `update` is given, returns.

    Attributes:
        update: adds messages to the region; from the argument's name to the result's.
    """

    name: str
    dtype: DType
    update: Callable[[Region, str], str] | None = None


# Operations that TensorFlow says with others


def _branch(region: Region, node: Node) -> None:
    """`If` holds two branches by name there, in one attribute here."""
    count, extras = node.attrs["count"], node.attrs["extras"]
    branches = []
    for i, body in enumerate(node.attrs["branches"]):
        others = [body.fetches[k] if b == i else _spec(node, b, k) for b, k in extras]
        branches.append(Changed(body.graph, (*body.fetches[:count], *others)))
    changed: dict[str, Any] = {"branches": branches}
    if node.op.name.endswith("If"):
        changed = {"then_branch": branches[0], "else_branch": branches[1]}
    plain(region, node, changed)


def _spec(node: Node, branch: int, place: int) -> Spec:
    return node.attrs["branches"][branch].fetches[place].spec


def _loop(region: Region, node: Node) -> None:
    """The body of a `While` returns there what it takes, what stands outside included.

    A loop that keeps values of its iterations carries their number and lists of them.
    """
    count, body, cond = node.attrs["count"], node.attrs["body"], node.attrs["cond"]
    outside = body.graph.parameters[count:]
    kept = body.fetches[count:] if node.attrs["recorded"] else ()
    carried = [Carried(f"list_{i}", variant, _pushing(s)) for i, s in enumerate(kept)]
    initial = [_empty_list(region, f"{node.name}/list_{i}", s) for i, s in enumerate(kept)]
    if node.attrs["recorded"]:
        carried.insert(0, Carried("rounds", int32, _counting))
        initial.insert(0, region.constant(f"{node.name}/rounds", np.array(0, np.int32)))
        region.shifted[id(node)] = (count, len(outside))
    only = [Carried(c.name, c.dtype) for c in carried]
    bodies = {
        "cond": Changed(cond.graph, cond.fetches, only),
        "body": Changed(body.graph, (*body.fetches[:count], *outside), carried),
    }
    shapes = [_dims(x) for x in node.inputs] + [[]] * len(carried)
    plain(region, node, {**bodies, "output_shapes": shapes})
    message = region.messages[-1]
    message.input.extend(initial)
    types = [*(x.dtype for x in node.inputs), *(c.dtype for c in carried)]
    message.attr["T"].CopyFrom(attr_value("list(type)", types))


def _counting(region: Region, argument: str) -> str:
    """One more than the argument."""
    one = region.constant("rounds/one", np.array(1, np.int32))
    message = region.add(region.fresh("rounds/add"), "AddV2", T=int32)
    message.input.extend([argument, one])
    return region.output(message.name, "z")


def _pushing(symbol: Symbol) -> Callable[[Region, str], str]:
    """What adds a value to a list."""

    def update(region: Region, argument: str) -> str:
        name = region.fresh(f"{symbol.node.name}/kept")
        item = region.result(symbol)
        message = region.add(name, "TensorListPushBack", element_dtype=symbol.dtype)
        message.input.extend([argument, item])
        return region.output(name, "output_handle")

    return update


def _empty_list(region: Region, name: str, like: Any) -> str:
    """A list without items; they will be like a tensor, or like what a spec says."""
    shape = region.constant(f"{name}/shape", np.array(_UNKNOWN, np.int32))
    most = region.constant(f"{name}/max_num_elements", np.array(_UNKNOWN, np.int32))
    message = region.add(
        region.fresh(name), "EmptyTensorList", element_dtype=like.dtype, shape_type=int32
    )
    message.input.extend([shape, most])
    return region.output(message.name, "handle")


def _nothing(region: Region, spec: Spec) -> str:
    """A value of a dtype, for a result that nobody reads."""
    if spec.dtype is variant:
        held = spec.value if isinstance(spec.value, Spec) else Spec((), int32)
        return _empty_list(region, "unread", held)
    dims = [n or 0 for n in spec.shape or ()]
    fill = b"" if spec.dtype is string else 0
    return region.constant("unread", np.full(dims, fill, spec.dtype.np))


def _print(region: Region, node: Node) -> None:
    """A text is formatted there before it is printed."""
    name = region.fresh(f"{node.name}/StringFormat")
    inputs = [region.reference(x, f"{node.name}/input") for x in node.inputs]
    text = region.add(
        name,
        "StringFormat",
        template="{}".join(node.attrs["template"]),
        placeholder="{}",
        summarize=node.attrs["summarize"],
    )
    text.attr["T"].CopyFrom(attr_value("list(type)", [x.dtype for x in node.inputs]))
    text.input.extend(inputs)
    stream = str(node.attrs["output_stream"])
    message = region.add(node.name, "PrintV2", output_stream=stream, end=node.attrs["end"])
    message.input.append(region.output(name))


def _sum_to_shape(region: Region, node: Node) -> None:
    """A gradient is summed over the axes that broadcasting stretched, then reshaped."""
    name, dtype = node.name, node.inputs[0].dtype
    source = region.reference(node.inputs[0], f"{name}/input")
    target = region.operand(node.attrs["shape"], f"{name}/shape", int32)
    shape = region.add(region.fresh(f"{name}/Shape"), "Shape", T=dtype, out_type=int32)
    shape.input.append(source)
    axes = region.add(region.fresh(f"{name}/axes"), "BroadcastGradientArgs", T=int32)
    axes.input.extend([target, region.output(shape.name)])
    total = region.add(region.fresh(f"{name}/Sum"), "Sum", T=dtype, Tidx=int32, keep_dims=False)
    total.input.extend([source, region.output(axes.name, "r0")])
    message = region.add(name, "Reshape", T=dtype, Tshape=int32)
    message.input.extend([region.output(total.name), target])


def _concat(region: Region, node: Node) -> None:
    """One part alone is not joined to anything there."""
    if len(node.inputs) > 1:
        return plain(region, node)
    message = region.add(node.name, "Identity", T=node.inputs[0].dtype)
    message.input.append(region.reference(node.inputs[0], f"{node.name}/input"))
    return None


def _pad(region: Region, node: Node) -> None:
    """The widths are a matrix also where there are none."""
    paddings = node.attrs["paddings"]
    if paddings.__class__ is tuple and not paddings:
        return plain(region, node, {"paddings": np.zeros((0, 2), np.int32)})
    return plain(region, node)


def _add(region: Region, node: Node) -> None:
    """Texts are added by an older operation."""
    plain(region, node)
    if node.outputs[0].dtype is string:
        region.messages[-1].op = "Add"


def _python(region: Region, node: Node) -> None:
    """A Python function is known by a token."""
    plain(region, node, {"token": getattr(node.attrs["func"], "__name__", "function")})


FORMS: dict[str, Callable[[Region, Node], None]] = {
    "If": _branch,
    "StatelessIf": _branch,
    "Case": _branch,
    "StatelessCase": _branch,
    "While": _loop,
    "StatelessWhile": _loop,
    "AddV2": _add,
    "ConcatV2": _concat,
    "PadV2": _pad,
    "PrintV2": _print,
    "SumToShape": _sum_to_shape,
    "EagerPyFunc": _python,
    "PyFunc": _python,
    "PyFuncStateless": _python,
}
__all__ = ["Carried", "Changed", "Region"]
