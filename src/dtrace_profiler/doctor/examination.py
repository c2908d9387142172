"""All checks in the order in which they are worth mending."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from dtrace_profiler.doctor import (
    common_checks,
    freebsd_checks,
    illumos_checks,
    linux_checks,
    macos_checks,
    target_checks,
    windows_checks,
)
from dtrace_profiler.doctor.checks import Ask, Check, ask
from dtrace_profiler.doctor.trial import trial
from dtrace_profiler.platforms.base import System, system

OF_SYSTEM: Mapping[System, Callable[[Ask], Iterator[Check]]] = {
    "linux": linux_checks.checks,
    "macos": macos_checks.checks,
    "freebsd": freebsd_checks.checks,
    "illumos": illumos_checks.checks,
    "windows": windows_checks.checks,
}


def examine(pid: int | None = None, *, on: System | None = None, asking: Ask = ask) -> Iterator[Check]:
    """Facts first, of a process too where `pid` says one; the trial last, and only if nothing stands against it."""
    on = system() if on is None else on
    good = True
    for check in _facts(pid, on, asking):
        good = good and check.ok is not False
        yield check
    if good:
        yield trial()


def _facts(pid: int | None, on: System, asking: Ask) -> Iterator[Check]:
    yield from common_checks.checks(on)
    if on in OF_SYSTEM:
        yield from OF_SYSTEM[on](asking)
    if pid is not None:
        yield from target_checks.checks(pid, on)
