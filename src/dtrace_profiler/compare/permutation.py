"""The permutation test over runs: how many of the ways to call so many runs the candidate's differ by as much?

Where nothing changed, and runs are alike but for chance, each way is as likely as the one that was seen. Nothing is
assumed of how runs scatter, nor that samples within a run are independent. R. A. Fisher, The Design of Experiments
(1935), § 21; B. Phipson and G. K. Smyth, Statistical Applications in Genetics and Molecular Biology 9 (2010), 39, for
why the way that was seen is counted among those that are drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import ceil, comb
from random import Random

MOST_EXACT = 20_000
"""Arrangements of runs that are all looked at: up to 8 runs a side."""
_LEAST_DRAWN = 9_999
_MOST_DRAWN = 200_000
_TOLERANCE = 1e-9
"""Sums that differ by less, as a part of the whole, are the same but for rounding."""


@dataclass(frozen=True, slots=True)
class Arrangements:
    """Ways to choose the candidate's runs from all, the baseline's coming first."""

    baselines: int
    candidates: int
    drawn: tuple[tuple[int, ...], ...]
    """Those drawn at random, behind the one that was seen; empty where all are looked at."""

    @property
    def exact(self) -> bool:
        return not self.drawn

    def __len__(self) -> int:
        return len(self.drawn) or comb(self.baselines + self.candidates, self.candidates)

    @property
    def smallest_p(self) -> float:
        """That a single test can give."""
        return 1 / len(self)

    def p_values(self, baseline: Sequence[float], candidate: Sequence[float]) -> tuple[float, float]:
        """How likely it is, where both are alike, that the candidate's mean is as large as this or larger; and that
        it is as small as this or smaller."""
        values = [*baseline, *candidate]
        seen, slack = sum(candidate), _slack(values)
        sums = list(self._sums(values))
        larger = sum([total >= seen - slack for total in sums])
        smaller = sum([total <= seen + slack for total in sums])
        return larger / len(sums), smaller / len(sums)

    def is_larger(self, baseline: Sequence[float], candidate: Sequence[float], level: float) -> bool:
        """Whether the first of `p_values` is at most this level. Mostly known after a few of the ways."""
        values = [*baseline, *candidate]
        least = sum(candidate) - _slack(values)
        left = int(level * len(self) * (1 + _TOLERANCE))
        for total in self._sums(values):
            if total >= least:
                left -= 1
                if left < 0:
                    return False
        return True

    def _sums(self, values: Sequence[float]) -> Iterator[float]:
        """Of the values that each way gives to the candidate."""
        if self.exact:
            return map(sum, combinations(values, self.candidates))
        return (sum([values[index] for index in chosen]) for chosen in self.drawn)


def arrangements(
    baselines: int, candidates: int, *, tests: int = 1, level: float = 0.05, seed: int = 1
) -> Arrangements:
    """All, where they are not too many; else so many drawn that `tests` corrected ones can still reach the level."""
    runs = baselines + candidates
    if comb(runs, candidates) <= MOST_EXACT:
        return Arrangements(baselines, candidates, ())
    random = Random(seed)
    count = min(_MOST_DRAWN, max(_LEAST_DRAWN, ceil(4 * tests / level)))
    seen = tuple(range(baselines, runs))
    drawn = [seen, *(tuple(random.sample(range(runs), candidates)) for _ in range(count))]
    return Arrangements(baselines, candidates, tuple(drawn))


def _slack(values: Sequence[float]) -> float:
    return _TOLERANCE * (sum(map(abs, values)) or 1.0)


def runs_needed(tests: int, level: float) -> int:
    """Runs a side with which so many corrected tests can reach the level."""
    runs = 2
    while tests / comb(2 * runs, runs) > level:
        runs += 1
    return runs
