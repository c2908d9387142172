"""`doctor`: whether DTrace can be used here, and if not, what to do: each fact looked at, then a real trial.

The facts are a list of checks; what is printed, as text or JSON, is a function of that list.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import click

from dtrace_profiler._version import __version__
from dtrace_profiler.errors import DTraceProfilerError, EngineError, PrivilegeError
from dtrace_profiler.platforms import linux
from dtrace_profiler.platforms.base import is_superuser, system
from dtrace_profiler.platforms.dtrace_command import MINIMUM_VERSION, find_dtrace
from dtrace_profiler.platforms.terminal import in_foreground
from dtrace_profiler.privilege import elevation
from dtrace_profiler.profiler import DTraceProfiler

TRIAL_TIMEOUT_S = 30.0
_RECOMMENDED = (2, 0, 7)
"""Earlier ones have CVE-2026-21991, CVE-2026-21996 or CVE-2026-35233."""


@dataclass(frozen=True, slots=True)
class Check:
    """One fact. `ok` None: good to know, but nothing stands or falls with it."""

    name: str
    ok: bool | None
    text: str
    remedy: str = ""


def doctor(*, as_json: bool) -> int:
    """Prints the findings on stdout. Returns 0 if DTrace can be used, else the exit status of an EngineError."""
    checks = list(examine())
    usable = all(check.ok is not False for check in checks)
    reason = next((f"{check.name}: {check.text}" for check in checks if check.ok is False), "")
    engine = "dtrace" if usable else "sampler"
    if as_json:
        found = {
            "version": __version__,
            "usable": usable,
            "engine": engine,
            "reason": reason,
            "checks": [asdict(check) for check in checks],
        }
        click.echo(json.dumps(found, indent=2))
    else:
        for check in checks:
            click.echo(f"{_mark(check.ok)} {check.name:<12} {check.text}")
            if check.remedy and check.ok is not True:
                click.echo(f"{'':17}try: {check.remedy}")
        click.echo()
        if usable:
            click.echo("DTrace can be used: run and attach sample with it.")
        else:
            click.echo("DTrace can't be used. run samples Python programs from inside; attach can't sample.")
    return 0 if usable else EngineError.exit_status


def _mark(ok: bool | None) -> str:
    return {True: "ok  ", False: "FAIL", None: "    "}[ok]


def examine() -> Iterator[Check]:
    """All checks, the trial last and only if nothing stands against it."""
    here = system()
    uname = platform.uname()
    supported = here == "linux"
    yield Check(
        "system",
        supported,
        f"{uname.system} {uname.release} {uname.machine}, Python {platform.python_version()}"
        + ("" if supported else ": DTrace is not supported here yet"),
    )
    good = supported
    for look in (_dtrace, _privilege):
        check = look()
        good = good and check.ok is not False
        yield check
    if here == "linux":
        for check in _kernel():
            good = good and check.ok is not False
            yield check
    yield _libraries()
    if good:
        yield _trial()


def _dtrace() -> Check:
    try:
        command = find_dtrace()
    except DTraceProfilerError as error:
        return Check("dtrace", False, str(error), error.remedy)
    text = f"{command.path}, version {command.version_text}"
    if system() in MINIMUM_VERSION and command.version < _RECOMMENDED:
        return Check("dtrace", None, f"{text}: works, but has known holes", "install DTrace 2.0.7 or later")
    return Check("dtrace", True, text)


def _privilege() -> Check:
    if is_superuser():
        return Check("privilege", True, "root")
    try:
        prefix = elevation(interactive=False)
    except PrivilegeError as error:
        if "password" in str(error) and in_foreground():
            return Check("privilege", None, "sudo, which will ask for your password; DTrace alone gets root")
        return Check("privilege", False, str(error), error.remedy)
    return Check("privilege", True, f"{' '.join(prefix)}, for DTrace alone" if prefix else "none needed")


def _kernel() -> Iterator[Check]:
    missing = linux.missing_capabilities() if is_superuser() else []
    if missing:
        yield Check(
            "capabilities",
            False,
            f"this root lacks {', '.join(missing)}, as in a container",
            "start the container with --cap-add " + ",".join(name.removeprefix("CAP_") for name in missing),
        )
    yield (
        Check("tracefs", True, "mounted")
        if linux.tracefs_mounted()
        else Check("tracefs", False, "not mounted", "sudo mount -t tracefs tracefs /sys/kernel/tracing")
    )
    yield (
        Check("BTF", True, "the kernel describes its types")
        if linux.has_type_information()
        else Check("BTF", False, "the kernel does not describe its types", "a kernel with CONFIG_DEBUG_INFO_BTF=y")
    )
    lockdown = linux.lockdown()
    if lockdown == "confidentiality":
        yield Check("lockdown", False, "confidentiality: BPF may not read memory", "boot with lockdown=integrity")
    elif lockdown:
        yield Check("lockdown", True, lockdown)
    frames = linux.perf_event_max_stack()
    yield Check("stack depth", None, f"{frames} native frames (kernel.perf_event_max_stack)")
    if not is_superuser() and (scope := linux.ptrace_scope()) > 1:
        yield Check(
            "ptrace_scope",
            None,
            f"{scope}: without root no process's memory may be read, so Python frames will be missing",
            "sudo sysctl kernel.yama.ptrace_scope=1",
        )


def _libraries() -> Check:
    names = {"symbolic": "symbols", "multi_demangle": "symbols", "numpy": "numpy"}
    there = [name for name in names if importlib.util.find_spec(name) is not None]
    lacking = sorted({extra for name, extra in names.items() if name not in there})
    return Check(
        "libraries",
        None,
        ", ".join(there) or "none of the optional ones",
        f"pip install 'dtrace-profiler[{','.join(lacking)}]'" if lacking else "",
    )


def _trial(profiler: Callable[[], DTraceProfiler] = lambda: DTraceProfiler(engine="dtrace")) -> Check:
    """Samples ourselves at work until a sample comes."""
    began = time.monotonic()
    sampler = profiler()
    try:
        sampler.start(997)
        if not sampler.wait_ready(TRIAL_TIMEOUT_S):
            return Check("trial", False, f"dtrace was not ready within {TRIAL_TIMEOUT_S:g} s", "try again when idle")
        ready = time.monotonic() - began
        end = time.monotonic() + 5.0
        while not sampler.sample_count and time.monotonic() < end:
            sum(range(100_000))
        if not sampler.sample_count:
            return Check("trial", False, "dtrace ran, but took no sample of a busy process in 5 s", _DEBUG)
    except DTraceProfilerError as error:
        return Check("trial", False, str(error), error.remedy)
    finally:
        sampler.stop()
    return Check("trial", True, f"DTrace sampled process {os.getpid()}; it was ready after {ready:.1f} s")


_DEBUG = "please report this, with the output of: dtrace-profiler doctor --json"
