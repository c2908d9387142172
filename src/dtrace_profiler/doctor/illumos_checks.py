"""illumos: privileges instead of root."""

from __future__ import annotations

import os
from collections.abc import Iterator

from dtrace_profiler.doctor.checks import Ask, Check
from dtrace_profiler.platforms import illumos
from dtrace_profiler.platforms.base import is_superuser

_PAGE = illumos.FACTS.page


def checks(ask: Ask) -> Iterator[Check]:
    if is_superuser():
        return
    missing = illumos.missing_privileges(ask(["ppriv", str(os.getpid())]))
    yield (
        Check("privileges", True, "dtrace_user and dtrace_proc: own processes can be sampled without root")
        if not missing
        else Check(
            "privileges",
            None,
            f"this user lacks {', '.join(missing)}",
            "sudo usermod -K defaultpriv=basic,dtrace_user,dtrace_proc USER   (then log in again)",
            "dtrace needs root",
            f"{_PAGE}#privileges",
        )
    )
