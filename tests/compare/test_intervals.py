"""The numbers below a comparison: coverage of the intervals, error rates of the tests, known results."""

from __future__ import annotations

from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.bench_compare import (
    coverage_of_rates,
    coverage_of_shares,
    false_alarms_of_rates,
    false_alarms_of_shares,
)
from dtrace_profiler.compare.intervals import (
    count_interval,
    difference_interval,
    holm,
    normal_quantile,
    rate_p_value,
    share_interval,
    share_p_value,
)


@pytest.mark.parametrize(("n1", "n2"), [(50, 80), (200, 200), (1000, 150)])
@pytest.mark.parametrize(("p1", "p2"), [(0.02, 0.02), (0.05, 0.15), (0.3, 0.3), (0.5, 0.7)])
def test_a_95_percent_interval_of_shares_holds_the_true_change_95_times_in_100(
    n1: int, n2: int, p1: float, p2: float
) -> None:
    few = n1 * p1 < 5 or n2 * p2 < 5
    assert 0.935 <= coverage_of_shares(n1, p1, n2, p2) <= (1 if few else 0.965)


@pytest.mark.parametrize(("mean1", "mean2"), [(1, 1), (3, 12), (20, 20), (40, 60)])
def test_a_95_percent_interval_of_counts_holds_the_true_change_95_times_in_100(mean1: float, mean2: float) -> None:
    assert 0.935 <= coverage_of_rates(mean1, mean2) <= (1 if mean1 < 5 else 0.965)


@pytest.mark.parametrize(("n1", "n2"), [(50, 80), (400, 20)])
@pytest.mark.parametrize("p", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("level", [0.05, 0.001])
def test_the_test_of_shares_never_alarms_more_often_than_its_level(n1: int, n2: int, p: float, level: float) -> None:
    assert false_alarms_of_shares(n1, n2, p, level) <= level


@pytest.mark.parametrize("mean", [0.5, 10, 30])
@pytest.mark.parametrize("times", [1, 0.05, 3])
@pytest.mark.parametrize("level", [0.05, 0.001])
def test_the_test_of_counts_never_alarms_more_often_than_its_level(mean: float, times: float, level: float) -> None:
    assert false_alarms_of_rates(mean, times, level) <= level


@given(st.integers(1, 40), st.integers(1, 40), st.data())
def test_the_p_value_of_shares_is_fishers(n1: int, n2: int, data: st.DataObject) -> None:
    x1, x2 = data.draw(st.integers(0, n1)), data.draw(st.integers(0, n2))
    ways = {x: comb(n2, x) * comb(n1, x1 + x2 - x) for x in range(x1 + x2 + 1)}
    every = comb(n1 + n2, x1 + x2)
    smaller = sum(count for x, count in ways.items() if x <= x2) / every
    larger = sum(count for x, count in ways.items() if x >= x2) / every
    assert share_p_value(x1, n1, x2, n2) == pytest.approx(min(1, 2 * min(smaller, larger)), rel=1e-9)


@given(st.integers(0, 40), st.integers(0, 40), st.sampled_from([0.25, 1.0, 3.0]))
def test_the_p_value_of_counts_is_binomial(x1: int, x2: int, times: float) -> None:
    share, every = times / (1 + times), x1 + x2
    chances = [comb(every, x) * share**x * (1 - share) ** (every - x) for x in range(every + 1)]
    expected = min(1, 2 * min(sum(chances[: x2 + 1]), sum(chances[x2:]))) if every else 1
    assert rate_p_value(x1, 1.0, x2, times) == pytest.approx(expected, rel=1e-9)


def test_the_normal_distribution_takes_over_without_a_step() -> None:
    for share in (0.3, 0.5):
        exact, normal = (
            share_p_value(share * n, n, (share + 0.3 / n**0.5) * n, n) for n in (9_900 / share, 10_100 / share)
        )
        assert normal == pytest.approx(exact, rel=0.05)
    assert rate_p_value(9_950, 1.0, 10_150, 1.0) == pytest.approx(rate_p_value(10_050, 1.0, 10_250, 1.0), rel=0.05)


@given(
    st.floats(0, 1), st.floats(1, 1e12), st.floats(0, 1), st.floats(1, 1e12), st.sampled_from([0.5, 0.95, 0.999999])
)
def test_the_interval_of_a_change_holds_what_was_seen(
    p1: float, n1: float, p2: float, n2: float, confidence: float
) -> None:
    z = normal_quantile(confidence)
    first, second = share_interval(p1, n1, z), share_interval(p2, n2, z)
    assert 0 <= first.low <= p1 <= first.high <= 1
    low, high = difference_interval(p1, first, p2, second)
    assert -1 - 1e-9 <= low <= p2 - p1 <= high <= 1 + 1e-9


@given(st.floats(0, 1e15))
def test_the_interval_of_a_count_holds_it(count: float) -> None:
    interval = count_interval(count, 1.96)
    assert 0 <= interval.low <= count < interval.high


def test_wilsons_interval_is_the_one_of_the_books() -> None:
    """Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29, methods 3."""
    z = normal_quantile(0.95)
    for seen, of, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611)):
        interval = share_interval(seen / of, of, z)
        assert (round(interval.low, 4), round(interval.high, 4)) == (low, high)


def test_newcombes_interval_is_the_one_of_the_books() -> None:
    """Newcombe 1998 (differences), table II, method 10: 56/70 - 48/80, 9/10 - 3/10, 10/10 - 0/10."""
    z = normal_quantile(0.95)
    for x1, n1, x2, n2, low, high in (
        (56, 70, 48, 80, 0.0524, 0.3339),
        (9, 10, 3, 10, 0.1705, 0.8090),
        (10, 10, 0, 10, 0.6075, 1.0),
    ):
        first, second = share_interval(x2 / n2, n2, z), share_interval(x1 / n1, n1, z)
        interval = difference_interval(x2 / n2, first, x1 / n1, second)
        assert (round(interval.low, 4), round(interval.high, 4)) == (low, high)


def test_holms_correction_is_that_of_an_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1, 1]
