"""One dtrace with one program: its session, its parser, what it said of errors, and the time that is its."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from dtrace_profiler.errors import DTraceFailed
from dtrace_profiler.model.options import Options
from dtrace_profiler.platforms.dtrace_command import DTraceCommand
from dtrace_profiler.platforms.facts import SystemFacts
from dtrace_profiler.record.control import ControlChannel
from dtrace_profiler.record.dialects import Dialect
from dtrace_profiler.record.messages import drops, is_notice, run_time_error
from dtrace_profiler.record.program import ProgramRequest
from dtrace_profiler.record.session import Session, SessionCommand
from dtrace_profiler.record.workspace import Workspace

_MAX_ERROR_TEXT = 1 << 16
READY_TIMEOUT_S = 60.0
"""A dtrace that has not begun by then never will. It takes 0.3 s on an idle machine, some seconds on a busy one."""
_SAME_CLOCK_NS = 10_000_000
"""What looks like a clock that was set may be a moment between two looks at it."""
_PATIENCE_S = 1.5
"""For a program that was told to end; what is in dtrace's buffers is printed in less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRequest:
    """What `DTraceEngine` needs to know, decided before it."""

    dtrace: DTraceCommand
    elevation: Sequence[str]
    pid: int
    options: Options
    machine: str
    system: SystemFacts
    dialect: Dialect
    expect_exec: bool = False
    """The process is about to execute the program that is meant: what it is now says nothing."""


@dataclass(frozen=True, slots=True)
class StageCommand:
    """`elevation`: what to put before the command, empty for who may run dtrace as is."""

    path: str
    elevation: Sequence[str]
    system: SystemFacts
    dialect: Dialect


def not_started(error: OSError | RuntimeError, what: str = "") -> DTraceFailed:
    """The system refused a process, a thread or a file."""
    reason = error.strerror if isinstance(error, OSError) else None
    return DTraceFailed(f"dtrace could not be started: {what}{reason or error}.")


class StageListener(Protocol):
    """Whom a stage tells; each from a thread of the stage's session."""

    def on_output(self, stage: Stage, data: bytes) -> None: ...

    def on_stage_end(self, stage: Stage, status: int) -> None: ...

    def lose(self, what: str, count: int = 1) -> None: ...


class Stage:
    """One dtrace with one program, and the span of time whose samples are its."""

    def __init__(
        self, request: ProgramRequest, workspace: Workspace, dtrace: StageCommand, listener: StageListener
    ) -> None:
        self.request = request
        self.parser = dtrace.dialect.parser()
        self.from_ns = 0
        self.until_ns = 1 << 63
        self.stop_ns = 1 << 63
        """When it was told to end: what is sampled later is not asked for."""
        self.begin_ns = 0
        self.began_at = 0.0
        self.started_at = time.monotonic()
        self.stopping = False
        self.errors = ""
        self._clock_ns = 0 if dtrace.dialect.classic else time.time_ns() - time.monotonic_ns()
        """DTrace for Linux takes the time once, and goes on from there by the monotonic clock."""
        self.lost = 0
        """Samples that its parser has missed, as far as they were counted."""
        self._error_rest = b""
        self._faulty = False
        self._listener = listener
        self._control = ControlChannel(request.control)
        self._workspace = workspace
        self.notes = workspace.notes
        self.text = dtrace.dialect.program(request)
        arguments = ["-q"]
        for option in (*dtrace.dialect.options(request), *workspace.options):
            arguments += ["-x", option]
        # Never on the command line: Windows takes 32,767 characters there, and all that have ps see it.
        arguments += ["-s", str(workspace.write_program(self.text))]
        self.session = Session(
            SessionCommand(
                dtrace=dtrace.path,
                arguments=arguments,
                elevation=dtrace.elevation,
                folder=str(workspace.path),
                patience_s=_PATIENCE_S,
            ),
            on_output=self._on_output,
            on_errors=self._on_errors,
            on_end=self._on_end,
        )

    @classmethod
    def prepared(cls, request: ProgramRequest, dtrace: StageCommand, listener: StageListener) -> Stage:
        """Written, not yet started. Raises `DTraceFailed` when that can't be."""
        try:
            workspace = Workspace.create(dtrace.path, dtrace.system, all_types=dtrace.dialect.classic)
        except OSError as error:
            raise not_started(error, "no temporary file can be written: ") from error
        try:
            return cls(request, workspace, dtrace, listener)
        except OSError as error:
            workspace.close()
            raise not_started(error) from error

    def start(self) -> None:
        """Returns while dtrace gets ready. Raises `DTraceFailed` when it can't even be started."""
        try:
            self.session.start()
        except (OSError, RuntimeError) as error:
            self._workspace.close()
            raise not_started(error) from error

    def now_ns(self) -> int:
        """By its own clock: where the system's has been set since it was started, they differ."""
        return self._clock_ns + time.monotonic_ns() if self._clock_ns else time.time_ns()

    def by_its_clock(self, at_ns: int, other: Stage) -> int:
        """The time `at_ns` of another one, when the system's clock may have been set between their starts."""
        apart_ns = self._clock_ns - other._clock_ns
        return at_ns + apart_ns if abs(apart_ns) > _SAME_CLOCK_NS else at_ns

    def check_begun(self) -> None:
        """End it where it should have begun to sample by now."""
        waited_s = 0.0 if self.begin_ns else time.monotonic() - self.started_at
        if waited_s > READY_TIMEOUT_S and not self.session.ended.is_set():
            self.errors += f"dtrace did not begin to sample within {READY_TIMEOUT_S:g} s.\n"
            self.session.kill()

    def stop(self) -> None:
        self.stopping = True
        self.stop_ns = min(self.stop_ns, self.now_ns())  # dtrace may take a while
        told = bool(self.begin_ns and self.request.control)
        if told:
            self._control.stop(self.request.number)
        self.session.pause_s = 0.0
        self.session.stop(told=told)

    def end(self, timeout_s: float) -> None:
        """After `stop`: returns when dtrace has ended and all it had was taken in. Kills it when it does not end."""
        if threading.current_thread() not in self.session.threads and not self.session.wait(timeout_s):
            self.session.kill()
            self.session.wait(2.0)

    def own_threads(self) -> set[int]:
        """Native ids of our threads, of now and before."""
        reading = {thread.native_id for thread in self.session.threads if thread.native_id is not None}
        return reading | self._control.threads

    def finish(self) -> None:
        """Its program has ended and all is printed: dtrace has nothing to do but to wait a second for more."""
        if self.stopping:
            self.session.stop()

    def _on_output(self, data: bytes) -> None:
        """A fault of ours ends this dtrace and is told; it must not end the reading, or dtrace would wait for us."""
        if self._faulty:
            return
        try:
            self._listener.on_output(self, data)
        except Exception as error:
            self._faulty = True
            self.errors += f"internal error, please report it: {type(error).__name__}: {error}\n"
            self.session.kill()

    def _on_errors(self, data: bytes) -> None:
        lines = (self._error_rest + data).split(b"\n")
        self._error_rest = lines.pop()[-_MAX_ERROR_TEXT:]
        for raw in lines:
            line = raw.decode("utf-8", "replace")
            lost = drops(line)
            if lost is not None:
                self._listener.lose(*lost)
            elif run_time_error(line) is not None:
                self._listener.lose("probe_faults")
            elif not is_notice(line) and len(self.errors) < _MAX_ERROR_TEXT:
                self.errors += line + "\n"

    def _on_end(self, status: int) -> None:
        self._workspace.close()
        self.errors += self._error_rest.decode("utf-8", "replace")
        self._listener.on_stage_end(self, status)
