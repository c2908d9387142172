"""Faults around the real DTrace: who profiles is killed, dtrace is killed, the target stops or becomes another."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_runs import left_behind, until

from dtrace_profiler import DTraceProfiler, Sample, pipeline
from dtrace_profiler.errors import DTraceFailed
from dtrace_profiler.platforms import linux
from dtrace_profiler.platforms.processes import children, descendants, process_exists

pytestmark = pytest.mark.dtrace
BURN = """
def burn():
    while True: sum(range(1000))
print("working", flush=True)
burn()
"""


@pytest.fixture
def python() -> Iterator[int]:
    """A busy Python program: it gets two dtraces, one after the other."""
    with subprocess.Popen([sys.executable, "-c", BURN], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "working\n"
        yield process.pid
        process.kill()


@pytest.fixture
def shell() -> Iterator[int]:
    """A busy native one."""
    with subprocess.Popen(["sh", "-c", "while :; do :; done"]) as process:
        yield process.pid
        process.kill()


def below(pid: int, *, but: int) -> list[int]:
    """What a process has started, but for its target."""
    return [child for child in descendants(pid) if child != but]


def dtraces(*, but: int) -> list[int]:
    """Those that this process has started, by the program they run; not their shells."""
    return [pid for pid in below(os.getpid(), but=but) if "program.d" in _last_argument(pid)]


def _last_argument(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return ""
    return "" if words[0] == b"/bin/sh" and b"-c" in words else words[-2].decode() if len(words) > 1 else ""


UPROBES = Path("/sys/kernel/debug/tracing/uprobe_events")


def uprobes(pid: int) -> list[str]:
    return [line for line in UPROBES.read_text().splitlines() if f"dt_{pid}_" in line]


def change_uprobes(line: str) -> None:
    descriptor = os.open(UPROBES, os.O_WRONLY | os.O_APPEND)  # it can't be sought in, as `open` does
    try:
        os.write(descriptor, line.encode() + b"\n")
    finally:
        os.close(descriptor)


WHO_PROFILES = """
import os, sys, time
from dtrace_profiler import DTraceProfiler
profiler = DTraceProfiler(int(sys.argv[1]), engine="dtrace")
profiler.start(199)
moments = {
    "started": lambda: True,
    "ready": lambda: profiler.wait_ready(0.01),
    "sampling": lambda: profiler.sample_count >= 5,
    # Not before it is started: who is killed between the writing of its folder and that leaves the folder.
    "second": lambda: [bool(stage.session.process_id) for stage in profiler._engine._stages] == [True, True],
}
deadline = time.monotonic() + 100
while not moments[sys.argv[2]]():
    if profiler.error or time.monotonic() > deadline:
        raise SystemExit(f"{profiler.error} {profiler.profile().meta} {len(profiler._engine._stages)}")
    time.sleep(0.001)
print("now", flush=True)
if sys.argv[3] == "kill": time.sleep(600)
if sys.argv[3] == "raise": raise SystemExit("gone")
"""


@pytest.mark.parametrize(
    ("moment", "end"),
    [*itertools.product(("started", "second", "sampling"), ("kill", "leave")), ("ready", "raise")],
)
def test_nothing_is_left_of_who_profiles(python: int, temporary: Path, moment: str, end: str) -> None:
    """At whatever moment it ends, and however: no process, no probe, no file; the target goes on."""
    command = [sys.executable, "-c", WHO_PROFILES, str(python), moment, end]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as ours:
        assert ours.stdout is not None
        assert ours.stderr is not None
        seen: set[int] = set()
        if end == "kill":
            assert ours.stdout.readline() == "now\n", ours.stderr.read()
            seen.update(below(ours.pid, but=python))
            assert seen
            ours.kill()
        else:
            while ours.poll() is None:
                seen.update(below(ours.pid, but=python))
                time.sleep(0.01)
        said = ours.stderr.read()
    until(lambda: not any(map(process_exists, seen)))
    assert said == ("gone\n" if end == "raise" else "")
    assert [line for pid in seen for line in uprobes(pid)] == []
    until(lambda: not list(temporary.glob("dtrace-profiler-*")))
    assert process_exists(python)


def test_a_dtrace_that_is_killed(shell: int, temporary: Path) -> None:
    before = left_behind()
    profiler = DTraceProfiler(shell, engine="dtrace")
    profiler.start(199)
    assert profiler.wait_ready(120)
    until(lambda: profiler.sample_count > 20)
    (dtrace,) = dtraces(but=shell)
    assert uprobes(dtrace)
    os.kill(dtrace, signal.SIGKILL)
    until(lambda: profiler.error)
    assert isinstance(profiler.error, DTraceFailed)
    assert str(profiler.error) == "dtrace was ended by SIGKILL."
    assert not profiler.running
    profiler.stop()
    assert len(profiler.take_samples()) > 20
    assert uprobes(dtrace) == []
    descriptors, *others = left_behind()
    assert descriptors <= before[0]
    assert others == [*before[1:]]
    # Nothing stands against another run.
    profiler.start(199)
    assert profiler.wait_ready(120)
    until(lambda: profiler.sample_count > 5)
    profiler.stop()
    assert profiler.error is None
    assert left_behind() == before


def test_probes_that_a_dtrace_has_left_are_removed_before_the_next(shell: int, temporary: Path) -> None:
    """A later one with the same process id could not begin. Those of processes that live are left alone."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    for pid in (ended.pid, shell):
        change_uprobes(f"p:dt_{pid}_dtrace/BEGIN {os.path.realpath('/bin/sh')}:0x1000")
    assert uprobes(ended.pid)
    try:
        profiler = DTraceProfiler(shell, engine="dtrace")
        profiler.start(199)
        assert profiler.wait_ready(120)
        profiler.stop()
        assert uprobes(ended.pid) == []
        assert uprobes(shell)
    finally:
        change_uprobes(f"-:dt_{shell}_dtrace/BEGIN")


def test_a_second_dtrace_that_is_killed_at_its_start(python: int, temporary: Path) -> None:
    """The first goes on: stacks stay short, and that is said."""
    profiler = DTraceProfiler(python, engine="dtrace")
    profiler.start(199)
    assert profiler.wait_ready(120)
    until(lambda: len(dtraces(but=python)) == 2)
    os.kill(max(dtraces(but=python)), signal.SIGKILL)
    until(lambda: [note for note in profiler.profile().meta.notes if "Python stacks are cut" in note])
    count = profiler.sample_count
    until(lambda: profiler.sample_count > count + 50)
    assert profiler.error is None
    assert profiler.running
    profiler.stop()


def test_a_second_dtrace_that_can_not_be_started(
    python: int, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tried once. The end of the target is still seen."""
    tries = []
    prepared = pipeline.Stage.prepared

    def prepare(*arguments: Any) -> pipeline.Stage:
        tries.append(arguments)
        if len(tries) > 1:
            raise DTraceFailed("dtrace could not be started: No space left on device.")
        return prepared(*arguments)

    monkeypatch.setattr(pipeline.Stage, "prepared", prepare)
    profiler = DTraceProfiler(python, engine="dtrace")
    profiler.start(199)
    until(lambda: [note for note in profiler.profile().meta.notes if "No space left on device" in note])
    count = profiler.sample_count
    until(lambda: profiler.sample_count > count + 50)
    os.kill(python, signal.SIGKILL)
    until(lambda: profiler.target_ended)
    profiler.stop()
    assert profiler.error is None
    assert len(tries) == 2


def test_a_target_that_is_stopped_and_goes_on(shell: int) -> None:
    with DTraceProfiler(shell, engine="dtrace") as profiler:
        assert profiler.wait_ready(120)
        until(lambda: profiler.sample_count > 5)
        os.kill(shell, signal.SIGSTOP)
        until(lambda: linux.process_state(shell) == "T")
        stopped_ns = time.time_ns()
        time.sleep(1)
        continued_ns = time.time_ns()
        os.kill(shell, signal.SIGCONT)
        count = profiler.sample_count
        until(lambda: profiler.sample_count > count + 20)
        assert not profiler.target_ended
    # Between the two it has not run; clocks of dtrace and ours differ by less than 10 ms.
    margin_ns = 10_000_000
    times = [sample.timestamp_ns for sample in profiler.take_samples()]
    assert not [at for at in times if stopped_ns + margin_ns < at < continued_ns - margin_ns]
    assert min(times) < stopped_ns
    assert max(times) > continued_ns


def test_a_target_that_becomes_another_program(tmp_path: Path) -> None:
    """Its process id and its samples stay the same process's; names are of the new program."""
    script = 'until [ -e "$2" ]; do :; done; exec "$0" -c "$1"'
    command = ["sh", "-c", script, sys.executable, BURN, str(tmp_path / "now")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as target:
        try:
            with DTraceProfiler(target.pid, engine="dtrace") as profiler:
                assert profiler.wait_ready(120)
                until(lambda: profiler.sample_count > 20)
                (tmp_path / "now").touch()
                until(lambda: any("burn" in functions(sample) for sample in profiler.take_samples()))
                assert not profiler.target_ended
            assert {sample.process_id for sample in profiler.profile().samples()} == {target.pid}
        finally:
            target.kill()


def functions(sample: Sample) -> list[str]:
    return [frame.function_name for frame in sample.stack_frames]


def test_one_that_waits_for_its_end_sees_it_whoever_ended_it(shell: int) -> None:
    profiler = DTraceProfiler(shell, engine="dtrace")
    profiler.start(99)
    os.kill(shell, signal.SIGKILL)  # while dtrace starts
    until(lambda: profiler.target_ended)
    profiler.stop()
    assert profiler.error is None
    assert children(os.getpid()) == [shell]  # the zombie
