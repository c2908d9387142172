"""What is read of other processes: CPython's structures in their memory, their maps, maps of JIT code."""

from __future__ import annotations

import contextlib
import os
import struct
import tempfile
from functools import lru_cache
from pathlib import Path

from dtrace_profiler.cpython.code import CodeReader
from dtrace_profiler.cpython.code_object import CodeObject
from dtrace_profiler.cpython.identity import Counter
from dtrace_profiler.cpython.layout import Layout, LayoutError, read_layout
from dtrace_profiler.cpython.linetable import line_ranges
from dtrace_profiler.cpython.memory import MemoryReadError
from dtrace_profiler.cpython.objects import NotThatObject, Objects
from dtrace_profiler.cpython.offsets import COOKIE, debug_offset_names, parse_debug_offsets, table
from dtrace_profiler.cpython.runtime_file import RuntimeSymbols
from dtrace_profiler.symbols.mappings import AddressSpace
from dtrace_profiler.symbols.perfmap import PerfMap
from fuzz.target import Target

_SYMBOLS = RuntimeSymbols(
    fixed=True, load_address=0, runtime=0x1000, version=0x2000, code_type=0x3000, functions=(), version_count=0x2010,
    machine="x86_64",
)  # fmt: skip
_MOST_READ = 1 << 24


class HostileMemory:
    """Every address can be read, and holds some of the same few bytes: whatever is followed leads on."""

    def __init__(self, data: bytes) -> None:
        self._data = data or b"\0"

    def read(self, address: int, size: int) -> bytes:
        if not 0 < address < 1 << 63 or not 0 <= size <= _MOST_READ:
            raise MemoryReadError(f"{size} bytes at {address:#x}")
        start = address % len(self._data)
        repeated = self._data[start:] + self._data * (size // len(self._data) + 1)
        return repeated[:size]


@lru_cache(maxsize=1)
def _debug_offsets() -> bytes:
    """A table of offsets of 3.13 as one process has it: small and plausible."""
    names = debug_offset_names(13)
    values = [8 * (index % 6) for index in range(len(names))]
    values[0], values[1] = 0x030D00F0, 0
    return struct.pack(f"<{len(names)}Q", *values)


def _check_offsets(data: bytes) -> None:
    for minor in (13, 14, 15):
        try:
            offsets = parse_debug_offsets(data, minor)
        except ValueError:
            continue
        assert set(debug_offset_names(minor)) <= set(offsets)


def _check_memory(data: bytes) -> None:
    """A process that lies: only what is promised is raised, and nothing is followed for ever."""
    memory = HostileMemory(data)
    for slots_needed in (True, False):
        with contextlib.suppress(LayoutError, MemoryReadError):
            read_layout(1, memory, 0, _SYMBOLS, "python", slots_needed=slots_needed)
    minor = 11 + (data[0] if data else 0) % 5
    offsets = table(min(minor, 12)) | {"co.tlbc": 8 * (minor > 13), "is.code_object_generation": 0}
    objects = Objects(memory, offsets, minor)
    for address in (8, 0x100, 0x1234):
        for ask in (
            objects.string,
            objects.bytes_,
            objects.list_items,
            objects.type_name,
            lambda at: objects.lookup(at, "modules"),
        ):
            with contextlib.suppress(NotThatObject, MemoryReadError):
                ask(address)
    for kind in ("versions", "freed", ""):
        counter = Counter(kind, 0x40 if kind else 0, 0xFFFFFFFF)
        layout = Layout(
            pid=1, version=3 << 24 | minor << 16, path="", runtime=0x1000, interpreter=0x4000, offsets=offsets,
            slot=8, current_slot=0, counter=counter, code_type=0, none=0x77, holder=0, functions=(), machine="x86_64",
        )  # fmt: skip
        reader = CodeReader(layout, memory, clock=lambda: 0.0)
        for found in reader.read([(0x100, 0x180), (0x77, 0), (0x203, 0x1FE)], reader.generation(), whole=True):
            if isinstance(found, CodeObject):
                assert found.line(found.start) >= 0


def _check_lines(data: bytes) -> None:
    end = 0
    for start, following, line in line_ranges(data, 7):
        assert start == end
        assert 0 <= line < 1 << 31
        end = following
    assert end <= 16 * len(data)


def _check_maps(data: bytes) -> None:
    space = AddressSpace.from_text(1, data)
    for mapping in space.mappings:
        assert mapping.start <= mapping.end
    for address in (0, 0x7F0000001000, (1 << 64) - 1):
        space.find(address)
        space.is_executable(address)
    space.absolute("libc.so.6", 0x1234)


def _check_perf_map(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / f"perf-{os.getpid()}.map").write_bytes(data)
        perf_map = PerfMap(os.getpid(), folder=folder)
        perf_map.refresh()
        assert len(perf_map) + perf_map.broken_lines <= data.count(b"\n") + 1
        for address in (0, 0x7F00, (1 << 64) - 1):
            found = perf_map.lookup(address)
            assert found is None or found.start <= address < found.end


_MAPS = b"""55d0c0de0000-55d0c0de1000 r--p 00000000 fe:01 131 /usr/bin/my program
55d0c0de1000-55d0c0de2000 r-xp 00001000 fe:01 131 /usr/bin/my program
7f0000000000-7f0000021000 rw-p 00000000 00:00 0
7f6bec9f0000-7f6becb45000 r-xp 00026000 fe:01 77 /usr/lib/libc.so.6 (deleted)
7ffdcc4fe000-7ffdcc500000 r-xp 00000000 00:00 0 [vdso]
"""
_LINES = bytes([0x80, 0x07, 0xD9, 0x05, 0x0A, 0xF0, 0x02, 0x01, 0x05, 0x09, 0xE8, 0x43, 0x01, 0xF8, 0x88, 0x00])

TARGETS = (
    Target("debug-offsets", _check_offsets, lambda: [_debug_offsets(), _debug_offsets() + bytes(200)]),
    Target(
        "target-memory",
        _check_memory,
        lambda: [COOKIE + _debug_offsets(), bytes(64) + struct.pack("<8Q", *range(8, 72, 8)), COOKIE * 40],
    ),
    Target("line-table", _check_lines, lambda: [_LINES, _LINES * 20]),
    Target("maps", _check_maps, lambda: [_MAPS]),
    Target("perf-map", _check_perf_map, lambda: [b"7f00 1f py::f:/srv/app.py\n7f80 20 LazyCompile:*g x.js:3\n"]),
)
