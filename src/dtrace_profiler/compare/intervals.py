"""Intervals and tests for counts. Pure numbers, of the standard library alone.

Sources: E. B. Wilson, JASA 22 (1927), 209 (score interval of a share). R. G. Newcombe, Statistics in Medicine 17
(1998), 873, method 10, and G. Y. Zou and A. Donner, Statistics in Medicine 27 (2008), 1693 (the interval of a
difference from the intervals of both). R. A. Fisher (exact test of two shares); J. Przyborowski and H. Wilenski,
Biometrika 31 (1940), 313 (the same of two rates). S. Holm, Scandinavian Journal of Statistics 6 (1979), 65.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from math import erfc, exp, lgamma, log, sqrt
from statistics import NormalDist
from typing import NamedTuple

_EXACT_BELOW = 10_000
"""An expected count above which the normal distribution is as good as the exact one."""
_NEGLIGIBLE = 1e-17


class Interval(NamedTuple):
    low: float
    high: float


@cache
def normal_quantile(confidence: float) -> float:
    """How many standard errors an interval of this confidence reaches to each side: 1.96 for 0.95."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is between 0 and 1, not {confidence!r}")
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def share_interval(share: float, samples: float, z: float) -> Interval:
    """Wilson's score interval of a share that was seen in so many (effective) samples."""
    if samples <= 0:
        return Interval(0.0, 1.0)
    squared = z * z
    middle = share + squared / (2 * samples)
    half = z * sqrt(share * (1 - share) / samples + squared / (4 * samples * samples))
    below = 1 + squared / samples
    # At 0 and 1 the bounds are exactly these; rounding must not move them past the estimate.
    return Interval(max(0.0, min(share, (middle - half) / below)), min(1.0, max(share, (middle + half) / below)))


def count_interval(count: float, z: float) -> Interval:
    """The score interval of a Poisson mean of which one count was seen."""
    half = z * sqrt(count + z * z / 4)
    middle = count + z * z / 2
    return Interval(max(0.0, min(count, middle - half)), middle + half)


def difference_interval(before: float, of_before: Interval, after: float, of_after: Interval) -> Interval:
    """Of after - before, two independent estimates with their own intervals of the same confidence."""
    change = after - before
    return Interval(
        change - sqrt((after - of_after.low) ** 2 + (of_before.high - before) ** 2),
        change + sqrt((of_after.high - after) ** 2 + (before - of_before.low) ** 2),
    )


def share_p_value(before: float, of_before: float, after: float, of_after: float) -> float:
    """Of two counts among so many samples each: how likely is a difference at least like this where both shares are
    the same? Two-sided: twice the smaller tail of Fisher's exact test; above `_EXACT_BELOW` the score test."""
    first, second = round(of_before), round(of_after)
    seen = min(round(before), first) + min(round(after), second)
    every = first + second
    if not first or not second or not seen or seen == every:
        return 1.0
    expected = [n * k / every for n in (first, second) for k in (seen, every - seen)]
    if min(expected) >= _EXACT_BELOW:
        pooled = (before + after) / (of_before + of_after)
        error = sqrt(pooled * (1 - pooled) * (1 / of_before + 1 / of_after))
        return _normal_p_value((after / of_after - before / of_before) / error)
    found = min(round(after), second)
    least, most = max(0, seen - first), min(seen, second)
    logarithm = _log_choose(second, found) + _log_choose(first, seen - found) - _log_choose(every, seen)

    def down(x: int) -> float:
        return x * (first - seen + x) / ((second - x + 1) * (seen - x + 1))

    def up(x: int) -> float:
        return (second - x) * (seen - x) / ((x + 1) * (first - seen + x + 1))

    upwards = _tail(found, most, 1, exp(logarithm), up)
    downwards = _tail(found, least, -1, exp(logarithm), down)
    return min(1.0, 2 * min(upwards, downwards))


def rate_p_value(before: float, exposure_before: float, after: float, exposure_after: float) -> float:
    """The same of two Poisson counts in so much exposure each: given their sum, the second is binomial."""
    seen = round(before) + round(after)
    if not seen or exposure_before <= 0 or exposure_after <= 0:
        return 1.0
    share = exposure_after / (exposure_before + exposure_after)
    if seen * min(share, 1 - share) >= _EXACT_BELOW:
        pooled = (before + after) / (exposure_before + exposure_after)
        error = sqrt(pooled * (1 / exposure_before + 1 / exposure_after))
        return _normal_p_value((after / exposure_after - before / exposure_before) / error)
    found = round(after)
    odds = share / (1 - share)
    logarithm = _log_choose(seen, found) + found * log(share) + (seen - found) * log(1 - share)

    def down(x: int) -> float:
        return x / ((seen - x + 1) * odds)

    def up(x: int) -> float:
        return (seen - x) * odds / (x + 1)

    upwards = _tail(found, seen, 1, exp(logarithm), up)
    downwards = _tail(found, 0, -1, exp(logarithm), down)
    return min(1.0, 2 * min(upwards, downwards))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted so that the chance of any false one among those at or below a level is at most that level, however
    the tests depend on each other. In the order given."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    out = [1.0] * len(p_values)
    least = 0.0
    for place, index in enumerate(order):
        least = max(least, min(1.0, (len(p_values) - place) * p_values[index]))
        out[index] = least
    return out


def _tail(start: int, end: int, step: int, probability: float, ratio: Callable[[int], float]) -> float:
    """The sum of probabilities from one value to the end. `ratio`: of the next one to this one."""
    total = term = probability
    at = start
    while at != end:
        factor = ratio(at)
        term *= factor
        total += term
        at += step
        if factor < 1 and term <= _NEGLIGIBLE * total:
            break
    return total


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)


def _normal_p_value(z: float) -> float:
    return erfc(abs(z) / sqrt(2))
