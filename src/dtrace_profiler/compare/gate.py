"""Whether a candidate's runs are surely slower than a baseline's: PASS, FAIL or INCONCLUSIVE.

Each function that a rule means is tested by itself (`permutation`): the baseline's values are raised by what the rule
allows, and the candidate's have to be larger than these by more than chance. The p-values are corrected for their
number by Holm's method.

    FAIL          at least one function has surely grown by more than its rule allows
    INCONCLUSIVE  with so few runs and so many functions, nothing could be sure; or with `prove`, not every function
                  has surely grown by less
    PASS          else
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, stdev

from dtrace_profiler.compare.groups import Group
from dtrace_profiler.compare.intervals import holm
from dtrace_profiler.compare.permutation import Arrangements, arrangements, runs_needed
from dtrace_profiler.compare.rules import Rule
from dtrace_profiler.compare.runs import Runs
from dtrace_profiler.errors import UsageError

DEFAULT_LEVEL = 0.05
DEFAULT_LEAST_SHARE = 0.005


class Verdict(StrEnum):
    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One function under one rule. Values as `Runs.quantity` says."""

    rule: Rule
    group: Group
    baseline: tuple[float, ...]
    """A value a run."""
    candidate: tuple[float, ...]
    p_value: float
    """How likely it is to look as if it had grown by more than the rule allows, where it has grown by just that."""
    adjusted_p_value: float
    """Holm's, over all judgements."""
    p_less: float
    """How likely it is to look as if it had grown by less than the rule allows, where it has grown by just that."""
    failed: bool

    @property
    def means(self) -> tuple[float, float]:
        return fmean(self.baseline), fmean(self.candidate)

    @property
    def deviations(self) -> tuple[float, float]:
        """Standard deviations of the runs; 0 for one run."""
        first, second = (stdev(values) if len(values) > 1 else 0.0 for values in (self.baseline, self.candidate))
        return first, second

    @property
    def change(self) -> float:
        before, after = self.means
        return after - before

    @property
    def relative(self) -> float | None:
        """None where there was nothing."""
        before, after = self.means
        return (after - before) / before if before else None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    verdict: Verdict
    reason: str
    """A sentence."""
    judgements: tuple[Judgement, ...]
    """What failed first, then by adjusted p-value, then by growth."""
    level: float
    smallest_p: float
    """That a judgement could get, adjusted."""
    ways: int
    """Arrangements of the runs that were looked at."""
    exact: bool
    """They are all that there are."""
    left_out: int
    """Functions that a rule with `*` means, and that are smaller than `least_share`."""
    least_share: float
    prove: bool


def judge(
    runs: Runs,
    rules: Sequence[Rule],
    *,
    level: float = DEFAULT_LEVEL,
    least_share: float = DEFAULT_LEAST_SHARE,
    prove: bool = False,
    seed: int = 1,
) -> GateResult:
    """`level`: the chance of FAIL where nothing grew by more than its rule allows is at most this.

    `seed`: of the arrangements that are drawn where there are too many for all. Raises `UsageError` for a rule that
    can't be meant, or means no function.
    """
    chosen, left_out = chosen_groups(runs, rules, least_share)
    ways = arrangements(len(runs.baseline), len(runs.candidate), tests=len(chosen), level=level, seed=seed)
    judgements = _judgements(runs, chosen, ways, level)
    smallest = min(1.0, ways.smallest_p * max(1, len(chosen)))
    verdict, reason = _verdict(judgements, smallest, level, runs, prove)
    judgements.sort(
        key=lambda item: (not item.failed, item.adjusted_p_value, -(item.relative or item.change), item.group)
    )
    return GateResult(
        verdict=verdict,
        reason=reason,
        judgements=tuple(judgements),
        level=level,
        smallest_p=smallest,
        ways=len(ways),
        exact=ways.exact,
        left_out=left_out,
        least_share=least_share,
        prove=prove,
    )


def chosen_groups(runs: Runs, rules: Sequence[Rule], least_share: float) -> tuple[list[tuple[Rule, Group]], int]:
    """What is judged by which rule, and how many others are too small for a rule with `*`.

    Which are too small is decided by all runs together, so it can't favour either side.
    """
    chosen: dict[tuple[Rule, Group], None] = {}
    left_out: set[Group] = set()
    groups = sorted(runs.groups())
    for rule in rules:
        if not rule.relative and runs.normalise != "samples":
            raise UsageError(f"{rule.text!r} is of percentage points, which only shares have: leave out --normalise.")
        found = [group for group in groups if rule.matches(group)]
        if not found:
            hint = " It is there with --normalise run or time." if rule.pattern == "(all)" else ""
            raise UsageError(f"no {runs.by} of any run is meant by the rule {rule.text!r}.{hint}")
        for group in found:
            if rule.wide and runs.share(group) < least_share:
                left_out.add(group)
            else:
                chosen[rule, group] = None
    return list(chosen), len(left_out - {group for _, group in chosen})


def p_values(
    rule: Rule, baseline: Sequence[float], candidate: Sequence[float], ways: Arrangements
) -> tuple[float, float]:
    """Of having grown by more, and by less, than the rule allows."""
    return ways.p_values([rule.allowed(value) for value in baseline], candidate)


def _judgements(
    runs: Runs, chosen: Sequence[tuple[Rule, Group]], ways: Arrangements, level: float
) -> list[Judgement]:
    tested = []
    for rule, group in chosen:
        baseline, candidate = (
            tuple(run.values.get(group, 0.0) for run in side) for side in (runs.baseline, runs.candidate)
        )
        tested.append((rule, group, baseline, candidate, *p_values(rule, baseline, candidate, ways)))
    adjusted = holm([p for *_, p, _ in tested])
    return [
        Judgement(
            rule=rule,
            group=group,
            baseline=baseline,
            candidate=candidate,
            p_value=p,
            adjusted_p_value=p_adjusted,
            p_less=p_less,
            failed=p_adjusted <= level,
        )
        for (rule, group, baseline, candidate, p, p_less), p_adjusted in zip(tested, adjusted, strict=True)
    ]


def _verdict(
    judgements: Sequence[Judgement], smallest: float, level: float, runs: Runs, prove: bool
) -> tuple[Verdict, str]:
    failed = sum(item.failed for item in judgements)
    count = f"{len(judgements):,} judged"
    if failed:
        verb = "has" if failed == 1 else "have"
        return Verdict.FAIL, f"{failed:,} of {count} {verb} grown by more than the rule allows, and not by chance."
    if not judgements:
        return Verdict.INCONCLUSIVE, "nothing was large enough to be judged: lower --min-share, or name a function."
    if smallest > level:
        needed = runs_needed(len(judgements), level)
        return Verdict.INCONCLUSIVE, (
            f"with {len(runs.baseline)} and {len(runs.candidate)} runs and {count}, the smallest p-value that there"
            f" can be is {smallest:.2g}, and {level:g} is needed to fail: take {needed} runs a side, or judge fewer."
        )
    unproven = sum(item.p_less > level for item in judgements)
    if not unproven:
        return Verdict.PASS, f"none of {count} has grown by more than the rule allows, and that is sure of each."
    if prove:
        return Verdict.INCONCLUSIVE, (
            f"none of {count} has surely grown by more than the rule allows, but {unproven:,} may have:"
            " take more runs, or longer ones."
        )
    return Verdict.PASS, (
        f"none of {count} has surely grown by more than the rule allows; that {unproven:,} may have is not ruled out"
        " (--prove asks for that)."
    )
