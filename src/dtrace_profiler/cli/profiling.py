"""`run` and `attach`: from a request to the files, in the order in which it happens."""

from __future__ import annotations

import contextlib
import gc
import os
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from dtrace_profiler.cli import report
from dtrace_profiler.cli.flight_recorder import FlightRecorder, KeepRequest, keep_request
from dtrace_profiler.cli.interrupts import Interrupts
from dtrace_profiler.cli.live import LiveRequest, live_request, shown
from dtrace_profiler.cli.outputs import Outputs, plan
from dtrace_profiler.cli.progress import Progress
from dtrace_profiler.cli.tui import TerminalRun
from dtrace_profiler.collector import Collector
from dtrace_profiler.errors import DTraceProfilerError, EngineError, OutputError, TargetError, UsageError
from dtrace_profiler.launch import OURS, Streams, Target, shell_status, start_held
from dtrace_profiler.model.options import Options
from dtrace_profiler.model.profile import Meta, Profile
from dtrace_profiler.platforms.terminal import in_foreground
from dtrace_profiler.profiler import DTraceProfiler

GRACE_S = 2.0
"""After a Ctrl-C a program may end by itself for so long, still watched."""
_LOOK_S = 0.25
"""How often the target and the engine are looked at; signals and the target's end wake us at once."""


class Source(Protocol):
    """What samples: `DTraceProfiler`, or the reader of the sampler inside a program that we have started."""

    error: DTraceProfilerError | None

    @property
    def sample_count(self) -> int: ...
    @property
    def losses(self) -> Mapping[str, int]: ...
    @property
    def target_ended(self) -> bool: ...
    @property
    def collector(self) -> Collector: ...
    @property
    def running(self) -> bool: ...
    def meta(self) -> Meta: ...
    def profile(self) -> Profile: ...
    def stop(self) -> None: ...


Result = tuple[Profile, DTraceProfilerError | None, bool]
"""A profile, the first thing that went wrong, and whether all its files were written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was typed, checked."""

    options: Options
    outputs: Outputs
    quiet: bool = False
    live: LiveRequest | None = None
    tui: bool = False
    keep: KeepRequest | None = None

    @property
    def keep_s(self) -> float:
        return 0.0 if self.keep is None else self.keep.seconds


def make_request(options: Options, values: Mapping[str, Any], stem: str) -> Request:
    """`values`: what `output_options` gave. `stem`: of the file that is written if none is named."""
    outputs = plan(values["outputs"], values["format_name"], values["record"], stem, none=values["live_only"])
    return Request(
        options=options,
        outputs=outputs,
        quiet=values["quiet"],
        live=live_request(values),
        tui=values["tui"],
        keep=keep_request(values["keep_s"], values["save_when"], outputs),
    )


def run(command: Sequence[str], request: Request) -> int:
    """Profiles a program from its first instruction to its end. Returns its exit status, as a shell shows it.

    A file that can't be written counts only for a program that did well.
    """
    request.outputs.check()
    progress = Progress(quiet=request.quiet)
    with Interrupts() as interrupts, contextlib.ExitStack() as stack:
        view = stack.enter_context(TerminalRun(on=request.tui, program=True))
        recorder = FlightRecorder(request.keep, request.outputs, quiet=request.quiet or request.tui, keys=False)
        recorder.listen(interrupts)
        target, source = _hold(command, request, interrupts, progress, view.streams)
        view.program_started()
        try:
            keep_live = stack.enter_context(shown(source, request.live))
        except BaseException:
            target.abandon()
            source.stop()
            raise
        try:
            interrupts.forward_to(target)
            target.release()
            status: int | None = None
            text = shlex.join(command)

            def work() -> Result:
                nonlocal status
                _watch(source, target, request.options.duration_s, interrupts, progress, recorder, text)
                status = target.poll()
                return _finish(source, request, interrupts, progress, text)

            profile, failure, written = view.during(
                work, source, interrupts, progress, title=text, closing_ends=False
            )
        except BaseException:
            progress.clear()
            source.stop()
            raise
        failure = _tell(profile, failure, written, request)
        if request.tui:
            status = target.poll()  # the view may have stayed for long
        if status is None:
            status = _outlive(target, interrupts, request)
        keep_live(interrupts)
    if failure is not None and status == 0:
        raise failure
    if failure is not None:
        report.note(str(failure), failure.remedy, failure.page)
    return shell_status(status)


def attach(pid: int, request: Request) -> int:
    """Profiles a running process until it ends, the time is over, or Ctrl-C. Returns 0."""
    request.outputs.check()
    if request.options.engine == "sampler":
        raise UsageError(
            "the sampler can't look into a process that runs already: it is started with the program.",
            remedy="dtrace-profiler run --engine sampler -- COMMAND",
        )
    progress = Progress(quiet=request.quiet)
    with Interrupts() as interrupts, contextlib.ExitStack() as stack:
        view = stack.enter_context(TerminalRun(on=request.tui, program=False))
        recorder = FlightRecorder(
            request.keep, request.outputs, quiet=request.quiet or request.tui, keys=not request.tui
        )
        recorder.listen(interrupts)
        source = profiler_of(pid, request.options, record=request.outputs.recording, keep_s=request.keep_s)
        try:
            source.start(request.options.frequency_hz)
            keep_live = stack.enter_context(shown(source, request.live))
            ready = _until_ready(source, interrupts, progress)

            def work() -> Result:
                if ready:
                    _watch(source, None, request.options.duration_s, interrupts, progress, recorder)
                return _finish(source, request, interrupts, progress)

            profile, failure, written = view.during(
                work, source, interrupts, progress, title=f"process {pid}", closing_ends=True
            )
        except BaseException:
            progress.clear()
            source.stop()
            raise
        failure = _tell(profile, failure, written, request)
        keep_live(interrupts)
    if failure is not None:
        raise failure
    return 0


def _hold(
    command: Sequence[str], request: Request, interrupts: Interrupts, progress: Progress, streams: Streams = OURS
) -> tuple[Target, Source]:
    """The program, not yet running, and what will sample it, ready.

    With `--engine auto` a Python program for which DTrace turns out not to work is started anew with the sampler:
    nothing of it has run yet.
    """
    options = request.options
    if options.engine == "sampler":
        return _hold_with_sampler(command, request, streams)
    target = start_held(command, streams=streams)
    profiler = profiler_of(
        target.pid, options, record=request.outputs.recording, keep_s=request.keep_s, before_exec=command
    )
    try:
        profiler.start(options.frequency_hz)
        if not _until_ready(profiler, interrupts, progress):
            raise KeyboardInterrupt
        return target, profiler
    except BaseException as error:
        progress.clear()
        target.abandon()
        profiler.stop()
        if options.engine == "dtrace" or not isinstance(error, EngineError):
            raise
        held = _hold_with_sampler(command, request, streams, because=error)
        if not request.quiet:
            report.sampler_note(str(error), error.remedy)
        return held


def _hold_with_sampler(
    command: Sequence[str], request: Request, streams: Streams, because: EngineError | None = None
) -> tuple[Target, Source]:
    from dtrace_profiler.sampled_program import SampledProgram

    try:
        program = SampledProgram(
            command,
            request.options,
            record=request.outputs.recording,
            reason="" if because is None else str(because),
            keep_s=request.keep_s,
        )
    except TargetError:
        # Not a Python program, so DTrace is all there is, and its error is the one to tell.
        if because is not None:
            raise because from None
        raise
    try:
        return start_held(program.command, program.environ, streams=streams), program
    except BaseException:
        program.stop()
        raise


def profiler_of(
    pid: int, options: Options, *, record: str | None = None, keep_s: float = 0.0, before_exec: Sequence[str] = ()
) -> DTraceProfiler:
    """With DTrace, which is all that can look into another process."""
    # What was imported stays. To look through it for garbage would hold up those who read dtrace's output for 0.1 s.
    gc.freeze()
    return DTraceProfiler(
        pid,
        engine="dtrace",
        depth=options.depth,
        kernel=options.kernel,
        children=options.children,
        native=options.native,
        glue=options.glue,
        python=options.python,
        classic=options.classic,
        record=record,
        keep_s=keep_s,
        interactive=in_foreground(),
        before_exec=before_exec,
    )


def _until_ready(profiler: DTraceProfiler, interrupts: Interrupts, progress: Progress) -> bool:
    """Waits for dtrace. False: Ctrl-C came first. Raises the `EngineError` that it ended with."""
    began = time.monotonic()
    while not profiler.wait_ready(0.05):
        if interrupts.count:
            return False
        if time.monotonic() - began > 1.0:
            progress.show("waiting for dtrace to get ready …")
    progress.clear()
    return True


def _watch(
    source: Source,
    target: Target | None,
    duration_s: float | None,
    interrupts: Interrupts,
    progress: Progress,
    recorder: FlightRecorder,
    target_text: str = "",
) -> None:
    """Until the target has ended, the time is over, the sampling has, or Ctrl-C."""
    began = time.monotonic()
    interrupted_at: float | None = None
    while True:
        now = time.monotonic()
        left = _LOOK_S if duration_s is None else began + duration_s - now
        ended = source.target_ended if target is None else target.poll() is not None
        if ended or left <= 0 or source.error is not None:
            return
        if interrupts.count:
            interrupted_at = now if interrupted_at is None else interrupted_at
            # A program of ours got the Ctrl-C as well, and may have its own way to end.
            if target is None or interrupts.count > 1 or now - interrupted_at > GRACE_S:
                return
        if recorder.due(source):
            progress.clear()
            recorder.save(source, target_text)
        progress.sampling(now - began, source.sample_count, source.losses, recorder.hint)
        interrupts.wait(min(_LOOK_S, left))


def _take_in(source: Source, progress: Progress, target_text: str = "") -> Profile:
    """Ends the sampling; all of it."""
    progress.show("taking in the last samples …", now=True)
    source.stop()
    profile = source.profile()
    progress.clear()
    if target_text:
        profile = replace(profile, meta=replace(profile.meta, target=target_text))
    return profile


def _finish(
    source: Source, request: Request, interrupts: Interrupts, progress: Progress, target_text: str = ""
) -> Result:
    """Ends the sampling and writes the files. The first thing that went wrong is told later, instead of raised."""
    interrupts.writing()
    profile = _take_in(source, progress, target_text)
    failure = source.error
    request.outputs.hand_over_recording()
    try:
        request.outputs.files().write(profile)
    except OutputError as error:
        return profile, failure or error, False
    return profile, failure, True


def _tell(
    profile: Profile, failure: DTraceProfilerError | None, written: bool, request: Request
) -> DTraceProfilerError | None:
    """Says what is in the files, and writes what goes to stdout. Returns the first thing that went wrong."""
    try:
        request.outputs.stdout().write(profile)
    except OutputError as error:
        return failure or error
    if written and not request.quiet:
        report.summary(profile, request.outputs)
    return failure


def _outlive(target: Target, interrupts: Interrupts, request: Request) -> int:
    """The profile is written, the program goes on: wait for its exit status."""
    if not request.quiet:
        report.note(f"the profile has ended; waiting for the program (process {target.pid}) to end.")
    interrupts.written()
    while (status := target.poll()) is None:
        interrupts.wait(60.0)
    return status


def default_stem(command: Sequence[str]) -> str:
    """What a file is called after a program: its name without folder and suffix."""
    name = os.path.splitext(os.path.basename(command[0]))[0] if command else ""
    return "".join(character if character.isalnum() or character in "-_." else "-" for character in name) or "profile"
