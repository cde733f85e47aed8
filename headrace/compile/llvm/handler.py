"""NumPy's form of an allocator, as LLVM text: large arrays from `blocks.py`, others as before.

`self` is a table (`WORDS`) that says which arrays are large, and names the functions of the
allocator that NumPy has without this one. What comes back may be of either: arrays grow, shrink
and change hands. Memory of zeros is left to the other: the system gives it without work, and
may never have to.
"""

from __future__ import annotations

FUNCTIONS = ("malloc", "calloc", "realloc", "free")
WORDS = ("large", "self", *FUNCTIONS)
"""From how many bytes on memory comes from here; the other allocator's own `self`, and its
functions."""
EXPORTS = tuple([f"hr.{name}" for name in FUNCTIONS])


def _other(name: str) -> str:
    """Text that finds a function of the other allocator and its `self`."""
    return f"""
  %theirs.at = getelementptr ptr, ptr %self, i64 1
  %theirs = load ptr, ptr %theirs.at
  %other.at = getelementptr ptr, ptr %self, i64 {WORDS.index(name)}
  %other = load ptr, ptr %other.at"""


TEXT = f"""
define ptr @hr.malloc(ptr %self, i64 %bytes) nounwind {{
entry:
  %large = load i64, ptr %self
  %is = icmp uge i64 %bytes, %large
  br i1 %is, label %ours, label %else
ours:
  %block = call ptr @hr.take(i64 %bytes)
  ret ptr %block
else:{_other("malloc")}
  %memory = call ptr %other(ptr %theirs, i64 %bytes)
  ret ptr %memory
}}

define ptr @hr.calloc(ptr %self, i64 %count, i64 %size) nounwind {{
entry:{_other("calloc")}
  %memory = call ptr %other(ptr %theirs, i64 %count, i64 %size)
  ret ptr %memory
}}

define ptr @hr.realloc(ptr %self, ptr %old, i64 %bytes) nounwind {{
entry:
  %is = call i1 @hr.ours(ptr %old)
  br i1 %is, label %ours, label %else
ours:
  %new = call ptr @hr.take(i64 %bytes)
  %ok = icmp ne ptr %new, null
  br i1 %ok, label %copy, label %none
none:
  ret ptr null
copy:
  %room = call i64 @hr.room(ptr %old)
  %less = call i64 @llvm.umin.i64(i64 %room, i64 %bytes)
  call void @llvm.memcpy.p0.p0.i64(ptr %new, ptr %old, i64 %less, i1 false)
  call void @hr.give(ptr %old)
  ret ptr %new
else:{_other("realloc")}
  %memory = call ptr %other(ptr %theirs, ptr %old, i64 %bytes)
  ret ptr %memory
}}

define void @hr.free(ptr %self, ptr %data, i64 %bytes) nounwind {{
entry:
  %is = call i1 @hr.ours(ptr %data)
  br i1 %is, label %ours, label %else
ours:
  call void @hr.give(ptr %data)
  ret void
else:{_other("free")}
  call void %other(ptr %theirs, ptr %data, i64 %bytes)
  ret void
}}
"""
