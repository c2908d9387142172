"""A dtrace that hangs, floods, lies or dies, for who embeds the profiler. Stand-ins do what the real one will not."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from engine_runs import Fake, dtrace_is_gone, profiler_of, until

import fake_dtrace
from dtrace_profiler import pipeline, stage
from dtrace_profiler import profiler as profiler_module
from dtrace_profiler.collector import Collector
from dtrace_profiler.errors import EngineError, NoSuchProcess, OutputError, UsageError
from dtrace_profiler.platforms.base import is_superuser, system
from dtrace_profiler.platforms.processes import process_exists
from dtrace_profiler.record.session import SessionCommand

pytestmark = pytest.mark.skipif(system() != "linux" or not is_superuser(), reason="runs dtrace as root, on Linux")


def test_one_that_never_begins(fake: Fake, target: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "READY_TIMEOUT_S", 0.5)
    path = fake(then="ignore")
    profiler = profiler_of(target)
    profiler.start(99)
    with pytest.raises(EngineError, match=r"did not begin to sample within 0\.5 seconds"):
        profiler.wait_ready(30)
    assert not profiler.running
    dtrace_is_gone(path)
    profiler.stop()


def test_one_that_ignores_that_it_is_told_to_end(fake: Fake, target: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "SessionCommand", functools.partial(SessionCommand, grace_s=0.5))
    path = fake(**{**fake_dtrace.SAMPLING, "then": "ignore"})
    profiler = profiler_of(target)
    profiler.start(99)
    assert profiler.wait_ready(30)
    until(lambda: profiler.sample_count > 10)
    profiler.stop()
    dtrace_is_gone(path)
    assert len(profiler.take_samples()) > 10


@pytest.mark.parametrize("ending", [{"then": "kill"}, {"status": 1}])
def test_one_that_ends_in_mid_run(fake: Fake, target: int, ending: dict[str, object]) -> None:
    fake(**{**fake_dtrace.SAMPLING, "then": "exit", "lives_s": 0.5, **ending})
    profiler = profiler_of(target)
    profiler.start(99)
    until(lambda: profiler.error)
    profiler.stop()
    assert len(profiler.take_samples()) > 5, "what was sampled until then stays"
    assert not profiler.running
    assert str(profiler.error).startswith("dtrace ")


def test_garbage_is_let_pass(fake: Fake, target: int) -> None:
    fake(**{**fake_dtrace.SAMPLING, "garbage_bytes": 3_000_000})
    with profiler_of(target) as profiler:
        until(lambda: profiler.sample_count > 10)
        assert profiler.error is None


def test_floods_on_both_pipes_do_not_block(fake: Fake, target: int) -> None:
    """More than pipes hold, before it says that it has begun."""
    noise = "dtrace: something is odd\n" * 2_700
    fake(**{**fake_dtrace.SAMPLING, "stderr": noise, "garbage_bytes": 1_000_000})
    with profiler_of(target) as profiler:
        assert profiler.wait_ready(30)
        until(lambda: profiler.sample_count > 10)


def test_a_fault_of_ours_is_told(fake: Fake, target: int, monkeypatch: pytest.MonkeyPatch) -> None:
    path = fake(**fake_dtrace.SAMPLING)

    def fail(*_: object) -> None:
        raise ZeroDivisionError("in our reader")

    profiler = profiler_of(target)
    profiler.start(99)
    assert profiler.wait_ready(30)
    monkeypatch.setattr(pipeline.DTraceEngine, "_take", fail)
    until(lambda: profiler.error)
    assert "ZeroDivisionError: in our reader" in str(profiler.error)
    dtrace_is_gone(path)
    profiler.stop()


def test_who_can_not_be_profiled_is_told_at_once(fake: Fake) -> None:
    path = fake(**fake_dtrace.SAMPLING)
    ended = subprocess.Popen(["true"])
    ended.wait()
    with pytest.raises(NoSuchProcess, match="there is no process"):
        profiler_of(ended.pid).start()
    with subprocess.Popen(["true"]) as zombie:
        until(lambda: not process_exists(zombie.pid))
        with pytest.raises(NoSuchProcess, match="has ended"):
            profiler_of(zombie.pid).start()
    assert fake_dtrace.calls(path) == []


@pytest.mark.parametrize("frequency", [0, -1, 5000, 99.5, "abc", None, True])
def test_frequencies_that_are_none(fake: Fake, frequency: object) -> None:
    path = fake(**fake_dtrace.SAMPLING)
    with pytest.raises(UsageError, match="4999"):
        profiler_of(None).start(frequency)  # type: ignore[arg-type]
    assert fake_dtrace.calls(path) == []


def test_a_recording_that_can_not_be_written(fake: Fake, tmp_path: Path) -> None:
    path = fake(**fake_dtrace.SAMPLING)
    profiler = profiler_of(None, record=tmp_path / "nowhere" / "run.dtrace")
    with pytest.raises(OutputError, match="can't be written"):
        profiler.start()
    assert not profiler.running
    assert fake_dtrace.calls(path) == []


def test_started_twice(fake: Fake, target: int) -> None:
    fake(**fake_dtrace.SAMPLING)
    with profiler_of(target) as profiler, pytest.raises(UsageError, match="already running"):
        profiler.start()


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_twenty_runs_leave_nothing_behind(fake: Fake, target: int, tmp_path: Path) -> None:
    path = fake(**fake_dtrace.SAMPLING)
    profiler = profiler_of(target)
    counts = []
    for _ in range(20):
        profiler.start(99)
        until(lambda: profiler.sample_count > 0)
        profiler.stop()
        counts.append((open_descriptors(), threading.active_count()))
        assert profiler.take_samples()
    assert counts[-1] == counts[1], counts
    assert not any(process_exists(call["pid"]) for call in fake_dtrace.calls(path))


def test_samples_are_taken_once_whoever_takes_them(fake: Fake, target: int) -> None:
    fake(**{**fake_dtrace.SAMPLING, "each_10_ms": fake_dtrace.SAMPLING["each_10_ms"] * 20})
    taken: list[int] = []
    profiler = profiler_of(target)

    def take() -> None:
        while profiler.running:
            taken.extend(sample.timestamp_ns for sample in profiler.take_samples())

    profiler.start(99)
    takers = [threading.Thread(target=take) for _ in range(4)]
    for taker in takers:
        taker.start()
    until(lambda: profiler.sample_count > 1000)
    profiler.stop()
    for taker in takers:
        taker.join()
    taken.extend(sample.timestamp_ns for sample in profiler.take_samples())
    assert len(taken) == profiler.sample_count


def test_what_nobody_takes_is_counted(fake: Fake, target: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiler_module, "Collector", functools.partial(Collector, ring_samples=50))
    fake(**fake_dtrace.SAMPLING)
    profiler = profiler_of(target)
    profiler.start(99)
    until(lambda: profiler.sample_count > 80)
    profiler.stop()
    assert len(profiler.take_samples()) == 50
    assert profiler.losses["not_taken"] == profiler.sample_count - 50
    assert len(list(profiler.profile().samples())) == profiler.sample_count


FORKS = """
import os, sys, time
from dtrace_profiler import DTraceProfiler
profiler = DTraceProfiler(int(sys.argv[1]), engine="dtrace", native="leaf")
profiler.start(99)
assert profiler.wait_ready(30)
child = os.fork()
if not child:
    # Stopped here, and can be started again; what it does is nothing to the parent's.
    assert not profiler.running
    profiler.stop()
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
before = profiler.sample_count
while profiler.sample_count < before + 10: time.sleep(0.01)
assert profiler.running
print("fine", flush=True)
if sys.argv[2] == "killed": os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("end", ["leaves", "killed"])
def test_no_dtrace_outlives_a_process_that_forks_and_does_not_stop(fake: Fake, target: int, end: str) -> None:
    path = fake(**fake_dtrace.SAMPLING)
    done = subprocess.run(
        [sys.executable, "-c", FORKS, str(target), end], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "fine\n", done.stderr
    assert done.returncode == (-signal.SIGKILL if end == "killed" else 0), done.stderr
    dtrace_is_gone(path)


def test_a_clock_that_is_set_is_not_dtraces(fake: Fake, target: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """dtrace goes on by the clock it had: by ours, all its samples would be later than the end."""
    fake(**fake_dtrace.SAMPLING)
    with profiler_of(target) as profiler:
        until(lambda: profiler.sample_count)
        engine = profiler._engine
        assert isinstance(engine, pipeline.DTraceEngine)
        (first,) = engine._stages
        hour_ns, now_ns = 3_600_000_000_000, time.time_ns
        monkeypatch.setattr(time, "time_ns", lambda: now_ns() - hour_ns)
        assert first.now_ns() == pytest.approx(now_ns(), abs=1_000_000_000)
        asked = engine.request
        command = stage.StageCommand(asked.dtrace.path, (), asked.system, asked.dialect)
        second = stage.Stage.prepared(first.request, command, engine)
        second._workspace.close()
        at_ns = second.now_ns()
        assert first.by_its_clock(at_ns, second) == pytest.approx(at_ns + hour_ns, abs=1_000_000_000)
        assert first.by_its_clock(at_ns, first) == at_ns
