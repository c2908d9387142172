"""A call tree whose nodes know how much is theirs, and what the error needs."""

from __future__ import annotations

from dtrace_profiler.model.profile import Profile
from dtrace_profiler.model.top import squared
from dtrace_profiler.model.tree import CallTree
from dtrace_profiler.query.answer import Amount


class MeasuredTree:
    """Folded by function, root first. `tree.frames` are `merge_frames(profile.frames, "function").frames`."""

    def __init__(self, profile: Profile) -> None:
        self.tree = CallTree.from_profile(profile)
        self._weights, self._scale = self.tree, 1
        if profile.meta.unit == "nanoseconds":
            squares, self._scale = squared(profile)
            # The same nodes are sampled, so it is the same tree.
            self._weights = CallTree.from_profile(squares)

    @property
    def whole(self) -> Amount:
        return self.total(0)

    def total(self, node: int) -> Amount:
        return Amount(self.tree.total[node], self._weights.total[node] * self._scale**2)

    def own(self, node: int) -> Amount:
        return Amount(self.tree.self_value[node], self._weights.self_value[node] * self._scale**2)
