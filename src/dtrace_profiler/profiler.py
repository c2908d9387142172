"""`DTraceProfiler`: the library's face.

profiler = DTraceProfiler()          # this process, unless pid= says another
profiler.start(99)                   # Hz; returns at once, samples in the background
for sample in profiler.take_samples():
    ...
profiler.stop()
"""

from __future__ import annotations

import os
import platform
import shlex
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from dtrace_profiler._version import __version__
from dtrace_profiler.collector import Collector
from dtrace_profiler.engines import check_threads, dtrace_engine, dtrace_request, sampler_can_profile
from dtrace_profiler.errors import DTraceProfilerError, EngineError, UsageError
from dtrace_profiler.labels.history import HISTORY, LabelReader
from dtrace_profiler.model.frame import Sample
from dtrace_profiler.model.options import DEFAULT_DEPTH, DEFAULT_FREQUENCY_HZ, EngineName, NativeMode, Options
from dtrace_profiler.model.profile import Meta, Profile
from dtrace_profiler.no_samples import Watched
from dtrace_profiler.own_threads import OwnThreadIds
from dtrace_profiler.pipeline import DTraceEngine
from dtrace_profiler.platforms.permission import check_process
from dtrace_profiler.platforms.processes import command_line, process_exists
from dtrace_profiler.record.recording import RecordingWriter
from dtrace_profiler.record.recording_file import RecordingFile
from dtrace_profiler.running import RUNNING

if TYPE_CHECKING:
    from dtrace_profiler.live.server import LiveServer
    from dtrace_profiler.sampler import EmbeddedSampler


class DTraceProfiler:
    """Samples the CPU use of one process, or of a process and its children.

    `pid`: the process, this one by default. `engine`: `dtrace`, `sampler` (embedded, only this process, only Python
    frames), or `auto`: DTrace where it can run, else the sampler with `engine_reason` saying why. `depth`: frames
    kept of a stack's leaf side, 1 to 512. `kernel`: kernel frames too. `children`: the process's children and
    theirs. `native`: native frames, `full`, only the `leaf`, or `none`. `python`: whether DTrace looks for Python
    frames. `glue`: keep CPython's own frames between them. `classic`: as on other systems than Linux
    (docs/platforms.md). `record`: a file that gets the recording. `interactive`: a password may be asked for.
    `before_exec`: the command that the process, now held, is about to execute (see `launch.start_held`).
    `keep_s`: the profile is only of the last so many seconds; 0: of all.

    Any thread may call any method. `start` and `stop` may follow each other any number of times. In a child made by
    `os.fork` the profiler is stopped. Raises `UsageError` for values out of range.
    """

    def __init__(
        self,
        pid: int | None = None,
        *,
        engine: EngineName = "auto",
        depth: int = DEFAULT_DEPTH,
        kernel: bool = False,
        children: bool = False,
        native: NativeMode = "full",
        glue: bool = False,
        python: bool = True,
        classic: bool = False,
        record: str | os.PathLike[str] | None = None,
        interactive: bool = False,
        before_exec: Sequence[str] = (),
        keep_s: float = 0.0,
    ) -> None:
        if not 0 <= keep_s < 1e9:
            raise UsageError(f"keep_s {keep_s!r} is no number of seconds: 0 keeps all.")
        if keep_s and record is not None:
            raise UsageError("a recording keeps all, keep_s does not: leave out one of them.")
        if pid is not None and (isinstance(pid, bool) or not isinstance(pid, int) or pid <= 0):
            raise UsageError(f"pid {pid!r} is no process id: a whole number above 0.")
        self._pid = pid
        modes = Options(engine=engine, depth=depth, kernel=kernel, children=children, native=native, glue=glue)
        self._options = replace(modes, python=python, classic=classic)
        self._record = None if record is None else Path(record)
        self._interactive = interactive
        self._before_exec = tuple(before_exec)
        self._lock = threading.RLock()
        self._engine: DTraceEngine | EmbeddedSampler | None = None
        self._collector = Collector(keep_s=keep_s)
        self._labels: LabelReader | None = None
        self._recording: RecordingFile | None = None
        self._live: LiveServer | None = None
        self._started_ns = 0
        self._stopped_ns = 0
        self._target_text = ""
        self.engine_reason = ""
        """Why the embedded sampler is used and not DTrace, in one sentence; empty with DTrace."""
        self.engine_remedy = ""
        """The command that would change that, where there is one."""
        self.error: DTraceProfilerError | None = None
        """What ended the sampling in mid-run; None while all is well."""

    # What it is doing.

    @property
    def process_id(self) -> int:
        """The process that is, or will be, profiled."""
        return os.getpid() if self._pid is None else self._pid

    @property
    def engine(self) -> Literal["dtrace", "sampler", ""]:
        """What samples, or sampled last; empty before the first `start`."""
        engine = self._engine
        if engine is None:
            return ""
        return "dtrace" if isinstance(engine, DTraceEngine) else "sampler"

    @property
    def running(self) -> bool:
        """Whether samples are being taken, or will be as soon as dtrace is ready."""
        return self._engine is not None and self._stopped_ns == 0

    @property
    def target_ended(self) -> bool:
        """Whether the process, with `children` all of the tree, has ended."""
        engine = self._engine
        if isinstance(engine, DTraceEngine):
            return engine.target_ended.is_set()
        return not process_exists(self.process_id)

    @property
    def losses(self) -> Mapping[str, int]:
        """What is missing from the profile since `start`, by name; empty when nothing is. See docs/losses.md."""
        out = dict(self._engine.losses) if self._engine is not None else {}
        if self._collector.not_taken:
            out["not_taken"] = self._collector.not_taken
        if self._collector.expired:
            out["expired_samples"] = self._collector.expired
        if self._collector.labels_dropped:
            out["labels_dropped"] = self._collector.labels_dropped
        return {name: count for name, count in out.items() if count}

    @property
    def collector(self) -> Collector:
        """Where the samples arrive: for the live view. Another one after each `start`."""
        return self._collector

    @property
    def sample_count(self) -> int:
        """Samples since `start`."""
        return self._collector.total

    # Starting and stopping.

    def start(self, frequency_hz: int = DEFAULT_FREQUENCY_HZ) -> None:
        """Begin to sample, 1 to 4999 times a second and CPU. Returns in milliseconds, while dtrace gets ready.

        Raises what is known at once: `UsageError` (frequency, or already running), `NoSuchProcess`, `NotPermitted`,
        `EngineError` where the engine asked for can't be used, `OutputError` for the recording. What is known later
        is raised by `wait_ready`, and kept in `error`.
        """
        if self in RUNNING and not self.running:
            self.stop()  # it ended by itself
        with self._lock:
            if self.running:
                raise UsageError("this profiler is already running: stop it first.")
            options = self._options = replace(self._options, frequency_hz=frequency_hz)
            check_process(self.process_id)
            check_threads()
            self._target_text = shlex.join(self._before_exec) or command_line(self.process_id)
            self.error = None
            self.engine_reason = self.engine_remedy = ""
            self._labels = HISTORY.reader() if self.process_id == os.getpid() else None
            self._collector = Collector(
                previous=self._collector,
                keep_s=self._collector.keep_s,
                labels=self._labels.at if self._labels is not None else None,
            )
            self._started_ns, self._stopped_ns = time.time_ns(), 0
            self._watched = Watched(self.process_id)
            if self._record is not None:
                self._recording = RecordingFile(self._record, self.meta(), process_id=self.process_id)
            RUNNING.add(self)
            try:
                self._engine = self._start_engine(options)
            except BaseException:
                self._engine = None
                self._ended()
                raise

    def _start_engine(self, options: Options) -> DTraceEngine | EmbeddedSampler:
        if options.engine != "sampler":
            try:
                request = dtrace_request(
                    self.process_id, options, interactive=self._interactive, before_exec=bool(self._before_exec)
                )
                engine = dtrace_engine(
                    request, self._collector, recording=self._writer, on_failure=self._engine_failed
                )
                self._engine = engine
                engine.start()
                return engine
            except EngineError as error:
                if options.engine == "dtrace" or not sampler_can_profile(self.process_id):
                    raise
                self.engine_reason, self.engine_remedy = str(error), error.remedy
                return self._start_sampler(options, because=error)
        if not sampler_can_profile(self.process_id):
            raise UsageError(
                "the embedded sampler sees only its own process: use engine='dtrace' for another,"
                " or `dtrace-profiler run --engine sampler -- COMMAND` to start the program with it."
            )
        return self._start_sampler(options)

    def _start_sampler(self, options: Options, because: DTraceProfilerError | None = None) -> EmbeddedSampler:
        """`because`: what kept dtrace from sampling."""
        from dtrace_profiler.sampler import EmbeddedSampler

        try:
            sampler = EmbeddedSampler(options, self._collector.sink(self._writer), own_threads=OwnThreadIds())
            sampler.start()
        except EngineError as error:
            if because is None:
                raise
            raise EngineError(f"{because} And {error}", remedy=because.remedy) from error
        return sampler

    def _engine_failed(self, error: DTraceProfilerError) -> None:
        """dtrace has ended by itself. Before the first sample the sampler may take over; later that is the end."""
        engine = self._engine
        early = isinstance(engine, DTraceEngine) and not engine.begin_ns
        if early and self._options.engine == "auto" and sampler_can_profile(self.process_id):
            try:
                with self._lock:
                    if self._stopped_ns == 0:
                        self.engine_reason, self.engine_remedy = str(error), error.remedy
                        self._engine = self._start_sampler(self._options, because=error)
                return
            except EngineError as refusal:
                error = refusal
        self.error = error
        if isinstance(engine, DTraceEngine) and engine.target_ended.is_set():
            self.error = None
        self._stopped_ns = self._stopped_ns or time.time_ns()

    @property
    def _writer(self) -> RecordingWriter | None:
        return None if self._recording is None else self._recording.writer

    def _close_recording(self) -> None:
        recording, self._recording = self._recording, None
        if recording is not None:
            failure = recording.close(self.meta())
            self.error = self.error or failure

    def wait_ready(self, timeout: float | None = None) -> bool:
        """Wait until samples are taken: true when they are, false after `timeout` seconds.

        Raises the `EngineError` that kept dtrace from sampling.
        """
        engine = self._engine
        if isinstance(engine, DTraceEngine):
            done = engine.ready.wait(timeout)
            if self.error is not None:
                raise self.error
            return done
        return engine is not None

    def request_stop(self) -> None:
        """Ask the engine to end, without waiting for it: `stop` follows."""
        if isinstance(self._engine, DTraceEngine):
            self._engine.request_stop()

    def stop(self) -> None:
        """End sampling and take in all that was sampled; safe to call again. The samples stay to be taken."""
        with self._lock:
            engine = self._engine
            if engine is None or (self._stopped_ns and self._recording is None and self not in RUNNING):
                return
            if not self._stopped_ns:
                self._stopped_ns = time.time_ns()
        # Not under the lock: the session's threads may need it to end.
        engine.stop()
        with self._lock:
            self._ended()

    def _ended(self) -> None:
        RUNNING.discard(self)
        if self._labels is not None:
            self._labels.close()
        self._close_recording()

    def __enter__(self) -> Self:
        if not self.running:
            self.start(self._options.frequency_hz)
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    # What was sampled.

    def take_samples(self) -> list[Sample]:
        """The samples since the last call, oldest first, which are then gone from the ring. Never waits.

        A ring of 100,000 samples is kept for who does not call; what leaves it unseen is counted in
        `losses["not_taken"]`, and stays in `profile()`.
        """
        return self._collector.take()

    def profile(self) -> Profile:
        """A snapshot of all samples since `start`, taken or not; with `keep_s`, of those that are kept."""
        return self._collector.snapshot(self.meta())

    snapshot = profile

    def meta(self) -> Meta:
        """What a `profile` of now would say of itself."""
        end_ns = self._stopped_ns or time.time_ns()
        engine = self._engine
        begin_ns = engine.begin_ns if isinstance(engine, DTraceEngine) and engine.begin_ns else self._started_ns
        versions = {"dtrace-profiler": __version__}
        if isinstance(engine, DTraceEngine):
            versions["dtrace"] = engine.dtrace_version
        notes = list(engine.notes) if engine is not None else []
        if self._labels is not None:
            notes += HISTORY.notes
        if self.engine_reason:
            notes.append(f"Sampled inside the process: {self.engine_reason} Native and kernel frames are missing.")
        if self._stopped_ns and engine is not None and not self.sample_count:
            notes.append(self._watched.why_no_samples(self.losses))
        meta = Meta(
            engine=self.engine,
            unit="samples" if isinstance(engine, DTraceEngine) else "nanoseconds",
            frequency_hz=self._options.frequency_hz,
            start_ns=begin_ns,
            duration_ns=max(0, end_ns - begin_ns) if begin_ns else 0,
            target=self._target_text or f"pid {self.process_id}",
            system=f"{platform.system()} {platform.release()} {platform.machine()}",
            versions=versions,
            losses=self.losses,
            notes=notes,
        )
        return self._collector.kept(meta)

    def save(self, path: str | os.PathLike[str], format: str | None = None) -> None:
        """Write the `profile` of now, in the format of the suffix or the one named. Sampling goes on meanwhile."""
        from dtrace_profiler.formats import write_profile

        write_profile(self.profile(), path, format)

    def serve(self, host: str = "127.0.0.1", port: int = 0, *, refresh_s: float = 0.1) -> str:
        """Show the profile in browsers while it grows. Returns the address, which holds the key to it.

        `port` 0: any that is free. `refresh_s`: between two updates of a page. Served until `close` or the end of
        this process, also after `stop`; called again it returns the address there is. Beyond loopback whoever has
        the address can read the profile, unencrypted. Raises `UsageError` where that can't be listened on.
        """
        from dtrace_profiler.formats import write_profile
        from dtrace_profiler.live.server import LiveServer

        with self._lock:
            if self._live is None:
                self._live = LiveServer(
                    self,
                    lambda name, file: write_profile(self.profile(), file, name),
                    host=host,
                    port=port,
                    refresh_s=refresh_s,
                )
                self._live.start()
            return self._live.address

    def close(self) -> None:
        """End sampling, as `stop` does, and the live view."""
        self.stop()
        with self._lock:
            live, self._live = self._live, None
        if live is not None:
            live.close()

    def after_fork(self) -> None:
        """In a forked child nothing samples: threads do not survive a fork."""
        self._lock = threading.RLock()
        self._collector.after_fork()
        if self._live is not None:
            self._live.after_fork()
            self._live = None
        if self._recording is not None:
            self._recording.after_fork()
            self._recording = None
        self._stopped_ns = time.time_ns()
