"""The facts of each system, by its name."""

from __future__ import annotations

from collections.abc import Mapping

from dtrace_profiler.platforms import freebsd, illumos, linux, macos, netbsd, windows
from dtrace_profiler.platforms.base import System, system
from dtrace_profiler.platforms.facts import SystemFacts

SYSTEMS: Mapping[System, SystemFacts] = {
    module.FACTS.system: module.FACTS for module in (linux, macos, freebsd, netbsd, illumos, windows)
}

_OTHER = SystemFacts(
    system="other",
    title="this system",
    directories=("/usr/sbin", "/usr/local/sbin"),
    options=("switchrate=10hz", "aggrate=10hz"),
    page="platforms.md",
)


def facts(on: System | None = None) -> SystemFacts:
    """Of a system, or the running one. One that is not known is taken for a descendant of Solaris."""
    return SYSTEMS.get(system() if on is None else on, _OTHER)
