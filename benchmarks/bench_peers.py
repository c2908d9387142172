"""Side by side with other profilers of Python programs, on one target: what they cost it, and what is true.

    python -m benchmarks.bench_peers [--smoke] [--rounds N]

py-spy (with and without stopping the target) and CPython 3.15's `profiling.sampling` (likewise), each on the newest
CPython that it knows, and we on the same one. The target runs rounds of three phases: one that burns its CPU below
`a > b > c`, one below `x > y > z`, and one that alternates between the two as quickly as it can. Columns:

- slowdown: wall time of a round as a multiple of that in the rounds without a profiler just before and after;
- own CPU: of all processes of the profiler, as a share of one core, while the target does its rounds, some seconds
  after the start;
- start, end: seconds of CPU that its start and its end take;
- share error: the largest difference between a phase's share of the samples and of the target's own CPU time;
- impossible: of the samples, stacks that mix both chains or skip one of their functions;
- failed: of the samples that should have been taken, those that were not, or have no Python frames.

A profiler that is not installed is left out by name: `pip install py-spy`.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.pythons import interpreters
from dtrace_profiler.platforms.processes import descendants

TARGET = """
import sys, time
def c(n):
    for i in range(n): pass
def b(n): c(n)
def a(n): b(n)
def z(n):
    for i in range(n): pass
def y(n): z(n)
def x(n): y(n)
def phase_a():
    for _ in range(A): a(2000)
def phase_x():
    for _ in range(X): x(2000)
def phase_mixed():
    for _ in range(M):
        a(1); x(1)
def timed(phase):
    begun = time.thread_time()
    phase()
    return time.thread_time() - begun
def main():
    print("working", flush=True)
    for line in sys.stdin:
        begun, spent = time.perf_counter(), [0.0] * 3
        while time.perf_counter() - begun < 0.2:
            for index, phase in enumerate((phase_a, phase_x, phase_mixed)):
                spent[index] += timed(phase)
        rounds_begun, count = time.perf_counter(), int(line)
        for _ in range(count):
            for index, phase in enumerate((phase_a, phase_x, phase_mixed)):
                spent[index] += timed(phase)
        print(time.perf_counter() - rounds_begun, *spent, flush=True)
main()
"""
_beside_us = Path(sys.executable).with_name("py-spy")
PY_SPY = str(_beside_us) if _beside_us.exists() else shutil.which("py-spy")
PHASES = ("phase_a", "phase_x", "phase_mixed")
CHAINS = ("abc", "xyz")
Folded = collections.Counter[tuple[str, ...]]


@dataclass(frozen=True)
class Profiler:
    """`command` takes (target's pid, rate, seconds, output); it samples that long and writes folded stacks."""

    name: str
    python: str
    command: Callable[[int, int, float, Path], list[str]]


def profilers() -> list[Profiler]:
    there = interpreters()
    out = []
    newest = there.get("3.15")
    spied = next((there[version] for version in ("3.13", "3.12", "3.11") if version in there), None)

    def ours(pid: int, rate: int, seconds: float, path: Path) -> list[str]:
        options = ["-q", "--engine", "dtrace", "-F", str(rate), "-d", str(seconds), "--native", "none"]
        return [sys.executable, "-m", "dtrace_profiler", "attach", str(pid), *options, "-o", str(path)]

    def ours_with_native(pid: int, rate: int, seconds: float, path: Path) -> list[str]:
        return [*ours(pid, rate, seconds, path), "--native", "full"]

    def sampling(*more: str) -> Callable[[int, int, float, Path], list[str]]:
        def command(pid: int, rate: int, seconds: float, path: Path) -> list[str]:
            options = ["-r", str(rate), "-d", str(round(seconds)), "--collapsed", "-o", str(path), *more]
            return [str(newest), "-m", "profiling.sampling", "attach", *options, str(pid)]

        return command

    def py_spy(*more: str) -> Callable[[int, int, float, Path], list[str]]:
        def command(pid: int, rate: int, seconds: float, path: Path) -> list[str]:
            options = ["-p", str(pid), "-r", str(rate), "-d", str(round(seconds)), "-f", "raw", "-o", str(path)]
            return [str(PY_SPY), "record", *options, *more]

        return command

    if newest:
        out += [
            Profiler("dtrace-profiler", newest, ours),
            Profiler("dtrace-profiler, native too", newest, ours_with_native),
            Profiler("profiling.sampling", newest, sampling()),
            Profiler("profiling.sampling --blocking", newest, sampling("--blocking")),
        ]
    else:
        print("left out: profiling.sampling (no CPython 3.15)")
    if spied and PY_SPY:
        out += [
            Profiler("dtrace-profiler", spied, ours),
            Profiler("py-spy", spied, py_spy()),
            Profiler("py-spy --nonblocking", spied, py_spy("--nonblocking")),
        ]
    else:
        print("left out: py-spy (not installed, or no CPython that it knows)")
    return out


class Target:
    def __init__(self, python: str, *, smoke: bool) -> None:
        text = TARGET.replace("(A)", "(60)").replace("(X)", "(20)").replace("(M)", "(6000)")
        self._process = subprocess.Popen(
            [python, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.pid = self._process.pid
        self._answer()
        self.count = 1
        # As many rounds as take about eight seconds.
        self.count = max(1, int((1.0 if smoke else 8.0) / self.work()[0]))

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def begin(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{self.count}\n")

    def end(self) -> list[float]:
        """Wall seconds of the rounds; CPU seconds of each phase."""
        return [float(word) for word in self._answer().split()]

    def work(self) -> list[float]:
        self.begin()
        return self.end()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def function_names(stack: str) -> tuple[str, ...]:
    """Root first, of the target's own functions, whatever a profiler puts around their names."""
    names = []
    for frame in stack.split(";"):
        words = re.split(r"[^\w<>]+", frame)
        found = next((word for word in words if re.fullmatch(r"[abcxyz]|phase_\w+|timed|main", word)), None)
        if found is not None:
            names.append(found)
    return tuple(names)


def read_folded(path: Path) -> Folded:
    out: Folded = collections.Counter()
    for line in path.read_text(errors="replace").splitlines():
        stack, _, count = line.rpartition(" ")
        if stack and count.isdigit():
            out[function_names(stack)] += int(count)
    return out


def is_possible(names: tuple[str, ...]) -> bool:
    phase = next((name for name in names if name in PHASES), None)
    if phase is None:
        return True
    below = "".join(names[names.index(phase) + 1 :])
    chains = {"phase_a": CHAINS[:1], "phase_x": CHAINS[1:]}.get(phase, CHAINS)
    return any(chain.startswith(below) for chain in chains)


def children_cpu_s() -> float:
    """Of those that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def tree_cpu_s(root: int) -> float:
    """Of a process, all below it, and those of them that have ended."""
    ticks = 0
    for pid in (root, *descendants(root)):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(field) for field in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(profiler: Profiler, rate: int, rounds: int, *, smoke: bool) -> str:
    slowdowns, own, others, errors = [], [], [], []
    found: Folded = collections.Counter()
    expected = 0.0
    for _ in range(rounds):
        target = Target(profiler.python, smoke=smoke)
        try:
            before = target.work()[0]
            with tempfile.TemporaryDirectory() as folder:
                out = Path(folder, "out.folded")
                used = children_cpu_s()
                seconds = 3 if smoke else 14
                process = subprocess.Popen(
                    profiler.command(target.pid, rate, seconds, out),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    text=True,
                )
                time.sleep(1.2 if smoke else 4.0)  # until all of them sample, and the slowest start is over
                steady, begun = -tree_cpu_s(process.pid), time.perf_counter()
                during = target.work()
                steady += tree_cpu_s(process.pid)
                own.append(steady / (time.perf_counter() - begun))
                _, said = process.communicate(timeout=120)
                others.append(children_cpu_s() - used - steady)
                if process.returncode:
                    return f"{profiler.name:30} failed: {said.strip().splitlines()[-1] if said.strip() else ''}"
                samples = read_folded(out)
            after = target.work()[0]
        finally:
            target.close()
        slowdowns.append(during[0] / ((before + after) / 2))
        by_phase = [sum(n for names, n in samples.items() if phase in names) for phase in PHASES]
        spent = during[1:]
        if not sum(by_phase):
            return f"{profiler.name:30} no samples of the target's functions"
        errors.append(max(abs(n / sum(by_phase) - s / sum(spent)) for n, s in zip(by_phase, spent, strict=True)))
        expected += rate * sum(spent)
        found += samples
    named = sum(n for names, n in found.items() if any(phase in names for phase in PHASES))
    impossible = sum(n for names, n in found.items() if not is_possible(names))
    version = Path(profiler.python).name.removeprefix("python")
    return (
        f"{profiler.name:30} {version:>5} {rate:5} {statistics.median(slowdowns):9.3f} {statistics.median(own):8.1%}"
        f" {statistics.median(others):9.2f} s {statistics.median(errors):11.2%}"
        f" {impossible / named:11.2%} {max(0.0, 1 - named / expected):8.1%}"
    )


def main() -> int:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    arguments.add_argument("--smoke", action="store_true", help="small numbers, to see that it runs")
    arguments.add_argument("--rounds", type=int, help="of each profiler and rate (default: 3)")
    options = arguments.parse_args()
    if not hasattr(os, "geteuid") or os.geteuid():
        print("left out: needs root, as DTrace does.")
        return 0
    rounds = options.rounds or (1 if options.smoke else 3)
    print(
        f"{'':30} {'on':>5} {'Hz':>5} {'slowdown':>9} {'own CPU':>8} {'start, end':>11} {'share error':>11}"
        f" {'impossible':>11} {'failed':>8}"
    )
    for rate in (997,) if options.smoke else (99, 997):
        for profiler in profilers()[:: 3 if options.smoke else 1]:
            print(measure(profiler, rate, rounds, smoke=options.smoke), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
