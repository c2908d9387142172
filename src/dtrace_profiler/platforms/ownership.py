"""Files made by `sudo dtrace-profiler` belong to the user who typed it, not to root."""

from __future__ import annotations

import os
from collections.abc import Mapping

from dtrace_profiler.platforms.base import is_superuser


def invoking_user(environ: Mapping[str, str] | None = None) -> tuple[int, int] | None:
    """User and group id of the user behind sudo; None for anybody else, also for root behind sudo."""
    environ = os.environ if environ is None else environ
    try:
        user, group = int(environ["SUDO_UID"]), int(environ["SUDO_GID"])
    except (KeyError, ValueError):
        return None
    return (user, group) if user > 0 and group >= 0 and is_superuser() else None


def give_to_invoking_user(path: str | os.PathLike[str], environ: Mapping[str, str] | None = None) -> None:
    """Hands a file that we have just made to the user behind sudo, if there is one. Follows no symbolic link.

    Not for files that were there before: those keep their owner.
    """
    who = invoking_user(environ)
    chown = getattr(os, "chown", None)
    if who is None or chown is None:
        return
    try:
        chown(path, *who, follow_symlinks=False)
    except OSError:
        pass  # a file system without owners
