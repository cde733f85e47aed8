"""Graphs as TensorFlow's messages: a node says what TensorFlow's operation of its name needs.

That TensorFlow itself runs these messages with the same results was tried by hand, for all op
records and for programs with branches, loops, lists and their gradients; here each message is
held against the table of signatures.
"""

import subprocess
import sys

import numpy as np
import pytest

import headrace as tf
from headrace.base import dtypes as dt
from headrace.base import protos
from headrace.core.dispatch import apply
from headrace.core.messages import parsed_default
from headrace.core.op_signatures import signature_of, table
from tests.ops import harness


def assert_sound(nodes, known, style):
    """Each node has the inputs and attributes of its operation, and reads what is there.

    Args:
        known: what may be read besides: the arguments of a function.
        style: the pattern of a reference: how many parts it has.
    """
    names = {node.name for node in nodes}
    assert len(names) == len(nodes)
    for node in nodes:
        data = [i for i in node.input if not i.startswith("^")]
        for reference in node.input:
            name = reference.lstrip("^").split(":")[0]
            assert name in names or name in known, (node.name, reference)
            if name in names and style == 3 and not reference.startswith("^"):
                assert len(reference.split(":")) == 3, reference
        signature = signature_of(node.op)
        if signature is None:  # one that TensorFlow does not have
            continue
        wanted = {a.name for a in signature.attributes}
        assert set(node.attr) - {"_output_shapes"} == wanted, (node.op, set(node.attr))
        count = 0
        for argument in signature.inputs:
            if argument.number:
                count += node.attr[argument.number].i
            elif argument.listed:
                count += len(node.attr[argument.type].list.type)
            else:
                count += 1
        assert len(data) == count, node.op


def assert_function_sound(function, library):
    arguments = {a.name for a in function.signature.input_arg}
    assert len(arguments) == len(function.signature.input_arg)
    assert_sound(function.node_def, arguments, 3)
    assert set(function.ret) == {a.name for a in function.signature.output_arg}
    for reference in function.ret.values():
        assert reference.split(":")[0] in {n.name for n in function.node_def}
    for node in function.node_def:
        for name in functions_of(node):
            assert name in library


def functions_of(node):
    for value in node.attr.values():
        if value.WhichOneof("value") == "func":
            yield value.func.name
        yield from (f.name for f in value.list.func)


def checked(function, *specs):
    """The message of a function's graph, checked, after a way through its bytes."""
    concrete = function.get_concrete_function(*specs)
    message = protos.GraphDef.FromString(concrete.graph.as_graph_def().SerializeToString())
    assert_sound(message.node, (), 2)
    library = {f.signature.name: f for f in message.library.function}
    for each in library.values():
        assert_function_sound(each, library)
    for node in message.node:
        for name in functions_of(node):
            assert name in library
    own = concrete.function_def
    assert_function_sound(own, library)
    assert [a.type for a in own.signature.output_arg] == [
        s.dtype.as_datatype_enum for s in concrete.outputs
    ]
    return message


@pytest.mark.parametrize("op", harness.sampled().values(), ids=harness.sampled())
def test_every_record(op):
    for case in harness.cases(op):
        if case.dtype not in (dt.float64, dt.int32, dt.string, dt.bool, dt.complex64):
            continue

        def program(*operands, case=case):
            with tf.GradientTape() as tape:
                tape.watch(operands)
                results = tf.nest.flatten(apply(case.op, list(operands), case.attrs))
            floats = [r for r in results if r.dtype.is_floating]
            slopes = tape.gradient(floats, operands) if floats else []
            return results, [None if g is None else tf.convert_to_tensor(g) for g in slopes]

        specs = [tf.TensorSpec([None] * a.ndim, dt.from_numpy[a.dtype]) for a in case.arrays]
        checked(tf.function(program, autograph=False), *specs)


def test_the_table_of_signatures():
    for name in table():
        signature = signature_of(name)
        kinds = {a.name for a in signature.attributes}
        for argument in (*signature.inputs, *signature.results):
            assert argument.type in kinds or tf.as_dtype(argument.type), name
            assert not argument.number or argument.number in kinds
        for attribute in signature.attributes:
            if attribute.default:
                parsed_default(attribute.kind, attribute.default)


def branch(x):
    y = x + 1.0 if tf.reduce_sum(x) > 0.0 else x * x
    return y


def loop(x):
    for i in tf.range(3):
        x = x * tf.cast(i, tf.float32)
    return x


def rows(x):
    return tf.map_fn(lambda row: row * tf.reduce_sum(row), x)


def choice(x):
    index = tf.cast(x[0, 0], tf.int32)
    return tf.switch_case(index, [lambda: x, lambda: x * 3.0, lambda: tf.sin(x)])


def effects(x):
    tf.print("x is", x)
    tf.debugging.assert_greater(x, 0.0)
    return x + 1.0


def call(x):
    inner = tf.function(lambda a: a * a, autograph=False)
    return inner(inner(x))


PROGRAMS = {f.__name__: f for f in (branch, loop, rows, choice, effects, call)}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
@pytest.mark.parametrize("gradient", [False, True])
def test_programs(program, gradient):
    def slope(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = program(x)
        return tape.gradient(y, x)

    checked(tf.function(slope if gradient else program), tf.TensorSpec([None, 3]))


def test_a_small_graph_reads_as_tensorflows():
    variable = tf.Variable(2.0)

    @tf.function
    def double(x):
        variable.assign_add(1.0)
        return variable * x

    concrete = double.get_concrete_function(tf.TensorSpec([2], name="x"))
    lines = [
        f"{n.name} = {n.op}({', '.join(n.input)})" for n in concrete.graph.as_graph_def().node
    ]
    assert lines == [
        "x = Placeholder()",
        "AssignAddVariableOp/resource = Placeholder()",
        "AssignAddVariableOp/value = Const()",
        "AssignAddVariableOp = AssignAddVariableOp(AssignAddVariableOp/resource, "
        "AssignAddVariableOp/value)",
        "ReadVariableOp = ReadVariableOp(AssignAddVariableOp/resource, ^AssignAddVariableOp)",
        "mul = Mul(ReadVariableOp, x)",
        "Identity = Identity(mul)",
    ]
    read = concrete.graph.get_operation_by_name("ReadVariableOp")
    assert [op.name for op in read.control_inputs] == ["AssignAddVariableOp"]
    signature = concrete.function_def.signature
    assert [a.name for a in signature.input_arg] == ["x", "assignaddvariableop_resource"]
    assert [(a.name, a.type) for a in signature.output_arg] == [("identity", 1)]
    assert signature.is_stateful and signature.name == concrete.name.decode()


def test_names_of_operations_are_their_own():
    @tf.function
    def several(x):
        return tf.constant(1.0), tf.constant(2.0), x, x, [3.0, (4, x)]

    checked(several, tf.TensorSpec([]))


def test_what_is_asked_of_an_operation():
    graph = tf.Graph()
    with graph.as_default():
        x = tf.zeros([2, 3])
        start = graph.version
        y = tf.reduce_sum(x, axis=1, name="total")
    op = y.op
    assert op.get_attr("T") is tf.float32
    assert op.get_attr("keep_dims") is False
    assert op.node_def.name == "total" and op.node_def.op == "Sum"
    with pytest.raises(ValueError, match="has no attr named 'color'"):
        op.get_attr("color")
    late = graph.as_graph_def(from_version=start, add_shapes=True).node
    assert [n.name for n in late] == ["total/reduction_indices", "total"]
    assert late[-1].attr["_output_shapes"].list.shape[0].dim[0].size == 2


@pytest.mark.parametrize("dtype", sorted(dt.NUMERIC | {dt.bool}, key=str), ids=str)
@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (0, 2)])
def test_tensors_come_back_from_their_messages(dtype, shape):
    numbers = np.random.default_rng(3).integers(0, 2, shape)
    array = np.asarray(numbers).astype(dtype.np)
    message = tf.make_tensor_proto(array)
    found = tf.make_ndarray(type(message).FromString(message.SerializeToString()))
    assert found.dtype == array.dtype and found.shape == array.shape
    assert found.tolist() == array.tolist()


def test_texts_and_shapes_of_messages():
    message = tf.make_tensor_proto([b"a", "b\x00"])
    assert tf.make_ndarray(message).tolist() == [b"a", b"b\x00"]
    ones = tf.make_tensor_proto(1.0, shape=[2, 2], allow_broadcast=True)
    assert tf.make_ndarray(ones).tolist() == [[1.0, 1.0], [1.0, 1.0]]
    with pytest.raises(TypeError, match="Expected Tensor's shape"):
        tf.make_tensor_proto([1, 2], shape=[1, 2], verify_shape=True)
    with pytest.raises(ValueError, match="elements"):
        tf.make_tensor_proto([1, 2], shape=[3])


def test_messages_are_loaded_when_they_are_needed():
    code = "import headrace, sys; print('google.protobuf' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.stdout.strip() == "False", found.stderr
