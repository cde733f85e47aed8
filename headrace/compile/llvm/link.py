"""Object files become code in memory without LLVM: a small linker for x86-64 and ELF.

A process whose programs all lie in the cache never loads LLVM, which costs more time and memory
than all else that a first call does. The files that we make hold little: sections, which are
laid out one after another, and places in them that wait for addresses. Everything else (another
processor or format, data of threads) is refused, and LLVM's own linker does it.

Names that are not in the file are looked up in this process. Each gets an entry of 16 bytes, a
jump and the address that it reads, because a call reaches no further than 2 GB.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

_HEADER = struct.Struct(
    "<4sBB10xHH4x16xQ10xHHH"
)  # magic, class, order, type, machine, sections
_SECTION = struct.Struct("<IIQ8xQQIIQ8x")  # name, type, flags, offset, size, link, info, align
_SYMBOLS = np.dtype("<u4,u1,u1,<u2,<u8,<u8")  # name, info, other, section, value, size
_PLACES = np.dtype("<u8,<u4,<u4,<i8")  # offset, kind, symbol, addend
_RELOCATABLE, _X86_64 = 1, 62
_DATA, _SYMBOL_TABLE, _RELOCATIONS, _EMPTY, _UNWINDING = 1, 2, 4, 8, 0x70000001
_WRITTEN, _LOADED, _OF_THREADS = 1, 2, 0x400
_ABSOLUTE, _SPECIAL = 0xFFF1, 0xFF00
_ADDRESS, _DISTANCE, _CALL, _WIDE = 1, 2, 4, 24
_SLOTS = (9, 41, 42)
"""The kinds of places: an address, a distance to it in 32 or 64 bits, and to a slot with it."""
_JUMP = bytes.fromhex("ff2502000000cccc")
"""Jump to the address that stands right behind these eight bytes."""


class Unlinkable(Exception):
    """An object file that this linker does not know how to deal with."""


class Linked(NamedTuple):
    """Code in memory: the addresses that were asked for, and what they stay valid with."""

    addresses: dict[str, int]
    memory: Any


class _Section(NamedTuple):
    name: int
    type: int
    flags: int
    offset: int
    size: int
    link: int
    info: int
    align: int


def linked(image: bytes, names: Sequence[str]) -> Linked:
    """Put an object file into memory.

    Args:
        image: the file.
        names: what it defines and the caller wants to call.
    Raises:
        Unlinkable: it is another format, or uses what is not known here.
    """
    file = _File(image)
    memory = mmap.mmap(-1, file.size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    content = np.frombuffer(memory, np.uint8)
    start: int = content.__array_interface__["data"][0]
    file.fill(content, start)
    protect = _process().mprotect
    if protect(start, file.fixed, mmap.PROT_READ | mmap.PROT_EXEC):
        raise Unlinkable("memory can't be made executable")
    return Linked({name: start + file.defined(name) for name in names}, memory)


class _File:
    """An object file, and where its parts are to lie."""

    def __init__(self, image: bytes) -> None:
        self.image = image
        self.sections = [*_sections(image)]
        tables = [s for s in self.sections if s.type == _SYMBOL_TABLE]
        if len(tables) != 1:
            raise Unlinkable("there is not one table of symbols")
        (table,) = tables
        self.symbols = self._table(table, _SYMBOLS)
        self.globals: dict[str, int] = {}
        text = self._bytes(self.sections[table.link])
        for number in range(table.info, len(self.symbols)):
            begin = int(self.symbols["f0"][number])
            self.globals[text[begin : text.index(0, begin)].decode()] = number
        self.places = [*self._relocated()]
        self._lay_out()

    def _bytes(self, section: _Section) -> bytes:
        return self.image[section.offset : section.offset + section.size]

    def _table(self, section: _Section, dtype: Any) -> np.ndarray:
        return np.frombuffer(self.image, dtype, section.size // dtype.itemsize, section.offset)

    def _relocated(self) -> Iterator[tuple[int, np.ndarray]]:
        """The sections in which places wait for addresses, with these."""
        for section in self.sections:
            if section.type == _RELOCATIONS and self.sections[section.info].flags & _LOADED:
                yield section.info, self._table(section, _PLACES)

    def _lay_out(self) -> None:
        """Decide where sections and entries lie, counted from the beginning."""
        self.at = np.zeros(len(self.sections), np.int64)
        end = 0
        for written in (0, _WRITTEN):
            for number, section in enumerate(self.sections):
                if section.flags & _LOADED and section.flags & _WRITTEN == written:
                    end = _up(end, section.align)
                    self.at[number] = end
                    end += section.size
            if not written:
                end = self._add_entries(_up(end, 16))
                self.fixed = end = _up(end, mmap.PAGESIZE)
        self.size = max(end, self.fixed, mmap.PAGESIZE)

    def _add_entries(self, begin: int) -> int:
        """Entries for what is not in the file, and for what is reached through a slot."""
        wanted = {k: name for name, k in self.globals.items() if not self.symbols["f3"][k]}
        slots = [p["f2"][np.isin(p["f1"], _SLOTS)] for _, p in self.places]
        numbers = sorted({*wanted, *(int(k) for each in slots for k in each)})
        self.entries = np.zeros(len(self.symbols), np.int64)
        self.entries[numbers] = begin + 16 * np.arange(len(numbers))
        self.outside = {number: _address(name) for number, name in wanted.items()}
        return begin + 16 * len(numbers)

    def defined(self, name: str) -> int:
        """Where a symbol of the file lies, counted from the beginning."""
        number = self.globals.get(name, 0)
        section, value = int(self.symbols["f3"][number]), int(self.symbols["f4"][number])
        if not 0 < section < _SPECIAL:
            raise Unlinkable(f"{name} is not defined")
        return int(self.at[section]) + value

    def fill(self, content: np.ndarray, start: int) -> None:
        """Write the file's sections into memory that begins at the address `start`."""
        for number, section in enumerate(self.sections):
            if section.flags & _LOADED and section.type != _EMPTY:
                begin = int(self.at[number])
                data = np.frombuffer(self.image, np.uint8, section.size, section.offset)
                content[begin : begin + section.size] = data
        targets = self._targets(start)
        for number in np.flatnonzero(self.entries).tolist():
            begin = int(self.entries[number])
            content[begin : begin + 8] = np.frombuffer(_JUMP, np.uint8)
            content[begin + 8 : begin + 16] = targets[number : number + 1].view(np.uint8)
        for section_number, places in self.places:
            self._relocate(content, start, int(self.at[section_number]), places, targets)

    def _targets(self, start: int) -> np.ndarray:
        """The address of each symbol."""
        section, value = self.symbols["f3"], self.symbols["f4"].astype(np.int64)
        if np.any((section >= _SPECIAL) & (section != _ABSOLUTE)):
            raise Unlinkable("a symbol has no place")
        inside = section < _SPECIAL
        targets = value + np.where(inside, start + self.at[np.where(inside, section, 0)], 0)
        for number, address in self.outside.items():
            targets[number] = address
        return targets

    def _relocate(
        self,
        content: np.ndarray,
        start: int,
        at: int,
        places: np.ndarray,
        targets: np.ndarray,
    ) -> None:
        """Write the addresses that a section waits for."""
        kind, symbol = places["f1"], places["f2"]
        slot = np.isin(kind, _SLOTS)
        outside = ~self.symbols["f3"][symbol].astype(bool)
        known = (
            slot | np.isin(kind, (_ADDRESS, _WIDE, _CALL)) | ((kind == _DISTANCE) & ~outside)
        )
        if not known.all():
            raise Unlinkable("a place of an unknown kind")
        begin = at + places["f0"].astype(np.int64)
        entry = start + self.entries[symbol]
        value = np.where(outside & (kind == _CALL), entry, targets[symbol])
        value = np.where(slot, entry + 8, value) + places["f3"]
        value -= np.where(kind == _ADDRESS, 0, start + begin)
        long = np.isin(kind, (_ADDRESS, _WIDE))
        if np.any(~long & (value != value.astype(np.int32))):
            raise Unlinkable("a place is too far away")
        for chosen, width in ((long, 8), (~long, 4)):
            words = value[chosen].view(np.uint8).reshape(-1, 8)[:, :width]
            content[begin[chosen, None] + np.arange(width)] = words


def _up(end: int, step: int) -> int:
    """The next multiple of `step`."""
    return -(-end // max(step, 1)) * max(step, 1)


def _sections(image: bytes) -> Iterator[_Section]:
    """The sections of a file.

    Raises:
        Unlinkable: it is no file that can be linked here.
    """
    if os.name != "posix" or sys.maxsize < 1 << 62 or len(image) < _HEADER.size:
        raise Unlinkable("another system, or no file")
    magic, bits, order, kind, machine, begin, each, count, _ = _HEADER.unpack_from(image)
    form = (magic, bits, order, kind, machine, each)
    if form != (b"\x7fELF", 2, 1, _RELOCATABLE, _X86_64, _SECTION.size):
        raise Unlinkable("another format")
    if begin + count * each > len(image) or os.uname().machine != "x86_64":
        raise Unlinkable("cut off, or for another processor")
    for number in range(count):
        section = _Section(*_SECTION.unpack_from(image, begin + number * each))
        plain = section.type in (_DATA, _EMPTY, _UNWINDING)
        odd = not plain or section.flags & _OF_THREADS or section.align > mmap.PAGESIZE
        if section.flags & _LOADED and odd:
            raise Unlinkable("a section of an unknown kind")
        if section.type != _EMPTY and section.offset + section.size > len(image):
            raise Unlinkable("cut off")
        yield section


class _Process:
    """Functions of C's library."""

    def __init__(self) -> None:
        library = ctypes.CDLL(None)
        self.mprotect: Any = library.mprotect
        self.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        self.dlsym: Any = library.dlsym
        self.dlsym.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        self.dlsym.restype = ctypes.c_void_p


@cache
def _process() -> _Process:
    return _Process()


def _address(name: str) -> int:
    """The address of a function of this process."""
    found = _process().dlsym(None, name.encode())
    if found is None:
        raise Unlinkable(f"{name} is not in this process")
    address: int = found
    return address
