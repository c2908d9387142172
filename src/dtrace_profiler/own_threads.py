"""Threads of ours that stay out of a profile of our own process, beside those of the engine that samples."""

from __future__ import annotations

import threading
import weakref

OWN_THREADS: weakref.WeakSet[threading.Thread] = weakref.WeakSet()


def own_thread_ids() -> set[int]:
    """Their native ids. Any thread."""
    return {thread.native_id for thread in tuple(OWN_THREADS) if thread.native_id is not None}


class OwnThreadIds:
    """The same, as a container that is always of now."""

    def __contains__(self, native_id: object) -> bool:
        return native_id in own_thread_ids()
