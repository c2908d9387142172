"""What profiling costs: the target, and us. As ratios, so that they can be compared between machines.

    python benchmarks/bench_target.py [--smoke] [--rounds N]

Slowdown: two equal targets do the same piece of work in turn, some milliseconds each, and tell the CPU time of each,
measured by their own clock. One of them is profiled; the median of what a piece takes there, as a multiple of the
piece beside it, is a ratio. Then the other one is profiled, and the geometric mean of both ratios is a round's: so
neither a machine that changes its speed nor what makes one process differ from the next is in it. The median of all
rounds is printed, with the quartiles. Below that the CPU time of dtrace
and of this process per second of sampling, once names are known; the time from `start` until samples are taken; and
the longest `take_samples`.

Needs DTrace and root for the rows of DTrace; without, they are left out by name.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from dtrace_profiler import DTraceProfiler, DTraceProfilerError
from dtrace_profiler.platforms.processes import descendants

RATES_HZ = (99, 997)
READY_TIMEOUT_S = 60.0
SETTLE_S = 4.0
"""Until the program that follows deep Python stacks has been verified, which takes a processor for two seconds."""

# Both read a command a line and answer with a line. `work N`: nanoseconds of CPU time that each of N pieces took.
PYTHON_TARGET = """
import sys, time, zlib
from dtrace_profiler import DTraceProfiler
TEXT = b"of all the books in the shop this one is the thickest " * 2000
sampler = None

def count_words(text):
    counts = {}
    for word in text.split():
        counts[word] = counts.get(word, 0) + 1
    return counts

def add_up(numbers):
    total = 0
    for number in numbers:
        total += number * number % 7
    return total

def piece():
    for _ in range(SIZE):
        count_words(TEXT)
        add_up(range(20000))
        zlib.compress(TEXT, 6)

def main():
    global sampler
    for line in sys.stdin:
        command, number = line.split()
        times = []
        if command == "work":
            for _ in range(int(number)):
                begun = time.process_time_ns()
                piece()
                times.append(time.process_time_ns() - begun)
        elif command == "sample":
            if sampler is not None:
                sampler.stop()
                sampler = None
            if int(number):
                sampler = DTraceProfiler(engine="sampler")
                sampler.start(int(number))
        print(*times, flush=True)

main()
"""
NATIVE_TARGET = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
static unsigned numbers[1 << 14];
static int ascending(const void *a, const void *b) {
    return (*(const unsigned *)a > *(const unsigned *)b) - (*(const unsigned *)a < *(const unsigned *)b);
}
__attribute__((noinline)) void fill(unsigned seed) {
    for (int i = 0; i < 1 << 14; i++) numbers[i] = seed = seed * 1664525u + 1013904223u;
}
__attribute__((noinline)) void sort(void) { qsort(numbers, 1 << 14, sizeof *numbers, ascending); }
__attribute__((noinline)) void piece(void) { for (int i = 0; i < SIZE; i++) { fill(i); sort(); } }
static long long cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}
int main(void) {
    char command[16];
    int count;
    while (scanf("%15s %d", command, &count) == 2) {
        for (int i = 0; i < count && !strcmp(command, "work"); i++) {
            long long begun = cpu_ns();
            piece();
            printf("%lld ", cpu_ns() - begun);
        }
        printf("\n");
        fflush(stdout);
    }
    return 0;
}
"""

Kind = Literal["python", "native"]


class Target:
    """A program that works when it is told to."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self._process.pid
        self.ask("sleep 0")

    def say(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()

    def answer(self) -> list[int]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("the target has ended before its time.")
        return [int(word) for word in line.split()]

    def ask(self, command: str) -> list[int]:
        self.say(command)
        return self.answer()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@contextlib.contextmanager
def running_target(kind: Kind, *, smoke: bool) -> Iterator[Target]:
    """A piece of its work takes about a fiftieth of a second, or less for `smoke`."""
    with tempfile.TemporaryDirectory() as folder:
        if kind == "python":
            path = Path(folder, "target.py")
            path.write_text(PYTHON_TARGET.replace("SIZE", "1" if smoke else "5"))
            command = [sys.executable, str(path)]
        else:
            path = Path(folder, "target.c")
            path.write_text(NATIVE_TARGET)
            options = ["-O2", "-g", "-fno-omit-frame-pointer", f"-DSIZE={3 if smoke else 15}"]
            program = str(path.with_suffix(""))
            subprocess.run(["gcc", *options, str(path), "-o", program], check=True)
            command = [program]
        target = Target(command)
        try:
            yield target
        finally:
            target.close()


@contextlib.contextmanager
def profiled(target: Target, engine: str, frequency_hz: int, settle_s: float) -> Iterator[None]:
    """The target, sampled that often, once that has settled; 0: not at all."""
    if not frequency_hz:
        yield
    elif engine == "sampler":
        target.ask(f"sample {frequency_hz}")
        yield
        target.ask("sample 0")
    else:
        profiler = DTraceProfiler(pid=target.pid, engine="dtrace")
        profiler.start(frequency_hz)
        try:
            if not profiler.wait_ready(READY_TIMEOUT_S):
                raise SystemExit("dtrace did not begin to sample.")
            time.sleep(settle_s)
            yield
        finally:
            profiler.stop()


def measure_slowdown(kind: Kind, engine: str, rate: int, *, rounds: int, pieces: int, smoke: bool) -> None:
    ratios = []
    with running_target(kind, smoke=smoke) as one, running_target(kind, smoke=smoke) as other:
        for _ in range(rounds):
            logarithm = 0.0
            for watched, alone in ((one, other), (other, one)):
                with profiled(watched, engine, rate, 0 if smoke else SETTLE_S):
                    beside = [(watched.ask("work 1")[0], alone.ask("work 1")[0]) for _ in range(pieces)]
                logarithm += math.log(statistics.median(ours / without for ours, without in beside)) / 2
            ratios.append(math.exp(logarithm))
    low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    print(f"{engine:8} {kind:8} {rate:5} {middle:10.4f}   {low:.4f} to {high:.4f}", flush=True)


def cpu_seconds(pids: list[int]) -> float:
    """CPU time of these processes, dead children not included; 0 for one that has ended."""
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def measure_ourselves(kind: Kind, frequency_hz: int, *, starts: int, steady_s: float, smoke: bool) -> None:
    """Start-up, then CPU at steady state and the longest `take_samples`."""
    returned, ready = [], []
    with running_target(kind, smoke=smoke) as target:
        # More than it can do while we look: it is ended by us.
        target.say("work 1000000")
        for number in range(starts):
            profiler = DTraceProfiler(pid=target.pid, engine="dtrace")
            begun = time.perf_counter()
            profiler.start(frequency_hz)
            returned.append(time.perf_counter() - begun)
            profiler.wait_ready(READY_TIMEOUT_S)
            ready.append(time.perf_counter() - begun)
            if number < starts - 1:
                profiler.stop()
        settle_s = min(6.0, steady_s)
        time.sleep(settle_s)
        profiler.take_samples()
        ours = [pid for pid in descendants(os.getpid()) if pid != target.pid]
        dtrace_s, own_s, begun = cpu_seconds(ours), time.process_time(), time.perf_counter()
        longest, taken = 0.0, 0
        while time.perf_counter() - begun < steady_s:
            time.sleep(0.1)
            call = time.perf_counter()
            taken += len(profiler.take_samples())
            longest = max(longest, time.perf_counter() - call)
        wall_s = time.perf_counter() - begun
        dtrace_s, own_s = cpu_seconds(ours) - dtrace_s, time.process_time() - own_s
        losses = dict(profiler.losses)
        profiler.stop()
    print(
        f"{kind:8} {frequency_hz:5} {statistics.median(returned) * 1e3:10.1f} {statistics.median(ready):8.2f}"
        f" {dtrace_s / wall_s:9.2%} {own_s / wall_s:9.2%} {(dtrace_s + own_s) / wall_s:8.2%}"
        f" {longest * 1e3:9.2f} {taken / wall_s:10.1f}   {losses or 'none'}",
        flush=True,
    )


def main() -> int:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    arguments.add_argument("--smoke", action="store_true", help="small numbers, to see that it runs")
    arguments.add_argument("--rounds", type=int, help="of the slowdown (default: 5)")
    options = arguments.parse_args()
    smoke = options.smoke
    rounds = options.rounds or (1 if smoke else 5)
    rates = RATES_HZ[-1:] if smoke else RATES_HZ
    kinds: list[Kind] = ["python", "native"] if shutil.which("gcc") else ["python"]
    can_dtrace = True
    try:
        with running_target("python", smoke=True) as target, profiled(target, "dtrace", RATES_HZ[0], 0):
            pass
    except DTraceProfilerError as error:
        print(f"DTrace is left out: {error}")
        can_dtrace = False
        if "dtrace" in os.environ.get("DTRACE_PROFILER_REQUIRE", ""):
            return 1

    print(f"Slowdown: the target's CPU time as a multiple of its time without us, {rounds} rounds")
    print(f"{'engine':8} {'target':8} {'Hz':>5} {'median':>10}   {'quartiles'}")
    measured: list[tuple[Kind, str]] = [(kind, "dtrace") for kind in kinds if can_dtrace]
    for kind, engine in [*measured, ("python", "sampler")]:
        for rate in rates:
            measure_slowdown(kind, engine, rate, rounds=rounds, pieces=10 if smoke else 150, smoke=smoke)
    if can_dtrace:
        print("\nOurselves, with DTrace: shares are of one core")
        print(
            f"{'target':8} {'Hz':>5} {'start, ms':>10} {'ready, s':>8} {'dtrace':>9} {'Python':>9} {'both':>8}"
            f" {'take, ms':>9} {'samples/s':>10}   losses"
        )
        for kind in kinds:
            for rate in rates:
                measure_ourselves(kind, rate, starts=1 if smoke else 5, steady_s=1.0 if smoke else 10.0, smoke=smoke)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
