"""Where a CPython process keeps its threads and frames: found from outside, believed only after checks.

In: a pid. Out: a `Layout`, or a `LayoutError` whose kind says whether to look again. The file that holds `_PyRuntime`
is opened as the target sees it (another mount namespace, a chroot, deleted by an upgrade); the thread's own state is
found through the thread pointer, whose slot is searched, never assumed: see docs/python-frames.md.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from dtrace_profiler.cpython.memory import Memory, MemoryReadError, ProcessMemory, readable_part, word
from dtrace_profiler.cpython.offsets import COOKIE, SUPPORTED_MINORS, debug_offset_names, parse_debug_offsets, table
from dtrace_profiler.symbols.elf import ElfError, ElfFile
from dtrace_profiler.symbols.mappings import AddressSpace
from dtrace_profiler.symbols.mappings import Mapping as FileMapping
from dtrace_profiler.symbols.targetfiles import open_mapped_file

LayoutErrorKind = Literal[
    "not_python", "not_ready", "unsupported_version", "inconsistent", "no_permission", "ended", "no_slot"
]

_ET_EXEC = 2
_BELOW, _ABOVE = 0x4000, 0x900
"""How far from the thread pointer its slots are looked for: thread-local variables below, pthread keys above."""
_MAX_THREADS = 64
_FRAME_BYTES = 64


class LayoutError(Exception):
    """`kind`: `not_ready` will pass within milliseconds, `not_python` may, the others will not."""

    def __init__(self, message: str, kind: LayoutErrorKind) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """All addresses are of the process `pid`, all offsets bytes."""

    pid: int
    version: int
    """PY_VERSION_HEX."""
    path: str
    """Of the file that holds the interpreter."""
    runtime: int
    """Address of `_PyRuntime`."""
    interpreter: int
    """Address of the first PyInterpreterState."""
    offsets: Mapping[str, int]
    slot: int
    """Offset from the thread pointer of a word that holds the thread's PyThreadState for as long as it has one."""
    current_slot: int
    """The same for the word that is 0 while the thread is detached; 0 where none was found."""
    functions: tuple[int, ...]
    """Addresses of some exported functions: how they begin says whether the build keeps frame pointers."""
    machine: str

    @property
    def minor(self) -> int:
        return self.version >> 16 & 0xFF

    @property
    def version_text(self) -> str:
        return f"{self.version >> 24}.{self.minor}.{self.version >> 8 & 0xFF}"

    @property
    def free_threaded(self) -> bool:
        return bool(self.offsets["free_threaded"])

    @property
    def generation_address(self) -> int:
        """Of the first interpreter's count of freed code objects; 0 before 3.14."""
        offset = self.offsets.get("is.code_object_generation", 0)
        return self.interpreter + offset if offset else 0


class _Symbols(NamedTuple):
    """What an ELF file says; addresses as in the file."""

    fixed: bool
    load_address: int
    runtime: int
    version: int
    functions: tuple[int, ...]
    machine: str


_FUNCTIONS = (b"PyEval_EvalCode", b"PyObject_CallObject", b"PyImport_Import", b"PyRun_StringFlags", b"PyObject_Str")
_MACHINES = {62: "x86_64", 183: "aarch64"}
_symbol_cache: dict[tuple[object, ...], _Symbols | None] = {}


def find_layout(pid: int, *, proc: str = "/proc", memory: Memory | None = None) -> Layout:
    """Look at a process once. Takes some milliseconds, the first time with a large libpython more."""
    space = AddressSpace(pid, proc=proc)
    space.refresh()
    if not space.mappings:
        kind: LayoutErrorKind = "ended" if space.ended else "no_permission"
        raise LayoutError(f"its memory map {'is gone' if space.ended else 'may not be read'}.", kind)
    try:
        reader = memory if memory is not None else ProcessMemory(pid, proc=proc)
    except MemoryReadError as error:
        raise LayoutError(f"its memory may not be read ({error.strerror}).", "no_permission") from error
    failure: LayoutError | None = None
    for mapping in _candidates(space, proc):
        symbols = _symbols(space, mapping)
        if symbols is None:
            continue
        base = 0 if symbols.fixed else mapping.start - symbols.load_address
        try:
            return _read_layout(pid, reader, base, symbols, mapping.path)
        except MemoryReadError as error:
            failure = LayoutError(f"its interpreter could not be read ({error}).", "not_ready")
        except LayoutError as error:
            failure = error
    raise failure or LayoutError("it is no CPython.", "not_python")


def _candidates(space: AddressSpace, proc: str) -> Iterator[FileMapping]:
    """The first mapping of each libpython, then of the executable: a shared build's program has no `_PyRuntime`."""
    try:
        executable = os.readlink(f"{proc}/{space.pid}/exe").removesuffix(" (deleted)")
    except OSError:
        executable = ""
    seen: set[tuple[object, ...]] = set()
    first: list[FileMapping] = []
    for mapping in space.mappings:
        identity = (mapping.device, mapping.inode)
        if mapping.is_file and mapping.offset == 0 and identity not in seen:
            seen.add(identity)
            first.append(mapping)
    yield from (mapping for mapping in first if mapping.name.startswith("libpython"))
    yield from (m for m in first if m.path == executable and not m.name.startswith("libpython"))


def _symbols(space: AddressSpace, mapping: FileMapping) -> _Symbols | None:
    source = open_mapped_file(space, mapping)
    if source is None:
        return None
    try:
        status = source.status
        key = (mapping.device, mapping.inode, status.st_size, status.st_mtime_ns)
        if key not in _symbol_cache:
            if len(_symbol_cache) > 256:
                _symbol_cache.clear()
            _symbol_cache[key] = _read_symbols(ElfFile(source))
        return _symbol_cache[key]
    except ElfError:
        return None
    finally:
        source.close()


def _read_symbols(elf: ElfFile) -> _Symbols | None:
    """`_PyRuntime` and `Py_Version` from `.dynsym` (it survives strip), else `.symtab`, else the section."""
    if not elf.is_64 or elf.order != "<":
        return None
    found: dict[bytes, int] = {}
    for section in reversed(elf.symbol_sections()):
        # .dynsym has all we need but in a static build without exports; .symtab is ten times longer.
        if b"_PyRuntime" in found:
            break
        strings = elf.strings(section)
        wanted = {}
        for name in (b"_PyRuntime", b"Py_Version", *_FUNCTIONS):
            at = strings.find(b"\0" + name + b"\0")
            if at >= 0:
                wanted[at + 1] = name
        for symbol in elf.symbols(section) if wanted else ():
            if symbol.name in wanted and symbol.section:
                found[wanted[symbol.name]] = symbol.address
                if len(found) == len(wanted):
                    break
    runtime = found.get(b"_PyRuntime", 0)
    if not runtime:
        runtime = next((section.address for section in elf.sections if section.name == ".PyRuntime"), 0)
    if not runtime:
        return None
    return _Symbols(
        fixed=elf.type == _ET_EXEC,
        load_address=elf.load_address,
        runtime=runtime,
        version=found.get(b"Py_Version", 0),
        functions=tuple(found[name] for name in _FUNCTIONS if name in found),
        machine=_MACHINES.get(elf.machine, ""),
    )


def _read_layout(pid: int, memory: Memory, base: int, symbols: _Symbols, path: str) -> Layout:
    runtime = base + symbols.runtime
    version, offsets = _read_offsets(memory, runtime, base + symbols.version if symbols.version else 0)
    interpreter = word(memory, runtime + offsets["rt.interp_head"])
    if not interpreter:
        raise LayoutError("its interpreter is starting.", "not_ready")
    threads = _threads(memory, interpreter, offsets)
    slot, current = _find_slots(memory, threads)
    return Layout(
        pid=pid,
        version=version,
        path=path,
        runtime=runtime,
        interpreter=interpreter,
        offsets=offsets,
        slot=slot,
        current_slot=current,
        functions=tuple(base + address for address in symbols.functions),
        machine=symbols.machine,
    )


def _read_offsets(memory: Memory, runtime: int, version_address: int) -> tuple[int, dict[str, int]]:
    head = memory.read(runtime, 24)
    if head[:8] == COOKIE:
        version = struct.unpack_from("<Q", head, 8)[0]
    elif version_address:
        version = word(memory, version_address) & 0xFFFFFFFF
    else:
        raise LayoutError("it is a CPython older than 3.11.", "unsupported_version")
    minor = version >> 16 & 0xFF
    if version >> 24 != 3 or minor not in SUPPORTED_MINORS:
        text = f"{version >> 24}.{minor}"
        raise LayoutError(
            f"CPython {text} is not known: 3.{SUPPORTED_MINORS[0]} to 3.{SUPPORTED_MINORS[-1]} are.",
            "unsupported_version",
        )
    if minor < 13:
        return version, table(minor)
    if head[:8] != COOKIE:
        raise LayoutError(f"CPython 3.{minor} without its table of offsets.", "inconsistent")
    data = memory.read(runtime + 8, 8 * len(debug_offset_names(minor)))
    try:
        offsets = parse_debug_offsets(data, minor)
    except ValueError as error:
        raise LayoutError(f"the offsets of this CPython 3.{minor} can't be true: {error}.", "inconsistent") from None
    if max(offsets["fr.code"], offsets["fr.previous"], offsets["fr.instr"]) > _FRAME_BYTES - 8:
        raise LayoutError(f"the frames of this CPython 3.{minor} have another shape.", "inconsistent")
    return version, offsets


class _Thread(NamedTuple):
    state: int
    pointer: int
    """The thread pointer: with glibc on x86-64 `pthread_self()`, which CPython keeps as thread_id."""


def _threads(memory: Memory, interpreter: int, offsets: Mapping[str, int]) -> list[_Thread]:
    """The first interpreter's threads. What does not check out is another structure than we take it for."""
    out: list[_Thread] = []
    state, previous = word(memory, interpreter + offsets["is.threads_head"]), 0
    if not state:
        raise LayoutError("its interpreter has no thread yet.", "not_ready")
    while state and len(out) < _MAX_THREADS:
        try:
            owner = word(memory, state + offsets["ts.interp"])
            back = word(memory, state + offsets["ts.prev"])
            pointer = word(memory, state + offsets["ts.thread_id"])
            following = word(memory, state + offsets["ts.next"])
        except MemoryReadError:
            if out:
                break  # a thread that ended while we looked
            raise
        if owner != interpreter or (not out and back != previous):
            if out:
                break
            raise LayoutError("its threads are not where this version has them.", "inconsistent")
        if pointer:
            out.append(_Thread(state, pointer))
        state, previous = following, state
    if not out:
        raise LayoutError("its first thread is starting.", "not_ready")
    return out


def _find_slots(memory: Memory, threads: list[_Thread]) -> tuple[int, int]:
    """(lasting, current): offsets from the thread pointer at which each thread has its own state.

    The current one is 0 in a thread that is detached, so that only some threads may have it; the lasting one is in
    all. Where one thread alone shows two, either order works: the D program prefers the second where it is not 0.
    """
    common: set[int] | None = None
    anywhere: dict[int, int] = {}
    for thread in threads:
        here = _slots_of(memory, thread)
        if not here:
            continue  # not bound yet, or ended while we looked
        for slot in here:
            anywhere[slot] = anywhere.get(slot, 0) + 1
        common = here if common is None else (common & here or common)
    if not common:
        raise LayoutError("no thread keeps its state where it can be found.", "not_ready")
    # A pthread key's place is above the thread pointer, and lasting. Thread-local variables are below it.
    above = sorted(slot for slot in common if slot > 0)
    lasting = above[0] if above else min(common)
    others = [slot for slot in anywhere if slot != lasting and slot < 0 and abs(slot) < 0x200]
    current = max(others, key=lambda slot: (slot in common, anywhere[slot], slot), default=0)
    return lasting, current


def _slots_of(memory: Memory, thread: _Thread) -> set[int]:
    if thread.pointer % 8 or thread.pointer < _BELOW:
        return set()
    start, data = readable_part(memory, thread.pointer - _BELOW, thread.pointer + _ABOVE)
    wanted = struct.pack("<Q", thread.state)
    found: set[int] = set()
    at = data.find(wanted)
    while at >= 0:
        if (start + at) % 8 == 0:
            found.add(start + at - thread.pointer)
        at = data.find(wanted, at + 1)
    return found
