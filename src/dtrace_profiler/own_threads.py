"""Threads of ours that stay out of every profile of our own process: those that sample, and those that show."""

from __future__ import annotations

import threading
import weakref
from typing import Protocol

OWN_THREADS: weakref.WeakSet[threading.Thread] = weakref.WeakSet()


class Engine(Protocol):
    def own_threads(self) -> set[int]:
        """Native ids of its threads that run now."""


_engines: tuple[weakref.ref[Engine], ...] = ()
"""Replaced, never changed: samplers go through it at any time."""
_adding = threading.Lock()


def add_engine(engine: Engine) -> None:
    """Its threads stay out of the profiles of all engines, as long as it lives."""
    global _engines
    with _adding:
        _engines = (*(known for known in _engines if known() is not None), weakref.ref(engine))


def own_thread_ids() -> set[int]:
    """Their native ids. Any thread."""
    out = {thread.native_id for thread in tuple(OWN_THREADS) if thread.native_id is not None}
    for known in _engines:
        engine = known()
        if engine is not None:
            out |= engine.own_threads()
    return out


class OwnThreadIds:
    """The same, as a container that is always of now."""

    def __contains__(self, native_id: object) -> bool:
        return native_id in own_thread_ids()
