"""NetBSD: DTrace is in the base system; users report that it only works without its D libraries (`-x nolibs`)."""

from __future__ import annotations

from dtrace_profiler.platforms.facts import SystemFacts

FACTS = SystemFacts(
    system="netbsd",
    title="NetBSD",
    directories=("/usr/sbin",),
    install="sudo modload dtrace_profile",
    options=("nolibs", "switchrate=10hz", "aggrate=10hz", "bufsize=4m", "aggsize=4m", "dynvarsize=16m"),
    page="install/netbsd.md",
)
