"""TensorFlow's messages: `GraphDef` and what it consists of, as protocol buffers.

The classes are made when this module is loaded, from the table below. Names and numbers of the
fields are those of TensorFlow's file formats, so that its tools read what is written with these
classes. The messages live in a pool of their own: TensorFlow may be loaded in the same process.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "tensorflow"
_NUMBER = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "string": _NUMBER.TYPE_STRING,
    "bytes": _NUMBER.TYPE_BYTES,
    "bool": _NUMBER.TYPE_BOOL,
    "int32": _NUMBER.TYPE_INT32,
    "int64": _NUMBER.TYPE_INT64,
    "uint32": _NUMBER.TYPE_UINT32,
    "uint64": _NUMBER.TYPE_UINT64,
    "float": _NUMBER.TYPE_FLOAT,
    "double": _NUMBER.TYPE_DOUBLE,
}
DATA_TYPES = """
    INVALID FLOAT DOUBLE INT32 UINT8 INT16 INT8 STRING COMPLEX64 INT64 BOOL QINT8 QUINT8 QINT32
    BFLOAT16 QINT16 QUINT16 UINT16 COMPLEX128 HALF RESOURCE VARIANT UINT32 UINT64
""".split()
"""The names of the data types; their places are their numbers."""

MESSAGES = """
GraphDef        node=1*NodeDef versions=4:VersionDef version=3:int32
                library=2:FunctionDefLibrary
VersionDef      producer=1:int32 min_consumer=2:int32 bad_consumers=3*int32
NodeDef         name=1:string op=2:string input=3*string device=4:string attr=5{AttrValue}
AttrValue       s=2|bytes i=3|int64 f=4|float b=5|bool type=6|DataType
                shape=7|TensorShapeProto tensor=8|TensorProto list=1|AttrValue.ListValue
                func=10|NameAttrList placeholder=9|string
AttrValue.ListValue
                s=2*bytes i=3*int64 f=4*float b=5*bool type=6*DataType
                shape=7*TensorShapeProto tensor=8*TensorProto func=9*NameAttrList
NameAttrList    name=1:string attr=2{AttrValue}
TensorShapeProto
                dim=2*TensorShapeProto.Dim unknown_rank=3:bool
TensorShapeProto.Dim
                size=1:int64 name=2:string
TensorProto     dtype=1:DataType tensor_shape=2:TensorShapeProto version_number=3:int32
                tensor_content=4:bytes half_val=13*int32 float_val=5*float double_val=6*double
                int_val=7*int32 string_val=8*bytes scomplex_val=9*float int64_val=10*int64
                bool_val=11*bool dcomplex_val=12*double uint32_val=16*uint32
                uint64_val=17*uint64
FunctionDefLibrary
                function=1*FunctionDef gradient=2*GradientDef
GradientDef     function_name=1:string gradient_func=2:string
FunctionDef     signature=1:OpDef attr=5{AttrValue} node_def=3*NodeDef ret=4{string}
                control_ret=6{string}
OpDef           name=1:string input_arg=2*OpDef.ArgDef output_arg=3*OpDef.ArgDef
                control_output=20*string attr=4*OpDef.AttrDef summary=5:string
                description=6:string is_commutative=18:bool is_aggregate=16:bool
                is_stateful=17:bool allows_uninitialized_input=19:bool
OpDef.ArgDef    name=1:string description=2:string type=3:DataType type_attr=4:string
                number_attr=5:string type_list_attr=6:string is_ref=16:bool
OpDef.AttrDef   name=1:string type=2:string default_value=3:AttrValue description=4:string
                has_minimum=5:bool minimum=6:int64 allowed_values=7:AttrValue
"""
"""A line a message. After a field's number: `:` one, `*` many, `{}` a map from texts, `|` one
of several."""


def _table() -> dict[str, list[str]]:
    """The fields of each message, as they stand in `MESSAGES`."""
    found: dict[str, list[str]] = {}
    fields: list[str] = []
    for line in MESSAGES.splitlines():
        words = line.split()
        if words and not line.startswith(" "):
            fields = found.setdefault(words.pop(0), [])
        fields.extend(words)
    return found


def _file() -> Any:
    """The description of all messages as one file."""
    file = descriptor_pb2.FileDescriptorProto(
        name="headrace/tensorflow.proto", package=PACKAGE, syntax="proto3"
    )
    types = file.enum_type.add(name="DataType")
    for number, name in enumerate(DATA_TYPES):
        types.value.add(name=f"DT_{name}", number=number)
        if number:
            types.value.add(name=f"DT_{name}_REF", number=number + 100)
    made: dict[str, Any] = {}
    for path, fields in _table().items():
        outer, _, name = path.rpartition(".")
        messages = made[outer].nested_type if outer else file.message_type
        made[path] = messages.add(name=name)
        for field in fields:
            _add_field(made[path], path, field)
    return file


def _add_field(message: Any, path: str, text: str) -> None:
    """A field such as `node=1*NodeDef`."""
    name, _, rest = text.partition("=")
    digits = rest[: next(i for i, letter in enumerate(rest) if not letter.isdigit())]
    sign, kind = rest[len(digits)], rest[len(digits) + 1 :].rstrip("}")
    field = message.field.add(name=name, number=int(digits), label=_NUMBER.LABEL_OPTIONAL)
    if sign == "|":
        if not message.oneof_decl:
            message.oneof_decl.add(name="value")
        field.oneof_index = 0
    if sign in "*{":
        field.label = _NUMBER.LABEL_REPEATED
    if sign == "{":
        kind = _map_entry(message, path, name, kind)
    _set_type(field, kind)


def _map_entry(message: Any, path: str, name: str, kind: str) -> str:
    """The message that a map from texts is stored as; returns its path."""
    title = "".join(map(str.capitalize, name.split("_"))) + "Entry"
    entry = message.nested_type.add(name=title)
    entry.options.map_entry = True
    for number, (part, of) in enumerate((("key", "string"), ("value", kind)), 1):
        field = entry.field.add(name=part, number=number, label=_NUMBER.LABEL_OPTIONAL)
        _set_type(field, of)
    return f"{path}.{title}"


def _set_type(field: Any, kind: str) -> None:
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
        return
    field.type = _NUMBER.TYPE_ENUM if kind == "DataType" else _NUMBER.TYPE_MESSAGE
    field.type_name = f".{PACKAGE}.{kind}"


_POOL = descriptor_pool.DescriptorPool()
_POOL.Add(_file())


def _class(name: str) -> Any:
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{PACKAGE}.{name}"))


GraphDef = _class("GraphDef")
NodeDef = _class("NodeDef")
AttrValue = _class("AttrValue")
TensorShapeProto = _class("TensorShapeProto")
TensorProto = _class("TensorProto")
FunctionDef = _class("FunctionDef")
OpDef = _class("OpDef")
VersionDef = _class("VersionDef")
