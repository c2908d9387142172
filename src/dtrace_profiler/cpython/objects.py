"""Python objects as they lie in a process's memory: str, bytes, dict, list, module.

In: addresses. Out: values, or `NotThatObject` where the bytes can't be what was asked for. The process runs on while
it is read, so anything may be half changed: every number is checked and every length bounded before it is used.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

from dtrace_profiler.cpython.memory import Memory, MemoryReadError, word

MAX_STRING = 1 << 14
"""Characters; longer names and paths than this exist only in garbage."""
MAX_BYTES = 1 << 22
_MAX_ENTRIES = 1 << 16
_MAX_LIST = 1 << 12
_ENCODINGS = {1: "latin-1", 2: "utf-16-le", 4: "utf-32-le"}
_KEYS_HEADER = 32
"""PyDictKeysObject before its table of indices; the same from 3.11 to 3.15, both kinds of build."""
_GENERAL_KEYS = 0


class NotThatObject(ValueError):
    """The bytes at an address are not of the type that was expected there."""


class Objects:
    """Reads the objects of one process. `offsets`: see `cpython.offsets`; `minor`: of CPython 3."""

    def __init__(self, memory: Memory, offsets: Mapping[str, int], minor: int) -> None:
        self._memory = memory
        self._offsets = offsets
        # interned:2 kind:3 compact:1 ascii:1 from the low bit; interned is a byte in free-threaded builds from 3.14.
        self._state_shift = 8 if offsets["free_threaded"] and minor >= 14 else 2

    def string(self, address: int) -> str:
        """A compact str, the only kind that names and paths are: 1, 2 or 4 bytes a character."""
        offsets = self._offsets
        # The header and, mostly, all of the text in one read; where the page ends before, only the header.
        header_size = offsets["uni.state"] + 4
        try:
            data = self._memory.read(address, 160)
        except MemoryReadError:
            data = self._memory.read(address, header_size)
        length = struct.unpack_from("<q", data, offsets["uni.length"])[0]
        state = struct.unpack_from("<I", data, offsets["uni.state"])[0] >> self._state_shift
        kind, compact, ascii_only = state & 7, state >> 3 & 1, state >> 4 & 1
        if not compact or kind not in _ENCODINGS or not 0 <= length <= MAX_STRING or (ascii_only and kind != 1):
            raise NotThatObject(f"no str at {address:#x}: state {state:#x}, length {length}")
        start = offsets["uni.ascii_size"] + (0 if ascii_only else 16)
        size = length * kind
        raw = data[start : start + size] if start + size <= len(data) else self._memory.read(address + start, size)
        if ascii_only and not raw.isascii():
            raise NotThatObject(f"no str at {address:#x}: not the ASCII that it says it is")
        return raw.decode(_ENCODINGS[kind], "replace")

    def is_ascii(self, state: int) -> bool:
        """Whether a str of this state has its text, one byte a character, at `uni.ascii_size`."""
        state >>= self._state_shift
        return (state & 7, state >> 3 & 1, state >> 4 & 1) == (1, 1, 1)

    def bytes_(self, address: int) -> bytes:
        """The content of a bytes object."""
        size = word(self._memory, address + self._offsets["bytes.ob_size"])
        if size > MAX_BYTES:
            raise NotThatObject(f"no bytes at {address:#x}: {size} of them")
        return self._memory.read(address + self._offsets["bytes.sval"], size) if size else b""

    def type_of(self, address: int) -> int:
        return word(self._memory, address + self._offsets["ob.type"])

    def type_name(self, type_address: int) -> bytes:
        """`tp_name`, up to 31 bytes."""
        name = word(self._memory, type_address + self._offsets["type.name"])
        for size in (32, 8):
            try:
                return self._memory.read(name, size).split(b"\0")[0]
            except MemoryReadError:
                continue
        raise NotThatObject(f"no type at {type_address:#x}")

    def dict_items(self, address: int) -> Iterator[tuple[int, int]]:
        """(key, value) addresses of a dict in insertion order. Not of an instance's split-table dict."""
        keys = word(self._memory, address + self._offsets["dict.keys"])
        header = self._memory.read(keys, _KEYS_HEADER)
        index_bytes_log2, kind = header[9], header[10]
        entries = struct.unpack_from("<q", header, 24)[0]
        if index_bytes_log2 > 24 or kind > 1 or not 0 <= entries <= _MAX_ENTRIES:
            raise NotThatObject(f"no dict at {address:#x}")
        shape = "<8xQQ" if kind == _GENERAL_KEYS else "<QQ"
        start = keys + _KEYS_HEADER + (1 << index_bytes_log2)
        data = self._memory.read(start, struct.calcsize(shape) * entries) if entries else b""
        for key, value in struct.iter_unpack(shape, data):
            if key and value:
                yield key, value

    def lookup(self, address: int, wanted: str) -> int:
        """The value's address for a str key of a dict; 0 where it has none."""
        for key, value in self.dict_items(address):
            try:
                if self.string(key) == wanted:
                    return value
            except (MemoryReadError, NotThatObject):
                continue
        return 0

    def list_items(self, address: int) -> list[int]:
        """The addresses in a list."""
        size = word(self._memory, address + self._offsets["list.ob_size"])
        if size > _MAX_LIST:
            raise NotThatObject(f"no list at {address:#x}: {size} items")
        if not size:
            return []
        data = self._memory.read(word(self._memory, address + self._offsets["list.item"]), 8 * size)
        return list(struct.unpack(f"<{size}Q", data))

    def module_dict(self, address: int) -> int:
        """The address of a module's `__dict__`."""
        return word(self._memory, address + self._offsets["ob.size"])
