"""The embedded sampler in our own process: what it finds, and that nothing of it stays."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable

import pytest

from dtrace_profiler import DTraceProfiler
from dtrace_profiler import sampler as embedded
from dtrace_profiler.errors import EngineError
from dtrace_profiler.model.options import Options
from dtrace_profiler.sampler import EmbeddedSampler, SamplerSample

OPTIONS = Options(frequency_hz=499)


def burn(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(300))


def in_thread(work: Callable[[], None]) -> int:
    """Its native id, once it has ended."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert thread.native_id is not None
    return thread.native_id


def system_threads() -> int:
    return len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 0


def open_files() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


def test_weights_are_the_cpu_time_of_the_threads() -> None:
    got: list[SamplerSample] = []
    sampler = EmbeddedSampler(OPTIONS, got.extend)
    sampler.start()
    busy, asleep = in_thread(lambda: burn(0.2)), in_thread(lambda: time.sleep(0.2))
    sampler.stop()
    by_thread: Counter[int] = Counter()
    for _, process, thread, _, cpu in got:
        assert process == os.getpid()
        by_thread[thread] += cpu
    assert 0.15e9 <= by_thread[busy] <= 0.21e9
    assert by_thread[asleep] <= 5e6


def test_threads_of_ours_are_left_out() -> None:
    got: list[SamplerSample] = []
    own: set[int] = set()

    def work() -> None:
        own.add(threading.get_native_id())
        burn(0.1)

    sampler = EmbeddedSampler(OPTIONS, got.extend, own_threads=own)
    sampler.start()
    in_thread(work)
    burn(0.1)
    sampler.stop()
    assert own
    assert not own & {thread for _, _, thread, *_ in got}
    assert sum(cpu for *_, cpu in got) <= 0.18e9  # nor do they come as CPU time of nobody


def test_samplers_beside_one_another_do_not_see_each_other() -> None:
    first, second = DTraceProfiler(engine="sampler"), DTraceProfiler(engine="sampler")
    known = {thread.native_id for thread in threading.enumerate()}
    if os.path.isdir("/proc/self/task"):
        known |= {int(task) for task in os.listdir("/proc/self/task")}
    for profiler in (first, second):
        profiler.start(997)
    burn(0.3)
    for profiler in (first, second):
        profiler.stop()
    for profiler in (first, second):
        threads = {thread.thread_id for thread in profiler.profile().threads}
        # Others are whoever runs the tests: known before, and none of ours.
        assert threading.get_native_id() in threads
        assert threads - {0} <= known


def test_nothing_stays_and_it_starts_again() -> None:
    got: list[SamplerSample] = []
    before = (system_threads(), open_files(), sys.getswitchinterval(), threading.active_count())
    sampler = EmbeddedSampler(OPTIONS, got.extend)
    for _ in range(3):
        got.clear()
        sampler.start()
        sampler.start()
        assert sampler.running
        burn(0.05)
        sampler.stop()
        sampler.stop()
        assert not sampler.running
        assert sum(cpu for *_, cpu in got) >= 0.04e9
        assert (system_threads(), open_files(), sys.getswitchinterval(), threading.active_count()) == before
    finished = len(got)
    burn(0.05)
    assert len(got) == finished


def test_objects_of_the_program_are_freed_as_ever() -> None:
    class Thing:
        pass

    def use() -> weakref.ref[Thing]:
        thing = Thing()
        burn(0.1)
        return weakref.ref(thing)

    got: list[SamplerSample] = []
    sampler = EmbeddedSampler(OPTIONS, got.extend)
    sampler.start()
    gc.disable()
    try:
        gone = use()
        in_thread(lambda: burn(0.05))  # the sampler looks at another stack
        assert gone() is None
    finally:
        gc.enable()
        sampler.stop()
    assert "use" in {frame.function_name.rpartition(".")[2] for *_, frames, _ in got for frame in frames}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_in_a_forked_child_it_has_ended_and_may_be_started() -> None:
    program = """
import os, time
from dtrace_profiler.model.options import Options
from dtrace_profiler.sampler import EmbeddedSampler
def burn():
    end = time.thread_time() + 0.1
    while time.thread_time() < end:
        sum(range(300))
got = []
sampler = EmbeddedSampler(Options(frequency_hz=499), got.extend)
sampler.start()
burn()
pid = os.fork()
if pid == 0:
    got.clear()
    assert not sampler.running
    burn()
    sampler.stop()
    assert not got
    sampler.start()
    burn()
    sampler.stop()
    assert {sample[1] for sample in got} == {os.getpid()}
    os._exit(7)
assert sampler.running
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
burn()
sampler.stop()
assert {sample[1] for sample in got} == {os.getpid()}
assert 0.15e9 <= sum(sample[4] for sample in got)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_where_stacks_can_not_be_read_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "unsafe_here", lambda: "the reason.")
    with pytest.raises(EngineError, match=r"^the embedded sampler can't run: the reason\.$"):
        EmbeddedSampler(OPTIONS, lambda batch: None)


def test_without_clocks_of_threads_the_process_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_open_clocks", lambda: None)
    got: list[SamplerSample] = []
    sampler = EmbeddedSampler(OPTIONS, got.extend)
    assert len(sampler.notes) == 1
    waits = threading.Event()
    waiter = threading.Thread(target=waits.wait)
    waiter.start()
    sampler.start()
    burn(0.2)
    sampler.stop()
    waits.set()
    waiter.join()
    # Threads of pytest's own, which no rule knows as waiting, may have a share of it.
    assert 0.15e9 <= sum(cpu for *_, cpu in got) <= 0.25e9
    assert "burn" in {frame.function_name for *_, frames, _ in got for frame in frames}
    assert waiter.native_id not in {thread for _, _, thread, *_ in got}
