"""Threads as a person is shown them: each once for each set of labels, but for labels that name one piece of work.

A trace's id is another one for each request: a list with a row for each would help nobody.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import replace

from dtrace_profiler.model.frame import SPAN_ID, TRACE_ID, Labels
from dtrace_profiler.model.profile import Thread

MOST_LABELLED = 500
"""Threads with labels; those of others are shown as `OTHER`."""
OTHER: Labels = (("label", "(other)"),)


class ShownThreads:
    """Grows with the profile's threads; an index never changes its meaning."""

    def __init__(self) -> None:
        self.threads: list[Thread] = []
        self.of = array("i")
        """Index into the profile's threads → into `threads`."""
        self._places: dict[tuple[int, int, Labels], int] = {}
        self._labelled = 0
        self._nameless: list[int] = []
        """Of the profile's: one may get its name later."""

    def extend(self, threads: Sequence[Thread]) -> None:
        """`threads`: all of the profile's."""
        nameless, self._nameless = self._nameless, []
        for index in [*nameless, *range(len(self.of), len(threads))]:
            thread = threads[index]
            if index == len(self.of):
                self.of.append(self._place(thread))
            shown = self.of[index]
            if thread.name and not self.threads[shown].name:
                self.threads[shown] = replace(self.threads[shown], name=thread.name)
            elif not thread.name:
                self._nameless.append(index)

    def _place(self, thread: Thread) -> int:
        labels = tuple(label for label in thread.labels if label[0] not in (TRACE_ID, SPAN_ID))
        key = (thread.process_id, thread.thread_id, labels)
        if labels and key not in self._places:
            self._labelled += 1
            if self._labelled > MOST_LABELLED:
                labels = OTHER
                key = (thread.process_id, thread.thread_id, labels)
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = len(self.threads)
            self.threads.append(replace(thread, labels=labels))
        return place
