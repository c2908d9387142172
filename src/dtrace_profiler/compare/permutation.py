"""The permutation test over runs: how many of the ways to call so many runs the candidate's differ by as much?

Where nothing changed, and runs are alike but for chance, each way is as likely as the one that was seen. Nothing is
assumed of how runs scatter, nor that samples within a run are independent. R. A. Fisher, The Design of Experiments
(1935), § 21; B. Phipson and G. K. Smyth, Statistical Applications in Genetics and Molecular Biology 9 (2010), 39, for
why the way that was seen is counted among those that are drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    chosen: tuple[tuple[int, ...], ...]
    """All ways, or those drawn at random and the one that was seen."""
    exact: bool

    @property
    def smallest_p(self) -> float:
        """That a single test can give."""
        return 1 / len(self.chosen)

    def p_values(self, baseline: Sequence[float], candidate: Sequence[float]) -> tuple[float, float]:
        """How likely it is, where both are alike, that the candidate's mean is as large as this or larger; and that
        it is as small as this or smaller."""
        values = [*baseline, *candidate]
        seen = sum(candidate)
        slack = _TOLERANCE * (sum(map(abs, values)) or 1.0)
        larger = smaller = 0
        for chosen in self.chosen:
            total = sum([values[index] for index in chosen])
            larger += total >= seen - slack
            smaller += total <= seen + slack
        return larger / len(self.chosen), smaller / len(self.chosen)

    def is_larger(self, baseline: Sequence[float], candidate: Sequence[float], level: float) -> bool:
        """Whether the first of `p_values` is at most this level. Mostly known after a few of the ways."""
        values = [*baseline, *candidate]
        least = sum(candidate) - _TOLERANCE * (sum(map(abs, values)) or 1.0)
        left = int(level * len(self.chosen) * (1 + _TOLERANCE))
        for chosen in self.chosen:
            if sum([values[index] for index in chosen]) >= least:
                left -= 1
                if left < 0:
                    return False
        return True


def arrangements(
    baselines: int, candidates: int, *, tests: int = 1, level: float = 0.05, seed: int = 1
) -> Arrangements:
    """All, where they are not too many; else so many drawn that `tests` corrected ones can still reach the level."""
    runs = baselines + candidates
    if comb(runs, candidates) <= MOST_EXACT:
        return Arrangements(baselines, candidates, tuple(combinations(range(runs), candidates)), True)
    random = Random(seed)
    drawn = min(_MOST_DRAWN, max(_LEAST_DRAWN, ceil(4 * tests / level)))
    seen = tuple(range(baselines, runs))
    chosen = [seen, *(tuple(random.sample(range(runs), candidates)) for _ in range(drawn))]
    return Arrangements(baselines, candidates, tuple(chosen), False)


def runs_needed(tests: int, level: float) -> int:
    """Runs a side with which so many corrected tests can reach the level."""
    runs = 2
    while tests / comb(2 * runs, runs) > level:
        runs += 1
    return runs
