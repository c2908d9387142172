"""Ctrl-C and other signals while a program is profiled.

Ctrl-C ends the profile, which is then written; it takes two more while it is written to give that up. Signals that
are sent to us with `kill` go on to a program that we have started, which is what their sender means. A Ctrl-C on the
terminal has reached it already: the terminal sends it to the whole group of processes.
"""

from __future__ import annotations

import contextlib
import select
import signal
import socket
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

from dtrace_profiler.launch import Target
from dtrace_profiler.platforms.terminal import in_foreground

_ENDING = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGBREAK")
_FORWARDED = ("SIGUSR1", "SIGUSR2")
_FROM_THE_TERMINAL = ("SIGINT", "SIGQUIT")
GIVE_UP_AFTER = 2
"""Of these while the profile is written."""


class Interrupts:
    """A context in which signals are counted and forwarded instead of ending us. In the main thread only.

    Signals that were ignored stay ignored, as `nohup` wants it.
    """

    def __init__(self) -> None:
        self.count = 0
        """How often the end was asked for: by Ctrl-C, and without a program of ours by SIGTERM and its like."""
        self._target: Target | None = None
        self._writing = False
        self._while_writing = 0
        self._previous: dict[int, Any] = {}
        self._previous_descriptor = -1
        self._wake_read, self._wake_write = socket.socketpair()

    def __enter__(self) -> Self:
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._previous_descriptor = signal.set_wakeup_fd(self._wake_write.fileno(), warn_on_full_buffer=False)
        for name in _ENDING:
            self._handle(name, self._on_ending)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._previous_descriptor)
        self._wake_read.close()
        self._wake_write.close()

    def forward_to(self, target: Target) -> None:
        """From now on signals are the target's, and its end wakes `wait`."""
        self._target = target
        for name in _FORWARDED:
            self._handle(name, self._on_forwarded)
        self._handle("SIGCHLD", lambda *_: None)

    def on(self, name: str, act: Callable[[], None]) -> None:
        """A signal that is ours, not the program's. `act` is called between any two lines of the main thread."""
        self._handle(name, lambda *_: act())

    def writing(self) -> None:
        """From now on the profile is taken in and written: a Ctrl-C no longer ends it, the second one gives up."""
        self._writing = True

    def written(self) -> None:
        """From now on all signals are only the target's."""
        self._writing = False

    def alone(self) -> None:
        """The program has ended and the profile is written: from now on each of these signals asks us to end."""
        self._writing = False
        self._target = None
        self.count = 0

    def wait(self, seconds: float) -> None:
        """Sleeps, but not beyond a signal or the end of a child."""
        ready, _, _ = select.select([self._wake_read], [], [], max(0.0, seconds))
        if ready:
            with contextlib.suppress(BlockingIOError):
                while self._wake_read.recv(4096):
                    pass

    def _handle(self, name: str, handler: Any) -> None:
        number = getattr(signal, name, None)
        if number is None or signal.getsignal(number) is signal.SIG_IGN or number in self._previous:
            return
        self._previous[number] = signal.signal(number, handler)

    def _on_ending(self, number: int, frame: FrameType | None) -> None:
        if self._writing:
            self._while_writing += 1
            if self._while_writing >= GIVE_UP_AFTER:
                raise KeyboardInterrupt
        target = self._target
        if target is None:
            self.count += 1
            return
        if signal.Signals(number).name not in _FROM_THE_TERMINAL or not in_foreground():
            target.send_signal(number)
        if number == signal.SIGINT:
            self.count += 1

    def _on_forwarded(self, number: int, frame: FrameType | None) -> None:
        if self._target is not None:
            self._target.send_signal(number)
