"""Comparisons and gates of synthetic runs whose truth is known: false alarms, and what is found. Seeded."""

from __future__ import annotations

import random
from array import array
from math import sqrt

import pytest

from benchmarks.bench_compare import (
    SHARES,
    draw,
    failures_of_gate,
    false_alarms_of_comparison,
    profile_of,
    run_of,
    runs_of,
)
from dtrace_profiler.compare import compare
from dtrace_profiler.compare.gate import judge
from dtrace_profiler.compare.rules import parse_rule
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import StackFrame
from dtrace_profiler.model.profile import Meta, Profile


def at_most(level: float, repeats: int) -> float:
    """A rate that is exceeded once in a thousand times, if the true one is the level."""
    return level + 3.1 * sqrt(level * (1 - level) / repeats)


def test_a_comparison_marks_any_function_in_at_most_5_of_100_cases_where_nothing_changed() -> None:
    assert false_alarms_of_comparison(200, 1000) <= at_most(0.05, 200)


def test_a_comparison_finds_a_function_that_doubled() -> None:
    chance = random.Random(3)
    grown = [*SHARES[:8], 2 * SHARES[8], *SHARES[9:]]
    found = []
    for _ in range(20):
        comparison = compare(profile_of(draw(chance, SHARES, 5000)), profile_of(draw(chance, grown, 5000)))
        found.append([row.name for row in comparison.rows if row.beyond_noise])
    assert sum("app:f8" in names for names in found) >= 18


def weighted(chance: random.Random, share: float, samples: int) -> Profile:
    """Samples of very different weights, exponential, as CPU time is where threads wait often."""
    builder = ProfileBuilder()
    thread = builder.add_thread(1, 1)
    work, rest = (builder.add_stack([StackFrame(name, "app")]) for name in ("work", "rest"))
    builder.add_values(
        thread,
        array("i", [work if chance.random() < share else rest for _ in range(samples)]),
        array("q", [1 + int(chance.expovariate(1e-6)) for _ in range(samples)]),
    )
    return builder.snapshot(Meta(engine="sampler", unit="nanoseconds", duration_ns=10**9))


@pytest.mark.parametrize("normalise", ["samples", "run"])
def test_intervals_of_weighted_samples_hold_the_true_change_95_times_in_100(normalise: str) -> None:
    chance = random.Random(4)
    repeats, samples, shares = 250, 250, (0.2, 0.35)
    held = 0
    for _ in range(repeats):
        before, after = (weighted(chance, share, samples) for share in shares)
        (row,) = (
            row
            for row in compare(before, after, normalise=normalise).rows  # type: ignore[arg-type]
            if row.name == "app:work"
        )
        truth = (shares[1] - shares[0]) * (1 if normalise == "samples" else samples * 1e-3)
        held += row.interval.low <= truth <= row.interval.high
    assert abs(held / repeats - 0.95) <= 3.1 * sqrt(0.05 * 0.95 / repeats)


def test_a_gate_fails_in_at_most_5_of_100_cases_where_nothing_changed() -> None:
    """Where runs differ by far more than sampling alone would make them."""
    assert failures_of_gate(80, "*>0%", runs=6, samples=300, scatter=0.2) <= at_most(0.05, 80)


def test_a_gate_of_one_function_uses_its_level_up() -> None:
    """Neither more alarms than it says nor so few that it could have found more."""
    rate = failures_of_gate(400, "f0>0%", runs=4, samples=200, scatter=0.1)
    assert 0.02 <= rate <= at_most(0.05, 400)


def test_a_gate_does_not_fail_for_a_growth_that_its_rule_allows() -> None:
    assert failures_of_gate(200, "f0>20%", runs=4, samples=300, growth=0.2) <= at_most(0.05, 200)


def test_a_gate_finds_a_function_that_has_grown_by_half() -> None:
    assert failures_of_gate(15, "*>5%", runs=6, growth=0.5) >= 0.9
    chance = random.Random(8)
    grown = [SHARES[0] * 1.5, *SHARES[1:]]
    baseline, candidate = ([run_of(draw(chance, shares, 1000, 0.05)) for _ in range(6)] for shares in (SHARES, grown))
    result = judge(runs_of(baseline, candidate), [parse_rule("*>5%")])
    assert [item.group.name for item in result.judgements if item.failed] == ["app:f0"]
