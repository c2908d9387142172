"""One call tree of two profiles: as wide as the mean of both shares, with the change of each node."""

from __future__ import annotations

from array import array
from dataclasses import replace
from math import sqrt

from dtrace_profiler.compare.merged import AFTER, BEFORE, merged
from dtrace_profiler.model.profile import Profile
from dtrace_profiler.model.top import squared
from dtrace_profiler.model.tree import CallTree

_WHOLE = 1 << 40
"""What each side's shares add up to in the width."""


class BothTrees:
    """Trees of the same nodes. The page (assets/tree.js) draws by the same numbers."""

    def __init__(self, before: Profile, after: Profile) -> None:
        """Both have samples. Raises `NotComparable` where the values have different units."""
        self.profile = merged(before, after)
        """Of both; its facts are those of `after`."""
        wholes = {BEFORE: before.total, AFTER: after.total}
        rows = list(zip(self.profile.thread, self.profile.value, strict=True))
        self.width = self._tree([value * _WHOLE // wholes[thread] for thread, value in rows])
        self.before = self._tree([value if thread == BEFORE else 0 for thread, value in rows])
        self.after = self._tree([value if thread == AFTER else 0 for thread, value in rows])
        self._weights: tuple[CallTree, CallTree] | None = None
        self._scale = 1
        if self.profile.meta.unit != "samples":
            squares, root = squared(self.profile)
            self._scale = root * root
            rows = list(zip(squares.thread, squares.value, strict=True))
            self._weights = (
                self._tree([value if thread == BEFORE else 0 for thread, value in rows]),
                self._tree([value if thread == AFTER else 0 for thread, value in rows]),
            )

    def shares(self, node: int) -> tuple[float, float]:
        """Before and after."""
        return self.before.total[node] / self.before.total[0], self.after.total[node] / self.after.total[0]

    def errors(self, node: int) -> tuple[float, float]:
        """One standard error of each share."""
        return self._error(self.before, 0, node), self._error(self.after, 1, node)

    def change(self, node: int) -> float:
        """Of the larger of both shares: -1 (gone) to 1 (new). 0 where the difference is within two of its standard
        errors: it may well be chance."""
        then, now = self.shares(node)
        first, second = self.errors(node)
        if abs(now - then) <= 2 * sqrt(first * first + second * second):
            return 0.0
        return (now - then) / max(now, then)

    def _error(self, tree: CallTree, side: int, node: int) -> float:
        whole, value = tree.total[0], tree.total[node]
        share = value / whole
        if self._weights is None:
            inside, every = float(value), float(whole)
        else:
            weights = self._weights[side].total
            inside, every = float(weights[node] * self._scale), float(weights[0] * self._scale)
        return sqrt(max(0.0, (1 - share) ** 2 * inside + share**2 * (every - inside))) / whole

    def _tree(self, values: list[int]) -> CallTree:
        return CallTree.from_profile(replace(self.profile, value=array("q", values)))
