"""From (process, address) to frames.

In: the mappings of a process and an address in it. Out: `StackFrame`s, outermost first, plain data. Files are opened
when a process is first seen, so that one which ends or deletes its files stays named; they are read when the first
address in them is asked for, once for all processes that map them.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from types import TracebackType
from typing import Self
from weakref import WeakKeyDictionary, WeakValueDictionary

from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.model.profile import MappedFile
from dtrace_profiler.symbols.cache import SymbolCache, default_directory
from dtrace_profiler.symbols.debugfiles import DEBUG_DIRECTORIES
from dtrace_profiler.symbols.demangle import demangle_name
from dtrace_profiler.symbols.lines import MAX_DEBUG_BYTES
from dtrace_profiler.symbols.mappings import AddressSpace, Mapping
from dtrace_profiler.symbols.objectfile import ObjectFile
from dtrace_profiler.symbols.perfmap import PerfMap
from dtrace_profiler.symbols.source import ByteSource, FileSource
from dtrace_profiler.symbols.targetfiles import open_mapped_file, read_vdso

JIT_MODULE = "[jit]"
"""Module of functions that a JIT compiler named in its perf map."""
MAX_OPEN_FILES = 128
"""Descriptors kept for files whose tables nobody asked for yet."""
MAX_IDLE_FILES = 256
"""Files kept that no known process maps any more: the next process will map most of them again."""
PERF_MAP_INTERVAL_S = 0.005
"""A perf map is not looked at more often, or code without names would cost system calls for every frame."""
_MAX_MEMO = 1 << 17

_FileKey = tuple[str, tuple[int, int], int]
_Identity = tuple[object, ...]


class _Process:
    """What the symboliser keeps of one address space."""

    def __init__(self, space: AddressSpace, perf_map_folder: str) -> None:
        self.generation = -1
        self.files: dict[_FileKey, ObjectFile | None] = {}
        self.perf_map = PerfMap(space.pid, proc=space.proc, folder=perf_map_folder)
        self.perf_map_read_s = float("-inf")
        self.memo: dict[int, tuple[StackFrame, ...]] = {}
        self.sampled: set[tuple[_FileKey, int]] = set()
        """Files, and where they begin: those that addresses were named in."""


class Symboliser:
    """Names addresses of any number of processes. Thread-safe; `frames` never raises because of a file.

    `arguments` keeps the argument lists of C++ functions. `cache` is where tables are kept between runs; None: the
    user's own. `max_debug_bytes` bounds the debug information that is read of one file.
    """

    def __init__(
        self,
        *,
        debug_directories: Sequence[str] = DEBUG_DIRECTORIES,
        cache: SymbolCache | None = None,
        arguments: bool = False,
        max_debug_bytes: int = MAX_DEBUG_BYTES,
        max_open_files: int = MAX_OPEN_FILES,
        perf_map_folder: str = "/tmp",
        perf_map_interval_s: float = PERF_MAP_INTERVAL_S,
    ) -> None:
        self._debug_directories = tuple(debug_directories)
        self._cache = cache if cache is not None else SymbolCache(default_directory())
        self._arguments = arguments
        self._max_debug_bytes = max_debug_bytes
        self._max_open_files = max_open_files
        self._perf_map_folder = perf_map_folder
        self._perf_map_interval_s = perf_map_interval_s
        self._closed = False
        self._lock = threading.RLock()
        self._processes: WeakKeyDictionary[AddressSpace, _Process] = WeakKeyDictionary()
        self._objects: WeakValueDictionary[_Identity, ObjectFile] = WeakValueDictionary()
        self._recent: OrderedDict[_Identity, ObjectFile] = OrderedDict()
        self._waiting: OrderedDict[_Identity, ObjectFile] = OrderedDict()
        """Open, but not read yet; the oldest first."""
        self._mapped: list[MappedFile] = []
        """Files of addresses that were named, and that nobody has asked for yet."""

    def prepare(self, space: AddressSpace) -> None:
        """Open the files of a process while it lives. Call it as soon as its mappings are known or have changed.

        Cheap: a few system calls a file that was not seen before. `frames` does it where it was forgotten.
        """
        with self._lock:
            self._prepared(space)

    def _prepared(self, space: AddressSpace) -> _Process:
        if space.generation == 0:
            space.refresh()
        process = self._processes.get(space)
        if process is None:
            process = self._processes[space] = _Process(space, self._perf_map_folder)
        if process.generation != space.generation:
            process.generation = space.generation
            process.memo.clear()
            for mapping in space.executable_mappings():
                self._object(process, space, mapping)
        return process

    def frames(self, space: AddressSpace, address: int, *, is_return_address: bool) -> tuple[StackFrame, ...]:
        """The functions at an address, outermost first: the function of the file, then those inlined in it.

        `is_return_address`: the address follows a call, which is what is looked up; that holds for every frame of
        a stack but the leaf. Without a symbol the name is `0x…`: where the file has an unwind table the start of
        the function, else the place itself, in the numbers of the file as `nm` and `addr2line` use them; without a
        file the address. Kind `UNKNOWN` only where the process has nothing at that address.
        """
        process = self._processes.get(space)
        key = address << 1 | is_return_address
        if process is not None and process.generation == space.generation:
            known = process.memo.get(key)
            if known is not None:
                return known
        with self._lock:
            process = self._prepared(space)
            found, lasting = self._resolve(process, space, address, address - is_return_address)
            if lasting:
                if len(process.memo) >= _MAX_MEMO:
                    process.memo.clear()
                process.memo[key] = found
            return found

    def _resolve(
        self, process: _Process, space: AddressSpace, address: int, place: int
    ) -> tuple[tuple[StackFrame, ...], bool]:
        """The frames, and whether they will be the same next time: code of a JIT comes and goes."""
        mapping = space.find(place)
        item = self._object(process, space, mapping) if mapping is not None else None
        if mapping is not None and item is not None:
            functions = item.functions(place - mapping.start + mapping.offset)
            if item.is_elf:
                module = mapping.name
                self._note(process, space, mapping, item)
                return tuple(StackFrame(f.name, module, address, f.file, f.line, 0, f.kind) for f in functions), True
        now = time.monotonic()
        if now - process.perf_map_read_s >= self._perf_map_interval_s:
            process.perf_map.refresh()
            process.perf_map_read_s = now
        code = process.perf_map.lookup(place)
        if code is not None and code.name:
            name = demangle_name(code.name, arguments=self._arguments)
            return (StackFrame(name, JIT_MODULE, address, kind=FrameKind.NATIVE),), False
        if mapping is None:
            return (StackFrame(f"0x{address:x}", kind=FrameKind.UNKNOWN),), False
        number = place - mapping.start + mapping.offset if mapping.is_file else place
        return (StackFrame(f"0x{number:x}", mapping.name, address, kind=FrameKind.NATIVE),), False

    def _note(self, process: _Process, space: AddressSpace, mapping: Mapping, item: ObjectFile) -> None:
        place = (mapping.path, mapping.device, mapping.inode), mapping.start
        if place not in process.sampled:
            process.sampled.add(place)
            self._mapped.append(
                MappedFile(
                    process_id=space.pid,
                    start=mapping.start,
                    end=mapping.end,
                    offset=mapping.offset,
                    path=mapping.path.encode("utf-8", "surrogateescape").decode("utf-8", "replace"),
                    build_id=item.build_id,
                )
            )

    def new_mapped_files(self) -> list[MappedFile]:
        """Files that addresses were named in since this was asked the last time."""
        if not self._mapped:
            return []
        with self._lock:
            found, self._mapped = self._mapped, []
            return found

    def _object(self, process: _Process, space: AddressSpace, mapping: Mapping) -> ObjectFile | None:
        key = (mapping.path, mapping.device, mapping.inode)
        if not mapping.is_file and mapping.path != "[vdso]":
            return None
        item = process.files.get(key)
        if (item is None and key not in process.files) or (item is not None and item.closed):
            item = process.files[key] = self._open(space, mapping)
        return item

    def _open(self, space: AddressSpace, mapping: Mapping) -> ObjectFile | None:
        source: ByteSource | None
        identity: _Identity
        if mapping.is_file:
            source = open_mapped_file(space, mapping)
            if source is None:
                return None
            status = source.status
            identity = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        else:
            image = read_vdso(space, mapping)
            if image is None:
                return None
            source, identity = image, (mapping.path, image.read(0, image.size))
        item = self._objects.get(identity)
        if item is not None and not item.closed:
            if isinstance(source, FileSource):
                source.close()
            self._keep(identity, item)
            return item
        item = self._objects[identity] = ObjectFile(
            source,
            path=mapping.path,
            root=f"{space.proc}/{space.pid}/root" if space.proc else "",
            debug_directories=self._debug_directories,
            cache=self._cache,
            arguments=self._arguments,
            max_debug_bytes=self._max_debug_bytes,
        )
        self._keep(identity, item)
        if isinstance(source, FileSource):
            self._limit_descriptors(identity, item)
        return item

    def _keep(self, identity: _Identity, item: ObjectFile) -> None:
        self._recent[identity] = item
        self._recent.move_to_end(identity)
        if len(self._recent) > MAX_IDLE_FILES:
            self._recent.popitem(last=False)

    def _limit_descriptors(self, identity: _Identity, item: ObjectFile) -> None:
        self._waiting[identity] = item
        if len(self._waiting) <= self._max_open_files:
            return
        for known in [key for key, waiting in self._waiting.items() if waiting.loaded or waiting.closed]:
            del self._waiting[known]
        while len(self._waiting) > self._max_open_files:
            # It is opened again if an address in it turns up while that is still possible.
            _, oldest = self._waiting.popitem(last=False)
            oldest.close()

    def problems(self) -> list[str]:
        """Why names or lines are missing, a sentence a file."""
        with self._lock:
            return [problem for item in list(self._objects.values()) for problem in item.problems]

    def close(self) -> None:
        """Release descriptors and child programs. What was resolved stays known; nothing new is opened for it."""
        with self._lock:
            self._closed = True
            for item in list(self._objects.values()):
                item.close()
            self._waiting.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
