"""Where a CPython process keeps its threads and frames: found from outside, believed only after checks.

In: a pid. Out: a `Layout`, or a `LayoutError` whose kind says whether to look again. The process runs on while it is
looked at, so a check that fails is worth another look some milliseconds later. Facts: docs/python-frames.md.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from dtrace_profiler.cpython.identity import Counter, find_counter, has_versions
from dtrace_profiler.cpython.memory import Memory, MemoryReadError, ProcessMemory, word
from dtrace_profiler.cpython.objects import NotThatObject, Objects
from dtrace_profiler.cpython.offsets import COOKIE, SUPPORTED_MINORS, debug_offset_names, parse_debug_offsets, table
from dtrace_profiler.cpython.runtime_file import RuntimeSymbols, candidates, runtime_symbols
from dtrace_profiler.cpython.slots import NO_SLOTS, Slots, ThreadState, find_slots
from dtrace_profiler.symbols.mappings import AddressSpace

LayoutErrorKind = Literal[
    "not_python", "not_ready", "unsupported_version", "inconsistent", "no_permission", "ended", "no_slot"
]

_MAX_THREADS = 64
"""Looked at; all that are more say nothing new."""
_MAX_INTERPRETERS = 256
_MAX_FRAMES = 64
_FRAME_BYTES = 64
_TRIES = 20
"""Readings of a running process's frames until one of them has not changed meanwhile."""


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
    """Address of the main PyInterpreterState."""
    offsets: Mapping[str, int]
    slot: int
    """Offset from the thread pointer of a word that holds the thread's PyThreadState for as long as it has one."""
    current_slot: int
    """The same for the word that is 0 while the thread is detached; 0 where none was found."""
    counter: Counter
    """The count that tells whether a code object is still the one that was sampled."""
    code_type: int
    """Address of `PyCode_Type`; 0 where it is not exported, and no frame was there to learn it from."""
    none: int
    """Address of None, the executable of entry frames from 3.13 on (there, with tag bits); 0 where not seen."""
    holder: int
    """Address of the word that holds the PyThreadState that has the main interpreter's GIL, or had it last; 0 in a
    free-threaded build."""
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
        """Of the count, 64 bits to be masked with `counter.mask`; 0 where there is none."""
        return self.counter.address


def find_layout(pid: int, *, proc: str = "/proc", memory: Memory | None = None) -> Layout:
    """Look at a process once. Takes 1 ms; with a file that was not seen before, some more."""
    space = AddressSpace(pid, proc=proc)
    space.refresh()
    if not space.mappings:
        kind: LayoutErrorKind = "ended" if space.ended else "no_permission"
        raise LayoutError(f"its memory map {'is gone' if space.ended else 'may not be read'}.", kind)
    failure: LayoutError | None = None
    reader = memory
    for mapping in candidates(space):
        symbols = runtime_symbols(space, mapping)
        if symbols is None:
            continue
        try:
            if reader is None:
                reader = _open_memory(pid, proc)
            return read_layout(pid, reader, symbols.base(mapping), symbols, mapping.path)
        except MemoryReadError as error:
            failure = LayoutError(f"its interpreter could not be read ({error}).", "not_ready")
        except LayoutError as error:
            # Of several interpreters that are mapped, one that is starting is worth waiting for.
            if failure is None or failure.kind != "not_ready":
                failure = error
    raise failure or LayoutError("it is no CPython.", "not_python")


def _open_memory(pid: int, proc: str) -> Memory:
    try:
        return ProcessMemory(pid, proc=proc)
    except MemoryReadError as error:
        raise LayoutError(f"its memory may not be read ({error.strerror}).", "no_permission") from error


def read_layout(
    pid: int, memory: Memory, base: int, symbols: RuntimeSymbols, path: str, *, slots_needed: bool = True
) -> Layout:
    """The layout of the interpreter whose file is mapped at `base`. Raises also `MemoryReadError`.

    `slots_needed`: threads are to be told by their thread pointers, not by who holds the GIL.
    """
    if slots_needed and symbols.machine != "x86_64":
        raise LayoutError("threads' frames are only found on x86-64.", "unsupported_version")
    runtime = base + symbols.runtime
    version, offsets = _read_offsets(memory, runtime, base + symbols.version if symbols.version else 0)
    minor = version >> 16 & 0xFF
    interpreters = _interpreters(memory, runtime, offsets)
    threads = [thread for interpreter in interpreters for thread in _threads(memory, interpreter, offsets)]
    slots = _slots(memory, threads) if slots_needed else NO_SLOTS
    main = interpreters[-1]
    version_count = base + symbols.version_count if symbols.version_count else 0
    for _ in range(_TRIES):
        frames = _look_at_frames(memory, threads, offsets, minor)
        # A code object of another interpreter has its version from that one's count.
        codes = frames.codes if len(interpreters) == 1 or minor == 12 else ()
        counter = find_counter(memory, main, offsets, minor, codes, version_count)
        # Code that was freed and overwritten as we looked may have contradicted the count: look again.
        if counter.kind == "versions" or not codes or not has_versions(minor, version_count):
            break
    return Layout(
        pid=pid,
        version=version,
        path=path,
        runtime=runtime,
        interpreter=main,
        offsets=offsets,
        slot=slots.lasting,
        current_slot=slots.current,
        counter=counter,
        code_type=frames.code_type or (base + symbols.code_type if symbols.code_type else 0),
        none=frames.none,
        holder=_gil_holder(memory, runtime, main, offsets),
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


def _interpreters(memory: Memory, runtime: int, offsets: Mapping[str, int]) -> list[int]:
    """All of them: the newest first, the main one, whose id is 0, last."""
    out: list[int] = []
    interpreter = word(memory, runtime + offsets["rt.interp_head"])
    while interpreter and interpreter not in out and len(out) < _MAX_INTERPRETERS:
        out.append(interpreter)
        if not word(memory, interpreter + offsets["is.id"]):
            return out
        interpreter = word(memory, interpreter + offsets["is.next"])
    raise LayoutError("its interpreter is starting.", "not_ready")


def _threads(memory: Memory, interpreter: int, offsets: Mapping[str, int]) -> list[ThreadState]:
    """An interpreter's threads. What does not check out is another structure than we take it for."""
    out: list[ThreadState] = []
    state = word(memory, interpreter + offsets["is.threads_head"])
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
        if owner != interpreter or (not out and back != 0):
            if out:
                break
            raise LayoutError("its threads are not where this version has them.", "not_ready")
        out.append(ThreadState(state, pointer))
        state = following
    return out


def _gil_holder(memory: Memory, runtime: int, main: int, offsets: Mapping[str, int]) -> int:
    if offsets["free_threaded"]:
        return 0
    if "rt.gil_holder" in offsets:
        return runtime + offsets["rt.gil_holder"]
    if "gil.holder" in offsets:
        return word(memory, main + offsets["is.ceval_gil"]) + offsets["gil.holder"]
    return main + offsets["is.gil_holder"]


def _slots(memory: Memory, threads: list[ThreadState]) -> Slots:
    bound = [thread for thread in threads if thread.pointer]
    if not bound:
        raise LayoutError("its interpreter has no thread yet.", "not_ready")
    slots = find_slots(memory, bound)
    if not slots.lasting:
        raise LayoutError("no thread keeps its state where it can be found.", "not_ready")
    return slots


class _Frames(NamedTuple):
    """What the frames that run now say."""

    codes: tuple[int, ...]
    code_type: int
    none: int


def _look_at_frames(memory: Memory, threads: list[ThreadState], offsets: Mapping[str, int], minor: int) -> _Frames:
    """Follow threads' frames until some lead to code objects. An interpreter that is idle has none."""
    objects = Objects(memory, offsets, minor)
    there_are_some = False
    for _ in range(_TRIES):
        for thread in threads:
            try:
                chain = _executables(memory, thread.state, offsets, minor)
            except MemoryReadError:
                there_are_some = True  # it has gone on while we read
                continue
            there_are_some = there_are_some or bool(chain)
            found = _classify(objects, chain)
            if found.codes:
                return found
        if not there_are_some:
            return _Frames((), 0, 0)
    raise LayoutError(f"the frames of this CPython 3.{minor} are not where they should be.", "not_ready")


def _executables(memory: Memory, state: int, offsets: Mapping[str, int], minor: int) -> list[int]:
    """The code of a thread's frames, leaf first, without the bits that mark how it is counted."""
    if "ts.cframe" in offsets:
        cframe = word(memory, state + offsets["ts.cframe"])
        frame = word(memory, cframe + offsets["cframe.frame"]) if cframe else 0
    else:
        frame = word(memory, state + offsets["ts.frame"])
    out: list[int] = []
    while frame and len(out) < _MAX_FRAMES:
        code = word(memory, frame + offsets["fr.code"])
        out.append(code & ~3 if minor >= 14 else code)
        frame = word(memory, frame + offsets["fr.previous"])
    return out


def _classify(objects: Objects, chain: list[int]) -> _Frames:
    """All frames must be code or None, and at least one code, to be believed."""
    codes, code_type, none = [], 0, 0
    for executable in dict.fromkeys(chain):
        try:
            kind = objects.type_of(executable)
            name = b"code" if kind == code_type else objects.type_name(kind)
        except (MemoryReadError, NotThatObject):
            return _Frames((), 0, 0)
        if name == b"code":
            code_type = kind
            codes.append(executable)
        elif name == b"NoneType":
            none = executable
        else:
            return _Frames((), 0, 0)
    return _Frames(tuple(codes), code_type, none)
