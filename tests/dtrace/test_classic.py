"""The way of the other systems, on Linux: aggregations, dtrace's own names, the GIL's holder."""

from __future__ import annotations

import collections
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dtrace_profiler import DTraceProfiler, FrameKind

sys.path.insert(0, str(Path(__file__).parent))
from programs import BURN_C, compiled

from pythons import INTERPRETERS, names, run

pytestmark = pytest.mark.dtrace

SHARES = """
import json, sys, threading, time

def timed(name, job, seconds):
    begin = time.thread_time()
    while time.thread_time() - begin < seconds:
        job()
    SPENT[name] = SPENT.get(name, 0.0) + time.thread_time() - begin

def add_numbers():
    total = 0
    for number in range(2000):
        total += number * number % 7

def fill_table():
    table = {}
    for number in range(1000):
        table[number % 100] = table.get(number % 100, 0) + 1

def by_tail(word): return word[::-1]
def sort_words(): sorted(["word%d" % n for n in range(200)], key=by_tail)
def dive(depth): return dive(depth - 1) if depth else add_numbers()
def dive_20(): dive(20)

SPENT = {}
for _ in range(int(sys.argv[1])):
    # Little at a time: whatever part of the run was sampled has the same shares.
    timed("add_numbers", add_numbers, 0.020)
    timed("fill_table", fill_table, 0.012)
    timed("sort_words", sort_words, 0.010)
    timed("dive_20", dive_20, 0.008)
print(json.dumps(SPENT))
"""


_ENDS = [min(INTERPRETERS, default=""), max(INTERPRETERS, default="")]
_TRIED = [name for name in INTERPRETERS if name in _ENDS[1:] or os.environ.get("DTRACE_PROFILER_LONG")]


@pytest.mark.slow
@pytest.mark.parametrize("python", [INTERPRETERS[name] for name in _TRIED], ids=_TRIED)
def test_shares_of_python_functions(python: str, tmp_path: Path) -> None:
    program = tmp_path / "shares.py"
    program.write_text(SHARES)
    profile, said = run([python, str(program), "140"], 199, classic=True)
    spent = json.loads(said)
    found: collections.Counter[str] = collections.Counter()
    for sample in profile.samples():
        stack = names(sample)
        if "timed" in stack:
            below = stack[stack.index("timed") + 1 :]
            found[below[0] if below else "timed"] += 1
    count = sum(found.values())
    # The program that knows of the interpreter takes over some seconds after it has begun; from then on all is there.
    assert count > 0.4 * 199 * sum(spent.values())
    for name, seconds in spent.items():
        share = seconds / sum(spent.values())
        error = math.sqrt(share * (1 - share) / count)
        assert abs(found[name] / count - share) <= 3 * error + 0.004, (name, found[name] / count, share)
    assert any(names(sample).count("dive") == 21 for sample in profile.samples())
    taken = len(list(profile.samples())) + profile.meta.losses.get("unprinted_samples", 0)
    assert 0.85 * 199 * sum(spent.values()) < taken < 1.3 * 199 * sum(spent.values())


@pytest.mark.slow
def test_shares_of_native_functions_by_dtraces_own_names(tmp_path: Path) -> None:
    program = compiled(tmp_path, "burn", BURN_C)
    begun_ns = time.time_ns()
    profile, said = run([program, "10"], 997, classic=True)
    ended_ns = time.time_ns()
    words = next(line.split() for line in said.splitlines() if line.startswith("truth"))
    *spent, total = map(float, words[1:])
    samples = list(profile.samples())
    found = collections.Counter(
        next((frame.function_name for frame in sample.stack_frames if frame.function_name.startswith("burn_")), "")
        for sample in samples
    )
    count = sum(found.values())
    for name, seconds in zip(("burn_most", "burn_some", "burn_little"), spent, strict=True):
        share = seconds / total
        assert abs(found[name] / count - share) <= 3 * math.sqrt(share * (1 - share) / count) + 0.004, name
    # One that another processor takes while the tables change may miss both.
    assert profile.meta.losses.get("unprinted_samples", 0) <= 0.001 * count
    assert count > 0.95 * 997 * total
    assert "main" in {frame.function_name for sample in samples for frame in sample.stack_frames}
    assert all(frame.kind is not FrameKind.PYTHON for sample in samples for frame in sample.stack_frames)
    # True to a tick of the printing, within the run, which takes as long as its CPU time or longer.
    times = [sample.timestamp_ns for sample in samples]
    assert begun_ns <= min(times) <= max(times) <= ended_ns
    assert max(times) - min(times) >= 0.9 * total * 1e9


@pytest.mark.parametrize("python", [INTERPRETERS[name] for name in _TRIED[:1]], ids=_TRIED[:1])
def test_children_that_begin_later(python: str, tmp_path: Path) -> None:
    program = tmp_path / "parent.py"
    program.write_text(
        """
import subprocess, sys, time
CHILD = '''
import time
def burn_in_child():
    for _ in range(1000): pass
end = time.time() + 8
while time.time() < end: burn_in_child()
'''
subprocess.run([sys.executable, "-c", CHILD])
"""
    )
    profile, _ = run([python, str(program)], 99, classic=True, children=True)
    of_child = [sample for sample in profile.samples() if "burn_in_child" in names(sample)]
    assert len(of_child) > 100


def test_kernel_frames_stand_on_the_leaf_side() -> None:
    with subprocess.Popen(["dd", "if=/dev/zero", "of=/dev/null", "bs=1M"], stderr=subprocess.DEVNULL) as target:
        try:
            with DTraceProfiler(target.pid, engine="dtrace", classic=True, kernel=True) as profiler:
                assert profiler.wait_ready(60)
                time.sleep(2)
        finally:
            target.kill()
    samples = profiler.take_samples()
    kinds = [[frame.kind for frame in sample.stack_frames] for sample in samples]
    both = [stack for stack in kinds if FrameKind.KERNEL in stack and FrameKind.NATIVE in stack]
    assert len(both) > 20
    assert all(stack == sorted(stack, key=lambda kind: kind is FrameKind.KERNEL) for stack in both)


def test_this_process_without_our_own_threads() -> None:
    with DTraceProfiler(engine="dtrace", classic=True) as profiler:
        assert profiler.wait_ready(60)
        end = time.monotonic() + 2
        while time.monotonic() < end:
            sum(range(1000))
    samples = profiler.take_samples()
    assert {sample.process_id for sample in samples} == {os.getpid()}
    assert len(samples) > 50
    own = "test_this_process_without_our_own_threads"
    assert sum(own in names(sample) for sample in samples) > 0.8 * len(samples)
