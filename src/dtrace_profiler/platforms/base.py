"""Which operating system this is: the only place that looks at `sys.platform`.

Every other module takes a system's name as a value, so that what is said of one system can be tested on any other.
"""

from __future__ import annotations

import os
import sys
from typing import Literal

System = Literal["linux", "macos", "freebsd", "netbsd", "illumos", "windows", "other"]

_BY_PREFIX: tuple[tuple[str, System], ...] = (
    ("linux", "linux"),
    ("android", "linux"),
    ("darwin", "macos"),
    ("freebsd", "freebsd"),
    ("dragonfly", "freebsd"),
    ("netbsd", "netbsd"),
    ("sunos", "illumos"),
    ("win32", "windows"),
    ("cygwin", "windows"),
)


def system(platform: str | None = None) -> System:
    """The name of the running system, or of the one that calls itself `platform` in `sys.platform`."""
    name = sys.platform if platform is None else platform
    for prefix, found in _BY_PREFIX:
        if name.startswith(prefix):
            return found
    return "other"


def user_id() -> int | None:
    """The effective user id of this process. None where the system numbers no users (Windows)."""
    geteuid = getattr(os, "geteuid", None)
    return None if geteuid is None else int(geteuid())


def is_superuser() -> bool | None:
    """Whether this process runs as root. None where the system has no such user (Windows)."""
    user = user_id()
    return None if user is None else user == 0
