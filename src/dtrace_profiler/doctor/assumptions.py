"""What we assume of systems that we can't run, checked on one: the rows of docs/platforms.md#assumptions.

In: one short run of dtrace with a D program that shows each of them (`gather`), and the self-test's trials. Out: of
each row that is about this system, whether it holds; None where this run could not tell.
"""

from __future__ import annotations

import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dtrace_profiler.doctor.checks import Assumed
from dtrace_profiler.doctor.selftest import SAMPLER, Trial
from dtrace_profiler.doctor.truth_program import burn
from dtrace_profiler.errors import DTraceProfilerError
from dtrace_profiler.platforms.base import System
from dtrace_profiler.platforms.dtrace_command import find_dtrace
from dtrace_profiler.platforms.facts import SystemFacts
from dtrace_profiler.platforms.systems import facts
from dtrace_profiler.privilege import elevation
from dtrace_profiler.record.session import Session, SessionCommand
from dtrace_profiler.sampling.target.core import NOTE_WITHOUT_CLOCKS

BEGIN_TIMEOUT_S = 60.0
BURN_SECONDS = 2.5
"""Of CPU time: two ticks of a second, and something that only the last output can hold."""
_CLOCK_ERROR_NS = 5_000_000_000

PROGRAM = """
uint64_t wide[uint64_t];
dtrace:::BEGIN
{{
  wide[(uint64_t)0x1122334455667788] = 7;
  printf("B %d\\n", walltimestamp);
  printf("W %d %d\\n", wide[(uint64_t)0x1122334455667788], wide[(uint64_t)0x55667788]);
}}
profile:::profile-97
/pid == {pid}/
{{
  @samples[tid, ustack(16)] = count();
}}
profile:::tick-1s
{{
  printf("T %d\\n", walltimestamp);
  printa("A %d=U%k=V %@d\\n", @samples);
  trunc(@samples);
}}
dtrace:::END
{{
  printa("A %d=U%k=V %@d\\n", @samples);
  trunc(@samples);
  printf("Z %d\\n", walltimestamp);
}}
"""
"""In the dialect of all of them. Every line that it prints is one of these: see `read`."""


@dataclass(slots=True)
class Evidence:
    """What was seen of one run of dtrace on ourselves."""

    was_run: bool = False
    began: bool = False
    own_thread: int = 0
    """That burned, as Python numbers it."""
    threads: set[int] = field(default_factory=set)
    samples: int = 0
    frames: int = 0
    clock_error_ns: int | None = None
    """By which a time that dtrace printed lies outside of the run."""
    wide: tuple[int, int] | None = None
    """What an array of 64-bit keys holds for one, and for its lower half."""
    ended_well: bool = False
    """What is printed at the end came, after it was told to end as we do."""


def gather(
    pid: int, dtrace: str, prefix: Sequence[str], system: SystemFacts, options: Sequence[str] = ()
) -> Evidence:
    """Runs dtrace on this process, in which a thread burns CPU time, and ends it as a session does."""
    began, output = threading.Event(), bytearray()
    from_ns = time.time_ns()

    def take(data: bytes) -> None:
        output.extend(data)
        if b"B " in output:
            began.set()

    with tempfile.TemporaryDirectory(prefix="dtrace-profiler-") as folder:
        program = Path(folder) / "assumptions.d"
        program.write_text(PROGRAM.format(pid=pid), encoding="utf-8")
        arguments = ["-q", *(word for option in (*system.options, *options) for word in ("-x", option))]
        session = Session(
            SessionCommand(dtrace=dtrace, arguments=[*arguments, "-s", str(program)], elevation=prefix),
            on_output=take,
            on_errors=lambda data: None,
            on_end=lambda status: began.set(),
        )
        session.start()
        began.wait(BEGIN_TIMEOUT_S)
        if not session.ended.is_set():
            burn(BURN_SECONDS)
        session.stop()
        session.wait(30.0)
    seen = read(bytes(output), from_ns, time.time_ns())
    seen.was_run = True
    seen.own_thread = threading.get_native_id()
    return seen


def read(output: bytes, from_ns: int, until_ns: int) -> Evidence:
    """What the program printed; lines that are none of its own are frames only where they are due."""
    seen = Evidence()
    thread = None
    for line in output.decode(errors="replace").replace("\r\n", "\n").split("\n"):
        if match := re.fullmatch(r"([BTZ]) (\d+)", line):
            seen.began |= match[1] == "B"
            seen.ended_well |= match[1] == "Z"
            at = int(match[2])
            seen.clock_error_ns = max(seen.clock_error_ns or 0, from_ns - at, at - until_ns)
        elif match := re.fullmatch(r"W (\d+) (\d+)", line):
            seen.wide = int(match[1]), int(match[2])
        elif match := re.fullmatch(r"A (\d+)=U", line):
            thread = int(match[1])
        elif thread is not None and (match := re.fullmatch(r"=V (\d+)", line)):
            seen.threads.add(thread)
            seen.samples += int(match[1])
            thread = None
        elif thread is not None and line.strip():
            seen.frames += 1
    return seen


@dataclass(frozen=True, slots=True)
class Assumption:
    number: int
    systems: tuple[System, ...]
    text: str
    holds: Callable[[Evidence, Sequence[Trial]], bool | None]


def _python_frames(_: Evidence, trials: Sequence[Trial]) -> bool | None:
    return next((trial.kinds.get("python", 0) > 0 for trial in trials if trial.way == "DTrace, this process"), None)


def _clocks(_: Evidence, trials: Sequence[Trial]) -> bool | None:
    return next((NOTE_WITHOUT_CLOCKS not in trial.notes for trial in trials if trial.way == SAMPLER), None)


def _began(seen: Evidence, _: object) -> bool | None:
    return seen.began if seen.was_run else None


def _sampled(seen: Evidence, _: object) -> bool | None:
    return seen.frames > 0 if seen.began else None


def _of_samples(test: Callable[[Evidence], bool]) -> Callable[[Evidence, object], bool | None]:
    return lambda seen, _: test(seen) if seen.samples else None


def _of_a_run(test: Callable[[Evidence], bool]) -> Callable[[Evidence, object], bool | None]:
    return lambda seen, _: test(seen) if seen.began else None


def _fits(_: Evidence, trials: Sequence[Trial]) -> bool | None:
    return next((" size" not in trial.text for trial in trials if trial.way == "DTrace, this process"), None)


CLASSIC: tuple[System, ...] = ("macos", "freebsd", "netbsd", "illumos", "windows")
ASSUMPTIONS = (
    Assumption(1, ("macos",), "a program that is not protected can be sampled with ustack()", _sampled),
    Assumption(
        2, ("macos",), "tid is threading.get_native_id()", _of_samples(lambda seen: seen.own_thread in seen.threads)
    ),
    Assumption(
        3,
        ("macos", "freebsd", "windows"),
        "printa prints a stack as a line end and a frame a line",
        _of_samples(lambda seen: seen.frames > 0),
    ),
    Assumption(
        4,
        CLASSIC,
        "walltimestamp is nanoseconds since 1970",
        _of_a_run(lambda seen: seen.clock_error_ns is not None and seen.clock_error_ns < _CLOCK_ERROR_NS),
    ),
    Assumption(5, CLASSIC, "the options that we pass are taken", _began),
    Assumption(6, CLASSIC, "arrays may have keys of 64 bits", _of_a_run(lambda seen: seen.wide == (7, 0))),
    Assumption(
        7,
        ("macos", "freebsd", "netbsd", "illumos"),
        "SIGTERM ends dtrace with its last output printed",
        _of_a_run(lambda seen: seen.ended_well),
    ),
    Assumption(
        8,
        ("windows",),
        "Ctrl-Break ends dtrace with its last output printed",
        _of_a_run(lambda seen: seen.ended_well),
    ),
    Assumption(9, ("windows",), "the policy for scripts allows a local file without a signature", _began),
    Assumption(10, ("windows",), "a PyThreadState has its thread's number, of 32 bits", _python_frames),
    Assumption(11, ("illumos",), "CPython 3.15 keeps the number that tid is", _python_frames),
    Assumption(12, ("freebsd",), "kldload dtraceall brings the profile probes", _sampled),
    Assumption(13, ("netbsd",), "-x nolibs is enough to begin", _began),
    Assumption(14, ("illumos",), "/proc tells a thread's CPU time", _clocks),
    Assumption(15, ("netbsd",), "pthread_getcpuclockid tells a thread's CPU time", _clocks),
    Assumption(16, CLASSIC, "the kernel takes a D program of 200 kB", _fits),
    Assumption(17, ("macos", "freebsd", "windows"), "the embedded sampler has a clock for each thread", _clocks),
)


def assess(on: System, seen: Evidence, trials: Sequence[Trial]) -> list[Assumed]:
    """Of the rows about this system."""
    return [Assumed(row.number, row.text, row.holds(seen, trials)) for row in ASSUMPTIONS if on in row.systems]


def check_assumptions(on: System, trials: Sequence[Trial], *, dtrace_usable: bool) -> list[Assumed]:
    """All rows about this system, after one more run of dtrace where there is one; none on Linux, which we run."""
    seen = Evidence()
    if dtrace_usable and any(on in row.systems for row in ASSUMPTIONS):
        try:
            seen = gather(os.getpid(), find_dtrace(on).path, elevation(interactive=True), facts(on))
        except (DTraceProfilerError, OSError):
            pass  # the trials say it, too
    return assess(on, seen, trials)
