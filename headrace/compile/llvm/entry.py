"""What Python calls when it runs a compiled program, as LLVM text: one function for them all.

`hr.entry` is a fast method of CPython. Its `self` is an array of words (`WORDS`) that describes
one program; its arguments are arrays: the inputs, the states and, where the caller has them,
the outputs. It makes the outputs, compares each array's type, flags, dtype and shape with what
the program takes, writes the addresses of all buffers into a block on its stack (temporaries
lie in one arena, on the stack or a borrowed block), and calls the kernel, without the
interpreter's lock where that is worth while. It knows where CPython and NumPy keep what it
reads; `run/entry.py` makes sure that it is so before it hands the function out.

An input or state may be a variable too: its buffer is taken, if nobody but the variable holds
it and the program keeps the interpreter's lock. Then no other thread can be in the midst of
anything with that buffer (`core/variable.py`), and none comes in before the kernel has ended;
the outputs are made first, because making objects may run the user's code. So such a call
needs no other lock.
"""

from __future__ import annotations

from headrace.compile.llvm import abi
from headrace.compile.loops.status import STATUS_WORDS

EXPORTS = ("hr.entry",)
STACK = 1 << 16
"""Arenas up to so many bytes lie on the stack."""

WORDS = (
    "kernel",  # its address
    "inputs",  # how many there are of each
    "outputs",
    "states",
    "temporaries",
    "arena",  # its bytes
    "unlock",  # 1: without the interpreter's lock
    "poison",  # 1: outputs and the arena are filled with NaN first (for tests)
    "slots",  # address of the table of what compiled code may call (`abi.SLOTS`)
    "numpy",  # address of the table of what is taken from NumPy (`NUMPY`)
)
"""Then come for each input, output and state four words: dtype, rank, address of the shape,
bytes; then for each temporary its place in the arena."""

NUMPY = ("array", "new", "set_handler", "handler", "large", "none", "variable", "buffer")
"""ndarray's type, `PyArray_NewFromDescr`, `PyDataMem_SetHandler`, our allocator's capsule, from
how many bytes on it is used, None; a variable's type, and where in it its buffer is."""

COUNT, TYPE, DATA, RANK, SHAPE, DTYPE, FLAGS = 0, 8, 16, 24, 32, 56, 64
"""Where CPython keeps an object's count of references and type, and NumPy an array's parts."""
SIMPLE, WRITEABLE = 0x101, 0x501
"""Flags of arrays: contiguous and aligned; and writeable."""


def _word(number: int | str, into: str) -> str:
    """Text that reads a word of the description."""
    place = number if isinstance(number, int) else WORDS.index(number)
    return f"""
  {into}.at = getelementptr i64, ptr %words, i64 {place}
  {into} = load i64, ptr {into}.at"""


def _field(kind: str, base: str, offset: int, into: str) -> str:
    """Text that reads what lies `offset` bytes behind `base`."""
    return f"""
  {into}.at = getelementptr i8, ptr {base}, i64 {offset}
  {into} = load {kind}, ptr {into}.at"""


def _numpy(name: str, into: str) -> str:
    return _field("ptr", "%numpy", NUMPY.index(name) * 8, into)


_SUITS = f"""
; Whether an object is an array such as `spec` says, with all of `flags`.
define internal i1 @hr.suits(ptr %it, ptr %spec, ptr %array,
    i32 %flags) alwaysinline nounwind {{
entry:{_field("ptr", "%it", TYPE, "%type")}
  %k = alloca i64
  store i64 0, ptr %k
  %plain = icmp eq ptr %type, %array
  br i1 %plain, label %typed, label %no
typed:{_field("i32", "%it", FLAGS, "%has")}
  %of = and i32 %has, %flags
  %all = icmp eq i32 %of, %flags{_field("ptr", "%it", DTYPE, "%dtype")}
  %dtype.asked = load ptr, ptr %spec
  %same = icmp eq ptr %dtype, %dtype.asked{_field("i32", "%it", RANK, "%rank")}
  %rank.asked.at = getelementptr i64, ptr %spec, i64 1
  %rank.asked = load i64, ptr %rank.asked.at
  %rank.wide = sext i32 %rank to i64
  %equal = icmp eq i64 %rank.wide, %rank.asked
  %a = and i1 %all, %same
  %b = and i1 %a, %equal{_field("ptr", "%it", SHAPE, "%shape")}
  %shape.asked.at = getelementptr i64, ptr %spec, i64 2
  %shape.asked = load ptr, ptr %shape.asked.at
  br i1 %b, label %more, label %no
more:
  %i = load i64, ptr %k
  %done = icmp eq i64 %i, %rank.asked
  br i1 %done, label %yes, label %dim
dim:
  %p = getelementptr i64, ptr %shape, i64 %i
  %q = getelementptr i64, ptr %shape.asked, i64 %i
  %x = load i64, ptr %p
  %y = load i64, ptr %q
  %i1 = add i64 %i, 1
  store i64 %i1, ptr %k
  %agree = icmp eq i64 %x, %y
  br i1 %agree, label %more, label %no
yes:
  ret i1 true
no:
  ret i1 false
}}
"""

_NEW = f"""
; A new array; a large one in a block that is used again.
define internal ptr @hr.new(ptr %spec, ptr %numpy, i1 %poison) nounwind {{
entry:
  %dtype = load ptr, ptr %spec
  %rank.at = getelementptr i64, ptr %spec, i64 1
  %rank = load i64, ptr %rank.at
  %dims.at = getelementptr i64, ptr %spec, i64 2
  %dims = load ptr, ptr %dims.at
  %bytes.at = getelementptr i64, ptr %spec, i64 3
  %bytes = load i64, ptr %bytes.at{_numpy("array", "%array")}{_numpy("new", "%make")}
{_field("i64", "%numpy", NUMPY.index("large") * 8, "%large")}
  %nd = trunc i64 %rank to i32
  call void @Py_IncRef(ptr %dtype)
  %is = icmp uge i64 %bytes, %large
  br i1 %is, label %big, label %small
small:
  %one = call ptr %make(ptr %array, ptr %dtype, i32 %nd, ptr %dims, ptr null, ptr null,
    i32 0, ptr null)
  br label %made
big:{_numpy("set_handler", "%set")}{_numpy("handler", "%ours")}
  %theirs = call ptr %set(ptr %ours)
  %two = call ptr %make(ptr %array, ptr %dtype, i32 %nd, ptr %dims, ptr null, ptr null,
    i32 0, ptr null)
  %back = call ptr %set(ptr %theirs)
  call void @Py_DecRef(ptr %theirs)
  call void @Py_DecRef(ptr %back)
  br label %made
made:
  %found = phi ptr [ %one, %small ], [ %two, %big ]
  %ok = icmp ne ptr %found, null
  %fill = and i1 %ok, %poison
  br i1 %fill, label %spoil, label %end
spoil:{_field("ptr", "%found", DATA, "%data")}
  call void @llvm.memset.p0.i64(ptr %data, i8 -1, i64 %bytes, i1 false)
  br label %end
end:
  ret ptr %found
}}
"""

_GIVEN = f"""
; Take the addresses of given arrays, or of variables' buffers, into the context; the number of
; the first that does not suit, or -1. No object may be made between this and the kernel's call.
define internal i64 @hr.given(ptr %args, i64 %count, ptr %specs, ptr %ctx, ptr %numpy,
    i1 %release, i32 %flags) nounwind {{
entry:
  %k = alloca i64
  store i64 0, ptr %k{_numpy("array", "%array")}{_numpy("variable", "%variables")}
{_field("i64", "%numpy", NUMPY.index("buffer") * 8, "%buffer")}
  %variable = select i1 %release, ptr null, ptr %variables
  br label %loop
loop:
  %i = load i64, ptr %k
  %end = icmp eq i64 %i, %count
  br i1 %end, label %fine, label %one
one:
  %arg.at = getelementptr ptr, ptr %args, i64 %i
  %arg = load ptr, ptr %arg.at{_field("ptr", "%arg", TYPE, "%type")}
  %is.variable = icmp eq ptr %type, %variable
  br i1 %is.variable, label %inside, label %look
inside:
  %held.at = getelementptr i8, ptr %arg, i64 %buffer
  %held = load ptr, ptr %held.at
  %some = icmp ne ptr %held, null
  br i1 %some, label %counted, label %bad
counted:{_field("i32", "%held", COUNT, "%holders")}
  %alone = icmp eq i32 %holders, 1
  br i1 %alone, label %look, label %bad
look:
  %it = phi ptr [ %arg, %one ], [ %held, %counted ]
  %spec = getelementptr [4 x i64], ptr %specs, i64 %i
  %suits = call i1 @hr.suits(ptr %it, ptr %spec, ptr %array, i32 %flags)
  br i1 %suits, label %good, label %bad
good:{_field("ptr", "%it", DATA, "%data")}
  %place = getelementptr ptr, ptr %ctx, i64 %i
  store ptr %data, ptr %place
  %i1 = add i64 %i, 1
  store i64 %i1, ptr %k
  br label %loop
bad:
  ret i64 %i
fine:
  ret i64 -1
}}
"""

_OUTPUTS = f"""
; Put given or new outputs into a tuple and their addresses into the context: -1; the number
; of a given one that does not suit; -2 where there is no memory.
define internal i64 @hr.outputs(ptr %args, i64 %count, ptr %specs, ptr %ctx, ptr %numpy,
    i1 %poison, ptr %tuple) nounwind {{
entry:
  %k = alloca i64
  store i64 0, ptr %k{_numpy("array", "%array")}{_numpy("none", "%none")}
  %given = icmp ne ptr %args, null
  br label %loop
loop:
  %i = load i64, ptr %k
  %end = icmp eq i64 %i, %count
  br i1 %end, label %fine, label %one
one:
  %spec = getelementptr [4 x i64], ptr %specs, i64 %i
  br i1 %given, label %look, label %make
look:
  %arg.at = getelementptr ptr, ptr %args, i64 %i
  %arg = load ptr, ptr %arg.at
  %skip = icmp eq ptr %arg, %none
  br i1 %skip, label %make, label %use
use:
  %suits = call i1 @hr.suits(ptr %arg, ptr %spec, ptr %array, i32 {WRITEABLE})
  br i1 %suits, label %hold, label %bad
hold:
  call void @Py_IncRef(ptr %arg)
  br label %have
make:
  %new = call ptr @hr.new(ptr %spec, ptr %numpy, i1 %poison)
  %ok = icmp ne ptr %new, null
  br i1 %ok, label %have, label %failed
have:
  %it = phi ptr [ %arg, %hold ], [ %new, %make ]
  call i32 @PyTuple_SetItem(ptr %tuple, i64 %i, ptr %it){_field("ptr", "%it", DATA, "%data")}
  %place = getelementptr ptr, ptr %ctx, i64 %i
  store ptr %data, ptr %place
  %i1 = add i64 %i, 1
  store i64 %i1, ptr %k
  br label %loop
bad:
  ret i64 %i
failed:
  ret i64 -2
fine:
  ret i64 -1
}}
"""

_PLACES = f"""
; Write the addresses of temporaries, of the status and of what may be called.
define internal void @hr.places(ptr %ctx, ptr %places, i64 %count, ptr %arena, ptr %status,
    ptr %slots) nounwind {{
entry:
  %k = alloca i64
  store i64 0, ptr %k
  br label %loop
loop:
  %i = load i64, ptr %k
  %end = icmp eq i64 %i, %count
  %place = getelementptr ptr, ptr %ctx, i64 %i
  br i1 %end, label %last, label %one
one:
  %offset.at = getelementptr i64, ptr %places, i64 %i
  %offset = load i64, ptr %offset.at
  %data = getelementptr i8, ptr %arena, i64 %offset
  store ptr %data, ptr %place
  %i1 = add i64 %i, 1
  store i64 %i1, ptr %k
  br label %loop
last:
  store ptr %status, ptr %place
  %rest = getelementptr ptr, ptr %place, i64 1
  call void @llvm.memcpy.p0.p0.i64(ptr %rest, ptr %slots, i64 {8 * len(abi.SLOTS)}, i1 false)
  ret void
}}
"""

_ENTRY = f"""
define ptr @hr.entry(ptr %self, ptr %args, i64 %n) nounwind {{
entry:
  %status = alloca [{STATUS_WORDS} x i64], align 64
  call void @llvm.memset.p0.i64(ptr %status, i8 0, i64 {8 * STATUS_WORDS}, i1 false)
{_field("ptr", "%self", DATA, "%words")}{"".join(_word(name, f"%{name}") for name in WORDS)}
  %call = inttoptr i64 %kernel to ptr
  %table = inttoptr i64 %slots to ptr
  %known = inttoptr i64 %numpy to ptr
  %specs = getelementptr i64, ptr %words, i64 {len(WORDS)}
  %own = add i64 %inputs, %states
  %full = add i64 %own, %outputs
  %buffers = add i64 %full, %temporaries
  %length = add i64 %buffers, {1 + len(abi.SLOTS)}
  %ctx = alloca ptr, i64 %length, align 64
  %without = icmp eq i64 %n, %own
  %with = icmp eq i64 %n, %full
  %known.count = or i1 %without, %with
  br i1 %known.count, label %take.outputs, label %miscounted
take.outputs:
  %tuple = call ptr @PyTuple_New(i64 %outputs)
  %has.tuple = icmp ne ptr %tuple, null
  br i1 %has.tuple, label %fill, label %failed
fill:
  %ctx2 = getelementptr ptr, ptr %ctx, i64 %inputs
  %rest = getelementptr ptr, ptr %args, i64 %own
  %args3 = select i1 %without, ptr null, ptr %rest
  %specs3 = getelementptr [4 x i64], ptr %specs, i64 %own
  %spoil = icmp ne i64 %poison, 0
  %bad3 = call i64 @hr.outputs(ptr %args3, i64 %outputs, ptr %specs3, ptr %ctx2,
    ptr %known, i1 %spoil, ptr %tuple)
  %ok3 = icmp eq i64 %bad3, -1
  %at3 = add i64 %bad3, %own
  br i1 %ok3, label %take.inputs, label %undo
take.inputs:
  %release = icmp ne i64 %unlock, 0
  %bad1 = call i64 @hr.given(ptr %args, i64 %inputs, ptr %specs, ptr %ctx, ptr %known,
    i1 %release, i32 {SIMPLE})
  %ok1 = icmp slt i64 %bad1, 0
  br i1 %ok1, label %take.states, label %wrong
take.states:
  %args2 = getelementptr ptr, ptr %args, i64 %inputs
  %specs2 = getelementptr [4 x i64], ptr %specs, i64 %inputs
  %ctx3 = getelementptr ptr, ptr %ctx2, i64 %outputs
  %bad2 = call i64 @hr.given(ptr %args2, i64 %states, ptr %specs2, ptr %ctx3, ptr %known,
    i1 %release, i32 {WRITEABLE})
  %ok2 = icmp slt i64 %bad2, 0
  %at2 = add i64 %bad2, %inputs
  br i1 %ok2, label %arena.size, label %wrong
arena.size:
  %places = getelementptr [4 x i64], ptr %specs, i64 %full
  %ctx4 = getelementptr ptr, ptr %ctx, i64 %full
  %small = icmp ule i64 %arena, {STACK}
  br i1 %small, label %stack, label %borrow
stack:
  %on.stack = alloca i8, i64 %arena, align 64
  br label %go
borrow:
  %block = call ptr @hr.take(i64 %arena)
  %lent = icmp ne ptr %block, null
  br i1 %lent, label %go, label %no.memory
go:
  %memory = phi ptr [ %on.stack, %stack ], [ %block, %borrow ]
  call void @hr.places(ptr %ctx4, ptr %places, i64 %temporaries, ptr %memory, ptr %status,
    ptr %table)
  br i1 %spoil, label %spoil.arena, label %start
spoil.arena:
  call void @llvm.memset.p0.i64(ptr %memory, i8 -1, i64 %arena, i1 false)
  br label %start
start:
  br i1 %release, label %unlocked, label %locked
locked:
  call void %call(ptr %ctx)
  br label %after
unlocked:
  %thread = call ptr @PyEval_SaveThread()
  call void %call(ptr %ctx)
  call void @PyEval_RestoreThread(ptr %thread)
  br label %after
after:
  br i1 %small, label %done, label %return
return:
  call void @hr.give(ptr %memory)
  br label %done
done:
  %code = load i64, ptr %status
  %well = icmp eq i64 %code, 0
  br i1 %well, label %finish, label %report
finish:
  ret ptr %tuple
report:
  call void @Py_DecRef(ptr %tuple)
  %bytes = call ptr @PyBytes_FromStringAndSize(ptr %status, i64 {8 * STATUS_WORDS})
  ret ptr %bytes
no.memory:
  call void @Py_DecRef(ptr %tuple)
  %raised = call ptr @PyErr_NoMemory()
  ret ptr null
undo:
  %raise = icmp eq i64 %bad3, -2
  br i1 %raise, label %no.output, label %wrong
no.output:
  call void @Py_DecRef(ptr %tuple)
  br label %failed
failed:
  ret ptr null
wrong:
  %which = phi i64 [ %at3, %undo ], [ %bad1, %take.inputs ], [ %at2, %take.states ]
  call void @Py_DecRef(ptr %tuple)
  br label %misfit
miscounted:
  br label %misfit
misfit:
  %told = phi i64 [ %which, %wrong ], [ -1, %miscounted ]
  %number = call ptr @PyLong_FromLong(i64 %told)
  ret ptr %number
}}
declare void @Py_IncRef(ptr)
declare void @Py_DecRef(ptr)
declare ptr @PyTuple_New(i64)
declare i32 @PyTuple_SetItem(ptr, i64, ptr)
declare ptr @PyLong_FromLong(i64)
declare ptr @PyBytes_FromStringAndSize(ptr, i64)
declare ptr @PyErr_NoMemory()
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)
"""

TEXT = _SUITS + _NEW + _GIVEN + _OUTPUTS + _PLACES + _ENTRY
