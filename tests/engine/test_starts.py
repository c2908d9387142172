"""What goes wrong while a profile starts: told at once or by `wait_ready`, and nothing is left of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from engine_runs import Fake, dtrace_is_gone, left_behind, profiler_of, until

import fake_dtrace
from dtrace_profiler import DTraceProfiler, sampler
from dtrace_profiler import profiler as profiler_module
from dtrace_profiler.errors import (
    DTraceFailed,
    DTraceNotFound,
    DTraceTooOld,
    EngineError,
    NoSuchProcess,
    NotDTrace,
    PrivilegeError,
)
from dtrace_profiler.platforms.base import is_superuser, system

pytestmark = pytest.mark.skipif(system() != "linux" or not is_superuser(), reason="runs dtrace as root, on Linux")


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        ({"stderr": "dtrace: run as root for tracing and listing probes\n", "status": 2}, PrivilegeError),
        ({"stderr": "dtrace: flux capacitor is empty\n", "status": 3}, DTraceFailed),
        ({"status": 0}, DTraceFailed),
        ({"then": "kill"}, DTraceFailed),
        ({"garbage_bytes": 300_000, "status": 1}, DTraceFailed),
    ],
)
def test_one_that_ends_at_once(
    fake: Fake, target: int, behaviour: dict[str, object], kind: type[EngineError]
) -> None:
    fake(**behaviour)
    profiler = profiler_of(target)
    profiler.start(99)
    with pytest.raises(kind) as raised:
        profiler.wait_ready(60)
    assert profiler.error is raised.value
    assert str(raised.value).strip().endswith((".", "empty"))
    assert "\n" not in str(raised.value)
    assert not profiler.running
    profiler.stop()
    assert profiler.take_samples() == []


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        ({"version_mode": "systemtap"}, NotDTrace),
        ({"version_mode": "garbage"}, NotDTrace),
        ({"version": "D 2.0.4"}, DTraceTooOld),
    ],
)
def test_one_that_is_none(
    fake: Fake, target: int, temporary: Path, behaviour: dict[str, object], kind: type[EngineError]
) -> None:
    path = fake(**behaviour)
    before = left_behind()
    profiler = profiler_of(target)
    with pytest.raises(kind):
        profiler.start(99)
    assert not profiler.running
    assert profiler.engine == ""
    assert left_behind() == before
    assert fake_dtrace.calls(path) == []
    profiler.stop()


def test_none_at_all(target: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DTRACE_PROFILER_DTRACE", str(tmp_path / "nowhere"))
    with pytest.raises(DTraceNotFound):
        profiler_of(target).start(99)


def test_without_a_folder_for_temporary_files(
    fake: Fake, target: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fake(**fake_dtrace.SAMPLING)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(EngineError, match="temporary"):
        profiler_of(target).start(99)
    assert fake_dtrace.calls(path) == []


def test_on_a_full_disk(fake: Fake, target: int, temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(**fake_dtrace.SAMPLING)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    before = left_behind()
    with pytest.raises(EngineError, match="No space left on device"):
        profiler_of(target).start(99)
    assert left_behind() == before


def test_without_threads(fake: Fake, target: int, temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = fake(**fake_dtrace.SAMPLING)
    start = threading.Thread.start
    room = 0

    def refuse(thread: threading.Thread) -> None:
        nonlocal room
        if thread.name.startswith("dtrace-profiler"):
            room -= 1
            if room < 0:
                raise RuntimeError("can't start new thread")
        start(thread)

    before = left_behind()
    monkeypatch.setattr(threading.Thread, "start", refuse)
    for threads in range(4):
        room = threads
        with pytest.raises(EngineError, match="can't start new thread"):
            profiler_of(target).start(99)
        until(lambda: left_behind() == before)
    room = 4
    with profiler_of(target) as profiler:
        until(lambda: profiler.sample_count)
    until(lambda: left_behind() == before)
    until(lambda: not [call for call in fake_dtrace.calls(path) if os.path.exists(f"/proc/{call['pid']}")])


FEW_DESCRIPTORS = """
import os, resource, sys
from dtrace_profiler import DTraceProfiler, DTraceProfilerError
DTraceProfiler(engine="dtrace")
profiler = DTraceProfiler(int(sys.argv[1]), engine="dtrace", native="leaf")
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
first = len(os.listdir("/proc/self/fd"))
for room in range(40):
    resource.setrlimit(resource.RLIMIT_NOFILE, (first + room, hard))
    try:
        profiler.start(99)
        if not profiler.wait_ready(30): raise SystemExit("never ready")
    except DTraceProfilerError as error:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        profiler.stop()
        continue
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    profiler.stop()
    break
print(room, len(os.listdir("/proc/self/fd")) - first)
"""


def test_without_descriptors(fake: Fake, target: int) -> None:
    """Whatever can't be opened: one of our errors, and with enough of them it runs."""
    fake(**fake_dtrace.SAMPLING)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FEW_DESCRIPTORS, str(target)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stderr == ""
    room, more = json.loads("[" + done.stdout.replace(" ", ",") + "]")
    assert 3 < room < 39
    assert more <= 0


@pytest.mark.parametrize("native", ["leaf", "full"])
@pytest.mark.parametrize("reaped", [True, False])
def test_a_target_that_ends_during_the_start(
    fake: Fake, monkeypatch: pytest.MonkeyPatch, native: str, reaped: bool
) -> None:
    """As late as can be: everything that is asked of it afterwards finds nothing."""
    fake(**fake_dtrace.SAMPLING)
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as target:

        def end(pid: int) -> None:
            target.kill()
            until(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("Z"))
            if reaped:
                target.wait()

        monkeypatch.setattr(profiler_module, "check_process", end)
        profiler = DTraceProfiler(target.pid, engine="dtrace", native=native, children=True)  # type: ignore[arg-type]
        profiler.start(99)
        until(lambda: profiler.target_ended)
        profiler.stop()
        assert profiler.error is None
        monkeypatch.undo()
        with pytest.raises(NoSuchProcess):
            profiler.start(99)


def test_a_second_start_after_a_failure(fake: Fake, target: int, tmp_path: Path, temporary: Path) -> None:
    """Nobody needs to call `stop` for what has ended by itself; samples of the first run can still be taken."""
    path = fake(**{**fake_dtrace.SAMPLING, "then": "kill", "lives_s": 0.5})
    before = left_behind()
    profiler = profiler_of(target, record=tmp_path / "run.dtrace")
    for _ in range(3):
        profiler.start(99)
        until(lambda: profiler.error)
    profiler.stop()
    assert left_behind() == before
    assert len(fake_dtrace.calls(path)) == 3
    taken = profiler.take_samples()
    assert len(taken) > profiler.sample_count > 0
    assert [s.timestamp_ns for s in taken] == sorted({s.timestamp_ns for s in taken})


# The embedded sampler takes over.


def compute_until(profiler: DTraceProfiler, samples: int) -> None:
    while profiler.sample_count < samples and not profiler.error:
        sum(range(1000))


def test_the_sampler_takes_over_from_a_dtrace_that_fails(fake: Fake, temporary: Path) -> None:
    path = fake(stderr="dtrace: flux capacitor is empty\n", status=3)
    before = left_behind()
    profiler = DTraceProfiler()
    profiler.start(499)
    assert profiler.wait_ready(60)
    assert profiler.engine == "sampler"
    assert "flux capacitor" in profiler.engine_reason
    compute_until(profiler, 5)
    profiler.stop()
    assert profiler.error is None
    assert any("compute_until" in str(sample.stack_frames) for sample in profiler.take_samples())
    dtrace_is_gone(path)
    until(lambda: left_behind() == before)


def test_a_sampler_that_can_not_take_over(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(stderr="dtrace: flux capacitor is empty\n", status=3)

    def refuse(_: object) -> None:
        raise EngineError("the embedded sampler can't run: it is tired.")

    monkeypatch.setattr(sampler.EmbeddedSampler, "start", refuse)
    profiler = DTraceProfiler()
    profiler.start(99)
    with pytest.raises(EngineError, match="tired"):
        profiler.wait_ready(60)
    assert not profiler.running
    profiler.stop()
