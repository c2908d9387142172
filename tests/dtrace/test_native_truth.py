"""Native programs under the real DTrace: what is sampled is what the program says it did."""

from __future__ import annotations

import collections
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dtrace_profiler import DTraceProfiler, FrameKind, Profile
from dtrace_profiler.launch import start_held
from dtrace_profiler.platforms.processes import process_exists

sys.path.insert(0, str(Path(__file__).parent))
from programs import BURN_C, NAMES_CPP, compiled

resource = pytest.importorskip("resource", reason="not on Windows")
pytestmark = pytest.mark.dtrace


@pytest.fixture(scope="module")
def burn(tmp_path_factory: pytest.TempPathFactory) -> str:
    return compiled(tmp_path_factory.mktemp("programs"), "burn", BURN_C)


def run(command: list[str], frequency_hz: int, out: Path, **options: object) -> tuple[Profile, str]:
    """(profile of the whole life, what the command printed)."""
    with open(out, "w") as file:
        saved = os.dup(1)
        os.dup2(file.fileno(), 1)
        try:
            target = start_held(command)
        finally:
            os.dup2(saved, 1)
            os.close(saved)
    profiler = DTraceProfiler(target.pid, engine="dtrace", before_exec=command, **options)  # type: ignore[arg-type]
    profiler.start(frequency_hz)
    assert profiler.wait_ready(60)
    target.release()
    assert target.wait(120) == 0
    profiler.stop()
    return profiler.profile(), out.read_text()


def stolen_s() -> float:
    """Seconds in which the host of this virtual machine ran something else instead, all processors together."""
    return int(Path("/proc/stat").read_text().split()[8]) / os.sysconf("SC_CLK_TCK")


def children_cpu_s() -> float:
    """CPU time of all child processes that have ended: programs, and the dtrace that watched them."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def shares(profile: Profile) -> collections.Counter[str]:
    """Samples by the burner on the stack."""
    found: collections.Counter[str] = collections.Counter()
    for sample in profile.samples():
        names = {frame.function_name for frame in sample.stack_frames}
        found[next((name for name in names if name.startswith("burn_")), "")] += 1
    return found


@pytest.mark.slow
def test_shares_are_true_and_no_sample_is_lost(burn: str, tmp_path: Path) -> None:
    frequency = 997
    stolen, used = stolen_s(), children_cpu_s()
    profile, said = run([burn, "10"], frequency, tmp_path / "said")
    stolen, used = stolen_s() - stolen, children_cpu_s() - used
    words = next(line.split() for line in said.splitlines() if line.startswith("truth"))
    *spent, total = map(float, words[1:])
    assert not {name for name in profile.meta.losses if "drops" in name or name == "undefined_stacks"}
    # A virtual processor that its host holds back is still on this program, but no clock counts that as its time.
    expected, more = frequency * total, frequency * stolen
    assert len(profile) >= 0.98 * expected
    # Where all processors are busy dtrace takes turns with the program: woken by a sample, it runs until before
    # the next one. So the program may have as many more samples as dtrace has used time.
    assert len(profile) <= 1.02 * expected + more + frequency * (used - total), (len(profile), expected, more, used)
    found = shares(profile)
    everything = sum(found.values())
    for name, seconds in zip(("burn_most", "burn_some", "burn_little"), spent, strict=True):
        share = seconds / total
        error = math.sqrt(share * (1 - share) / everything)
        assert abs(found[name] / everything - share) <= 3 * error, name


def test_threads_times_and_processes(burn: str, tmp_path: Path) -> None:
    before = time.time_ns()
    profile, said = run([burn, "1", "4"], 199, tmp_path / "said")
    after = time.time_ns()
    told = {int(line.split()[1]) for line in said.splitlines() if line.startswith("thread")}
    assert len(told) == 4
    samples = list(profile.samples())
    assert {sample.thread_id for sample in samples if "work" in str(sample.stack_frames)} == told
    assert all(before < sample.timestamp_ns < after for sample in samples)
    last: dict[int, int] = {}
    for sample in samples:
        assert sample.timestamp_ns > last.get(sample.thread_id, 0)
        last[sample.thread_id] = sample.timestamp_ns
        assert sample.cpu_time_ns == 1_000_000_000 // 199


def test_thread_ids_are_the_targets_own_in_another_pid_namespace(burn: str, tmp_path: Path) -> None:
    command = ["unshare", "--pid", "--fork", "--mount-proc", burn, "1", "3"]
    profile, said = run(command, 199, tmp_path / "said", children=True)
    told = {int(line.split()[1]) for line in said.splitlines() if line.startswith("thread")}
    seen = {sample.thread_id for sample in profile.samples() if "burn_most" in str(sample.stack_frames)}
    assert seen == told
    assert max(told) < 100, "the namespace counts its own processes"


def test_names_are_demangled(tmp_path: Path) -> None:
    program = compiled(tmp_path, "names", NAMES_CPP)
    profile, _ = run([program, "0.7"], 499, tmp_path / "said")
    names = {frame.function_name for frame in profile.frames}
    assert {"core::fmt::write", "mycrate::foo"} <= names
    assert any("shop::Basket<double>::add_books" in name for name in names)


def test_kernel_frames(tmp_path: Path) -> None:
    command = ["dd", "if=/dev/zero", "of=/dev/null", "bs=256k", "count=60000", "status=none"]
    profile, _ = run(command, 499, tmp_path / "said", kernel=True)
    stacks = [sample.stack_frames for sample in profile.samples()]
    kernel = [stack for stack in stacks if stack[-1].kind is FrameKind.KERNEL]
    assert len(kernel) > len(stacks) / 2
    assert any(frame.function_name == "vfs_read" for stack in kernel for frame in stack)
    for stack in kernel:
        kinds = [frame.kind is FrameKind.KERNEL for frame in stack]
        assert kinds == sorted(kinds), "kernel frames are on the leaf's side"


def test_a_program_of_300_ms_is_profiled_whole(burn: str, tmp_path: Path) -> None:
    profile, _ = run([burn, "0.3"], 997, tmp_path / "said")
    # Where all processors are busy dtrace takes turns with the program: it wakes up for a sample, runs until before
    # the next one, and so more samples meet the program than its CPU time says.
    assert 270 <= sum(count for name, count in shares(profile).items() if name) <= 400


def test_children_and_what_they_execute(burn: str, tmp_path: Path) -> None:
    script = f"{burn} 0.3 & {burn} 0.3; wait; exec {burn} 0.3"
    profile, _ = run(["sh", "-c", script], 499, tmp_path / "said", children=True)
    by_process: collections.Counter[int] = collections.Counter()
    for sample in profile.samples():
        by_process[sample.process_id] += "burn_most" in str(sample.stack_frames)
    assert sum(count > 20 for count in by_process.values()) == 3


def test_only_the_process_itself_without_children(burn: str, tmp_path: Path) -> None:
    profile, _ = run(["sh", "-c", f"{burn} 0.3; true"], 499, tmp_path / "said")
    assert not any("burn_most" in str(sample.stack_frames) for sample in profile.samples())


def test_existing_descendants(burn: str) -> None:
    with subprocess.Popen(["sh", "-c", f"{burn} 30; true"], stdout=subprocess.DEVNULL, process_group=0) as shell:
        try:
            time.sleep(0.3)
            with DTraceProfiler(shell.pid, engine="dtrace", children=True) as profiler:
                assert profiler.wait_ready(60)
                time.sleep(1)
            assert shares(profiler.profile())["burn_most"] > 10
        finally:
            os.killpg(shell.pid, signal.SIGKILL)


def test_a_target_that_is_killed_ends_the_profile_not_us(burn: str) -> None:
    with subprocess.Popen([burn, "30"], stdout=subprocess.DEVNULL) as target:
        profiler = DTraceProfiler(target.pid, engine="dtrace")
        profiler.start(199)
        assert profiler.wait_ready(60)
        time.sleep(0.5)
        target.kill()
        target.wait()
        deadline = time.monotonic() + 10
        while not profiler.target_ended and time.monotonic() < deadline:
            time.sleep(0.05)
        assert profiler.target_ended
        profiler.stop()
        assert profiler.error is None
        assert shares(profiler.profile())["burn_most"] > 10


def test_a_stopped_target_gives_no_samples(burn: str) -> None:
    with subprocess.Popen([burn, "30"], stdout=subprocess.DEVNULL) as target:
        try:
            os.kill(target.pid, signal.SIGSTOP)
            with DTraceProfiler(target.pid, engine="dtrace") as profiler:
                assert profiler.wait_ready(60)
                time.sleep(0.5)
            assert len(profiler.profile()) == 0
        finally:
            target.kill()


_SELF = """
import threading, time
from dtrace_profiler import DTraceProfiler

def compute(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(1000))

profiler = DTraceProfiler(engine="dtrace")
profiler.start(499)
assert profiler.wait_ready(60)
worker = threading.Thread(target=compute, args=(1.0,), name="worker")
worker.start()
compute(1.0)
worker.join()
own = {thread.native_id for thread in threading.enumerate() if thread.name.startswith("dtrace-profiler")}
profiler.stop()
samples = profiler.take_samples()
seen = {sample.thread_id for sample in samples}
assert own and not seen & own, (seen, own)
assert seen == {threading.main_thread().native_id, worker.native_id}, seen
named = sum(any(f.function_name == "compute" for f in sample.stack_frames) for sample in samples)
assert named > 0.95 * len(samples) > 500, (named, len(samples))
print("fine")
"""


def test_our_own_process_without_our_own_threads(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _SELF], capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout, done.returncode) == ("fine\n", 0), done.stderr


def _dtrace_children(pid: int) -> list[int]:
    from dtrace_profiler.platforms.processes import descendants

    return list(descendants(pid))


def test_no_dtrace_outlives_us(burn: str) -> None:
    script = f"""
import subprocess, sys, time
from dtrace_profiler import DTraceProfiler
target = subprocess.Popen([{burn!r}, "60"], stdout=subprocess.DEVNULL)
profiler = DTraceProfiler(target.pid, engine="dtrace")
profiler.start(99)
assert profiler.wait_ready(60)
print(target.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as ours:
        assert ours.stdout is not None
        target = int(ours.stdout.readline())
        children = [pid for pid in _dtrace_children(ours.pid) if pid != target]
        assert len(children) >= 2
        ours.kill()
        ours.wait()
    try:
        deadline = time.monotonic() + 20
        while any(map(process_exists, children)) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not [pid for pid in children if process_exists(pid)]
        assert process_exists(target), "the target goes on"
    finally:
        os.kill(target, signal.SIGKILL)


def test_start_and_stop_again_and_again(burn: str) -> None:
    with subprocess.Popen([burn, "60"], stdout=subprocess.DEVNULL) as target:
        try:
            profiler = DTraceProfiler(target.pid, engine="dtrace")
            for _ in range(4):
                profiler.start(499)
                assert profiler.wait_ready(60)
                time.sleep(0.5)
                profiler.stop()
                profiler.stop()
                assert len(profiler.profile()) > 5
                assert profiler.take_samples()
        finally:
            target.kill()
