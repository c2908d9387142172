"""The real DTrace again and again, twice at once, taken from many threads, and in a process that forks."""

from __future__ import annotations

import bisect
import collections
import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_runs import left_behind, until

from dtrace_profiler import DTraceProfiler
from dtrace_profiler.pipeline import DTraceEngine
from dtrace_profiler.record.parse import Record, SampleRecord
from dtrace_profiler.stage import Stage

pytestmark = pytest.mark.dtrace
BURN = """
import threading
def burn():
    while True: sum(range(1000))
threading.Thread(target=burn).start()
print("working", flush=True)
burn()
"""


@pytest.fixture
def python() -> Iterator[int]:
    """A busy Python program of two threads."""
    with subprocess.Popen([sys.executable, "-c", BURN], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "working\n"
        yield process.pid
        process.kill()


@pytest.mark.slow
def test_runs_one_after_the_other_leave_nothing_behind(python: int, temporary: Path) -> None:
    """Stopped at every stage of a start: at once, when ready, while the second dtrace starts, in the midst.

    DTRACE_PROFILER_LONG=1: twenty of them.
    """
    profiler = DTraceProfiler(python, engine="dtrace")
    left = []
    for run in range(20 if os.environ.get("DTRACE_PROFILER_LONG") else 5):
        profiler.start(199)
        if run % 4 > 0:
            assert profiler.wait_ready(120)
        if run % 4 > 1:
            until(lambda: profiler.sample_count > 5)
        if run % 4 > 2:
            until(lambda: profiler.sample_count > 150)
        profiler.stop()
        assert profiler.error is None
        left.append(left_behind())
    assert left[-1][1:] == ([], [])
    assert left[-1][0] <= left[3][0], left


def test_two_at_once_see_the_same(python: int) -> None:
    """Each has its own program and its own counts: neither takes from the other, nor ends it."""
    first = DTraceProfiler(python, engine="dtrace")
    second = DTraceProfiler(python, engine="dtrace")
    with first:
        first.wait_ready(120)
        with second:
            second.wait_ready(120)
            until(lambda: second.sample_count > 200)
        count = first.sample_count
        until(lambda: first.sample_count > count + 50)
        assert first.error is None
        assert second.error is None
    # While both ran, each thread of the target was seen by both.
    begin, end = second.profile().meta.start_ns, second.profile().meta.start_ns + second.profile().meta.duration_ns
    by_first = collections.Counter(s.thread_id for s in first.take_samples() if begin < s.timestamp_ns < end)
    by_second = collections.Counter(s.thread_id for s in second.take_samples())
    assert set(by_second) <= set(by_first)
    # Not at the same moments: on a busy machine shares of so short a time differ.
    assert 0.4 < by_first.total() / by_second.total() < 2.5
    assert not {*first.losses, *second.losses} & {"drops", "undefined_stacks", "unresolved_stacks"}


def test_many_takers_lose_and_double_nothing(python: int) -> None:
    profiler = DTraceProfiler(python, engine="dtrace")
    taken: list[tuple[int, int]] = []

    def take() -> None:
        while profiler.running:
            taken.extend((sample.timestamp_ns, sample.thread_id) for sample in profiler.take_samples())

    profiler.start(997)
    takers = [threading.Thread(target=take) for _ in range(4)]
    for taker in takers:
        taker.start()
    until(lambda: profiler.sample_count > 2000)
    profiler.stop()
    for taker in takers:
        taker.join()
    taken.extend((sample.timestamp_ns, sample.thread_id) for sample in profiler.take_samples())
    assert len(taken) == profiler.sample_count
    assert len(set(taken)) == len(taken)
    kept = [(sample.timestamp_ns, sample.thread_id) for sample in profiler.profile().samples()]
    assert sorted(kept) == sorted(taken)


FORKS = """
import os, sys, threading, time
from dtrace_profiler import DTraceProfiler
engine = "dtrace"
def parents_work(until):
    while not until(): sum(range(1000))
def childs_work(until):
    while not until(): sum(range(1000))
def functions(profiler):
    return {frame.function_name for sample in profiler.take_samples() for frame in sample.stack_frames}
profiler = DTraceProfiler(engine=engine)
profiler.start(499)
assert profiler.wait_ready(120)
parents_work(lambda: profiler.sample_count > 50)
child = os.fork()
if not child:
    assert not profiler.running
    assert profiler.take_samples() == []
    assert profiler.process_id == os.getpid()
    profiler.start(499)
    assert profiler.wait_ready(120)
    childs_work(lambda: profiler.sample_count > 200)
    profiler.stop()
    seen = functions(profiler)
    assert "childs_work" in seen, seen
    assert "parents_work" not in seen, seen
    assert profiler.error is None
    print("child", flush=True)
    os._exit(0)
parents_work(lambda: os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT))
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
count = profiler.sample_count
parents_work(lambda: profiler.sample_count > count + 50)
assert profiler.running and profiler.error is None
profiler.stop()
samples = list(profiler.profile().samples())
assert {sample.process_id for sample in samples} == {os.getpid()}
seen = functions(profiler)
assert "parents_work" in seen, seen
assert "childs_work" not in seen, seen
print("parent", flush=True)
"""


def test_a_profiled_process_that_forks() -> None:
    """The child begins without a profile, may make its own, and neither shows up in the other's."""
    done = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True, timeout=250, check=False)
    assert done.stderr == ""
    assert (done.stdout, done.returncode) == ("child\nparent\n", 0)


POOL = """
import multiprocessing, os, sys
from dtrace_profiler import DTraceProfiler
def work(number):
    return sum(range(200_000)) and os.getpid()
if __name__ == "__main__":
    with DTraceProfiler(engine="dtrace", children=True) as profiler:
        workers = set()
        for _ in range(6):
            # Forked while dtrace starts, and the second one.
            with multiprocessing.get_context("fork").Pool(2) as pool:
                workers.update(pool.map(work, range(400), chunksize=5))
    assert profiler.error is None
    found = {sample.process_id for sample in profiler.take_samples()}
    print(len(found & workers) > 2)
"""


def test_a_profiled_process_that_forks_workers_while_dtrace_starts(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(POOL)
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=250, check=False)
    assert done.stderr == ""
    assert (done.stdout, done.returncode) == ("True\n", 0)


def test_a_dtrace_that_waits_for_us_is_stopped_without_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal that comes while it waits for room in its output makes it print again, or leave out, what it had."""
    on_output = Stage._on_output

    def slowly(stage: Stage, data: bytes) -> None:
        if not stage.stopping:
            time.sleep(0.02)
        on_output(stage, data)

    monkeypatch.setattr(Stage, "_on_output", slowly)
    monkeypatch.setattr("dtrace_profiler.record.session.READ_BYTES", 1 << 12)
    records: list[SampleRecord] = []
    take = DTraceEngine._take

    def took(engine: DTraceEngine, stage: Stage, record: Record) -> None:
        if isinstance(record, SampleRecord):
            records.append(record)
        take(engine, stage, record)

    monkeypatch.setattr(DTraceEngine, "_take", took)
    with subprocess.Popen(["sh", "-c", "while :; do :; done"]) as busy:
        profiler = DTraceProfiler(busy.pid, engine="dtrace", native="leaf")
        profiler.start(4999)
        assert profiler.wait_ready(120)
        time.sleep(2)
        end_ns = time.time_ns()
        profiler.stop()
        busy.kill()
    moments = [(record.timestamp_ns, record.host_thread_id) for record in records]
    assert len(moments) > 5000
    assert len(set(moments)) == len(moments)
    moments.sort()
    assert moments[-1][0] > end_ns - 300_000_000
    assert max(later - earlier for (earlier, _), (later, _) in itertools.pairwise(moments)) < 300_000_000
    assert profiler.losses == {}


BURST = """
import sys, time
print("there", flush=True)
sys.stdin.readline()
begin, clocks = time.process_time_ns(), []
while not clocks or clocks[-1][1] < begin + 300_000_000: clocks.append((time.time_ns(), time.process_time_ns()))
print(clocks[::20] + clocks[-1:], flush=True)
sys.stdin.readline()
"""


def test_what_a_processor_keeps_is_printed_at_the_end() -> None:
    """Samples are printed some at a time, and the timers of an idle processor may rest."""
    gaps_ns = []
    for _ in range(5):
        with subprocess.Popen(
            [sys.executable, "-c", BURST], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as target:
            assert target.stdin is not None
            assert target.stdout is not None
            target.stdout.readline()
            profiler = DTraceProfiler(target.pid, engine="dtrace")
            profiler.start(997)
            assert profiler.wait_ready(120)
            target.stdin.write("\n")
            target.stdin.flush()
            clocks = json.loads(target.stdout.readline().replace("(", "[").replace(")", "]"))
            profiler.stop()
            target.kill()
        # In its own CPU time: another process may have had the processor for a while.
        used_ns = [
            clocks[min(bisect.bisect(clocks, [sample.timestamp_ns]), len(clocks) - 1)][1]
            for sample in profiler.take_samples()
        ]
        assert len(used_ns) > 250
        last = [*sorted(used_ns)[-11:], clocks[-1][1]]
        gaps_ns.append(max(later - earlier for earlier, later in itertools.pairwise(last)))
    # One is due each millisecond; a batch is ten.
    assert sorted(gaps_ns)[-2] < 3_500_000, gaps_ns


LAST_PID = Path("/proc/sys/kernel/ns_last_pid")


@pytest.mark.skipif(not LAST_PID.exists(), reason="the kernel does not let us choose a process id")
def test_a_number_that_is_another_processs_by_now_is_not_sampled() -> None:
    """A process of the tree ends, and one from outside of it gets its number."""
    burning = ["sh", "-c", "while :; do :; done"]
    root = "read go; timeout 0.5 sh -c 'echo $$; while :; do :; done'; echo ended; read end"
    with subprocess.Popen(["sh", "-c", root], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as tree:
        assert tree.stdin is not None
        assert tree.stdout is not None
        with DTraceProfiler(tree.pid, engine="dtrace", children=True) as profiler:
            assert profiler.wait_ready(120)
            tree.stdin.write("go\n")
            tree.stdin.flush()
            member = int(tree.stdout.readline())
            assert tree.stdout.readline() == "ended\n"
            until(lambda: any(sample.process_id == member for sample in profiler.take_samples()))
            time.sleep(0.5)  # the kernel takes a moment to let go of it
            began_ns = 0
            for _ in range(100):
                began_ns = time.time_ns()
                LAST_PID.write_text(f"{member - 1}\n")
                other = subprocess.Popen(burning)
                if other.pid == member:
                    break
                other.kill()
                other.wait()
            profiler.take_samples()
            time.sleep(1)
            other.kill()
            other.wait()
            tree.stdin.write("end\n")
            tree.stdin.flush()
        assert other.pid == member, "another process took the number first"
        # The last of the first one's samples may have come since.
        of_other = [sample for sample in profiler.take_samples() if sample.timestamp_ns >= began_ns]
        assert not [sample for sample in of_other if sample.process_id == member]
