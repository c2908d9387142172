"""A gate's false alarms and what it can see, found with runs of one and the same program.

The runs are divided into two sides in many ways, and each time the gate is asked. Nothing changed, so each FAIL is a
false alarm. The two divisions in the order in which the runs were taken tell more than chance can: where the first
half fails against the second, or the other way round, the machine or the program drifts, and a gate of runs taken
one side after the other would alarm for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from random import Random

from dtrace_profiler.compare.gate import DEFAULT_LEAST_SHARE, DEFAULT_LEVEL, Verdict, chosen_groups
from dtrace_profiler.compare.groups import Group
from dtrace_profiler.compare.permutation import Arrangements, arrangements, runs_needed
from dtrace_profiler.compare.rules import Rule
from dtrace_profiler.compare.runs import Runs
from dtrace_profiler.errors import UsageError

MOST_DIVISIONS = 200
_GROWTHS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0)
_POWER = 0.8
_POWER_DIVISIONS = 10
_MOST_POWERED = 10
"""Functions, the largest, for which it is found what would be seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detectable:
    """How much a function has to grow to be seen with these runs."""

    rule: Rule
    group: Group
    share: float
    growth: float | None
    """The smallest of some growths beyond what the rule allows that failed four times in five; None: none did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    verdict: Verdict
    reason: str
    runs: int
    sides: tuple[int, int]
    judged: int
    divisions: int
    false_alarms: int
    """Divisions that failed."""
    exact: bool
    """The divisions are all that there are."""
    drift: tuple[str, ...]
    """Names of what failed in the order of the runs: the second half has more, or less, than the first."""
    level: float
    detectable: tuple[Detectable, ...]

    @property
    def rate(self) -> float:
        return self.false_alarms / self.divisions


def calibrate(
    runs: Runs,
    rules: Sequence[Rule],
    *,
    level: float = DEFAULT_LEVEL,
    least_share: float = DEFAULT_LEAST_SHARE,
    seed: int = 1,
) -> Calibration:
    """Of all runs of both sides, which are taken to be of one program, in the order given."""
    every = runs.all
    if len(every) < 4:
        raise UsageError(f"{len(every)} runs can't be divided into two sides to compare: take at least 4, better 12.")
    first = len(every) // 2
    order = range(len(every))
    total = comb(len(every), first)
    if total <= MOST_DIVISIONS:
        divisions = [frozenset(chosen) for chosen in combinations(order, first)]
    else:
        random = Random(seed)
        divisions = [frozenset(random.sample(order, first)) for _ in range(MOST_DIVISIONS)]
    # Which functions are judged does not depend on the division.
    chosen, _ = chosen_groups(runs, rules, least_share)
    ways = arrangements(first, len(every) - first, tests=len(chosen), level=level, seed=seed)
    alarms = sum(bool(_failed(runs, chosen, baseline, ways, level)) for baseline in divisions)
    halves = frozenset(order[:first]), frozenset(order[len(every) - first :])
    drift = [group.name for half in halves for group in _failed(runs, chosen, half, ways, level)]
    reachable = ways.smallest_p * len(chosen) <= level
    verdict, reason = _verdict(alarms, len(divisions), drift, reachable, len(chosen), level)
    return Calibration(
        verdict=verdict,
        reason=reason,
        runs=len(every),
        sides=(first, len(every) - first),
        judged=len(chosen),
        divisions=len(divisions),
        false_alarms=alarms,
        exact=total <= MOST_DIVISIONS,
        drift=tuple(dict.fromkeys(drift)),
        level=level,
        detectable=_detectable(runs, chosen, level, seed) if reachable else (),
    )


def _failed(
    runs: Runs, chosen: Sequence[tuple[Rule, Group]], baseline: frozenset[int], ways: Arrangements, level: float
) -> list[Group]:
    """What fails where these runs are the baseline's and the others the candidate's: by Holm's method any does
    where one p-value is at most the level divided by their number."""
    out = []
    for rule, group in chosen:
        values = [run.values.get(group, 0.0) for run in runs.all]
        before = [rule.allowed(value) for index, value in enumerate(values) if index in baseline]
        after = [value for index, value in enumerate(values) if index not in baseline]
        if ways.is_larger(before, after, level / len(chosen)):
            out.append(group)
    return out


def _verdict(
    alarms: int, divisions: int, drift: Sequence[str], reachable: bool, judged: int, level: float
) -> tuple[Verdict, str]:
    if not judged:
        return Verdict.INCONCLUSIVE, "nothing was large enough to be judged: lower --min-share, or name a function."
    if not reachable:
        return Verdict.INCONCLUSIVE, (
            f"with so few runs and {judged:,} judged no gate can fail, so none can alarm falsely:"
            f" {2 * runs_needed(judged, level)} runs are needed."
        )
    if drift:
        return Verdict.FAIL, (
            "the runs drift: those taken first and those taken last differ by more than chance."
            " Take those of both sides in turn, or find what changes."
        )
    if alarms / divisions > 2 * level:
        return Verdict.FAIL, f"the gate alarms more often than the level of {level:.0%} allows."
    return Verdict.PASS, f"the gate's false alarms keep to the level of {level:.0%}."


def _detectable(runs: Runs, chosen: Sequence[tuple[Rule, Group]], level: float, seed: int) -> tuple[Detectable, ...]:
    """By adding to one side of many divisions what a growth would have."""
    every = runs.all
    first = len(every) // 2
    ways = arrangements(first, len(every) - first, tests=len(chosen), level=level, seed=seed)
    random = Random(seed)
    divisions = [random.sample(range(len(every)), len(every)) for _ in range(_POWER_DIVISIONS)]
    largest = sorted(chosen, key=lambda item: (-runs.share(item[1]), item[1]))[:_MOST_POWERED]
    out = []
    for rule, group in largest:
        values = [run.values.get(group, 0.0) for run in every]

        def seen(growth: float, rule: Rule = rule, values: Sequence[float] = values) -> bool:
            found = 0
            for division in divisions:
                baseline = [rule.allowed(values[index]) for index in division[:first]]
                candidate = [rule.allowed(values[index]) + growth * values[index] for index in division[first:]]
                found += ways.is_larger(baseline, candidate, level / len(chosen))
            return found >= _POWER * len(divisions)

        growth = next((growth for growth in _GROWTHS if seen(growth)), None)
        out.append(Detectable(rule=rule, group=group, share=runs.share(group), growth=growth))
    return tuple(out)
