"""The straight line: request → D program → dtrace → records → frames → collector.

`DTraceEngine` owns one dtrace session and what is known between its records. Everything happens in the session's
output thread, but for starting, stopping and the watch.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from dtrace_profiler.collector import Collector
from dtrace_profiler.errors import DTraceFailed, DTraceProfilerError
from dtrace_profiler.model.frame import StackFrame
from dtrace_profiler.model.options import Options
from dtrace_profiler.platforms.base import system
from dtrace_profiler.platforms.dtrace_command import DTraceCommand
from dtrace_profiler.platforms.processes import descendants, process_exists, thread_name
from dtrace_profiler.record.messages import classify, drops, is_notice, run_time_error
from dtrace_profiler.record.parse import NativeStack, Parser, ProcessEvent, PythonStack, Record, SampleRecord
from dtrace_profiler.record.program import MAX_NATIVE_FRAMES, ProgramRequest, d_program
from dtrace_profiler.record.program import options as program_options
from dtrace_profiler.record.recording import RecordingWriter
from dtrace_profiler.record.session import Session, SessionCommand
from dtrace_profiler.record.workspace import Workspace
from dtrace_profiler.stacks import TRUNCATED, UNKNOWN, NativeProcess, kernel_frames
from dtrace_profiler.symbols.native import Symboliser

READY_TIMEOUT_S = 60.0
"""A dtrace that has not begun by then never will. It takes 0.3 s on an idle machine, some seconds on a busy one."""
_PENDING_S = 2.0
"""Each CPU has a buffer of its own: a sample may come before the stack it names, but not by more than this."""
_MAX_DEFINITIONS = 1 << 18
_MAX_ERROR_TEXT = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRequest:
    """What `DTraceEngine` needs to know, decided before it."""

    dtrace: DTraceCommand
    elevation: Sequence[str]
    pid: int
    options: Options
    machine: str


@dataclass(slots=True)
class _Definitions:
    """Stacks by number, the oldest forgotten when there are too many."""

    items: dict[int, tuple[bytes, ...]] = field(default_factory=dict)

    def add(self, number: int, lines: tuple[bytes, ...]) -> None:
        if len(self.items) >= _MAX_DEFINITIONS:
            for old in list(self.items)[: _MAX_DEFINITIONS // 4]:
                del self.items[old]
        self.items[number] = lines


class DTraceEngine:
    """Samples one process or tree through dtrace into a collector.

    `own_threads` gives the native ids of this process's threads that must not be seen. `on_failure` is called, in
    the session's thread, when dtrace ends without having been told to.
    """

    name = "dtrace"

    def __init__(
        self,
        request: EngineRequest,
        collector: Collector,
        *,
        recording: RecordingWriter | None = None,
        on_failure: Callable[[DTraceProfilerError], None],
    ) -> None:
        self._request = request
        self._collector = collector
        self._on_failure = on_failure
        self._period_ns = 1_000_000_000 // request.options.frequency_hz
        self._symboliser = Symboliser()
        self._processes: dict[int, NativeProcess] = {}
        self._parser = Parser()
        self._natives = _Definitions()
        self._kernels = _Definitions()
        self._nodes: dict[tuple[int, ...], int] = {}
        self._pending: deque[tuple[float, SampleRecord]] = deque()
        self._threads_seen: set[tuple[int, int]] = set()
        self._errors = ""
        self._error_line = b""
        self._stopping = False
        self._members = {request.pid}
        self._own = request.pid == os.getpid()
        self.ready = threading.Event()
        """Set when sampling has begun, and when it never will."""
        self.target_ended = threading.Event()
        self.begin_ns = 0
        self.losses: dict[str, int] = {}
        self.notes: list[str] = []
        self._recording = recording
        self._workspace: Workspace | None = None
        self._session: Session | None = None
        self._watch: threading.Thread | None = None

    # Starting and stopping: called by the profiler's thread.

    def start(self) -> None:
        """Returns while dtrace gets ready. Raises `DTraceFailed` where not even its supervisor starts."""
        request = self._request
        self._workspace = Workspace.create(request.dtrace.path)
        self.notes += self._workspace.notes
        program = self._program()
        text = d_program(program)
        file = self._workspace.write_program(text)
        if self._recording is not None:
            self._recording.fact("program", text)
        arguments = ["-q"]
        for option in (*program_options(program), *self._workspace.options):
            arguments += ["-x", option]
        arguments += ["-s", str(file)]
        command = SessionCommand(dtrace=request.dtrace.path, arguments=arguments, elevation=request.elevation)
        self._session = Session(
            command, on_output=self._on_output, on_errors=self._on_errors, on_end=self._on_session_end
        )
        self._process(request.pid)
        try:
            self._session.start()
        except OSError as error:
            self._workspace.close()
            raise DTraceFailed(f"dtrace could not be started: {error.strerror or error}.") from error
        self._watch = threading.Thread(target=self._watch_session, name="dtrace-profiler-watch", daemon=True)
        self._watch.start()

    def program_text(self) -> str:
        """The D program that `start` would run."""
        return d_program(self._program())

    def _program(self) -> ProgramRequest:
        options, pid = self._request.options, self._request.pid
        pids = [pid]
        if options.children:
            pids += [child for child in descendants(pid) if child != os.getpid()]
        self._members = set(pids)
        return ProgramRequest(
            frequency_hz=options.frequency_hz,
            pids=pids,
            children=options.children,
            native_frames=0 if options.native != "full" else self._native_limit,
            kernel=options.kernel,
            control=secrets.randbits(30) << 1,
            machine=self._request.machine,
        )

    @property
    def _native_limit(self) -> int:
        return min(self._request.options.depth, MAX_NATIVE_FRAMES)

    def request_stop(self) -> None:
        self._stopping = True
        if self._session is not None:
            self._session.stop()

    def stop(self, timeout_s: float = 15.0) -> None:
        """End dtrace and take in all it had. Kills it when it does not end."""
        self.request_stop()
        session = self._session
        if session is not None and threading.current_thread() not in session.threads:
            if not session.wait(timeout_s):
                session.kill()
                session.wait(2.0)
        watch = self._watch
        if watch is not None and watch is not threading.current_thread():
            watch.join(1.0)

    def kill(self) -> None:
        self._stopping = True
        if self._session is not None:
            self._session.kill()

    @property
    def dtrace_version(self) -> str:
        return self._request.dtrace.version_text

    def after_fork(self) -> None:
        """In a forked child: let go of the pipe whose end tells dtrace that we have ended."""
        if self._session is not None:
            self._session.after_fork()

    def _watch_session(self) -> None:
        session = self._session
        assert session is not None
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not session.ended.wait(0.2):
            if not self.ready.is_set() and time.monotonic() > deadline:
                self._errors += f"dtrace did not begin to sample within {READY_TIMEOUT_S:g} s.\n"
                session.kill()
                return
            if not self._members or not process_exists(self._request.pid):
                # With children, the tree lives on without its root; the exit events empty the set of members.
                if not self._request.options.children or not any(map(process_exists, tuple(self._members))):
                    self.target_ended.set()

    def own_threads(self) -> set[int]:
        """Native ids of our threads."""
        session_threads = self._session.threads if self._session is not None else ()
        threads = (*session_threads, *([self._watch] if self._watch is not None else []))
        return {thread.native_id for thread in threads if thread.native_id is not None}

    # From here on: the session's threads.

    def _on_errors(self, data: bytes) -> None:
        lines = (self._error_line + data).split(b"\n")
        self._error_line = lines.pop()
        for raw in lines:
            line = raw.decode("utf-8", "replace")
            lost = drops(line)
            if lost is not None:
                self._lose(*lost)
            elif run_time_error(line) is not None:
                self._lose("probe_faults")
            elif not is_notice(line) and len(self._errors) < _MAX_ERROR_TEXT:
                self._errors += line + "\n"

    def _lose(self, what: str, count: int = 1) -> None:
        self.losses[what] = self.losses.get(what, 0) + count

    def _on_output(self, data: bytes) -> None:
        for record in self._parser.feed(data):
            self._take(record)
        if self._pending:
            self._retry(time.monotonic() - _PENDING_S)
        if self._recording is not None:
            self._record_output(data)

    def _record_output(self, data: bytes) -> None:
        assert self._recording is not None
        try:
            self._recording.output(data, whole=self._parser.between_records)
        except OSError as error:
            self._recording = None
            self.notes.append(f"The recording is incomplete: {error.strerror or error}.")
            self._lose("recording_writes")

    def _on_session_end(self, status: int) -> None:
        for record in self._parser.close():
            self._take(record)
        self._retry(time.monotonic() + 1.0)
        if self._workspace is not None:
            self._workspace.close()
        self._symboliser.close()
        if not self._stopping:
            text = self._errors + self._error_line.decode("utf-8", "replace")
            self._on_failure(classify(text, status, system()))
        self.ready.set()

    def _take(self, record: Record) -> None:
        if isinstance(record, SampleRecord):
            self._sample(record)
        elif isinstance(record, NativeStack):
            (self._kernels if record.kernel else self._natives).add(record.number, record.frames)
        elif isinstance(record, ProcessEvent):
            self._event(record)
        elif isinstance(record, PythonStack):
            pass

    def _event(self, event: ProcessEvent) -> None:
        if event.what == "begin":
            self.begin_ns = event.timestamp_ns
            self.ready.set()
        elif event.what == "exec":
            self._nodes = {key: node for key, node in self._nodes.items() if key[0] != event.process_id}
            self._process(event.process_id).refresh()
        elif event.what == "fork":
            self._members.add(event.child)
            self._process(event.child)
        elif event.what == "exit":
            self._members.discard(event.process_id)
            if not self._members:
                self.target_ended.set()

    def _process(self, pid: int) -> NativeProcess:
        process = self._processes.get(pid)
        if process is None:
            process = self._processes[pid] = NativeProcess(pid, self._symboliser)
        return process

    def _sample(self, record: SampleRecord, *, late: bool = False) -> None:
        if self._own and record.process_id == self._request.pid and record.thread_id in self.own_threads():
            return
        native, kernel = record.native, record.kernel
        key = (record.process_id, native, kernel, record.python, 0 if native else record.pc)
        node = self._nodes.get(key)
        if node is None:
            known = (not native or native in self._natives.items) and (not kernel or kernel in self._kernels.items)
            if not known and not late:
                self._pending.append((time.monotonic(), record))
                return
            node = self._resolve(key, record)
            if known:
                if len(self._nodes) >= _MAX_DEFINITIONS:
                    self._nodes.clear()
                self._nodes[key] = node
            else:
                self._lose("undefined_stacks")
        who = (record.process_id, record.thread_id)
        if who not in self._threads_seen:
            self._threads_seen.add(who)
            self._name_thread(record)
        self._collector.add(record.timestamp_ns, *who, node, 1, self._period_ns)

    def _retry(self, give_up: float) -> None:
        """Samples that came before their stacks; those older than `give_up` are taken as they are."""
        for _ in range(len(self._pending)):
            arrived, record = self._pending.popleft()
            if arrived <= give_up:
                self._sample(record, late=True)
            else:
                native_known = not record.native or record.native in self._natives.items
                kernel_known = not record.kernel or record.kernel in self._kernels.items
                if native_known and kernel_known:
                    self._sample(record)
                else:
                    self._pending.append((arrived, record))

    def _resolve(self, key: tuple[int, ...], record: SampleRecord) -> int:
        process = self._process(record.process_id)
        lines = self._natives.items.get(record.native, ())
        if lines:
            native = process.stack(lines, limit=self._native_limit)
        elif self._request.options.native == "none":
            native = process.leaf(0)
        else:
            native = process.leaf(record.pc)
        if native.broken:
            self._lose("broken_unwinds")
        frames: tuple[StackFrame, ...] = native.frames
        if native.truncated:
            self._lose("truncated_stacks")
            frames = (TRUNCATED, *frames)
        frames += kernel_frames(self._kernels.items.get(record.kernel, ()))
        frames = frames or (UNKNOWN,)
        if self._recording is not None:
            self._recording.stack(key, frames)
        return self._collector.node(frames)

    def _name_thread(self, record: SampleRecord) -> None:
        name = thread_name(record.process_id, record.host_thread_id)
        self._collector.name_thread(record.process_id, record.thread_id, name)
        if self._recording is not None:
            self._recording.fact("thread", [record.process_id, record.thread_id, name])
