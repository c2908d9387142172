"""Whole programs under the sampler: the CPU time that they really used, and where it was."""

from __future__ import annotations

import json
import math
import os
import signal
import sys
from pathlib import Path

import pytest
from sampled import Run, leaf, run
from sampler_programs import SHARES, SHORT_LIVED, THREADS

from dtrace_profiler.model.frame import FrameKind, StackFrame

pytestmark = pytest.mark.alone


def shares(done: Run) -> dict[str, int]:
    """CPU time by the function that the main loop called."""

    def called(frames: tuple[StackFrame, ...]) -> str:
        return frames[1].function_name if len(frames) > 1 else ""

    return dict(done.by(called))


def test_shares_are_the_true_ones(python: str, tmp_path: Path) -> None:
    program = tmp_path / "shares.py"
    program.write_text(SHARES.replace("SECONDS", "2"))
    done = run([python, program])
    assert done.status == 0, done.err
    truth = json.loads(done.out)
    found = shares(done)
    total = sum(truth.values())
    count = len(done.samples)
    assert count > 100
    for name, true in truth.items():
        expected = true / total
        error = math.sqrt(expected * (1 - expected) / count)
        seen = found.get(name, 0) / done.cpu_ns
        # Where a tick came late, what was used since the last one is charged to whoever runs then. It is counted.
        late = done.losses.get("missed_ticks", 0) / count
        assert abs(seen - expected) <= max(4 * error, 0.1 * expected, 0.02) + late, (name, expected, seen, count)
    # All CPU time of the process but that of its start is there, and no more.
    assert 0.95 * total <= done.cpu_ns <= 1.05 * (total + 150_000_000)


def test_frames_say_where(newest_python: str, tmp_path: Path) -> None:
    program = tmp_path / "shares.py"
    text = SHARES.replace("SECONDS", "1")
    program.write_text(text)
    done = run([newest_python, program])
    stacks = [frames for *_, frames, _ in done.samples if len(frames) > 1]
    deepest = max((frames for frames in stacks if frames[1].function_name == "recursion"), key=len)
    lines = text.splitlines()
    root, called, *deep = deepest
    assert root.function_name == "<module>"
    assert root.module_name == "__main__"
    assert root.file == str(program)
    assert lines[root.line - 1].strip() == "function()"
    assert called.function_name == "recursion"
    assert called.first_line == lines.index("def recursion():") + 1
    assert [frame.function_name for frame in deep] == ["Tree.deep"] * 21
    assert {frame.kind for frame in deepest} == {FrameKind.PYTHON}
    leaves = [frames[-1] for *_, frames, _ in done.samples if len(frames) == 23]
    leaf_lines = {lines[leaf.line - 1].strip() for leaf in leaves if leaf.file == str(program)}
    assert leaf_lines <= {"for number in range(20000):", "total += number", "return total"}
    assert {sample[0] // 10**18 for sample in done.samples} == {1}  # nanoseconds since 1970


def test_deep_stacks_keep_their_leaf(newest_python: str) -> None:
    code = """
import time
def deep(depth):
    if depth:
        return deep(depth - 1)
    end = time.thread_time() + 0.3
    while time.thread_time() < end:
        pass
deep(100)
"""
    done = run([newest_python, "-c", code], depth=16)
    long = [sample for sample in done.samples if len(sample[3]) > 16]
    assert sum(sample[4] for sample in long) > 200_000_000
    assert {len(sample[3]) for sample in long} == {17}
    assert {sample[3][0].function_name for sample in long} == {"<truncated>"}
    assert {leaf(sample[3]) for sample in long} == {"deep"}
    assert done.losses["truncated"] == len(long)


def test_threads_that_sleep_weigh_nothing(python: str) -> None:
    done = run([python, "-c", THREADS])
    assert done.status == 0, done.err
    told = json.loads(done.out)
    by_thread: dict[int, int] = {}
    for _, _, thread, _, cpu in done.samples:
        by_thread[thread] = by_thread.get(thread, 0) + cpu
    busy_a, busy_b, sleeper, waiter = told["ids"]
    assert 0.36e9 <= by_thread[busy_a] <= 0.66e9
    assert 0.17e9 <= by_thread[busy_b] <= 0.33e9  # what a thread used after the last tick is charged to none
    for idle in (sleeper, waiter):
        assert by_thread.get(idle, 0) < 5_000_000
    # No thread of ours: every sample is one of the program's, or of thread 0, which is none.
    assert set(by_thread) <= {*told["ids"], told["main"], 0}
    assert not [
        f for *_, frames, _ in done.samples for f in frames if "dtrace" in f.file or "dtrace" in f.module_name
    ]
    assert done.cpu_ns <= 1.02 * told["cpu"] + 100_000_000  # the interpreter's own end comes after it was told


def test_short_threads_are_counted(python: str) -> None:
    done = run([python, "-c", SHORT_LIVED], frequency_hz=99)
    spent = int(done.out)
    # A thread of 3 ms has ended before most ticks. What is there beyond is the interpreter's start and end.
    assert 0.95 * spent <= done.cpu_ns <= 1.05 * spent + 150_000_000


FORK = """
import os, sys, time
def burn(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(300))
def parent(): burn(0.3)
def child(): burn(0.3)
pid = os.fork()
if pid == 0:
    child()
    os._exit(0)
parent()
assert os.waitpid(pid, 0)[1] == 0
print(pid)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("children", [False, True])
def test_forked_children(python: str, children: bool) -> None:
    done = run([python, "-W", "error", "-c", FORK], children=children)
    assert (done.status, done.err) == (0, "")
    by_pid: dict[int, dict[str, int]] = {}
    for _, pid, _, frames, cpu in done.samples:
        for frame in frames:
            if frame.function_name in ("parent", "child"):
                found = by_pid.setdefault(pid, {})
                found[frame.function_name] = found.get(frame.function_name, 0) + cpu
    first = done.processes[0].process_id
    forked = int(done.out)
    assert set(by_pid) == ({first, forked} if children else {first})
    assert set(by_pid[first]) == {"parent"}
    assert 0.2e9 <= by_pid[first]["parent"] <= 0.34e9
    if children:
        assert set(by_pid[forked]) == {"child"}
        assert 0.2e9 <= by_pid[forked]["child"] <= 0.34e9  # os._exit loses a hundredth of a second at most


CHILD = "import time\nend = time.thread_time() + 0.2\nwhile time.thread_time() < end: sum(range(300))\n"


@pytest.mark.parametrize("children", [False, True])
def test_children_of_their_own_interpreter(newest_python: str, tmp_path: Path, children: bool) -> None:
    (tmp_path / "child.py").write_text(CHILD)
    code = "import subprocess, sys; subprocess.run([sys.executable, 'child.py'], check=True)"
    done = run([newest_python, "-c", code], children=children, cwd=tmp_path)
    assert (done.status, done.err) == (0, "")
    cpu = sum(sample[4] for sample in done.samples if sample[3][0].file.endswith("child.py"))
    assert len(done.processes) == (2 if children else 1)
    if children:
        assert 0.15e9 <= cpu <= 0.23e9
        assert done.processes[1].parent_id == done.processes[0].process_id
    else:
        assert cpu == 0


POOL = """
import multiprocessing, time
def burn(_):
    end = time.thread_time() + 0.05
    while time.thread_time() < end:
        sum(range(300))
if __name__ == "__main__":
    with multiprocessing.get_context("METHOD").Pool(2) as pool:
        pool.map(burn, range(8))
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_pools(newest_python: str, tmp_path: Path, method: str) -> None:
    if sys.platform == "win32" and method != "spawn":
        pytest.skip(f"no {method} here")
    program = tmp_path / "pool.py"
    program.write_text(POOL.replace("METHOD", method))
    done = run([newest_python, program], children=True)
    assert (done.status, done.err) == (0, "")
    burnt = sum(cpu for *_, frames, cpu in done.samples if leaf(frames) == "burn")
    assert 0.32e9 <= burnt <= 0.44e9


EXITS = {
    "returns": ("", 0),
    "sys.exit": ("sys.exit(3)", 3),
    "exception": ("1/0", 1),
    "os._exit": ("os._exit(4)", 4),
    "abort": ("os.abort()", -6),
    "killed": ("os.kill(os.getpid(), 9)", -9),
    "terminated": ("os.kill(os.getpid(), 15)", -15),
    "interrupted": ("os.kill(os.getpid(), 2); time.sleep(5)", -2),
    "thread goes on": ("threading.Thread(target=burn).start()", 0),
    "daemon": ("threading.Thread(target=burn, daemon=True).start()", 0),
}


@pytest.mark.parametrize("way", EXITS)
def test_every_way_out(newest_python: str, way: str) -> None:
    last, status = EXITS[way]
    code = f"""
import os, sys, threading, time
if hasattr(os, "abort"):
    try:
        import resource
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except ImportError:
        pass
def burn():
    end = time.thread_time() + 0.3
    while time.thread_time() < end:
        sum(range(300))
burn()
{last}
"""
    if sys.platform == "win32" and status < 0:
        pytest.skip("POSIX signals")
    done = run([newest_python, "-c", code])
    assert done.status == status, done.err
    # Killed or not, all but the last hundredth of a second is there.
    burnt = done.by(lambda frames: "burn" in [frame.function_name for frame in frames])[True]
    assert burnt >= 0.2e9
    assert done.processes[0].ended == (way not in ("os._exit", "abort", "killed", "terminated"))
    if way == "thread goes on":
        assert burnt >= 0.4e9


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="POSIX signals")
def test_signals_go_to_the_program(python: str) -> None:
    code = """
import os, signal, threading, time
caught = []
signal.signal(signal.SIGUSR1, lambda *_: caught.append("main"))
os.kill(os.getpid(), signal.SIGUSR1)
time.sleep(0)
# Blocked in all its threads and taken by sigwait: delivered to a thread of ours it would kill the process.
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR2)).start()
caught.append(signal.sigwait([signal.SIGUSR2]).name)
started = time.monotonic()
signal.signal(signal.SIGALRM, lambda *_: caught.append("alarm"))
signal.setitimer(signal.ITIMER_REAL, 0.05)
signal.pause()
print(caught)
"""
    done = run([python, "-c", code])
    assert (done.status, done.err) == (0, "")
    assert done.out == "['main', 'SIGUSR2', 'alarm']\n"
