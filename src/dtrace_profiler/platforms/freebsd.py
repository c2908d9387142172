"""FreeBSD (and DragonFly): DTrace is in the base system, needs root, kernel modules, and no jail around it.

Sources: handbook, src, users' reports; see docs/platforms.md.
"""

from __future__ import annotations

import re

from dtrace_profiler.platforms.facts import SystemFacts

FACTS = SystemFacts(
    system="freebsd",
    title="FreeBSD",
    directories=("/usr/sbin", "/usr/local/sbin"),
    install="sudo kldload dtraceall",
    options=("switchrate=10hz", "aggrate=10hz", "bufsize=4m", "aggsize=4m", "dynvarsize=16m"),
    page="install/freebsd.md",
)


def modules_loaded(kldstat: str) -> bool:
    """Whether the modules that sampling needs are there, by the output of `kldstat -v` or `kldstat`."""
    words = set(re.findall(r"[\w/]+(?=\.ko\b)|\b(?:profile|dtraceall|dtrace)\b", kldstat))
    return "dtraceall" in words or {"dtrace", "profile"} <= words


def is_jailed(security_jail_jailed: str) -> bool:
    """By `sysctl -n security.jail.jailed`. In a jail there is no DTrace."""
    return security_jail_jailed.strip() == "1"
