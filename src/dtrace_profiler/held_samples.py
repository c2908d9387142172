"""Samples of a process that is held until it executes the program that is meant: those from before are not its."""

from __future__ import annotations

import time
from collections.abc import Callable

from dtrace_profiler.record.parse import SampleRecord

_EXEC_UNSEEN_S = 0.2
"""The first sample of a held process comes as it executes its program; its exec event then, unless it was lost."""


class HeldSamples:
    """Passes samples on to `take`; those of `process_id` wait until its exec is known, or must have gone unseen.

    `unseen` is then told of an exec at the time of the first sample. `expected`: there will be one.
    """

    def __init__(
        self,
        process_id: int,
        take: Callable[[SampleRecord], None],
        unseen: Callable[[int, int], None],
        *,
        expected: bool,
    ) -> None:
        self._process_id = process_id
        self._take = take
        self._unseen = unseen
        self._executed_ns = 0
        self._waiting: list[SampleRecord] | None = [] if expected else None
        self._waiting_since = 0.0

    def executed(self, process_id: int, at_ns: int) -> None:
        """A process executed a program: of the one that was held, the first time counts. Any thread."""
        if process_id == self._process_id:
            self._executed_ns = self._executed_ns or at_ns

    def sample(self, record: SampleRecord) -> None:
        waiting = self._waiting
        if waiting is None or record.process_id != self._process_id:
            self._take(record)
            return
        self._waiting_since = self._waiting_since or time.monotonic()
        waiting.append(record)
        if self._executed_ns:
            self.close()
        elif time.monotonic() - self._waiting_since > _EXEC_UNSEEN_S:
            self._unseen(record.process_id, waiting[0].timestamp_ns)
            self.close()

    def close(self) -> None:
        """Wait no longer."""
        waiting, self._waiting = self._waiting, None
        for record in waiting or ():
            if record.timestamp_ns >= self._executed_ns:
                self._take(record)
