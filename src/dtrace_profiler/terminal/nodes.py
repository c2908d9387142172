"""A call tree that grows: the same as `model.tree.CallTree`, but a value is added in as many steps as its stack has
frames.

Columns, and no recursion: a stack may have 100,000 frames.
"""

from __future__ import annotations

from collections.abc import Sequence

from dtrace_profiler.model.fold import PAIR
from dtrace_profiler.model.frame import StackFrame

_NONE: list[int] = []


class CallNodes:
    """Node 0 is the root (all samples); `parent[n] < n`. Nodes stay, also where their value has become 0."""

    def __init__(self) -> None:
        self.parent = [-1]
        self.function = [-1]
        """Index into `GrowingProfile.functions`."""
        self.self_value = [0]
        self.total = [0]
        self._children: list[list[int] | None] = [None]
        self._ordered: bytearray = bytearray(b"\1")
        self._ids: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self.parent)

    def node(self, parent: int, function: int) -> int:
        """The node of this function under this parent; made if there is none."""
        new = len(self.parent)
        node = self._ids.setdefault(parent * PAIR + function, new)
        if node == new:
            self.parent.append(parent)
            self.function.append(function)
            self.self_value.append(0)
            self.total.append(0)
            self._children.append(None)
            self._ordered.append(1)
            children = self._children[parent]
            if children is None:
                self._children[parent] = [node]
            else:
                children.append(node)
                self._ordered[parent] = 0
        return node

    def add(self, node: int, value: int) -> None:
        """A value of the stack that ends here."""
        self.self_value[node] += value
        total, parent = self.total, self.parent
        while node >= 0:
            total[node] += value
            node = parent[node]

    def empty(self) -> None:
        """All values become 0."""
        self.self_value = [0] * len(self)
        self.total = [0] * len(self)

    def settle(self) -> None:
        """Totals of all nodes from `self_value`, after that was changed in bulk."""
        total, parent = self.self_value[:], self.parent
        for node in range(len(total) - 1, 0, -1):
            total[parent[node]] += total[node]
        self.total = total

    def children(self, node: int, functions: Sequence[StackFrame]) -> list[int]:
        """By function name, then module, file and line, so that a picture keeps its order while it grows."""
        children = self._children[node]
        if children is None:
            return _NONE
        if not self._ordered[node]:
            function = self.function
            children.sort(key=lambda child: functions[function[child]])
            self._ordered[node] = 1
        return children

    def path(self, node: int) -> list[int]:
        """The nodes from the root's child down to this one."""
        out = []
        while node > 0:
            out.append(node)
            node = self.parent[node]
        out.reverse()
        return out
