"""The allocator of large blocks, as LLVM text: memory that comes back is lent again, warm.

Fresh pages cost more than the work on them: a result of 40 MB takes ten times as long in new
pages as in used ones. Free blocks stand in one table of `SLOTS` places. `hr.take` gives the
smallest that fits without wasting a quarter, else maps a new one, aligned for huge pages where
it is large; `hr.give` takes it back and unmaps the blocks that waited longest until no more
than `limit` bytes wait. Blocks begin at different places of a page (`COLOURS`), because
addresses that are equal in their last 12 bits disturb each other in the cache. Before the data
stands where the block begins, how long it is, and a mark. A spin lock suffices: it is held for
one walk through the table.
"""

from __future__ import annotations

import mmap

SLOTS = 128
COLOURS = 16
HEAD = 64
HUGE = 1 << 21
LARGE = 1 << 22  # from here on huge pages are asked for

COUNTERS = ("limit", "kept", "mapped", "lent", "taken", "reused", "clock")
"""The words of `@hr.memory`: bytes that may wait, that wait, that are mapped; blocks lent now;
calls of `take`, those that a waiting block served, and the time that orders blocks."""

MARK = 0x5EED_0F_3A7E_64E5
"""With an address it gives the mark that stands before what was lent."""
EXPORTS = ("hr.memory", "hr.lock", "hr.unlock", "hr.trim")

MAP_FLAGS = getattr(mmap, "MAP_PRIVATE", 0) | getattr(mmap, "MAP_ANONYMOUS", 0)
HUGE_ADVICE = getattr(mmap, "MADV_HUGEPAGE", 0)  # 0 is "as usual"
PAGE = mmap.PAGESIZE


def _walk(first: str, measure: str, suits: str) -> str:
    """Text that takes the slot with the least `measure` below `first` out of the table."""
    return f"""
  %k = alloca i64
  %best = alloca ptr
  %least = alloca i64
  store i64 0, ptr %k
  store ptr null, ptr %best
  store i64 {first}, ptr %least
  call void @hr.lock()
  br label %loop
loop:
  %i = load i64, ptr %k
  %slot = getelementptr %hr.slot, ptr @hr.slots, i64 %i
  %sp = getelementptr %hr.slot, ptr %slot, i64 0, i32 1
  %size = load i64, ptr %sp
  %tp = getelementptr %hr.slot, ptr %slot, i64 0, i32 2
  %time = load i64, ptr %tp
  %now = load i64, ptr %least
  %suits = {suits}
  %less = icmp ult i64 {measure}, %now
  %better = and i1 %suits, %less
  br i1 %better, label %keep, label %next
keep:
  store ptr %slot, ptr %best
  store i64 {measure}, ptr %least
  br label %next
next:
  %i1 = add i64 %i, 1
  store i64 %i1, ptr %k
  %more = icmp ult i64 %i1, {SLOTS}
  br i1 %more, label %loop, label %end
end:
  %it = load ptr, ptr %best
  %any = icmp ne ptr %it, null
  br i1 %any, label %hit, label %miss
hit:
  %base = load ptr, ptr %it
  %itp = getelementptr %hr.slot, ptr %it, i64 0, i32 1
  %its = load i64, ptr %itp
  store i64 0, ptr %itp
  call void @hr.unlock()
  %gone = sub i64 0, %its
  call void @hr.count(i64 1, i64 %gone)"""


_FIND = f"""
; The waiting block that fits best leaves the table; its base, or null.
define internal ptr @hr.find(i64 %bytes, ptr %found) nounwind {{
entry:
  %quarter = lshr i64 %bytes, 2
  %most = add i64 %bytes, %quarter
  %above = add i64 %most, 1{_walk("%above", "%size", "icmp uge i64 %size, %bytes")}
  store i64 %its, ptr %found
  call void @hr.count(i64 5, i64 1)
  ret ptr %base
miss:
  call void @hr.unlock()
  ret ptr null
}}
"""

_EVICT = f"""
; The block that has waited longest leaves the table and is unmapped; false: none waits.
define internal i1 @hr.evict() nounwind {{
entry:{_walk("-1", "%time", "icmp ne i64 %size, 0")}
  call void @hr.unmap(ptr %base, i64 %its)
  ret i1 true
miss:
  call void @hr.unlock()
  ret i1 false
}}
"""

TEXT = f"""
%hr.slot = type {{ ptr, i64, i64 }}
@hr.slots = internal global [{SLOTS} x %hr.slot] zeroinitializer
@hr.memory = global [{len(COUNTERS)} x i64] zeroinitializer
@hr.memory.lock = internal global i32 0
declare ptr @mmap(ptr, i64, i32, i32, i32, i64)
declare i32 @munmap(ptr, i64)
declare i32 @madvise(ptr, i64, i32)
declare i32 @sched_yield()

define void @hr.lock() nounwind {{
entry:
  br label %try
try:
  %pair = cmpxchg ptr @hr.memory.lock, i32 0, i32 1 acquire monotonic
  %got = extractvalue {{ i32, i1 }} %pair, 1
  br i1 %got, label %done, label %wait
wait:
  call i32 @sched_yield()
  br label %try
done:
  ret void
}}

define void @hr.unlock() nounwind {{
  store atomic i32 0, ptr @hr.memory.lock release, align 4
  ret void
}}

define internal void @hr.count(i64 %which, i64 %change) alwaysinline nounwind {{
  %at = getelementptr i64, ptr @hr.memory, i64 %which
  atomicrmw add ptr %at, i64 %change monotonic
  ret void
}}

; A new block: at a border of huge pages, and made of them, where it is large.
define internal ptr @hr.map(i64 %bytes) nounwind {{
entry:
  %large = icmp uge i64 %bytes, {LARGE}
  %more = select i1 %large, i64 {HUGE}, i64 0
  %length = add i64 %bytes, %more
  %raw = call ptr @mmap(ptr null, i64 %length, i32 3, i32 {MAP_FLAGS}, i32 -1, i64 0)
  %failed = icmp eq ptr %raw, inttoptr (i64 -1 to ptr)
  br i1 %failed, label %none, label %mapped
none:
  ret ptr null
mapped:
  call void @hr.count(i64 2, i64 %bytes)
  br i1 %large, label %trim, label %plain
plain:
  ret ptr %raw
trim:
  %address = ptrtoint ptr %raw to i64
  %up = add i64 %address, {HUGE - 1}
  %aligned = and i64 %up, {-HUGE}
  %base = inttoptr i64 %aligned to ptr
  %before = sub i64 %aligned, %address
  %after = sub i64 {HUGE}, %before
  %end = getelementptr i8, ptr %base, i64 %bytes
  %some = icmp ne i64 %before, 0
  br i1 %some, label %front, label %back
front:
  call i32 @munmap(ptr %raw, i64 %before)
  br label %back
back:
  %rest = icmp ne i64 %after, 0
  br i1 %rest, label %cut, label %advise
cut:
  call i32 @munmap(ptr %end, i64 %after)
  br label %advise
advise:
  call i32 @madvise(ptr %base, i64 %bytes, i32 {HUGE_ADVICE})
  ret ptr %base
}}

define internal void @hr.unmap(ptr %base, i64 %bytes) nounwind {{
  call i32 @munmap(ptr %base, i64 %bytes)
  %less = sub i64 0, %bytes
  call void @hr.count(i64 2, i64 %less)
  ret void
}}

{_FIND}
{_EVICT}
; Unmap until no more than so many bytes wait.
define void @hr.trim(i64 %limit) nounwind {{
entry:
  br label %loop
loop:
  %kp = getelementptr i64, ptr @hr.memory, i64 1
  %kept = load atomic i64, ptr %kp monotonic, align 8
  %much = icmp ugt i64 %kept, %limit
  br i1 %much, label %one, label %done
one:
  %any = call i1 @hr.evict()
  br i1 %any, label %loop, label %done
done:
  ret void
}}

; Put a block into an empty place of the table; false: there is none.
define internal i1 @hr.insert(ptr %base, i64 %bytes) nounwind {{
entry:
  %k = alloca i64
  store i64 0, ptr %k
  call void @hr.lock()
  br label %loop
loop:
  %i = load i64, ptr %k
  %slot = getelementptr %hr.slot, ptr @hr.slots, i64 %i
  %sp = getelementptr %hr.slot, ptr %slot, i64 0, i32 1
  %size = load i64, ptr %sp
  %used = icmp ne i64 %size, 0
  br i1 %used, label %next, label %put
next:
  %i1 = add i64 %i, 1
  store i64 %i1, ptr %k
  %more = icmp ult i64 %i1, {SLOTS}
  br i1 %more, label %loop, label %full
full:
  call void @hr.unlock()
  ret i1 false
put:
  %cp = getelementptr i64, ptr @hr.memory, i64 6
  %time = load i64, ptr %cp
  %later = add i64 %time, 1
  store i64 %later, ptr %cp
  store ptr %base, ptr %slot
  store i64 %bytes, ptr %sp
  %tp = getelementptr %hr.slot, ptr %slot, i64 0, i32 2
  store i64 %time, ptr %tp
  call void @hr.count(i64 1, i64 %bytes)
  call void @hr.unlock()
  ret i1 true
}}

; Memory for so many bytes, aligned to 64, its content undefined; null where there is none.
define ptr @hr.take(i64 %wanted) nounwind {{
entry:
  %found = alloca i64
  %most = icmp ugt i64 %wanted, {1 << 62}
  br i1 %most, label %none, label %count
count:
  %ticket.at = getelementptr i64, ptr @hr.memory, i64 4
  %ticket = atomicrmw add ptr %ticket.at, i64 1 monotonic
  %round = add i64 %wanted, {HEAD + COLOURS * 64 + PAGE - 1}
  %bytes = and i64 %round, {-PAGE}
  %warm = call ptr @hr.find(i64 %bytes, ptr %found)
  %is = icmp ne ptr %warm, null
  br i1 %is, label %have, label %fresh
fresh:
  store i64 %bytes, ptr %found
  %new = call ptr @hr.map(i64 %bytes)
  %ok = icmp ne ptr %new, null
  br i1 %ok, label %have, label %again
again:
  call void @hr.trim(i64 0)
  %last = call ptr @hr.map(i64 %bytes)
  %fine = icmp ne ptr %last, null
  br i1 %fine, label %have, label %none
none:
  ret ptr null
have:
  %base = phi ptr [ %warm, %count ], [ %new, %fresh ], [ %last, %again ]
  %size = load i64, ptr %found
  %number = urem i64 %ticket, {COLOURS}
  %colour = mul i64 %number, 64
  %at = add i64 %colour, {HEAD}
  %data = getelementptr i8, ptr %base, i64 %at
  %p1 = getelementptr i8, ptr %data, i64 -16
  store ptr %base, ptr %p1
  %p2 = getelementptr i8, ptr %data, i64 -8
  store i64 %size, ptr %p2
  %place = ptrtoint ptr %data to i64
  %mark = xor i64 %place, {MARK}
  %p3 = getelementptr i8, ptr %data, i64 -32
  store i64 %mark, ptr %p3
  call void @hr.count(i64 3, i64 1)
  ret ptr %data
}}

; Whether memory, wherever it comes from, was given by `hr.take`: it stands where a page has
; room for the mark before it, and the mark fits.
define i1 @hr.ours(ptr %data) nounwind {{
entry:
  %place = ptrtoint ptr %data to i64
  %inside = and i64 %place, {PAGE - 1}
  %odd = and i64 %place, 63
  %even = icmp eq i64 %odd, 0
  %behind = icmp uge i64 %inside, {HEAD}
  %before = icmp ult i64 %inside, {HEAD + COLOURS * 64}
  %a = and i1 %even, %behind
  %b = and i1 %a, %before
  br i1 %b, label %look, label %no
look:
  %p3 = getelementptr i8, ptr %data, i64 -32
  %mark = load i64, ptr %p3
  %back = xor i64 %mark, {MARK}
  %fits = icmp eq i64 %back, %place
  ret i1 %fits
no:
  ret i1 false
}}

; How many bytes memory of `hr.take` has.
define i64 @hr.room(ptr %data) nounwind {{
  %p1 = getelementptr i8, ptr %data, i64 -16
  %base = load i64, ptr %p1
  %p2 = getelementptr i8, ptr %data, i64 -8
  %length = load i64, ptr %p2
  %start = ptrtoint ptr %data to i64
  %skipped = sub i64 %start, %base
  %room = sub i64 %length, %skipped
  ret i64 %room
}}

; Take back what `hr.take` gave.
define void @hr.give(ptr %data) nounwind {{
entry:
  %p3 = getelementptr i8, ptr %data, i64 -32
  store i64 0, ptr %p3
  %p1 = getelementptr i8, ptr %data, i64 -16
  %base = load ptr, ptr %p1
  %p2 = getelementptr i8, ptr %data, i64 -8
  %bytes = load i64, ptr %p2
  call void @hr.count(i64 3, i64 -1)
  %limit = load atomic i64, ptr @hr.memory monotonic, align 8
  %small = icmp ule i64 %bytes, %limit
  br i1 %small, label %try, label %drop
try:
  %put = call i1 @hr.insert(ptr %base, i64 %bytes)
  br i1 %put, label %trim, label %make
make:
  call i1 @hr.evict()
  br label %try
drop:
  call void @hr.unmap(ptr %base, i64 %bytes)
  ret void
trim:
  call void @hr.trim(i64 %limit)
  ret void
}}

declare i64 @llvm.umin.i64(i64, i64)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
"""
