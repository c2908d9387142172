"""The CPython processes among those that are sampled: found, told to the D program, their stacks named.

A process is looked at when it is first known and after each exec, again and again while it is starting: the layout
can be read as soon as the interpreter has made its first thread, some milliseconds before the program's first line.
Code objects are read when a stack is printed, while they are most likely still there.
"""

from __future__ import annotations

import dataclasses
import heapq
import threading
import time
from collections import deque
from collections.abc import Callable, Container, Mapping, Sequence

from dtrace_profiler.cpython.code import CodeReader
from dtrace_profiler.cpython.code_object import SHIM, CodeObject
from dtrace_profiler.cpython.glue import EvaluationLoops, native_unwind_works
from dtrace_profiler.cpython.inherited_code import InheritedCode
from dtrace_profiler.cpython.layout import Layout, LayoutError
from dtrace_profiler.cpython.looking import look_into
from dtrace_profiler.cpython.memory import Memory, MemoryReadError, ProcessMemory
from dtrace_profiler.cpython.modules import ModuleNames
from dtrace_profiler.merge import PythonFrame
from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.platforms.base import System
from dtrace_profiler.platforms.processes import arguments, process_exists, working_directory
from dtrace_profiler.record.parse import CodeName, PythonStack, SampleRecord
from dtrace_profiler.record.python_walk import PythonProcess
from dtrace_profiler.silent_processes import SilentProcesses
from dtrace_profiler.walk_facts import facts_for_walk

_POLL_S = 0.002
_POLL_FOR_S = 1.0
_SLOW_POLL_S = 0.05
_GIVE_UP_S = 10.0
"""A process that is no CPython by then has no interpreter, or brings it in late (a program that embeds it)."""
_MAX_STACKS = 1 << 17
_MAX_UNCERTAIN = 1 << 12
_ORPHAN_S = 4.0
"""Each CPU has a buffer of its own: a forked process's first stacks may come before the fork, but not by more."""
_CLOCKS_NS = 10_000_000
"""dtrace's clock and ours may differ by less than this."""
_LOOK_AGAIN_S = 0.3
"""A code object that was there, unchanged, for this long is the one that was sampled (see cpython.code)."""
UNKNOWN_PYTHON = StackFrame("<unknown>", kind=FrameKind.UNKNOWN)


@dataclasses.dataclass(slots=True)
class _Process:
    layout: Layout
    code: CodeReader | InheritedCode
    modules: ModuleNames
    full_native: bool
    loops: EvaluationLoops

    @property
    def for_walk(self) -> PythonProcess:
        return facts_for_walk(self.layout, leaf_only=not self.full_native)


@dataclasses.dataclass(frozen=True, slots=True)
class NamedStack:
    """`frames` leaf first, None where a C evaluation loop begins."""

    frames: tuple[PythonFrame, ...]
    truncated: bool
    loops: Container[StackFrame] = ()
    """Tells the evaluation loops of the process."""
    unwinds: bool = False
    """Whether the process's interpreter keeps frame pointers."""
    uncertain: bool = False
    """A frame could not be named; that may change."""
    unresolved: bool = False
    """Nothing is known of its process, whose memory is gone."""


class PythonProcesses:
    """`tell` lets the running D program know of a process that was found later than by `look`; any thread calls it.
    None where it can't be told of anything.

    `lose` counts what is missing, `note` keeps a sentence for the user. `depth`: Python frames kept of a stack.
    `define`, `sampled`, `adopt`, `forked`, `new_image` and `ended` are for the threads that read dtrace's output, one
    at a time; `stack` for any.
    """

    def __init__(
        self,
        *,
        tell: Callable[[PythonProcess], None] | None,
        lose: Callable[..., None],
        note: Callable[[str], None],
        depth: int,
        on: System = "linux",
    ) -> None:
        self._on = on
        self._tell = tell
        self._lose = lose
        self._note = note
        self._depth = depth
        self._known: dict[int, _Process] = {}
        self._silent = SilentProcesses()
        self._told_ns: dict[int, int] = {}
        """When the D program had been told of a process: who was forked from it earlier has inherited nothing."""
        self._executed_ns: dict[int, int] = {}
        self._ended: deque[tuple[float, int, _Process | None]] = deque()
        """(when, pid, what it was)."""
        self._stacks: dict[int, NamedStack] = {}
        self._uncertain: dict[int, tuple[float, PythonStack, dict[int, CodeName]]] = {}
        """Stacks with a frame that could not be named surely: (when to try again, what was printed)."""
        self._names: dict[int, dict[int, CodeName]] = {}
        """Number of a stack → frame → what was read as it was sampled."""
        self._orphans: dict[int, tuple[float, PythonStack]] = {}
        """Number → (when it came, a stack of a process that is not known yet); 0.0: nobody will name it."""
        self._frames: dict[tuple[CodeObject, int], StackFrame] = {}
        self._waiting: list[tuple[float, float, int]] = []
        """A heap of (when to look, when it began, pid)."""
        self._unprepared: list[EvaluationLoops] = []
        """For when nothing else is to be done: it takes 0.2 s, once an interpreter."""
        self._changed = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._said: set[str] = set()

    @property
    def threads(self) -> Sequence[threading.Thread]:
        return () if self._thread is None else (self._thread,)

    @property
    def found(self) -> list[PythonProcess]:
        """What the D program needs to know of each that lives."""
        return [process.for_walk for process in list(self._known.values())]

    def is_python(self, pid: int) -> bool:
        return pid in self._known

    def hides_callers(self, pid: int) -> bool:
        """Whether it is a CPython whose native code keeps no frame pointers."""
        process = self._known.get(pid)
        return process is not None and not process.full_native

    # Finding.

    def look(self, pid: int) -> bool:
        """Look at a process once, now; later again where it is still starting."""
        try:
            self._known[pid] = self._open(*look_into(pid, self._on))
        except LayoutError as error:
            if error.kind == "not_ready":
                self.watch(pid)
            else:
                self._refused(pid, error)
            return False
        return True

    def _open(self, layout: Layout, memory: Memory) -> _Process:
        modules = ModuleNames(
            arguments(layout.pid), root=f"/proc/{layout.pid}/root", directory=working_directory(layout.pid)
        )
        full = native_unwind_works(layout, memory)
        return _Process(layout, CodeReader(layout, memory), modules, full, EvaluationLoops(layout))

    def _refused(self, pid: int, error: LayoutError) -> None:
        """Say once what a user should know; a process that is no CPython, or has ended, is nothing to speak of."""
        if error.kind not in ("not_python", "ended") and str(error) not in self._said:
            self._said.add(str(error))
            self._note(f"No Python frames of process {pid}: {error}")

    def watch(self, pid: int) -> None:
        """Look at a process from now on until it is a CPython, has ended, or time is up."""
        now = time.monotonic()
        with self._changed:
            heapq.heappush(self._waiting, (now, now, pid))
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="dtrace-profiler-python", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._closed and not self._due() and (self._waiting or not self._unprepared):
                    self._changed.wait(self._waiting[0][0] - time.monotonic() if self._waiting else None)
                if self._closed:
                    return
                work = heapq.heappop(self._waiting) if self._due() else None
                loops = self._unprepared.pop() if work is None and self._unprepared else None
            if work is not None:
                self._try(work[2], work[1])
            if loops is not None:
                loops.prepare()

    def _due(self) -> bool:
        return bool(self._waiting) and self._waiting[0][0] <= time.monotonic()

    def _try(self, pid: int, since: float) -> None:
        known = self._known.get(pid)
        if known is not None and pid not in self._silent:
            return
        image = self._executed_ns.get(pid)
        try:
            process = self._open(*look_into(pid, self._on))
        except LayoutError as error:
            if known is not None:
                return
            age = time.monotonic() - since
            if error.kind in ("not_python", "not_ready") and age < _GIVE_UP_S and process_exists(pid):
                pause = _POLL_S if age < _POLL_FOR_S else _SLOW_POLL_S
                with self._changed:
                    heapq.heappush(self._waiting, (time.monotonic() + pause, since, pid))
            else:
                self._refused(pid, error)
            return
        if self._executed_ns.get(pid) != image:
            return  # it has executed another program meanwhile, which is watched on its own
        if known is not None:
            if known.layout != process.layout:
                self._known[pid] = process
            self._say(process.for_walk)
            self._silent.told_again(pid)
            return
        self._known[pid] = process
        self._tell_of(pid, process.for_walk)
        self._unprepared.append(process.loops)

    def tell_all(self) -> None:
        """The D program that begins now knows of nothing that was found since its text was written."""
        for pid, process in list(self._known.items()):
            self._tell_of(pid, process.for_walk)

    def _tell_of(self, pid: int, process: PythonProcess) -> None:
        if self._say(process):
            self._told_ns[pid] = time.time_ns()
            self._silent.told(pid)

    def _say(self, process: PythonProcess) -> bool:
        if self._tell is not None:
            self._tell(process)
        return self._tell is not None

    def new_image(self, pid: int, at_ns: int) -> None:
        """The process has executed another program."""
        self._known.pop(pid, None)
        self._silent.forget(pid)
        for number, (_, stack) in list(self._orphans.items()):
            if stack.process_id == pid:
                self._orphans[number] = 0.0, stack
        self._executed_ns[pid] = at_ns
        if self._told_ns.pop(pid, 0) >= at_ns:
            self._say(PythonProcess(pid=pid, slot=0, frame=0))  # that was of the image before
        self.watch(pid)

    def forked(self, parent: int, child: int, at_ns: int) -> None:
        """A fork has its parent's memory at its parent's addresses. Mostly the D program has seen to it already."""
        if self._executed_ns.get(child, 0) > at_ns:
            return  # seen before the fork was, in another CPU's buffer
        known = self._known.get(parent)
        if known is None:
            self._known.pop(child, None)  # of another with that number, which has ended
            self.watch(child)
            return
        layout = dataclasses.replace(known.layout, pid=child)
        code: CodeReader | InheritedCode
        try:
            code = CodeReader(layout, ProcessMemory(child))
        except MemoryReadError:
            code = known.code.inherited()  # it has ended since
        process = dataclasses.replace(known, layout=layout, code=code)
        self._known[child] = process
        if at_ns <= self._told_ns.get(parent, 0) + _CLOCKS_NS:
            self._tell_of(child, process.for_walk)
        self.adopt()

    def ended(self, pid: int) -> None:
        """What another CPU's buffer holds of it comes later."""
        now = time.monotonic()
        self._ended.append((now, pid, self._known.get(pid)))
        while self._ended and now - self._ended[0][0] > _ORPHAN_S:
            _, pid, process = self._ended.popleft()
            if self._known.get(pid) is process:  # the number is not another's by now
                for table in (self._known, self._told_ns, self._executed_ns):
                    table.pop(pid, None)
                self._silent.forget(pid)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()

    def release(self) -> None:
        """Nothing more will be named: the processes' memory need not stay open."""
        self._known.clear()

    # Naming.

    def name(self, name: CodeName) -> None:
        """A frame of a stack that `define` will tell of."""
        if len(self._names) >= _MAX_UNCERTAIN:
            self._names.clear()
        self._names.setdefault(name.number, {})[name.frame] = name

    def define(self, stack: PythonStack) -> None:
        """Read the code objects of a stack that was just printed."""
        process = self._known.get(stack.process_id)
        if process is None:
            if len(self._orphans) >= _MAX_UNCERTAIN:
                self._orphans.clear()
            if all(other.process_id != stack.process_id for _, other in self._orphans.values()):
                self.watch(stack.process_id)  # its fork may never be told of
            self._orphans[stack.number] = time.monotonic(), stack
            return
        names = self._names.pop(stack.number, {})
        named = self._name(process, stack, names)
        if len(self._stacks) >= _MAX_STACKS:
            for old in list(self._stacks)[: _MAX_STACKS // 4]:
                del self._stacks[old]
        self._stacks[stack.number] = named
        self._orphans.pop(stack.number, None)
        if named.uncertain and len(self._uncertain) < _MAX_UNCERTAIN:
            self._uncertain[stack.number] = (time.monotonic() + _LOOK_AGAIN_S, stack, names)

    def adopt(self) -> None:
        """Name the stacks that came before their process was known."""
        for since, stack in list(self._orphans.values()):
            if since and stack.process_id in self._known:
                self.define(stack)

    def give_up(self) -> None:
        """No process will be found any more."""
        self.adopt()
        for number, (_, stack) in self._orphans.items():
            self._orphans[number] = 0.0, stack

    def sampled(self, record: SampleRecord) -> None:
        """A sample came: what is not known yet, and by now may be, is looked at again."""
        pid = record.process_id
        if record.python > 1:
            self._look_again(record.python)
            if late_s := self._silent.heard(pid):
                self._note(
                    f"Python frames of process {pid} came when it was looked at again, after {late_s:.1f} s:"
                    " samples before may lack them."
                )
        elif self._silent.sampled(pid):
            self.watch(pid)

    def _look_again(self, number: int) -> None:
        """What could not be named when a stack was new may now be known for sure."""
        orphan = self._orphans.get(number)
        if orphan is not None and orphan[0] and orphan[1].process_id in self._known:
            self.define(orphan[1])
        waiting = self._uncertain.get(number)
        if waiting is not None and waiting[0] <= time.monotonic():
            _, stack, self._names[number] = self._uncertain.pop(number)
            self.define(stack)

    def _name(self, process: _Process, stack: PythonStack, names: Mapping[int, CodeName]) -> NamedStack:
        out: list[PythonFrame] = []
        room = self._depth
        truncated = stack.next_frame != 0
        found = process.code.read(stack.frames, stack.generation, whole=not stack.next_frame, names=names)
        for code, (_, instruction) in zip(found, stack.frames, strict=True):
            if not room:
                truncated = True
                break
            room -= code is None or isinstance(code, CodeObject)
            if code is None:
                self._lose("unresolved_code")
                out.append(UNKNOWN_PYTHON)
            elif isinstance(code, CodeObject):
                out.append(self._frame(process, code, instruction))
            elif code is not SHIM:
                out.append(None)
        return NamedStack(tuple(out), truncated, process.loops, process.full_native, UNKNOWN_PYTHON in out)

    def _frame(self, process: _Process, code: CodeObject, instruction: int) -> StackFrame:
        line = code.line(instruction)
        frame = self._frames.get((code, line))
        if frame is None:
            if len(self._frames) >= _MAX_STACKS:
                self._frames.clear()
            frame = self._frames[code, line] = StackFrame(
                code.qualname,
                process.modules.name(code.filename),
                file=code.filename,
                line=line,
                first_line=code.first_line,
                kind=FrameKind.PYTHON,
            )
        return frame

    def stack(self, number: int) -> NamedStack | None:
        """A stack that was defined; None where it was not, or not yet."""
        orphan = self._orphans.get(number)
        if orphan is None or time.monotonic() - orphan[0] < _ORPHAN_S:
            return self._stacks.get(number)
        return NamedStack((UNKNOWN_PYTHON,), truncated=False, uncertain=True, unresolved=True)
