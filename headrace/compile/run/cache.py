"""Compiled code on disk, so that a second process starts hot.

`lookup(key)` gives an object file with bytes of the caller's own beside it, `store` keeps them.
Keys come from `key(...)`: all that decides what the code is, the processor and LLVM among it.
Where that is more than LLVM's text, `fingerprint()`, the state of this package, must be in it.
The folder is `code` in `HEADRACE_CACHE`; it must belong to this user and nobody else, for it
holds code. A file carries a checksum and gets its name when it is complete: what is damaged,
cut off or foreign counts as absent, and any number of processes may write at once. What was not
used for the longest time goes when there is too much. Nothing here ever fails a call: where the
folder can't be used, nothing is kept, and `HEADRACE_LOG=compile` says why.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import os
import struct
import time
from collections.abc import Iterator
from functools import cache as remembered
from pathlib import Path
from typing import NamedTuple

from headrace.base import flags

MOST = 512 << 20
"""So many bytes may lie in the folder."""
PATIENCE = 3600.0
"""An unfinished file of this age, in seconds, was left behind by a process that died."""
MAGIC = b"headrace"
ENDING = ".code"
_HEAD = struct.Struct("<8s32sQQ")  # magic, checksum, lengths of object and metadata
_PACKAGE = Path(__file__).resolve().parents[2]

logger = logging.getLogger("headrace")


class Entry(NamedTuple):
    """What one key holds."""

    object: bytes
    metadata: bytes


@remembered
def fingerprint() -> str:
    """The state of this package up to the compiler: names, sizes and times of its files."""
    found = [entry for floor in _FLOORS for entry in _files(_PACKAGE / floor)]
    return hashlib.sha256(repr(sorted(found)).encode()).hexdigest()


_FLOORS = ("base", "core", "ops", "autodiff", "compile")


def _files(folder: os.PathLike[str]) -> Iterator[tuple[str, int, int]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".py"):
                stat = entry.stat()
                yield entry.path, stat.st_size, stat.st_mtime_ns
            elif entry.is_dir():
                yield from _files(entry)


def key(*parts: object) -> str:
    """A key for code made of `parts`, whose `repr` says all that decides."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def lookup(key: str) -> Entry | None:
    """What was stored, or None."""
    folder = _folder(False)
    if folder is None:
        return None
    path = folder / (key + ENDING)
    try:
        with open(path, "rb") as file:
            content = file.read() if _own(os.fstat(file.fileno())) else b""
    except OSError:  # it is not there, or another process just removed it
        return None
    found = _parsed(key, content)
    if found is None:
        _note("is damaged or not ours", path)
        return None
    try:
        os.utime(path)
    except OSError as error:
        _note(f"keeps its time: {error}", path)
    return found


def store(key: str, object: bytes, metadata: bytes = b"") -> bool:
    """Keep an object file and bytes beside it; False: it was not possible."""
    folder = _folder(True)
    if folder is None:
        return False
    body = object + metadata
    head = _HEAD.pack(MAGIC, _sum(key, body, len(object)), len(object), len(metadata))
    temporary = folder / f".{key}.{os.getpid()}.{next(_numbers)}"
    try:
        flags_ = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with open(os.open(temporary, flags_, 0o600), "wb") as file:
            file.write(head + body)
        os.replace(temporary, folder / (key + ENDING))
    except OSError as error:
        _note(f"can't be written: {error}", temporary)
        _remove(temporary)
        return False
    if next(_stores) % 64 == 0:
        prune(folder)
    return True


_numbers = itertools.count()
_stores = itertools.count()


def prune(folder: Path, most: int | None = None) -> None:
    """Remove the files that were not used for the longest time, and what was left behind."""
    limit = MOST if most is None else most
    found, total, now = [], 0, time.time()
    for name, stat in _listed(folder):
        path = folder / name
        if name.endswith(ENDING):
            found.append((stat.st_mtime, stat.st_size, path))
            total += stat.st_size
        elif name.startswith(".") and now - stat.st_mtime > PATIENCE:
            _remove(path)
    if total <= limit:
        return
    for _, size, path in sorted(found):
        _remove(path)
        total -= size
        if total <= limit * 3 // 4:  # so that the next store need not begin again
            return


def _listed(folder: Path) -> list[tuple[str, os.stat_result]]:
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    found.append((entry.name, entry.stat(follow_symlinks=False)))
                except FileNotFoundError:  # another process removed it
                    continue
    except OSError as error:
        _note(f"can't be listed: {error}", folder)
    return found


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        _note(f"can't be removed: {error}", path)


def _folder(make: bool) -> Path | None:
    """The folder, if it is there (or was made) and is this user's alone."""
    base = flags.CACHE.value
    if base is None:
        return None
    folder = base / "code"
    try:
        if make:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        stat = os.stat(folder)
    except FileNotFoundError:
        return None
    except OSError as error:
        _note(f"can't be used: {error}", folder)
        return None
    if not _own(stat) or stat.st_mode & 0o077:
        _note("is not used: others may write into it or read it", folder)
        return None
    return folder


def _own(stat: os.stat_result) -> bool:
    return not hasattr(os, "geteuid") or stat.st_uid == os.geteuid()


def _sum(key: str, body: bytes, length: int) -> bytes:
    return hashlib.sha256(key.encode() + length.to_bytes(8, "little") + body).digest()


def _parsed(key: str, content: bytes) -> Entry | None:
    """What a file says, or None if it is not as it was written under this key."""
    if len(content) < _HEAD.size:
        return None
    magic, checksum, size, more = _HEAD.unpack_from(content)
    body = content[_HEAD.size :]
    if magic != MAGIC or len(body) != size + more or _sum(key, body, size) != checksum:
        return None
    return Entry(body[:size], body[size:])


def _note(what: str, path: Path) -> None:
    if "compile" in flags.LOG.value:
        logger.warning("The cache of compiled code: %s %s", path, what)
