"""Threads for large loops, as LLVM text: `hr.parallel(pool, task, env, chunks)`.

It runs `task(env, begin, end)` for all chunks from 0 to `chunks`, on the calling thread and on
workers, which are started by the first call that wants them. Each thread has its share of the
chunks, the same part of every job, because what it wrote in one job lies near it in the next;
who is done takes what others have left. Chunks are fixed by whoever asks, so that results do
not depend on the number of threads. While the pool works for another caller, or for the one
that a task belongs to, a call does all of its chunks itself.

`STATE` holds the number of the job, whether it may be joined, and how many workers are in it: a
worker joins by counting itself in as long as the job is open, and the caller closes the job and
waits until nobody is in it, so that a worker that comes late never sees a job that is over. A
worker without a job watches for the next for a short time, then sleeps on the job's number.
While a program runs that has several jobs (it counts itself in `calls`) it watches longer, but
lets others have the processor in between.

A worker whose processor is taken away in the middle of a chunk holds up everybody: where a
caller has waited longer than it has worked, callers do their jobs alone for a while (until
`rest`), so that busy processors cost a few per cent.

Measured with two threads on two processors: sharing costs 0.3 microseconds while the workers
watch (5 microseconds of work take 3.1, 45 take 22.7), and 9 to 14 where they must be woken (14
take 17, 45 take 33): worth it from about 20 microseconds of work on.
"""

from __future__ import annotations

import platform
import sys

MOST = 64
OPEN = 1 << 31
SPINS = 2000
"""So often a worker looks for the next job before it sleeps: about 30 microseconds."""
LONG = 60_000
"""The same while a program with several jobs runs: about a millisecond."""
TURN = 64
"""After `SPINS`, one look of so many lets others have the processor."""
PATIENCE = 4000
"""So often a caller looks whether the workers are done before it lets others run."""
REST = 4
"""Callers go alone for so many times as long as one has waited; beside a busy process 32 times
are no better, and a single late worker then costs a tenth of a second."""

PARTS = {
    "state": 0,
    "chunks": 16,
    "task": 17,
    "env": 18,
    "shares": 19,  # into how many the chunks are divided
    "busy": 24,  # 1 while a caller has the pool
    "wanted": 25,  # workers that there shall be
    "started": 26,
    "stop": 27,
    "jobs": 28,  # how many calls were shared with workers
    "numbers": 29,  # how many workers have a number
    "sleepers": 32,
    "calls": 40,  # programs that run and have several jobs
    "rest": 48,  # the time until which callers go alone
    "handles": 56,
    "next": 128,  # of each share, a line for each
}
"""Words of the pool; what different threads write lies on different lines of the cache."""

EXPORTS = ("hr.pool", "hr.parallel", "hr.pool.stop", "hr.pool.forget")

AVAILABLE = sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64")
"""Elsewhere no worker is started, and calls do their chunks themselves."""
_X86 = platform.machine() == "x86_64"
_FUTEX = 202 if _X86 else 98
_PAUSE = (
    "call void @llvm.x86.sse2.pause()" if _X86 else 'call void asm sideeffect "yield", ""()'
)
_DECLARE = "declare void @llvm.x86.sse2.pause()" if _X86 else ""
_CLOCK = (
    "call i64 @llvm.readcyclecounter()"
    if _X86
    else 'call i64 asm sideeffect "mrs $0, cntvct_el0", "=r"()'
)


def _at(name: str) -> str:
    """Text that finds a part of the pool."""
    return f"\n  %{name}.at = getelementptr i64, ptr %pool, i64 {PARTS[name]}"


def _zero(name: str) -> str:
    """Text that empties a part of the pool."""
    return f"{_at(name)}\n  store i64 0, ptr %{name}.at"


_BOUND = """
  %{0}.before = mul i64 %{1}, %chunks
  %{0} = udiv i64 %{0}.before, %shares"""
"""Text that finds where share {1} begins."""

_CLAIM = f"""
; Do the chunks of one's own share, and then of others, until none is left.
define internal void @hr.claim(ptr %pool, i64 %number) nounwind {{
entry:{_at("next")}{_at("chunks")}{_at("task")}{_at("env")}{_at("shares")}
  %chunks = load i64, ptr %chunks.at
  %task = load ptr, ptr %task.at
  %env = load ptr, ptr %env.at
  %shares = load i64, ptr %shares.at
  br label %share
share:
  %k = phi i64 [ 0, %entry ], [ %k1, %over ]
  %moved = add i64 %number, %k
  %which = urem i64 %moved, %shares
  %after = add i64 %which, 1{_BOUND.format("end", "after")}
  %mine.at = getelementptr [8 x i64], ptr %next.at, i64 %which
  br label %more
more:
  %seen = load atomic i64, ptr %mine.at monotonic, align 8
  %left = icmp slt i64 %seen, %end
  br i1 %left, label %take, label %over
take:
  %i = atomicrmw add ptr %mine.at, i64 1 monotonic
  %some = icmp slt i64 %i, %end
  br i1 %some, label %one, label %over
one:
  %i1 = add i64 %i, 1
  call void %task(ptr %env, i64 %i, i64 %i1)
  br label %more
over:
  %k1 = add i64 %k, 1
  %others = icmp slt i64 %k1, %shares
  br i1 %others, label %share, label %done
done:
  ret void
}}
"""

_DEAL = f"""
; Divide some chunks into a share for each thread.
define internal void @hr.deal(ptr %pool, i64 %chunks, i64 %threads) nounwind {{
entry:{_at("next")}{_at("chunks")}{_at("shares")}
  %many = icmp slt i64 %threads, %chunks
  %shares = select i1 %many, i64 %threads, i64 %chunks
  store i64 %chunks, ptr %chunks.at
  store i64 %shares, ptr %shares.at
  br label %share
share:
  %k = phi i64 [ 0, %entry ], [ %k1, %share ]{_BOUND.format("begin", "k")}
  %mine.at = getelementptr [8 x i64], ptr %next.at, i64 %k
  store atomic i64 %begin, ptr %mine.at monotonic, align 8
  %k1 = add i64 %k, 1
  %others = icmp slt i64 %k1, %shares
  br i1 %others, label %share, label %done
done:
  ret void
}}
"""

_WORKER = f"""
define internal ptr @hr.worker(ptr %pool) nounwind {{
entry:{_at("state")}{_at("stop")}{_at("sleepers")}{_at("calls")}{_at("numbers")}
  %before = atomicrmw add ptr %numbers.at, i64 1 monotonic
  %number = add i64 %before, 1
  %job.at = getelementptr i8, ptr %state.at, i64 4
  %seen = alloca i64
  %spins = alloca i64
  %idle = alloca i64
  store i64 0, ptr %seen
  br label %rest
rest:
  store i64 0, ptr %spins
  store i64 0, ptr %idle
  br label %look
look:
  %state = load atomic i64, ptr %state.at acquire, align 8
  %stop = load atomic i64, ptr %stop.at acquire, align 8
  %ended = icmp ne i64 %stop, 0
  br i1 %ended, label %end, label %go
go:
  %job = lshr i64 %state, 32
  %known = load i64, ptr %seen
  %new = icmp ne i64 %job, %known
  %flag = and i64 %state, {OPEN}
  %open = icmp ne i64 %flag, 0
  %both = and i1 %new, %open
  br i1 %both, label %join, label %wait
join:
  %in = add i64 %state, 1
  %pair = cmpxchg ptr %state.at, i64 %state, i64 %in acq_rel monotonic
  %joined = extractvalue {{ i64, i1 }} %pair, 1
  br i1 %joined, label %work, label %look
work:
  store i64 %job, ptr %seen
  call void @hr.claim(ptr %pool, i64 %number)
  atomicrmw sub ptr %state.at, i64 1 release
  br label %rest
wait:
  store i64 %job, ptr %seen
  %calls = load atomic i64, ptr %calls.at monotonic, align 8
  %called = icmp sgt i64 %calls, 0
  %i = load i64, ptr %idle
  %i1 = add i64 %i, 1
  %i2 = select i1 %called, i64 0, i64 %i1
  store i64 %i2, ptr %idle
  %n = load i64, ptr %spins
  %n1 = add i64 %n, 1
  store i64 %n1, ptr %spins
  %soon = icmp ult i64 %i2, {SPINS}
  %bounded = icmp ult i64 %n1, {LONG}
  %again = and i1 %soon, %bounded
  br i1 %again, label %watch, label %sleep
watch:
  %late = icmp uge i64 %n1, {SPINS}
  %phase = and i64 %n1, {TURN - 1}
  %last = icmp eq i64 %phase, 0
  %polite = and i1 %late, %last
  br i1 %polite, label %let, label %pause
pause:
  {_PAUSE}
  br label %look
let:
  call i32 @sched_yield()
  br label %look
sleep:
  atomicrmw add ptr %sleepers.at, i64 1 seq_cst
  %value = trunc i64 %job to i32
  call i64 (i64, ...) @syscall(i64 {_FUTEX}, ptr %job.at, i32 128, i32 %value, ptr null)
  atomicrmw sub ptr %sleepers.at, i64 1 seq_cst
  br label %rest
end:
  ret ptr null
}}
"""

_START = f"""
; Start the workers that are missing. They leave all signals to the other threads.
define internal void @hr.pool.start(ptr %pool) nounwind {{
entry:{_at("started")}{_at("wanted")}{_at("handles")}
  %all = alloca [128 x i8], align 8
  %before = alloca [128 x i8], align 8
  call void @llvm.memset.p0.i64(ptr %all, i8 -1, i64 128, i1 false)
  call i32 @pthread_sigmask(i32 2, ptr %all, ptr %before)
  br label %next
next:
  %k = load i64, ptr %started.at
  %wanted = load i64, ptr %wanted.at
  %missing = icmp slt i64 %k, %wanted
  br i1 %missing, label %one, label %end
one:
  %handle = getelementptr i64, ptr %handles.at, i64 %k
  %code = call i32 @pthread_create(ptr %handle, ptr null, ptr @hr.worker, ptr %pool)
  %fine = icmp eq i32 %code, 0
  br i1 %fine, label %started, label %refused
started:
  %k1 = add i64 %k, 1
  store i64 %k1, ptr %started.at
  br label %next
refused:
  store i64 %k, ptr %wanted.at
  br label %end
end:
  call i32 @pthread_sigmask(i32 2, ptr %before, ptr null)
  ret void
}}
"""

_USED = ("state", "task", "env", "busy", "wanted", "started", "jobs", "sleepers", "rest")

_PARALLEL = f"""
define void @hr.parallel(ptr %pool, ptr %task, ptr %env, i64 %chunks) nounwind {{
entry:{"".join(_at(n) for n in _USED)}
  %job.at = getelementptr i8, ptr %state.at, i64 4
  %spins = alloca i64
  %wanted = load i64, ptr %wanted.at
  %helped = icmp sgt i64 %wanted, 0
  %several = icmp sgt i64 %chunks, 1
  %shared = and i1 %helped, %several
  br i1 %shared, label %time, label %serial
time:
  %begun = {_CLOCK}
  %rest = load atomic i64, ptr %rest.at monotonic, align 8
  %rested = icmp uge i64 %begun, %rest
  br i1 %rested, label %try, label %serial
try:
  %pair = cmpxchg ptr %busy.at, i64 0, i64 1 acquire monotonic
  %mine = extractvalue {{ i64, i1 }} %pair, 1
  br i1 %mine, label %ready, label %serial
serial:
  %some = icmp sgt i64 %chunks, 0
  br i1 %some, label %alone, label %nothing
nothing:
  ret void
alone:
  call void %task(ptr %env, i64 0, i64 %chunks)
  ret void
ready:
  %started = load i64, ptr %started.at
  %missing = icmp slt i64 %started, %wanted
  br i1 %missing, label %start, label %begin
start:
  call void @hr.pool.start(ptr %pool)
  br label %begin
begin:
  %jobs = load i64, ptr %jobs.at
  %jobs1 = add i64 %jobs, 1
  store i64 %jobs1, ptr %jobs.at
  %threads = add i64 %wanted, 1
  call void @hr.deal(ptr %pool, i64 %chunks, i64 %threads)
  store ptr %task, ptr %task.at
  store ptr %env, ptr %env.at
  %old = load atomic i64, ptr %state.at monotonic, align 8
  %number = lshr i64 %old, 32
  %number1 = add i64 %number, 1
  %high = shl i64 %number1, 32
  %state = or i64 %high, {OPEN}
  store atomic i64 %state, ptr %state.at seq_cst, align 8
  %sleepers = load atomic i64, ptr %sleepers.at seq_cst, align 8
  %asleep = icmp sgt i64 %sleepers, 0
  br i1 %asleep, label %wake, label %work
wake:
  %others = sub i64 %chunks, 1
  %few = icmp slt i64 %others, {MOST}
  %count = select i1 %few, i64 %others, i64 {MOST}
  %wake.count = trunc i64 %count to i32
  call i64 (i64, ...) @syscall(i64 {_FUTEX}, ptr %job.at, i32 129, i32 %wake.count)
  br label %work
work:
  call void @hr.claim(ptr %pool, i64 0)
  %worked = {_CLOCK}
  atomicrmw and ptr %state.at, i64 {~OPEN} acq_rel
  store i64 0, ptr %spins
  br label %wait
wait:
  %now = load atomic i64, ptr %state.at acquire, align 8
  %inside = and i64 %now, {OPEN - 1}
  %none = icmp eq i64 %inside, 0
  br i1 %none, label %done, label %pause
pause:
  {_PAUSE}
  %n = load i64, ptr %spins
  %n1 = add i64 %n, 1
  store i64 %n1, ptr %spins
  %patient = icmp ult i64 %n1, {PATIENCE}
  br i1 %patient, label %wait, label %let
let:
  call i32 @sched_yield()
  br label %wait
done:
  %waits = load i64, ptr %spins
  %long = icmp uge i64 %waits, {PATIENCE}
  br i1 %long, label %judge, label %free
judge:
  %over = {_CLOCK}
  %waited = sub i64 %over, %worked
  %busied = sub i64 %worked, %begun
  %worse = icmp ugt i64 %waited, %busied
  br i1 %worse, label %tire, label %free
tire:
  %pause.for = mul i64 %waited, {REST}
  %until = add i64 %over, %pause.for
  store atomic i64 %until, ptr %rest.at monotonic, align 8
  br label %free
free:
  store atomic i64 0, ptr %busy.at release, align 8
  ret void
}}
"""

_FORGOTTEN = ("state", "busy", "started", "stop", "numbers", "sleepers", "calls")

_STOP = f"""
; End all workers and wait for them.
define void @hr.pool.stop(ptr %pool) nounwind {{
entry:{"".join(_at(n) for n in ("state", "busy", "started", "stop", "numbers", "handles"))}
  %job.at = getelementptr i8, ptr %state.at, i64 4
  br label %try
try:
  %pair = cmpxchg ptr %busy.at, i64 0, i64 1 acquire monotonic
  %mine = extractvalue {{ i64, i1 }} %pair, 1
  br i1 %mine, label %tell, label %wait
wait:
  call i32 @sched_yield()
  br label %try
tell:
  store atomic i64 1, ptr %stop.at seq_cst, align 8
  atomicrmw add ptr %state.at, i64 {1 << 32} seq_cst
  call i64 (i64, ...) @syscall(i64 {_FUTEX}, ptr %job.at, i32 129, i32 {MOST})
  br label %next
next:
  %k = load i64, ptr %started.at
  %some = icmp sgt i64 %k, 0
  br i1 %some, label %one, label %end
one:
  %k1 = sub i64 %k, 1
  %handle.at = getelementptr i64, ptr %handles.at, i64 %k1
  %handle = load i64, ptr %handle.at
  call i32 @pthread_join(i64 %handle, ptr null)
  store i64 %k1, ptr %started.at
  br label %next
end:
  store i64 0, ptr %numbers.at
  store atomic i64 0, ptr %stop.at release, align 8
  store atomic i64 0, ptr %busy.at release, align 8
  ret void
}}

; In a copy of the process the workers are gone.
define void @hr.pool.forget(ptr %pool) nounwind {{
entry:{"".join(_zero(n) for n in _FORGOTTEN)}
  ret void
}}
"""


def counted(pool: str, change: int, name: str) -> list[str]:
    """Lines by which a program with several jobs counts itself in, and out again."""
    return [
        f"  {name}.at = getelementptr i64, ptr {pool}, i64 {PARTS['calls']}",
        f"  {name} = atomicrmw add ptr {name}.at, i64 {change} monotonic",
    ]


TEXT = f"""
@hr.pool = global [{PARTS["next"] + 8 * (MOST + 1)} x i64] zeroinitializer, align 64
{_DECLARE}
declare i64 @llvm.readcyclecounter()
declare i64 @syscall(i64, ...)
declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_join(i64, ptr)
declare i32 @pthread_sigmask(i32, ptr, ptr)
{_CLAIM}{_DEAL}{_WORKER}{_START}{_PARALLEL}{_STOP}"""
