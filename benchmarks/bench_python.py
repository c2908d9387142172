"""Python frames: what a sample costs in the kernel, and how soon after attaching the first one comes.

    python -m benchmarks.bench_python [--smoke]

For each CPython there is, a target runs a loop below 60 Python frames. The kernel counts the time of the programs
that dtrace loaded (`kernel.bpf_stats_enabled`, put back afterwards); divided by the samples taken that is the cost of
one, with all that goes with it: hashing both stacks, and finding that they are known. Before that the cost of one
without any stack, of a shell's loop: what DTrace takes to print a line, which no program of ours can go below. The
first sample with Python frames is waited for from `start` on, five times.

Needs DTrace and root; without, it says so and ends.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import itertools
import os
import platform
import re
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.pythons import interpreters
from dtrace_profiler import DTraceProfiler, DTraceProfilerError, FrameKind
from dtrace_profiler.model.options import NativeMode

BPF_STATS = Path("/proc/sys/kernel/bpf_stats_enabled")
DEEP = """
def work():
    print("working", flush=True)
    while True: sum(range(100))
def dive(n): return dive(n - 1) if n else work()
dive(57)
"""
BUSY_SHELL = ("sh", "-c", "echo; while :; do :; done")


@contextlib.contextmanager
def target(*command: str) -> Iterator[int]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield process.pid
        finally:
            process.kill()


@contextlib.contextmanager
def bpf_stats() -> Iterator[None]:
    before = BPF_STATS.read_text()
    BPF_STATS.write_text("1")
    try:
        yield
    finally:
        BPF_STATS.write_text(before)


_BPF_PROG_GET_NEXT_ID, _BPF_PROG_GET_FD_BY_ID = 11, 13
_SYS_BPF = {"x86_64": 321, "aarch64": 280}
_PERF_EVENT = 7
"""The type of programs that a `profile` probe runs."""


def _bpf(command: int, number: int) -> tuple[int, int]:
    """(result, second word of the attributes): see bpf(2)."""
    attributes = (ctypes.c_uint32 * 32)(number)
    size = ctypes.sizeof(attributes)
    result = ctypes.CDLL(None).syscall(_SYS_BPF[platform.machine()], command, ctypes.byref(attributes), size)
    return result, attributes[1]


def in_kernel_s() -> float:
    """Seconds that the kernel has spent in all programs of `profile` probes there are."""
    nanoseconds, number = 0, 0
    while True:
        result, number = _bpf(_BPF_PROG_GET_NEXT_ID, number)
        if result:
            return nanoseconds / 1e9
        descriptor, _ = _bpf(_BPF_PROG_GET_FD_BY_ID, number)
        if descriptor < 0:
            continue
        facts = dict(
            re.findall(r"^(\w+):\s*(\d+)", Path(f"/proc/self/fdinfo/{descriptor}").read_text(), re.MULTILINE)
        )
        os.close(descriptor)
        if int(facts.get("prog_type", 0)) == _PERF_EVENT:
            nanoseconds += int(facts.get("run_time_ns", 0))


def cost_of_a_sample(
    command: Sequence[str], frequency_hz: int, seconds: float, *, native: NativeMode = "full"
) -> tuple[list[float], float]:
    """(microseconds in the kernel: quartiles of windows of 0.2 s, mean number of frames).

    The time that the hypervisor gave to others counts as the program's that ran then; it is in few of the windows.
    """
    with target(*command) as pid:
        profiler = DTraceProfiler(pid, engine="dtrace", native=native)
        profiler.start(frequency_hz)
        profiler.wait_ready(60)
        time.sleep(min(5.0, 3 * seconds))  # until the program that follows deep stacks is the only one
        profiler.take_samples()
        marks = []
        for _ in range(max(3, round(seconds / 0.2)) + 1):
            marks.append((in_kernel_s(), time.time_ns()))
            time.sleep(0.2)
        time.sleep(0.5)  # until the last of them have come
        samples = profiler.take_samples()
        profiler.stop()
    costs = []
    for (before_s, from_ns), (after_s, to_ns) in itertools.pairwise(marks):
        count = sum(from_ns <= sample.timestamp_ns < to_ns for sample in samples)
        if count:
            costs.append((after_s - before_s) / count * 1e6)
    return statistics.quantiles(costs, n=4), statistics.mean(len(sample.stack_frames) for sample in samples)


def said(quartiles: Sequence[float]) -> str:
    low, median, high = quartiles
    return f"{median:11.1f} {low:7.1f} to {high:4.1f}"


def first_python_sample_s(python: str) -> float:
    """From `start` until a sample with Python frames can be taken."""
    with target(python, "-c", DEEP) as pid:
        profiler = DTraceProfiler(pid, engine="dtrace")
        begun = time.perf_counter()
        profiler.start(99)
        while time.perf_counter() - begun < 60:
            if any(f.kind is FrameKind.PYTHON for s in profiler.take_samples() for f in s.stack_frames):
                break
            time.sleep(0.005)
        waited = time.perf_counter() - begun
        profiler.stop()
    return waited


def main() -> int:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    arguments.add_argument("--smoke", action="store_true", help="small numbers, to see that it runs")
    smoke = arguments.parse_args().smoke
    try:
        with target(*BUSY_SHELL) as pid, DTraceProfiler(pid, engine="dtrace"):
            pass
    except DTraceProfilerError as error:
        print(f"left out: {error}")
        return int("dtrace" in os.environ.get("DTRACE_PROFILER_REQUIRE", ""))
    chosen = interpreters()
    if smoke:
        chosen = dict([chosen.popitem()])
    print(
        "In the kernel, at 997 Hz: microseconds a sample, all CPUs' probes included (0.2 s windows), and its frames."
    )
    print("First sample with Python frames: seconds from `start`, median (longest) of the tries.")
    print(f"{'CPython':8} {'us: median':>11} {'quartiles':>15} {'frames':>7} {'first sample, s':>18}")
    seconds = 1.0 if smoke else 5.0
    with bpf_stats():
        cost, frames = cost_of_a_sample(BUSY_SHELL, 997, seconds, native="none")
    print(f"{'none':8} {said(cost)} {frames:7.0f}", flush=True)
    for version, python in chosen.items():
        with bpf_stats():
            cost, frames = cost_of_a_sample([python, "-c", DEEP], 997, seconds)
        waited = [first_python_sample_s(python) for _ in range(1 if smoke else 5)]
        print(
            f"{version:8} {said(cost)} {frames:7.0f} {statistics.median(waited):11.2f} ({max(waited):.2f})",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
