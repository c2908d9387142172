"""Which labels each thread of this process had, and since when: for samples that come a little later.

Written by the threads themselves, read by whoever takes in samples. Where nobody profiles, a change costs a look into
a dictionary.
"""

from __future__ import annotations

import os
import threading
import time
from bisect import bisect_right
from operator import itemgetter

from dtrace_profiler.model.frame import Labels

KEPT_CHANGES = 100_000
"""Of a thread: the older half makes room."""
_FORGET_NS = 60_000_000_000
"""A thread that has had no labels for so long has no history."""
_MANY_THREADS = 256

Change = tuple[int, Labels]
"""(UNIX epoch in nanoseconds, the labels from then on)"""


class LabelHistory:
    def __init__(self) -> None:
        self._now: dict[int, Labels] = {}
        """Threads (native ids) that have labels."""
        self._changes: dict[int, list[Change]] = {}
        self._lock = threading.Lock()
        """Of who forgets, and of `_readers`. Writers only append, each to its own list."""
        self._readers = 0
        self._sweep_at = _MANY_THREADS
        self.notes: list[str] = []
        """What can't be followed in this process, in sentences."""

    def change(self, labels: Labels) -> None:
        """This thread has these labels from now on."""
        thread = threading.get_native_id()
        if self._now.get(thread, ()) == labels:
            return
        if labels:
            self._now[thread] = labels
        else:
            self._now.pop(thread, None)
        if not self._readers:
            return
        changes = self._changes.get(thread)
        if changes is None:
            if len(self._changes) >= self._sweep_at:
                self._sweep()
            changes = self._changes.setdefault(thread, [])
        changes.append((time.time_ns(), labels))
        if len(changes) >= KEPT_CHANGES:
            with self._lock:
                del changes[: KEPT_CHANGES // 2]

    @property
    def followed(self) -> bool:
        """Whether anybody wants to know."""
        return self._readers > 0

    def reader(self) -> LabelReader:
        """For somebody who wants to know, from now on until its `close`."""
        with self._lock:
            self._readers += 1
            if self._readers == 1:
                self._changes = {thread: [(0, labels)] for thread, labels in tuple(self._now.items())}
        return LabelReader(self)

    def _closed(self) -> None:
        with self._lock:
            self._readers = max(0, self._readers - 1)
            if not self._readers:
                self._changes = {}

    def at(self, thread: int, timestamp_ns: int) -> Labels | None:
        """The labels of a thread (native id) at a time; None where that has been forgotten."""
        changes = self._changes.get(thread)
        if not changes:
            return ()
        with self._lock:
            place = bisect_right(changes, timestamp_ns, key=itemgetter(0))
            if place:
                return changes[place - 1][1]
            # A history begins with the first labels, unless its beginning had to make room.
            return None if len(changes) >= KEPT_CHANGES // 2 else ()

    def note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)

    def _sweep(self) -> None:
        """Of threads that have ended, most likely."""
        with self._lock:
            latest = time.time_ns() - _FORGET_NS
            for thread, changes in tuple(self._changes.items()):
                if changes and not changes[-1][1] and changes[-1][0] < latest:
                    del self._changes[thread]
            self._sweep_at = max(_MANY_THREADS, 2 * len(self._changes))

    def after_fork(self) -> None:
        """In a forked child: one thread goes on, with another native id, and nobody reads."""
        self._lock = threading.Lock()
        self._readers = 0
        self._changes = {}
        self._now = {}


class LabelReader:
    """`at` is that of the history."""

    def __init__(self, history: LabelHistory) -> None:
        self._history = history
        self._open = True
        self.at = history.at

    def close(self) -> None:
        """Safe to call again."""
        if self._open:
            self._open = False
            self._history._closed()


HISTORY = LabelHistory()
"""Of this process."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=HISTORY.after_fork)
