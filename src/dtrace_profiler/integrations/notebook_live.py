"""A profile in a notebook while its cell runs: an image, renewed by the kernel's display messages.

The thread that draws is none of those that are profiled, but it shares the interpreter with them. So it draws little,
once a second, and more seldom where drawing takes long: never more than a twentieth of the time.
"""

from __future__ import annotations

import contextvars
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from dtrace_profiler.integrations.notebook_display import as_picture, as_text
from dtrace_profiler.model.profile import Profile
from dtrace_profiler.own_threads import OWN_THREADS

INTERVAL_S = 1.0
SHARE = 0.05
"""Of the time, at most, that is spent with drawing."""
LIVE_BOXES = 400


class LiveDisplay:
    """`publisher`: IPython's display publisher. The first picture comes after a second: quick cells have none."""

    def __init__(self, publisher: Any, profile: Callable[[], Profile]) -> None:
        self._publisher = publisher
        self._profile = profile
        self._id = uuid.uuid4().hex
        self._there = False
        self._ended = threading.Event()
        # Messages belong to the cell by a context variable of the thread that runs it.
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=[self._run], name="dtrace-profiler-notebook", daemon=True
        )

    def start(self) -> None:
        OWN_THREADS.add(self._thread)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def publish(self, bundle: dict[str, str]) -> None:
        """Takes the place of what was there."""
        self._publisher.publish(bundle, transient={"display_id": self._id}, update=self._there)
        self._there = True

    def _run(self) -> None:
        pause = INTERVAL_S
        while not self._ended.wait(pause):
            begin = time.thread_time()
            profile = self._profile()
            text = as_text(profile)
            picture = as_picture(profile, most_boxes=LIVE_BOXES)
            self.publish({"text/html": f"<div>{picture}<p><i>while the cell runs</i></p></div>", "text/plain": text})
            pause = max(INTERVAL_S, (time.thread_time() - begin) / SHARE)
