"""One line on the terminal while we work: time, samples, losses. Nothing where stderr is no terminal."""

from __future__ import annotations

import contextlib
import shutil
import sys
import time
from collections.abc import Mapping

from dtrace_profiler.platforms.terminal import in_foreground, taken_over

_INTERVAL_S = 0.25
_ERASE = "\r\x1b[K"


class Progress:
    """Draws the line at most four times a second, and takes it away.

    The cursor is left at the line's start, so that what a profiled program prints covers it. A program that has taken
    over the terminal (an editor, a pager: no line editing by the system) is left alone.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._on = not quiet and sys.stderr is not None and sys.stderr.isatty()
        self._shown = False
        self._next = 0.0
        self.held = False
        """Set while something else draws on all of the terminal."""

    def sampling(self, seconds: float, samples: int, losses: Mapping[str, int], hint: str = "") -> None:
        lost = sum(losses.values())
        parts = [f"{seconds:.1f} s", f"{samples:,} samples", f"{lost:,} lost" if lost else "nothing lost"]
        self.show("  ".join(parts) + (f"  ({hint})" if hint else ""))

    def show(self, text: str, *, now: bool = False) -> None:
        if not self._on or self.held or (not now and time.monotonic() < self._next):
            return
        self._next = time.monotonic() + _INTERVAL_S
        if not in_foreground() or taken_over(sys.stderr.fileno()):
            return
        columns = shutil.get_terminal_size().columns
        self._write(f"{_ERASE}{text[: max(0, columns - 1)]}\r")
        self._shown = True

    def clear(self) -> None:
        if self._shown:
            self._write(_ERASE)
            self._shown = False

    def _write(self, text: str) -> None:
        # The terminal may be gone: the profile goes on.
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)
            sys.stderr.flush()
