"""How true the statistics of `diff` and `gate` are, and what they cost: coverage, false alarms, power, and seconds.

    python -m benchmarks.bench_compare [--smoke]

Coverage and false alarms of the intervals and tests are exact: sums over all outcomes. Those of whole comparisons and
gates are of synthetic runs, whose samples are drawn by a seeded generator.
"""

from __future__ import annotations

import argparse
import random
import time
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from math import exp, lgamma, log, log1p, sqrt

from dtrace_profiler.compare import compare
from dtrace_profiler.compare.calibration import calibrate
from dtrace_profiler.compare.gate import Verdict, judge
from dtrace_profiler.compare.groups import Group
from dtrace_profiler.compare.intervals import (
    Interval,
    count_interval,
    difference_interval,
    normal_quantile,
    rate_p_value,
    share_interval,
    share_p_value,
)
from dtrace_profiler.compare.rules import parse_rule
from dtrace_profiler.compare.runs import Run, Runs
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.model.profile import Meta, Profile

Z = normal_quantile(0.95)
Outcomes = list[tuple[int, float]]
"""Counts and their probabilities."""

SHARES = (0.2, 0.15, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05, *[0.02] * 5, *[0.01] * 10)
"""Of the functions of a synthetic program."""


def binomial(n: int, p: float) -> Outcomes:
    """All counts within six standard deviations."""
    reach = 6 * sqrt(n * p * (1 - p)) + 6
    return [
        (x, exp(lgamma(n + 1) - lgamma(x + 1) - lgamma(n - x + 1) + x * log(p) + (n - x) * log1p(-p)))
        for x in range(max(0, int(n * p - reach)), min(n, int(n * p + reach)) + 1)
    ]


def poisson(mean: float) -> Outcomes:
    reach = 6 * sqrt(mean) + 6
    return [
        (x, exp(x * log(mean) - mean - lgamma(x + 1)))
        for x in range(max(0, int(mean - reach)), int(mean + reach) + 1)
    ]


def coverage_of_shares(n1: int, p1: float, n2: int, p2: float) -> float:
    """The chance that the interval of the difference of two shares holds the true one."""
    return _coverage(
        [(x / n1, share_interval(x / n1, n1, Z), weight) for x, weight in binomial(n1, p1)],
        [(x / n2, share_interval(x / n2, n2, Z), weight) for x, weight in binomial(n2, p2)],
        p2 - p1,
    )


def coverage_of_rates(mean1: float, mean2: float) -> float:
    """The same of two Poisson counts."""
    return _coverage(
        [(float(x), count_interval(x, Z), weight) for x, weight in poisson(mean1)],
        [(float(x), count_interval(x, Z), weight) for x, weight in poisson(mean2)],
        mean2 - mean1,
    )


def _coverage(
    first: Sequence[tuple[float, Interval, float]], second: Sequence[tuple[float, Interval, float]], truth: float
) -> float:
    held = 0.0
    for before, of_before, weight in first:
        for after, of_after, other in second:
            low, high = difference_interval(before, of_before, after, of_after)
            if low <= truth <= high:
                held += weight * other
    return held


def false_alarms_of_shares(n1: int, n2: int, p: float, level: float = 0.05) -> float:
    """The chance of a p-value at or below the level where both shares are the same."""
    return sum(
        one * other
        for x, one in binomial(n1, p)
        for y, other in binomial(n2, p)
        if share_p_value(x, n1, y, n2) <= level
    )


def false_alarms_of_rates(mean: float, times: float, level: float = 0.05) -> float:
    """The same of counts at one rate, the second in so many times the exposure of the first."""
    return sum(
        one * other
        for x, one in poisson(mean)
        for y, other in poisson(mean * times)
        if rate_p_value(x, 1.0, y, times) <= level
    )


def draw(chance: random.Random, shares: Sequence[float], samples: int, scatter: float = 0.0) -> Counter[int]:
    """Samples by function of one run, multinomial. `scatter`: how much the true shares differ from run to run."""
    weights = [share * max(0.0, 1 + scatter * chance.gauss(0, 1)) for share in shares]
    return Counter(chance.choices(range(len(shares)), weights, k=samples))


def profile_of(counts: Counter[int]) -> Profile:
    builder = ProfileBuilder()
    thread = builder.add_thread(1, 1, "main")
    main = StackFrame("main", "app", 0, "app.py", 1, 1, FrameKind.PYTHON)
    nodes = [
        builder.add_stack([main, StackFrame(f"f{index}", "app", 0, "app.py", 1, 1, FrameKind.PYTHON)])
        for index in counts
    ]
    builder.add_values(thread, array("i", nodes), array("q", counts.values()))
    return builder.snapshot(Meta(engine="dtrace", frequency_hz=99))


def run_of(counts: Counter[int], name: str = "run") -> Run:
    samples = counts.total()
    return Run(name, samples, {Group("app", f"f{index}"): n / samples for index, n in counts.items()}, 1.0)


def runs_of(baseline: Sequence[Run], candidate: Sequence[Run] = ()) -> Runs:
    return Runs(
        by="function",
        measure="self",
        normalise="samples",
        quantity="share",
        baseline=tuple(baseline),
        candidate=tuple(candidate),
        warnings=(),
    )


def false_alarms_of_comparison(repeats: int, samples: int, scatter: float = 0.0, seed: int = 1) -> float:
    """How often any row is beyond noise where nothing changed."""
    chance = random.Random(seed)
    alarms = 0
    for _ in range(repeats):
        before, after = (profile_of(draw(chance, SHARES, samples, scatter)) for _ in range(2))
        alarms += any(row.beyond_noise for row in compare(before, after).rows)
    return alarms / repeats


def failures_of_gate(
    repeats: int,
    rule: str,
    *,
    runs: int = 6,
    samples: int = 1000,
    scatter: float = 0.05,
    growth: float = 0.0,
    seed: int = 1,
) -> float:
    """How often the gate fails where the first function has grown so much."""
    chance = random.Random(seed)
    grown = [SHARES[0] * (1 + growth), *SHARES[1:]]
    rules = [parse_rule(rule)]
    failures = 0
    for _ in range(repeats):
        baseline = [run_of(draw(chance, SHARES, samples, scatter)) for _ in range(runs)]
        candidate = [run_of(draw(chance, grown, samples, scatter)) for _ in range(runs)]
        failures += judge(runs_of(baseline, candidate), rules).verdict is Verdict.FAIL
    return failures / repeats


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    arguments.add_argument("--smoke", action="store_true", help="small sizes: only that it runs")
    smoke = arguments.parse_args().smoke
    repeats = 10 if smoke else 1000

    print("coverage of the 95 % interval of a difference of shares, exact")
    print(
        f"{'n of A':>8} {'n of B':>8} {'share A':>8} {'share B':>8} {'coverage':>9}"
        f" {'false alarms where B is as A':>30}"
    )
    for n1, n2 in ((100, 100), (1000, 1000), (10_000, 500))[: 1 if smoke else 3]:
        for p1, p2 in ((0.01, 0.01), (0.01, 0.03), (0.1, 0.15), (0.5, 0.6)):
            alarms = false_alarms_of_shares(n1, n2, p1)
            coverage = coverage_of_shares(n1, p1, n2, p2)
            print(f"{n1:>8} {n2:>8} {p1:>8.0%} {p2:>8.0%} {coverage:>9.2%} {alarms:>30.2%}")
    print("\nthe same of CPU time a second or a run (Poisson counts), exact")
    print(f"{'mean A':>8} {'mean B':>8} {'coverage':>9} {'false alarms where B is as A':>30}")
    for mean1, mean2 in ((3, 3), (3, 10), (30, 30), (30, 45), (300, 350)):
        alarms = false_alarms_of_rates(mean1, mean2 / mean1)
        print(f"{mean1:>8} {mean2:>8} {coverage_of_rates(mean1, mean2):>9.2%} {alarms:>30.2%}")

    print(
        f"\nany of {len(SHARES)} functions beyond noise where nothing changed, {repeats} comparisons of 1,000 samples"
    )
    for scatter in (0.0, 0.1):
        rate = false_alarms_of_comparison(repeats, 1000, scatter)
        print(f"  true shares scatter by {scatter:.0%} from run to run: {rate:.1%}")

    print(f"\ngate, 1,000 samples a run, true shares scatter by 5 % from run to run, {repeats // 5} gates each")
    print(f"{'runs a side':>12} {'rule':>8} {'growth of f0 (20 % of all)':>28} {'FAIL':>7}")
    for runs in (5, 6, 8) if not smoke else (5,):
        for rule in ("*>0%", "*>5%", "f0>5%"):
            for growth in (0.0, 0.1, 0.2, 0.3):
                rate = failures_of_gate(repeats // 5, rule, runs=runs, growth=growth)
                print(f"{runs:>12} {rule:>8} {growth:>28.0%} {rate:>7.1%}")

    print("\nseconds")
    chance = random.Random(1)
    functions, samples = (100, 10_000) if smoke else (5_000, 1_000_000)
    shares = [1 / (1 + index) for index in range(functions)]
    profiles = [profile_of(draw(chance, shares, samples)) for _ in range(2)]
    _timed(f"compare: {functions:,} functions, {samples:,} samples a side", lambda: compare(*profiles))
    rules = [parse_rule("*>5%")]
    for count in (6,) if smoke else (6, 8, 12):
        runs = [run_of(draw(chance, SHARES, 1000)) for _ in range(2 * count)]
        both = runs_of(runs[:count], runs[count:])
        _timed(f"gate: {count} runs a side, {len(SHARES)} functions", lambda both=both: judge(both, rules))
        _timed(f"calibrate: {2 * count} runs, {len(SHARES)} functions", lambda both=both: calibrate(both, rules))


def _timed(what: str, work: Callable[[], object]) -> None:
    begun = time.perf_counter()
    work()
    print(f"  {time.perf_counter() - begun:6.2f} {what}")


if __name__ == "__main__":
    main()
