"""What is shown of a profile, apart from how: direction, zoom, selection, search, threads, order of the table."""

from __future__ import annotations

from typing import Literal

from dtrace_profiler.formats.names import shown
from dtrace_profiler.model.frame import StackFrame
from dtrace_profiler.model.profile import Meta
from dtrace_profiler.terminal.colours import Look
from dtrace_profiler.terminal.growth import GrowingProfile, Watched
from dtrace_profiler.terminal.nodes import CallNodes
from dtrace_profiler.terminal.search import Search, parse_query

Order = Literal["self", "total", "name"]
ORDERS: tuple[Order, ...] = ("self", "total", "name")


class ViewState:
    """The widgets draw it; the app changes it when keys are pressed, and lets it follow the profile."""

    def __init__(self, source: Watched, look: Look, title: str = "") -> None:
        self.source = source
        self.look = look
        self.profile = GrowingProfile()
        self.meta: Meta = source.meta()
        self.title = title
        self.running = True
        self.paused = False
        self.leaf_first = False
        self.zoom = 0
        self.selected: int | None = None
        """A node of the tree that is shown."""
        self.order: Order = "self"
        self.query = ""
        self.query_error = ""
        self.search: Search | None = None
        self.matched = 0
        """Value of the stacks that have a match, of the threads that are shown."""
        self._labels: list[str] = []

    @property
    def nodes(self) -> CallNodes:
        return self.profile.leaf_first if self.leaf_first else self.profile.root_first

    @property
    def unit_is_samples(self) -> bool:
        return self.meta.unit == "samples"

    def follow(self) -> bool:
        """Takes in what is new, unless the picture is held still. Returns whether there were samples."""
        if self.paused:
            self.running = self.source.running
            return False
        running = self.source.running  # first: of a profile that has ended all samples are there
        new = self.profile.take(self.source.collector)
        self.running = running
        return new

    def count_matches(self) -> None:
        if self.search is not None:
            self.matched = self.search.follow(self.profile.root_first, self.profile.functions)

    def look_for(self, query: str) -> None:
        """Sets the search; `query_error` says what is wrong with it."""
        self.query, self.query_error, self.search, self.matched = query, "", None, 0
        try:
            test = parse_query(query)
        except ValueError as error:
            self.query_error = shown(str(error))
            return
        if test is not None:
            self.search = Search(test)
            self.count_matches()

    def turn(self) -> None:
        """Root first, or leaf first."""
        self.leaf_first = not self.leaf_first
        self.zoom, self.selected = 0, None
        if not self.leaf_first:
            self.profile.forget_leaf_first()

    def show_threads(self, threads: frozenset[int] | None) -> None:
        self.profile.show_threads(threads)
        if self.leaf_first or not self.nodes.total[self.zoom]:
            self.zoom, self.selected = 0, None
        self.count_matches()

    def function(self, node: int) -> StackFrame:
        return self.profile.functions[self.nodes.function[node]]

    def label(self, function: int) -> str:
        """A function's name, safe to show."""
        labels, functions = self._labels, self.profile.functions
        while len(labels) <= function:
            labels.append(shown(functions[len(labels)].function_name) or "(no name)")
        return labels[function]

    def matches(self, function: int) -> bool:
        search = self.search
        return search is not None and function < len(search.matches) and bool(search.matches[function])
