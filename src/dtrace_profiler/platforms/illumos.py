"""illumos and Solaris: DTrace's home. Privileges can be given to a user instead of root.

Threads are numbered per process, from 1. Sources: manuals, users' reports; see docs/platforms.md.
"""

from __future__ import annotations

import os
import subprocess

from dtrace_profiler.platforms.facts import SystemFacts

FACTS = SystemFacts(
    system="illumos",
    title="illumos",
    directories=("/usr/sbin",),
    install="dtrace is part of illumos: look whether /usr/sbin/dtrace is there",
    options=("switchrate=10hz", "aggrate=10hz", "bufsize=4m", "aggsize=4m", "dynvarsize=16m"),
    root="root, or a user with the privileges dtrace_user and dtrace_proc",
    page="install/illumos.md",
)

NEEDED_PRIVILEGES = ("dtrace_user", "dtrace_proc")
"""To sample own processes. `dtrace_kernel` for kernel stacks, and for others' processes."""


def may_use_dtrace(ppriv: str = "ppriv") -> bool:
    """Whether this process has the privileges, so that neither root nor sudo is needed. False where ppriv fails."""
    command = [ppriv, str(os.getpid())]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return not missing_privileges(done.stdout.decode(errors="replace"))


def missing_privileges(ppriv: str) -> list[str]:
    """Which of the needed ones a process lacks, by the effective set (`E:`) that `ppriv $$` prints."""
    for line in ppriv.splitlines():
        name, colon, held = line.strip().partition(":")
        if colon and name == "E":
            names = held.strip().split(",")
            if "all" in names or "zone" in names:
                denied = {word[1:] for word in names if word.startswith("!")}
                return [name for name in NEEDED_PRIVILEGES if name in denied]
            return [name for name in NEEDED_PRIVILEGES if name not in names]
    return list(NEEDED_PRIVILEGES)
