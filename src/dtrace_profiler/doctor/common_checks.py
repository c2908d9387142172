"""Every system: what it is, which dtrace there is, the right to run it, and our optional libraries."""

from __future__ import annotations

import importlib.util
import os
import platform
from collections.abc import Iterator

from dtrace_profiler.doctor.checks import Check
from dtrace_profiler.errors import DTraceProfilerError, PrivilegeError
from dtrace_profiler.platforms.base import System, is_superuser
from dtrace_profiler.platforms.dtrace_command import ENVIRONMENT_VARIABLE, find_dtrace
from dtrace_profiler.platforms.systems import facts
from dtrace_profiler.platforms.terminal import in_foreground
from dtrace_profiler.privilege import elevation

_EXTRAS = {"symbolic": "symbols", "multi_demangle": "symbols", "numpy": "numpy", "textual": "tui"}
"""Library → the extra that brings it."""


def checks(on: System) -> Iterator[Check]:
    uname = platform.uname()
    known = facts(on)
    yield Check(
        "system",
        on != "other",
        f"{uname.system} {uname.release} {uname.machine}, Python {platform.python_version()}"
        + ("" if on == "linux" else ": DTrace has not been tried here by us"),
        cost="" if on != "other" else "there is no DTrace for this system",
        page="" if on == "linux" else "platforms.md#assumptions",
    )
    yield _dtrace(on)
    if on != "windows":
        # There nothing can be had by asking: whether we are an administrator is among the system's own checks.
        yield _privilege(known.root, known.page)
    yield _libraries()


def _dtrace(on: System) -> Check:
    page = facts(on).page
    try:
        command = find_dtrace(on)
    except DTraceProfilerError as error:
        return Check("dtrace", False, str(error), error.remedy, "Python programs are sampled from inside only", page)
    text = f"{command.path}, version {command.version_text}"
    if os.environ.get(ENVIRONMENT_VARIABLE):
        text += f", as {ENVIRONMENT_VARIABLE} says"
    if command.version < facts(on).safe_version:
        safe = ".".join(map(str, facts(on).safe_version))
        return Check("dtrace", None, text, f"install DTrace {safe} or later", "it has known holes", page)
    return Check("dtrace", True, text)


def _privilege(root: str, page: str) -> Check:
    if is_superuser():
        return Check("privilege", True, root)
    try:
        prefix = elevation(interactive=False)
    except PrivilegeError as error:
        if "password" in str(error) and in_foreground():
            return Check("privilege", None, "sudo, which will ask for your password; DTrace alone gets root")
        return Check("privilege", False, str(error), error.remedy, "dtrace refuses to begin", page)
    return Check("privilege", True, f"{' '.join(prefix)}, for DTrace alone" if prefix else "none needed")


def _libraries() -> Check:
    there = [name for name in _EXTRAS if importlib.util.find_spec(name) is not None]
    lacking = list(dict.fromkeys(extra for name, extra in _EXTRAS.items() if name not in there))
    costs = {
        "symbols": "source lines and inlined functions of native code",
        "numpy": "speed with millions of stacks",
        "tui": "the view in the terminal",
    }
    return Check(
        "libraries",
        None,
        ", ".join(there) or "none of the optional ones",
        f"pip install 'dtrace-profiler[{','.join(lacking)}]'" if lacking else "",
        "; ".join(costs[extra] for extra in lacking),
    )
