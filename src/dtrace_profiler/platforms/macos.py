"""macOS: DTrace is part of the system, needs root, and System Integrity Protection (SIP) limits what it shows.

With SIP on, processes that Apple protects can't be sampled, nor can the kernel; all others can. Translated (Rosetta)
programs can't. Sources: xnu 11417 (macOS 15.4), dtrace-409, users' reports; see docs/platforms.md.
"""

from __future__ import annotations

import re

from dtrace_profiler.platforms.facts import SystemFacts

FACTS = SystemFacts(
    system="macos",
    title="macOS",
    directories=("/usr/sbin",),
    install="dtrace is part of macOS: look whether /usr/sbin/dtrace is there",
    # Its libdtrace keeps records in order by itself, and looks for output once a second unless told otherwise.
    options=("switchrate=10hz", "aggrate=10hz", "bufsize=4m", "aggsize=4m", "dynvarsize=16m"),
    root="root",
    page="install/macos.md",
)

_PROTECTED = ("/System/", "/usr/bin/", "/usr/sbin/", "/usr/libexec/", "/bin/", "/sbin/")
_NOT_PROTECTED = ("/usr/local/",)


def integrity_protection(csrutil_status: str) -> bool | None:
    """Whether SIP keeps DTrace from protected programs, by the answer of `csrutil status`. None: it doesn't say.

    A custom configuration lists what is off: `DTrace Restrictions: disabled` is what counts for us.
    """
    restrictions = re.search(r"DTrace Restrictions: (enabled|disabled)", csrutil_status)
    if restrictions:
        return restrictions[1] == "enabled"
    status = re.search(r"status: (enabled|disabled)", csrutil_status)
    return None if status is None else status[1] == "enabled"


def is_protected_program(path: str) -> bool:
    """Whether SIP protects an executable by its place. (Others may be protected by how they are signed.)"""
    return path.startswith(_PROTECTED) and not path.startswith(_NOT_PROTECTED)


def is_translated(proc_translated: str) -> bool | None:
    """Whether a process runs under Rosetta, by `sysctl -n sysctl.proc_translated`; None where that's unknown."""
    answer = proc_translated.strip()
    return {"0": False, "1": True}.get(answer)


def is_hardened(codesign: str) -> bool:
    """Whether a program is signed with the hardened runtime and without `get-task-allow`, by the answer of
    `codesign -d -v --entitlements - PROGRAM`: nobody but Apple's own debuggers may take hold of it."""
    return bool(re.search(r"flags=0x[0-9a-f]+\([^)]*runtime", codesign)) and "get-task-allow" not in codesign
