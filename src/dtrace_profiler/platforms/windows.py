"""Windows: DTrace is a download (or part of Server 2025), must be switched on at boot, and needs an administrator.

Only 64-bit programs; `long` has 32 bits. dtrace is ended by Ctrl-Break, which its process group gets from us.
Sources: microsoft/DTrace-on-Windows, its documents and users' reports; see docs/platforms.md.
"""

from __future__ import annotations

import re

from dtrace_profiler.platforms.facts import SystemFacts

FACTS = SystemFacts(
    system="windows",
    title="Windows",
    directories=(r"%ProgramFiles%\DTrace", r"%SystemRoot%\System32"),
    install="install “DTrace on Windows”, then: bcdedit /set dtrace ON, and restart",
    options=("switchrate=10hz", "aggrate=10hz", "bufsize=4m", "aggsize=4m", "dynvarsize=16m"),
    is_descendant="",
    long_bytes=4,
    root="an administrator",
    page="install/windows.md",
)


def switched_on(bcdedit: str) -> bool | None:
    """Whether DTrace is on at boot, by `bcdedit /enum {current}`; None where that answered nothing of the kind.

    The value is translated on some systems; `No` in English. Nothing is listed where it was never set.
    """
    if not bcdedit.strip():
        return None
    line = re.search(r"^dtrace\s+(\S+)", bcdedit, re.MULTILINE | re.IGNORECASE)
    return line is not None and line[1].lower() not in ("no", "off", "false", "0")
