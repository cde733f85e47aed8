"""The linker: the same code as LLVM's own makes of an object file, and what is refused."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.base import flags
from headrace.compile.llvm import link
from headrace.compile.llvm.engine import Engine

WHOLE = """
@counter = global i64 7
@room = global [100 x i64] zeroinitializer, align 64
@table = constant [3 x ptr] [ptr @one, ptr @two, ptr @three]
@hidden = internal global i32 5
declare double @fmod(double, double)
declare i64 @strlen(ptr)
@text = private constant [6 x i8] c"hello\\00"
define i64 @one(i64 %x) nounwind {
  %y = add i64 %x, 1
  ret i64 %y
}
define i64 @two(i64 %x) nounwind {
  %y = mul i64 %x, 2
  ret i64 %y
}
define i64 @three(i64 %x) {
  %n = call i64 @strlen(ptr @text)
  %y = mul i64 %x, %n
  ret i64 %y
}
define i64 @chosen(i64 %which, i64 %x) nounwind {
  %p = getelementptr ptr, ptr @table, i64 %which
  %f = load ptr, ptr %p
  %y = call i64 %f(i64 %x)
  ret i64 %y
}
define i64 @counted() nounwind {
  %c = load i64, ptr @counter
  %p = getelementptr i64, ptr @room, i64 %c
  %old = load i64, ptr %p
  %new = add i64 %old, 10
  store i64 %new, ptr %p
  %d = add i64 %c, 1
  store i64 %d, ptr @counter
  %h = load volatile i32, ptr @hidden
  %w = sext i32 %h to i64
  %a = add i64 %d, %w
  %s = add i64 %a, %new
  ret i64 %s
}
define double @remainder(double %x) nounwind {
  %y = frem double %x, 0x400921FB54442D18
  ret double %y
}
define i64 @switched(i64 %x) nounwind {
  switch i64 %x, label %other [
    i64 0, label %a
    i64 1, label %b
    i64 2, label %c
    i64 3, label %d
    i64 4, label %e
  ]
a:
  %va = call i64 @strlen(ptr @text)
  ret i64 %va
b:
  %vb = call i64 @counted()
  ret i64 %vb
c:
  %vc = call i64 @chosen(i64 2, i64 3)
  ret i64 %vc
d:
  ret i64 44
e:
  fence seq_cst
  ret i64 55
other:
  ret i64 -1
}
"""
NAMES = ("chosen", "counted", "remainder", "switched", "table", "counter")
i64, f64 = ctypes.c_int64, ctypes.c_double


@pytest.fixture(scope="module")
def image():
    return Engine()._compile(WHOLE)[0]


def answers(address):
    chosen = ctypes.CFUNCTYPE(i64, i64, i64)(address["chosen"])
    counted = ctypes.CFUNCTYPE(i64)(address["counted"])
    remainder = ctypes.CFUNCTYPE(f64, f64)(address["remainder"])
    switched = ctypes.CFUNCTYPE(i64, i64)(address["switched"])
    return [
        [chosen(which, 20) for which in range(3)],
        [counted() for _ in range(3)],
        remainder(10.0),
        [switched(x) for x in range(-1, 6)],
        i64.from_address(address["counter"]).value,
    ]


def test_an_object_file_works_as_with_llvms_linker(image):
    engine = Engine()
    engine._ready()
    theirs = engine._link(image, NAMES)
    ours = link.linked(image, NAMES)
    found = answers(ours.addresses)
    assert found == answers(theirs)
    assert found[0] == [21, 40, 100] and found[1] == [23, 24, 25] and found[4] == 11
    again = link.linked(image, NAMES)
    assert answers(again.addresses) == found  # with data of its own


def mapped():
    """The modes of this process's memory, by place."""
    rows = Path("/proc/self/maps").read_text().splitlines()
    return dict(row.split()[:2] for row in rows)


def test_what_is_written_is_apart_from_code(image):
    before = mapped()
    ours = link.linked(image, NAMES)
    modes = {mode for place, mode in mapped().items() if place not in before}
    assert not any("w" in mode and "x" in mode for mode in modes)
    assert ours.addresses["chosen"]


@pytest.mark.parametrize("share", [0.0, 0.001, 0.05, 0.3, 0.7, 0.95, 0.999])
def test_a_file_that_is_cut_off_is_refused(image, share):
    with pytest.raises(link.Unlinkable):
        link.linked(image[: int(len(image) * share)], NAMES)


REFUSED = {
    "threads": "@x = thread_local global i32 1\ndefine ptr @kernel() {\n ret ptr @x\n}",
    "outside": "declare void @no.such.name()\n"
    "define void @kernel() {\n call void @no.such.name()\n ret void\n}",
    "another name": "define void @other() {\n ret void\n}",
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_not_known_is_refused(what):
    image = Engine()._compile(REFUSED[what])[0]
    with pytest.raises(link.Unlinkable):
        link.linked(image, ("kernel",))


def test_what_is_refused_is_llvms():
    engine = Engine()
    image = engine._compile(WHOLE)[0]
    spoiled = image[:18] + b"\x00\x00" + image[20:]  # for no processor
    with pytest.raises(RuntimeError):
        engine.load(spoiled)


def test_a_process_that_finds_its_code_does_not_load_llvm(tmp_path):
    script = (
        "import sys\n"
        "import headrace as tf\n"
        "v = tf.Variable([1., 2.])\n"
        "f = tf.function(lambda x: v.assign_add(tf.exp(x) * 2. + v), jit_compile=True)\n"
        "f(tf.constant([0., 0.]))\n"
        "print(v.numpy().tolist(), any(m.startswith('llvmlite') for m in sys.modules))\n"
    )
    with flags.CACHE.override(str(tmp_path)):
        told = [
            subprocess.run(
                [sys.executable, "-c", script], check=True, capture_output=True, text=True
            ).stdout.strip()
            for _ in range(2)
        ]
    assert told == ["[4.0, 6.0] True", "[4.0, 6.0] False"]
