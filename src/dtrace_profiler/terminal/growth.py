"""A profile followed while it grows: functions, call trees in both directions, and sums a function and a thread.

In: what is new in a `Collector`. Each of its samples costs as many steps as its stack has frames, whatever the size
of the tree. Out: columns that can be drawn at any moment. For one thread.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Protocol

from dtrace_profiler.model.builder import Growth, Position
from dtrace_profiler.model.frame import StackFrame
from dtrace_profiler.model.profile import Meta, Profile, Thread
from dtrace_profiler.model.shown_threads import ShownThreads
from dtrace_profiler.terminal.nodes import CallNodes


class Grows(Protocol):
    def grown(self, since: Position) -> Growth: ...


class Watched(Protocol):
    """What samples, or has."""

    @property
    def collector(self) -> Grows: ...
    @property
    def running(self) -> bool: ...
    def meta(self) -> Meta: ...


class WholeProfile:
    """A profile that grows no more, as of a file."""

    running = False

    def __init__(self, profile: Profile) -> None:
        self._profile = profile

    @property
    def collector(self) -> WholeProfile:
        return self

    def meta(self) -> Meta:
        return self._profile.meta

    def grown(self, since: Position) -> Growth:
        profile = self._profile
        return Growth(
            frames=profile.frames[since.frames :],
            parent=profile.parent[since.nodes :],
            frame=profile.frame[since.nodes :],
            threads=profile.threads,
            thread=profile.thread[since.samples :],
            node=profile.node[since.samples :],
            value=profile.value[since.samples :],
            until=Position(len(profile.frames), len(profile.parent), len(profile.node)),
            timestamp_ns=profile.timestamp_ns[since.samples :],
            lost=profile.lost,
            missed=0,
        )


class GrowingProfile:
    """Frames count as one by function, as in `model.identity`. All values in the profile's unit."""

    def __init__(self) -> None:
        self.functions: list[StackFrame] = []
        """Merged: address 0, the line is the function's first."""
        self.self_of: list[int] = []
        self.total_of: list[int] = []
        """A function's sums over the threads that are shown. A stack counts once, whatever it repeats."""
        self.root_first = CallNodes()
        self.threads: Sequence[Thread] = ()
        self._labelled = ShownThreads()
        self.thread_values: list[int] = []
        self.samples = 0
        """Of all threads."""
        self._position = Position()
        self._of_frame: list[int] = []
        self._of_node: list[int] = []
        self._function_ids: dict[tuple[object, ...], int] = {}
        self._outermost = bytearray(1)
        """Node → 1 where no ancestor has the same function."""
        self._path: list[tuple[int, int]] = []
        self._on_path: set[int] = set()
        self._values: list[dict[int, int]] = []
        """Thread → node → value."""
        self._shown: frozenset[int] | None = None
        self._leaf_first: CallNodes | None = None
        self._leaf_first_of: dict[int, int] = {}

    @property
    def total(self) -> int:
        """Of the threads that are shown."""
        return self.root_first.total[0]

    @property
    def shown_threads(self) -> frozenset[int] | None:
        """Indices into `threads`; None: all."""
        return self._shown

    @property
    def leaf_first(self) -> CallNodes:
        """Made when first asked for, and followed from then on."""
        if self._leaf_first is None:
            self._leaf_first = CallNodes()
            for leaf, value in enumerate(self.root_first.self_value):
                if value:
                    self._leaf_first.self_value[self._leaf_first_node(leaf)] += value
            self._leaf_first.settle()
        return self._leaf_first

    def forget_leaf_first(self) -> None:
        """It costs as much again; nobody looks at it."""
        self._leaf_first = None
        self._leaf_first_of.clear()

    def take(self, source: Grows) -> bool:
        """Takes in what is new. Returns whether there was any sample."""
        growth = source.grown(self._position)
        bulk = self._position == Position()
        self._position = growth.until
        self._add_functions(growth.frames)
        self._add_nodes(growth.parent, growth.frame)
        self._labelled.extend(growth.threads)
        threads = self.threads = self._labelled.threads
        self._values.extend({} for _ in range(len(threads) - len(self._values)))
        self.thread_values.extend([0] * (len(threads) - len(self.thread_values)))
        if not len(growth.node):
            return False
        self.samples += len(growth.node)
        new: dict[tuple[int, int], int] = {}
        of_node = self._of_node
        for thread, node, value in zip(growth.thread, growth.node, growth.value, strict=True):
            key = self._labelled.of[thread], of_node[node]
            new[key] = new.get(key, 0) + value
        for (thread, node), value in new.items():
            values = self._values[thread]
            values[node] = values.get(node, 0) + value
            self.thread_values[thread] += value
            if not bulk and (self._shown is None or thread in self._shown):
                self._add(node, value)
        if bulk:
            self._sum_anew()
        return True

    def show_threads(self, threads: Collection[int] | None) -> None:
        """Only the samples of these count from now on; None: all."""
        self._shown = None if threads is None else frozenset(threads)
        self.forget_leaf_first()
        self._sum_anew()

    def _add_functions(self, frames: Iterable[StackFrame]) -> None:
        for frame in frames:
            key = frame.function_name, frame.module_name, frame.file, frame.kind
            new = len(self.functions)
            function = self._function_ids.setdefault(key, new)
            line = frame.first_line
            if function == new:
                self.functions.append(frame._replace(address=0, line=line, first_line=line))
                self.self_of.append(0)
                self.total_of.append(0)
            elif line and not 0 < self.functions[function].line <= line:
                self.functions[function] = self.functions[function]._replace(line=line, first_line=line)
            self._of_frame.append(function)

    def _add_nodes(self, parents: Iterable[int], frames: Iterable[int]) -> None:
        nodes = self.root_first
        for old_parent, frame in zip(parents, frames, strict=True):
            parent = self._of_node[old_parent] if old_parent >= 0 else 0
            function = self._of_frame[frame]
            node = nodes.node(parent, function)
            if node == len(self._outermost):
                self._go_to(parent)
                new = function not in self._on_path
                self._outermost.append(new)
                self._path.append((node, function if new else -1))
                self._on_path.add(function)
            self._of_node.append(node)

    def _go_to(self, node: int) -> None:
        """Makes `_on_path` the functions from the root to this node. Mostly a step or two."""
        path, on_path = self._path, self._on_path
        while path and path[-1][0] > node:
            on_path.discard(path.pop()[1])
        if (path[-1][0] if path else 0) == node:
            return
        path.clear()
        on_path.clear()
        for step in self.root_first.path(node):
            function = self.root_first.function[step]
            path.append((step, function if self._outermost[step] else -1))
            on_path.add(function)

    def _add(self, leaf: int, value: int) -> None:
        nodes = self.root_first
        nodes.add(leaf, value)
        self.self_of[nodes.function[leaf]] += value
        function, parent, total_of, outermost = nodes.function, nodes.parent, self.total_of, self._outermost
        node = leaf
        while node > 0:
            if outermost[node]:
                total_of[function[node]] += value
            node = parent[node]
        if self._leaf_first is not None:
            self._leaf_first.add(self._leaf_first_node(leaf), value)

    def _sum_anew(self) -> None:
        nodes = self.root_first
        nodes.empty()
        for thread, node, value in self._all_values():
            if self._shown is None or thread in self._shown:
                nodes.self_value[node] += value
        nodes.settle()
        self.self_of = [0] * len(self.functions)
        self.total_of = [0] * len(self.functions)
        for node in range(1, len(nodes)):
            function = nodes.function[node]
            self.self_of[function] += nodes.self_value[node]
            if self._outermost[node]:
                self.total_of[function] += nodes.total[node]

    def _all_values(self) -> Iterator[tuple[int, int, int]]:
        for thread, values in enumerate(self._values):
            for node, value in values.items():
                yield thread, node, value

    def _leaf_first_node(self, leaf: int) -> int:
        """The node of a stack, turned round."""
        found = self._leaf_first_of.get(leaf)
        if found is None:
            assert self._leaf_first is not None
            nodes, parent, function = self._leaf_first, self.root_first.parent, self.root_first.function
            found, node = 0, leaf
            while node > 0:
                found = nodes.node(found, function[node])
                node = parent[node]
            self._leaf_first_of[leaf] = found
        return found
