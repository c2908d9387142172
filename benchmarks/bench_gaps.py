"""Whether the target is ever stopped: the longest times in which a loop that reads the clock did not come round.

    python -m benchmarks.bench_gaps [--smoke]

One loop, `time.perf_counter_ns()` again and again, in spans that are profiled and spans that are
not, in turn. The machine itself interrupts it, too, so what counts is how the lines differ: a profiler that stops its
target to read it would show a gap a sample.

Needs DTrace and root; without, it says so and ends.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from dtrace_profiler import DTraceProfiler, DTraceProfilerError

LOOP = """
import sys, time
clock = time.perf_counter_ns
for line in sys.stdin:
    gaps, last = [], clock()
    end = last + int(line)
    while last < end:
        now = clock()
        if now - last > 20_000: gaps.append(now - last)
        last = now
    print(*gaps, flush=True)
"""


@contextmanager
def loop() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", LOOP], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def gaps_ns(process: subprocess.Popen[str], seconds: float) -> list[int]:
    """Those above 20 us, the longest first."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{int(seconds * 1e9)}\n")
    return sorted((int(word) for word in process.stdout.readline().split()), reverse=True)


def shown(name: str, spans: list[list[int]], seconds: float) -> str:
    longest = statistics.median(span[0] if span else 0 for span in spans)
    tenth = statistics.median(span[9] if len(span) > 9 else 0 for span in spans)
    away = sum(map(sum, spans)) / (len(spans) * seconds * 1e9)
    return f"{name:16} {longest / 1e6:12.2f} {tenth / 1e6:11.2f} {away:12.2%}"


def main() -> int:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    arguments.add_argument("--smoke", action="store_true", help="small numbers, to see that it runs")
    smoke = arguments.parse_args().smoke
    rounds, seconds = (1, 0.5) if smoke else (7, 3.0)
    print(f"{'':16} {'longest, ms':>12} {'10th, ms':>11} {'in all gaps':>12}")
    for rate in (997,) if smoke else (99, 997):
        alone, profiled = [], []
        with loop() as process:
            try:
                for _ in range(rounds):
                    alone.append(gaps_ns(process, seconds))
                    profiler = DTraceProfiler(process.pid, engine="dtrace")
                    profiler.start(rate)
                    profiler.wait_ready(60)
                    gaps_ns(process, 0.2 if smoke else 5.0)  # until both programs have been verified
                    profiled.append(gaps_ns(process, seconds))
                    profiler.stop()
            except DTraceProfilerError as error:
                print(f"left out: {error}")
                return int("dtrace" in os.environ.get("DTRACE_PROFILER_REQUIRE", ""))
        print(shown("not profiled", alone, seconds), flush=True)
        print(shown(f"at {rate} Hz", profiled, seconds), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
