"""The call tree: stacks folded from the root on (a flame graph) or from the leaf on (inverted), with self and total.

Columns again, and no recursion anywhere: a stack may have 100,000 frames.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator, Sequence
from importlib.util import find_spec

from dtrace_profiler.model import fold
from dtrace_profiler.model.frame import StackFrame
from dtrace_profiler.model.identity import Identity, merge_frames
from dtrace_profiler.model.profile import Profile

USE_NUMPY_FROM_NODES = 50_000
"""Below this the plain way takes less time than importing NumPy."""


class CallTree:
    """Node 0 is the root (all samples); `parent[n] < n`. All columns have one entry a node.

    `children` come in the order of their names, so that a view that is made anew while the program runs keeps
    its order. Building is linear in the profile's nodes; the order of children is made when first asked for.
    """

    def __init__(self, columns: fold.Columns, frames: Sequence[StackFrame], *, inverted: bool = False) -> None:
        self.parent: array[int] = columns.parent
        """-1 for the root."""
        self.frame: array[int] = columns.frame
        """Index into `frames`; -1 for the root."""
        self.self_value: array[int] = columns.self_value
        """Of the stacks that end at this node (inverted: that begin there)."""
        self.total: array[int] = columns.total
        """`self_value` and the totals of all children; of the root the sum of all samples."""
        self.frames: Sequence[StackFrame] = frames
        """Merged to the identity asked for; see `identity`."""
        self.inverted = inverted
        self._children: fold.ChildIndex | None = None
        self._depth: array[int] | None = None

    @classmethod
    def from_profile(
        cls,
        profile: Profile,
        *,
        by: Identity = "function",
        threads: Collection[int] | None = None,
        inverted: bool = False,
    ) -> CallTree:
        """Folds all samples, or those of some threads (indices into `profile.threads`).

        Nodes that no sample reaches are left out. Inverted costs time linear in the frames of all stacks.
        """
        merged = merge_frames(profile.frames, by)
        own = array("q", bytes(8 * len(profile.parent)))
        sampled = bytearray(len(profile.parent))
        if threads is None:
            for node, value in zip(profile.node, profile.value, strict=True):
                own[node] += value
                sampled[node] = 1
        else:
            chosen = bytearray(len(profile.threads))
            for thread in threads:
                chosen[thread] = 1
            for thread, node, value in zip(profile.thread, profile.node, profile.value, strict=True):
                if chosen[thread]:
                    own[node] += value
                    sampled[node] = 1
        if merged.all_apart:
            frame = profile.frame
        else:
            frame = array("i", [merged.of_frame[index] for index in profile.frame])
        stacks = fold.Stacks(profile.parent, frame, own, sampled, merged.all_apart)
        if _numpy_pays(len(profile.parent)):
            from dtrace_profiler.model import fold_numpy

            if fold_numpy.worthwhile(profile.parent):
                columns = fold_numpy.fold_inverted(stacks) if inverted else fold_numpy.fold(stacks)
                return cls(columns, merged.frames, inverted=inverted)
        columns = fold.fold_inverted(stacks) if inverted else fold.fold(stacks)
        return cls(columns, merged.frames, inverted=inverted)

    def __len__(self) -> int:
        return len(self.parent)

    def children(self, node: int) -> Sequence[int]:
        """By function name, then module, file and line; never two with the same frame."""
        index = self._children
        if index is None:
            index = self._children = self._child_index()
        return index.order[index.start[node] : index.start[node + 1]]

    @property
    def depth(self) -> array[int]:
        """Frames from the root to the node, a node: 0 for the root."""
        if self._depth is None:
            self._depth = fold.depths(self.parent)
        return self._depth

    @property
    def max_depth(self) -> int:
        return max(self.depth)

    def stack(self, node: int) -> tuple[StackFrame, ...]:
        """The frames from the root (not among them) to this node: root first, or leaf first when inverted."""
        out: list[StackFrame] = []
        while node > 0:
            out.append(self.frames[self.frame[node]])
            node = self.parent[node]
        out.reverse()
        return tuple(out)

    def walk(self) -> Iterator[int]:
        """All nodes from the root on, each before its children, these in order."""
        waiting = [0]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(self.children(node)))

    def _child_index(self) -> fold.ChildIndex:
        rank = array("i", bytes(4 * len(self.frames)))
        by_name = sorted(range(len(self.frames)), key=self.frames.__getitem__)
        for place, frame in enumerate(by_name):
            rank[frame] = place
        if _numpy_pays(len(self.parent)):
            from dtrace_profiler.model import fold_numpy

            return fold_numpy.child_index(self.parent, self.frame, rank)
        return fold.child_index(self.parent, self.frame, rank)


def _numpy_pays(nodes: int) -> bool:
    return nodes >= USE_NUMPY_FROM_NODES and find_spec("numpy") is not None
