"""What can be said of the terminal that a person has started us from."""

from __future__ import annotations

import os
from typing import Any

_ICANON_LOCAL_FLAGS = 3
"""Index of the local flags in what `termios.tcgetattr` gives."""


def in_foreground() -> bool:
    """Whether there is a terminal whose keys reach us: Ctrl-C sends its signal to us and to all of our group.

    A Windows console sends it to all of its processes; there it is always true.
    """
    posix: Any = os
    if not hasattr(os, "tcgetpgrp"):
        return True
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | posix.O_NOCTTY)
    except OSError:
        return False
    try:
        return bool(posix.tcgetpgrp(terminal) == posix.getpgrp())
    except OSError:
        return False
    finally:
        os.close(terminal)


def taken_over(descriptor: int) -> bool:
    """Whether a program reads this terminal key by key, as editors and pagers do, and so draws on all of it."""
    try:
        import termios as _termios
    except ImportError:
        return False
    termios: Any = _termios
    try:
        flags = termios.tcgetattr(descriptor)[_ICANON_LOCAL_FLAGS]
    except (OSError, termios.error):
        return False
    return not flags & termios.ICANON
