"""FreeBSD: kernel modules, jails."""

from __future__ import annotations

from collections.abc import Iterator

from dtrace_profiler.doctor.checks import Ask, Check
from dtrace_profiler.platforms import freebsd

_PAGE = freebsd.FACTS.page


def checks(ask: Ask) -> Iterator[Check]:
    if freebsd.is_jailed(ask(["sysctl", "-n", "security.jail.jailed"])):
        yield Check(
            "jail",
            False,
            "this is a jail, in which there is no DTrace",
            "run it on the host, with the process id that the host sees (ps -J JAIL)",
            "nothing can be sampled",
            f"{_PAGE}#jails",
        )
    yield (
        Check("modules", True, "loaded")
        if freebsd.modules_loaded(ask(["kldstat", "-v"]))
        else Check(
            "modules",
            None,
            "not loaded; dtrace loads them itself where it may",
            "sudo kldload dtraceall",
            "dtrace finds no device, or no profile probes",
            f"{_PAGE}#kernel-modules",
            fix=("kldload", "dtraceall"),
        )
    )
