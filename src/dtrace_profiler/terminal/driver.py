"""Textual's way to a terminal, with what a profiler needs besides.

Keys and the size come from the terminal also where stdin and stdout are pipes for the program; and a terminal that
goes away (the window was closed, the connection lost) holds up nothing.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from textual.app import App
from textual.driver import Driver

from dtrace_profiler.platforms.base import system

TERMINAL = "/dev/tty"


def driver_class() -> type[Driver] | None:
    """None where Textual's own will do. The module behind it can be imported only on POSIX systems."""
    if system() == "windows":
        return None
    from textual.drivers.linux_driver import LinuxDriver

    class TerminalDriver(LinuxDriver):
        def __init__(self, app: App[Any], **options: Any) -> None:
            super().__init__(app, **options)
            if not self.input_tty:
                self.fileno = os.open(TERMINAL, os.O_RDWR)
                self.input_tty = True
            if not sys.__stderr__ or not sys.__stderr__.isatty():
                self._file = open(TERMINAL, "w", encoding="utf-8")  # noqa: SIM115 (open until the end)

        def _get_terminal_size(self) -> tuple[int, int]:
            # Not of stdout: that is the program's, and caught while the view is there.
            try:
                return os.get_terminal_size(self.fileno)
            except OSError:
                return super()._get_terminal_size()

        def write(self, data: str) -> None:
            # The thread that writes ends when the terminal is gone, and then nobody takes what waits for it.
            if self._writer_thread is not None and self._writer_thread.is_alive():
                super().write(data)

        def terminal_is_gone(self) -> bool:
            return self._writer_thread is not None and not self._writer_thread.is_alive()

    return TerminalDriver
