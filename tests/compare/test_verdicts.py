"""Rules, the permutation test, verdicts and calibration."""

from __future__ import annotations

from itertools import combinations
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.bench_compare import runs_of
from dtrace_profiler.compare.calibration import calibrate
from dtrace_profiler.compare.gate import Verdict, judge
from dtrace_profiler.compare.groups import Group
from dtrace_profiler.compare.permutation import arrangements, runs_needed
from dtrace_profiler.compare.rules import ALL, Rule, parse_rule
from dtrace_profiler.compare.runs import Run, Runs
from dtrace_profiler.errors import UsageError


def runs(baseline: dict[str, list[float]], candidate: dict[str, list[float]]) -> Runs:
    """Shares by function, a value a run."""

    def side(values: dict[str, list[float]]) -> list[Run]:
        count = len(next(iter(values.values()), []))
        return [
            Run(f"run {at}", 100, {Group("app", name): shares[at] for name, shares in values.items()}, 1.0)
            for at in range(count)
        ]

    return runs_of(side(baseline), side(candidate))


CALM = [0.20, 0.21, 0.19, 0.20, 0.22]


@pytest.mark.parametrize(
    ("text", "pattern", "limit", "relative"),
    [
        ("app.views:*>5%", "app.views:*", 0.05, True),
        ("f > 0.5pp", "f", 0.005, False),
        ("*:std::vector<int>::at>10 %", "*:std::vector<int>::at", 0.1, True),
        ("operator>>>0%", "operator>>", 0, True),
        ("(all)>3%", "(all)", 0.03, True),
        ("main.<locals>.<lambda>>.5%", "main.<locals>.<lambda>", 0.005, True),
    ],
)
def test_a_rule_is_read(text: str, pattern: str, limit: float, relative: bool) -> None:
    rule = parse_rule(text)
    assert (rule.pattern, rule.relative) == (pattern, relative)
    assert rule.limit == pytest.approx(limit)


@pytest.mark.parametrize("text", ["", "f", "f>5", ">5%", "f>-5%", "f<5%", "f>5%%", "f>nan%", "f>5 percent"])
def test_what_is_no_rule_is_told_what_one_looks_like(text: str) -> None:
    with pytest.raises(UsageError, match="write PATTERN>LIMIT"):
        parse_rule(text)


@pytest.mark.parametrize(
    ("pattern", "group", "matches"),
    [
        ("work", Group("app", "work"), True),
        ("work", Group("app", "work2"), False),
        ("app:work", Group("app", "work"), True),
        ("app:work", Group("other", "work"), False),
        ("app:*", Group("app", "A.b.<locals>.c"), True),
        ("*", Group("libc.so.6", "memcpy"), True),
        ("*:*", Group("", "bare"), True),
        ("*:std::f", Group("lib.so", "std::f"), True),
        ("w?rk", Group("app", "work"), False),
        ("[w]ork", Group("app", "work"), False),
        ("*", ALL, False),
        ("(all)", ALL, True),
        ("app", Group("app", ""), True),  # by module
    ],
)
def test_a_pattern_means_what_it_says(pattern: str, group: Group, matches: bool) -> None:
    assert Rule("", pattern, 0.0, True).matches(group) is matches


values = st.lists(st.integers(0, 20).map(float), min_size=1, max_size=4)


@given(values, values)
def test_the_p_value_is_the_part_of_arrangements_that_are_as_extreme(first: list[float], second: list[float]) -> None:
    every = [*first, *second]
    seen = fmean(second)
    means = [fmean(every[index] for index in chosen) for chosen in combinations(range(len(every)), len(second))]
    ways = arrangements(len(first), len(second))
    assert ways.exact
    larger, smaller = ways.p_values(first, second)
    assert larger == sum(mean >= seen - 1e-9 for mean in means) / len(means)
    assert smaller == sum(mean <= seen + 1e-9 for mean in means) / len(means)
    for level in (0.05, 0.2, 0.5):
        assert ways.is_larger(first, second, level) == (larger <= level)


def test_many_runs_are_drawn_and_the_one_that_was_seen_is_among_them() -> None:
    ways = arrangements(12, 12, tests=10)
    assert not ways.exact
    assert ways.drawn[0] == tuple(range(12, 24))
    assert ways.p_values([1.0] * 12, [2.0] * 12)[0] == pytest.approx(1 / len(ways))
    assert ways.drawn == arrangements(12, 12, tests=10).drawn
    assert arrangements(12, 12, tests=1000, level=0.05).smallest_p * 1000 <= 0.05


@pytest.mark.parametrize(("tests", "needed"), [(1, 3), (2, 4), (3, 4), (4, 5), (12, 5), (13, 6), (100, 7)])
def test_how_many_runs_are_needed_is_known(tests: int, needed: int) -> None:
    assert runs_needed(tests, 0.05) == needed


def test_a_function_that_has_surely_grown_fails() -> None:
    result = judge(runs({"f": CALM}, {"f": [2 * value for value in CALM]}), [parse_rule("f>50%")])
    assert result.verdict is Verdict.FAIL
    (item,) = result.judgements
    assert item.p_value == pytest.approx(1 / 252)
    assert item.relative == pytest.approx(1)


def test_a_growth_that_is_allowed_passes_and_is_proven_where_it_is_sure() -> None:
    result = judge(runs({"f": CALM}, {"f": CALM[::-1]}), [parse_rule("f>50%")], prove=True)
    assert result.verdict is Verdict.PASS
    assert "sure of each" in result.reason


def test_what_is_not_proven_passes_only_where_no_proof_is_asked_for() -> None:
    both = runs({"f": CALM}, {"f": CALM[::-1]})
    assert judge(both, [parse_rule("f>1%")]).verdict is Verdict.PASS
    assert "1 may have is not ruled out" in judge(both, [parse_rule("f>1%")]).reason
    assert judge(both, [parse_rule("f>1%")], prove=True).verdict is Verdict.INCONCLUSIVE


def test_points_are_of_all_samples() -> None:
    both = runs({"f": CALM}, {"f": [value + 0.05 for value in CALM]})
    assert judge(both, [parse_rule("f>2pp")]).verdict is Verdict.FAIL
    assert judge(both, [parse_rule("f>5pp")]).verdict is Verdict.PASS


def test_too_few_runs_are_inconclusive_however_much_has_grown() -> None:
    result = judge(runs({"f": CALM[:2]}, {"f": [0.9, 0.9]}), [parse_rule("f>5%")])
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "take 3 runs a side" in result.reason
    many = {f"f{at}": [0.01] * 5 for at in range(20)}
    result = judge(runs({**many, "f": CALM}, {**many, "f": [0.9] * 5}), [parse_rule("*>5%")])
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "21 judged" in result.reason
    assert "take 6 runs a side" in result.reason


def test_a_new_function_has_grown_beyond_any_part_of_nothing() -> None:
    result = judge(runs({"f": CALM}, {"f": CALM, "new": [0.02] * 5}), [parse_rule("*>1000%")])
    assert result.verdict is Verdict.FAIL
    assert [(item.group.function, item.relative) for item in result.judgements if item.failed] == [("new", None)]


def test_a_rule_with_a_star_leaves_out_what_is_hardly_there_and_one_without_does_not() -> None:
    both = runs({"f": CALM, "tiny": [0.001] * 5}, {"f": CALM, "tiny": [0.003] * 5})
    result = judge(both, [parse_rule("*>5%")])
    assert (result.verdict, result.left_out, len(result.judgements)) == (Verdict.PASS, 1, 1)
    assert judge(both, [parse_rule("tiny>5%")]).verdict is Verdict.FAIL
    assert judge(both, [parse_rule("t*>5%")]).verdict is Verdict.INCONCLUSIVE


def test_a_rule_that_means_nothing_is_an_error_and_no_pass() -> None:
    with pytest.raises(UsageError, match="no function of any run is meant by the rule 'typo>5%'"):
        judge(runs({"f": CALM}, {"f": CALM}), [parse_rule("typo>5%")])
    with pytest.raises(UsageError, match="--normalise run or time"):
        judge(runs({"f": CALM}, {"f": CALM}), [parse_rule("(all)>5%")])


DRIFTING = [0.10, 0.11, 0.12, 0.13, 0.14, 0.20, 0.21, 0.22, 0.23, 0.24]


def test_a_calibration_of_calm_runs_passes_and_says_what_could_be_seen() -> None:
    calm = [0.20, 0.22, 0.19, 0.21, 0.20, 0.21, 0.19, 0.22, 0.20, 0.21]
    found = calibrate(runs({"f": calm}, {}), [parse_rule("f>5%")])
    assert found.verdict is Verdict.PASS
    assert found.rate <= 0.05
    (seen,) = found.detectable
    assert seen.growth in (0.1, 0.2)


def test_a_calibration_counts_the_false_alarms_of_all_divisions() -> None:
    """With all ways looked at and nothing allowed, just the level of them fails: 6 runs, 1 of 20."""
    found = calibrate(runs({"f": [1, 2, 4, 8, 16, 32]}, {}), [parse_rule("f>0%")])
    assert (found.divisions, found.false_alarms, found.exact) == (20, 1, True)


def test_runs_that_drift_fail_the_calibration() -> None:
    found = calibrate(runs({"f": DRIFTING[:5]}, {"f": DRIFTING[5:]}), [parse_rule("f>5%")])
    assert found.verdict is Verdict.FAIL
    assert found.drift == ("app:f",)
    assert "drift" in found.reason


def test_too_few_runs_can_not_be_calibrated() -> None:
    assert calibrate(runs({"f": CALM[:4]}, {}), [parse_rule("f>5%")]).verdict is Verdict.INCONCLUSIVE
    with pytest.raises(UsageError, match="at least 4"):
        calibrate(runs({"f": CALM[:3]}, {}), [parse_rule("f>5%")])
