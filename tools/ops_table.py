"""The table of all op records, for people: `docs/ops.md`.

    python -m tools.ops_table         writes docs/ops.md

It is made from the records themselves; `tests/house/test_api.py` sees to it that it is current.
"""

from __future__ import annotations

from headrace.base.dtypes import ALL, COMPLEX, FLOATS, INTS, SIGNED, UNSIGNED, DType
from headrace.core.op import OPS, Op
from tools.exports import public_names
from tools.sizes import ROOT

TABLE = ROOT / "docs" / "ops.md"
HEAD = """\
# Op records

One line for each op record in `headrace/ops`, made by `make api`. Op types, input and attribute
names are those of TensorFlow's op set. *Gradient* and *code* (a rule that the compiler lowers)
are `yes`, or the reason why there is none. An input in brackets is static: its value, not only
its shape, decides the shape of the result.

| op | kind | inputs | attributes | dtypes | gradient | code | public names |
|---|---|---|---|---|---|---|---|
"""
GROUPS: tuple[tuple[str, frozenset[DType]], ...] = (
    ("any", ALL),
    ("float", FLOATS),
    ("complex", COMPLEX),
    ("int", INTS),
    ("signed", SIGNED),
    ("unsigned", UNSIGNED),
)


def table() -> str:
    """The text of `docs/ops.md`."""
    names: dict[int, list[str]] = {}
    for name, value in public_names().items():
        op = getattr(value, "op", None)
        if isinstance(op, type) and issubclass(op, Op):
            names.setdefault(id(op), []).append(f"`tf.{name}`")
    rows = [row(op, names.get(id(op), [])) for _, op in sorted(OPS.items())]
    return HEAD + "\n".join(rows) + "\n"


def row(op: type[Op], names: list[str]) -> str:
    """The line of one record."""
    inputs = [f"[{name}]" if name in op.static else name for name in op.inputs]
    attributes = [f"{name}={value!r}" for name, value in op.attrs.items()]
    code = op.scalar is not None or op.lower is not None
    cells = [
        f"`{op.name}`",
        op.kind.value,
        ", ".join(inputs).replace("*", r"\*"),
        ", ".join(attributes),
        dtypes(op.dtypes),
        "yes" if op.grad is not None else op.no_grad or "no",
        "yes" if code else op.no_lower or "no",
        ", ".join(names),
    ]
    return "| " + " | ".join(cells) + " |"


def dtypes(allowed: frozenset[DType]) -> str:
    """A set of dtypes in few words: `float, int, bool`."""
    words, left = [], set(allowed)
    for word, group in GROUPS:
        if group and group <= left:
            words.append(word)
            left -= group
    return ", ".join(words + sorted(dtype.name for dtype in left))


def main() -> None:
    """Write the file."""
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text(table(), encoding="utf-8")


if __name__ == "__main__":
    main()
