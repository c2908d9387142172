"""The straight line: request → D program → dtrace → records → frames → collector.

`DTraceEngine` runs it. A program that follows many interpreter frames takes the kernel seconds to verify: one that
follows few begins, and hands over to one that follows all. Each sample is taken by one of the two, by its time.

The threads that read dtrace's output take at once what can't wait (a process that began or ended, code objects that
may soon be gone) and queue the rest for the one that names native frames, which may have to read a large file.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Sequence

from dtrace_profiler.collector import Collector
from dtrace_profiler.errors import DTraceFailed, DTraceProfilerError
from dtrace_profiler.held_samples import HeldSamples
from dtrace_profiler.own_threads import add_engine, own_thread_ids
from dtrace_profiler.platforms.processes import descendants, process_exists
from dtrace_profiler.python_processes import PythonProcesses
from dtrace_profiler.record.control import ControlChannel
from dtrace_profiler.record.messages import classify
from dtrace_profiler.record.parse import CodeName, NativeStack, ProcessEvent, PythonStack, Record, SampleRecord
from dtrace_profiler.record.program import MAX_NATIVE_FRAMES, ProgramRequest
from dtrace_profiler.record.python_walk import FIRST_WALK_STEPS, FULL_WALK_STEPS, HELD_WALK_STEPS
from dtrace_profiler.record.recording import RecordingWriter
from dtrace_profiler.resolve import Resolver
from dtrace_profiler.stage import EngineRequest, Stage, StageCommand, not_started

_HANDOVER_NS, _LATEST_HANDOVER_NS = 100_000_000, 5_000_000_000
"""From the second program's begin on its probes are on, on every CPU; this is for those that take a moment."""
_WATCH_S, _RESOLVE_S, _SETTLED_S = 0.25, 0.1, 2.0
_PAUSE_S, _SHORT_PAUSE_S = 0.1, 0.01
"""Between two reads once a program has run for `_SETTLED_S`; in a tree, which programs start in at any time, and
where somebody looks at the samples as they come."""


class DTraceEngine:
    """Samples one process or tree through dtrace into a collector.

    `on_failure` is called, in a session's thread, when dtrace ends without having been told to.
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
        self.request = request
        self.ready = threading.Event()
        """Set when sampling has begun, and when it never will."""
        self.target_ended = threading.Event()
        self.begin_ns = 0
        self.losses: dict[str, int] = {}
        self.notes: list[str] = []
        self._collector = collector
        self._recording = recording
        self._unrecorded: list[tuple[int, int]] = []
        """Losses that the recording does not have yet."""
        self._on_failure = on_failure
        self._lock = threading.RLock()
        self._resolver = Resolver(
            request.options, collector, recording=recording, lose=self.lose, own_threads=own_thread_ids
        )
        self._control = ControlChannel(0) if request.dialect.classic else ControlChannel()
        self._python: PythonProcesses | None = None
        if request.options.python:
            self._python = PythonProcesses(
                tell=None if request.dialect.classic else self._control.python,
                lose=self.lose,
                note=self._note,
                depth=request.options.depth,
                on=request.system.system,
            )
            self._resolver.python = self._python
        self._members = {request.pid}
        self._held = HeldSamples(request.pid, self._resolver.sample, self._exec_unseen, expected=request.expect_exec)
        self._stages: list[Stage] = []
        self._shallow = False
        """The program that follows deep stacks could not be had."""
        self._stopping = threading.Event()
        self._changed = threading.Event()
        """Wakes the watch."""
        self._watch: threading.Thread | None = None
        self._queue: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._resolving: threading.Thread | None = None
        if request.options.native == "full" and request.options.depth > MAX_NATIVE_FRAMES + 1:
            limit = "the kernel's limit (kernel.perf_event_max_stack)"
            self.notes.append(f"Native stacks are cut at {MAX_NATIVE_FRAMES} frames, {limit}.")

    @property
    def dtrace_version(self) -> str:
        return self.request.dtrace.version_text

    # Starting and stopping: the profiler's thread.

    def start(self) -> None:
        """Returns while dtrace gets ready. Raises `DTraceFailed` where not even its supervisor starts."""
        try:
            self._start()
        except BaseException as error:
            self.stop()
            if isinstance(error, RuntimeError):
                raise not_started(error) from error  # no thread can be started
            raise

    def _start(self) -> None:
        add_engine(self)
        self._resolver.process(self.request.pid)
        if self.request.options.children:
            self._members.update(pid for pid in descendants(self.request.pid) if pid != os.getpid())
        stage = self._start_stage(self.program_request())
        if self._recording is not None:
            self._recording.fact("program", stage.text)
        resolving = threading.Thread(target=self._resolve_queue, name="dtrace-profiler-resolve", daemon=True)
        resolving.start()
        self._resolving = resolving
        watch = threading.Thread(target=self._watch_stages, name="dtrace-profiler-watch", daemon=True)
        watch.start()
        self._watch = watch

    def program_request(self) -> ProgramRequest:
        """What the D program depends on that `start` runs first. Looks for CPython in the processes."""
        return self._program(walk_steps=self._first_steps())

    def _first_steps(self) -> int:
        """Look for CPython in the processes that are there; no walk where there is none and none is expected."""
        if self._python is None:
            return 0
        for pid in sorted(self._members):
            if pid != self.request.pid or not self.request.expect_exec:
                self._python.look(pid)
        if self.request.expect_exec:
            return HELD_WALK_STEPS
        return FIRST_WALK_STEPS if self.request.options.children or self._python.found else 0

    def _program(self, *, walk_steps: int) -> ProgramRequest:
        options = self.request.options
        native = options.native == "full"
        return ProgramRequest(
            frequency_hz=options.frequency_hz,
            pids=sorted(self._members),
            children=options.children,
            native_frames=min(options.depth, MAX_NATIVE_FRAMES) if native else 0,
            kernel=options.kernel,
            walk_steps=walk_steps,
            python=self._python.found if self._python is not None and walk_steps else (),
            control=self._control.base,
            number=len(self._stages),
            machine=self.request.machine,
        )

    def _start_stage(self, program: ProgramRequest) -> Stage:
        asked = self.request
        command = StageCommand(asked.dtrace.path, asked.elevation, asked.system, asked.dialect)
        stage = Stage.prepared(program, command, self)
        if self._stages:
            stage.from_ns = 1 << 63  # until it has begun
        else:
            self.notes += stage.notes
        self._stages.append(stage)
        try:
            stage.start()
        except DTraceFailed:
            self._stages.remove(stage)
            raise
        if self._stopping.is_set():
            stage.stop()  # asked for while this one was being started
        return stage

    def request_stop(self) -> None:
        self._stopping.set()
        self._changed.set()
        if self._python is not None:
            self._python.close()
        for stage in self._stages:
            stage.stop()

    def stop(self, timeout_s: float = 15.0) -> None:
        """End dtrace and take in all it had. Kills it when it does not end, or nobody waits any more (Ctrl-C)."""
        self.request_stop()
        try:
            if self._watch is not None:
                self._watch.join(timeout_s)  # it may be starting another one
            for stage in self._stages:
                stage.end(timeout_s)
            if self._resolving is not None:
                self._resolving.join(timeout_s)
        except BaseException:
            for stage in self._stages:
                stage.session.kill()
            raise

    def own_threads(self) -> set[int]:
        """Native ids of our threads."""
        python = () if self._python is None else self._python.threads
        threads = [thread for thread in (self._watch, self._resolving, *python) if thread is not None]
        ids = {thread.native_id for thread in threads if thread.native_id is not None}
        return ids.union(*(stage.own_threads() for stage in self._stages))

    def lose(self, what: str, count: int = 1) -> None:
        """Count what is missing. Any thread."""
        now_ns = time.time_ns()
        with self._lock:
            self.losses[what] = self.losses.get(what, 0) + count
        self._collector.lost(now_ns, count)
        if self._recording is not None:
            self._unrecorded.append((now_ns, count))

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    # The watch: a thread of its own.

    def _watch_stages(self) -> None:
        while not self._stopping.is_set():
            self._changed.wait(_WATCH_S)
            self._changed.clear()
            for stage in self._stages:
                stage.check_begun()
            if all(stage.session.ended.is_set() for stage in self._stages):
                return
            try:
                self._deepen()
            except DTraceFailed as error:
                self._stay_shallow(error)
            self._notice_end()

    def _deepen(self) -> None:
        """Start the program that follows deep stacks once the first one samples; end the first when it has begun."""
        first = self._stages[0]
        if len(self._stages) == 2:
            second = self._stages[1]
            over = second.begin_ns and time.monotonic() - second.began_at > 4 * _HANDOVER_NS / 1e9
            if over and not first.stopping:
                first.stop()
        elif first.begin_ns and self._python is not None and self._python.found and not self._shallow:
            with self._lock:
                program = self._program(walk_steps=FULL_WALK_STEPS)
            self._start_stage(program)

    def _stay_shallow(self, error: DTraceProfilerError) -> None:
        self._shallow = True
        self._note(f"Python stacks are cut at {self._stages[0].request.walk_steps} interpreter frames: {error}")

    def _notice_end(self) -> None:
        """With children the tree lives on without its root. Exit events say it sooner, but can be lost."""
        if not any(process_exists(pid) for pid in tuple(self._members)):
            self.target_ended.set()

    # The sessions' threads.

    def on_output(self, stage: Stage, data: bytes) -> None:
        with self._lock:
            records = []
            for record in stage.parser.feed(data):
                self._take(stage, record)
                records.append(record)
        if stage.begin_ns and time.monotonic() - stage.began_at > _SETTLED_S and not stage.stopping:
            prompt = self.request.options.children or self._collector.watched
            stage.session.pause_s = _SHORT_PAUSE_S if prompt else _PAUSE_S
        self._queue.put(lambda: self._resolve(stage, records))

    def _take(self, stage: Stage, record: Record) -> None:
        """What can't wait."""
        if isinstance(record, SampleRecord):
            if self._python is not None:
                self._python.sampled(record)
        elif isinstance(record, CodeName):
            if self._python is not None:
                self._python.name(record)
        elif isinstance(record, PythonStack):
            if self._python is not None:
                self._python.define(record)
        elif isinstance(record, ProcessEvent):
            self._event(stage, record)

    def on_stage_end(self, stage: Stage, status: int) -> None:
        with self._lock:
            records = list(stage.parser.close())
            last = all(other is stage or other.session.ended.is_set() for other in self._stages)
            if last and self._python is not None:
                self._python.close()
                self._python.give_up()
        self._queue.put(lambda: self._resolve(stage, records))
        if last:
            self._queue.put(None)
        if not stage.stopping and not self._stopping.is_set():
            error = classify(stage.errors, status, self.request.system.system)
            later = stage is not self._stages[0] and not stage.begin_ns
            (self._stay_shallow if later else self._on_failure)(error)
        if last:
            self.ready.set()
        self._changed.set()

    def _event(self, stage: Stage, event: ProcessEvent) -> None:
        if event.what == "begin":
            self._begin(stage, event.timestamp_ns)
        elif event.what == "end":
            stage.finish()
        elif not stage.from_ns <= event.timestamp_ns < stage.until_ns:
            return  # told by the other program, too
        elif event.what == "exec":
            self._held.executed(event.process_id, event.timestamp_ns)
            self._new_image(event.process_id, event.timestamp_ns)
        elif event.what == "fork":
            self._add_member(event.child)
            self._resolver.new_image(event.child, event.timestamp_ns)
            if self._python is not None:
                self._python.forked(event.process_id, event.child, event.timestamp_ns)
        elif event.what == "exit":
            self._members.discard(event.process_id)
            self._resolver.ended(event.process_id)
            if self._python is not None:
                self._python.ended(event.process_id)
            if not self._members:
                self.target_ended.set()

    def _new_image(self, pid: int, at_ns: int) -> None:
        with self._lock:
            self._resolver.new_image(pid, at_ns)
            if self._python is not None:
                self._python.new_image(pid, at_ns)

    def _exec_unseen(self, pid: int, at_ns: int) -> None:
        self._note("dtrace missed the start of the program: the first samples have native frames only.")
        self._new_image(pid, at_ns)

    def _begin(self, stage: Stage, timestamp_ns: int) -> None:
        before = self._stages[self._stages.index(stage) - 1] if stage is not self._stages[0] else None
        if before is not None:
            # What has come since its text was written. Both programs listen; the first has heard it before.
            for pid in self._members:
                self._control.member(pid)
        if self._python is not None:
            self._python.tell_all()
        stage.begin_ns, stage.began_at = timestamp_ns, time.monotonic()
        if before is not None:
            # Not before it knows all processes, which on a busy machine takes a while.
            told_ns = min(max(timestamp_ns, stage.now_ns()), timestamp_ns + _LATEST_HANDOVER_NS)
            stage.from_ns = told_ns + _HANDOVER_NS
            before.until_ns = before.by_its_clock(stage.from_ns, stage)
            stage.began_at += (told_ns - timestamp_ns) / 1e9  # the first goes on for as long
        self.begin_ns = self.begin_ns or timestamp_ns
        self.ready.set()
        self._changed.set()

    def _add_member(self, pid: int) -> None:
        self._members.add(pid)
        if len(self._stages) > 1:
            self._control.member(pid)

    # The resolving thread.

    def _resolve_queue(self) -> None:
        while (work := self._queue.get()) is not None:
            work()
            if self._queue.empty():
                # Taking in much at once costs less than waking up for each little.
                self._stopping.wait(_SHORT_PAUSE_S if self._collector.watched else _RESOLVE_S)
        self._held.close()
        self._resolver.retry(give_up=True)
        self._resolver.close()
        if self._python is not None:
            self._python.release()

    def _resolve(self, stage: Stage, records: Sequence[Record]) -> None:
        recording = self._recording
        for record in records:
            if isinstance(record, SampleRecord):
                if stage.from_ns <= record.timestamp_ns < min(stage.until_ns, stage.stop_ns):
                    self._held.sample(record)
                continue
            if isinstance(record, NativeStack):
                self._resolver.define(record)
            elif isinstance(record, ProcessEvent) and record.what == "exec":
                self._resolver.process(record.process_id).prepare()
            # The recording has the names with the stacks.
            if recording is not None and not isinstance(record, CodeName):
                recording.record(record)
        self._resolver.retry()
        if recording is not None:
            lost, self._unrecorded = self._unrecorded, []
            for timestamp_ns, count in lost:
                recording.fact("lost", [timestamp_ns, count])
            try:
                recording.flush()
            except OSError as error:
                self._recording = self._resolver.recording = None
                self._note(f"The recording is incomplete: {error.strerror or error}.")
                self.lose("recording_writes")
