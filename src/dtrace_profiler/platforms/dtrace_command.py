"""Where the `dtrace` command is, and whether it is DTrace at all.

In: the environment and the disk. Out: a `DTraceCommand`, or an error that says which of the three it is: nothing of
that name, another program of that name, or a DTrace too old for us. systemtap installs a Python script as
`/usr/bin/dtrace` that only makes header files; only DTrace answers `-V` with its version.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dtrace_profiler.errors import DTraceFailed, DTraceNotFound, DTraceTooOld, EngineError, NotDTrace
from dtrace_profiler.platforms.base import System, system
from dtrace_profiler.platforms.systems import facts

ENVIRONMENT_VARIABLE = "DTRACE_PROFILER_DTRACE"
"""Names the dtrace to use; no other is looked for then."""

VERSION_TIMEOUT_S = 10.0
"""The real one answers in 10 ms; a loaded machine or a network file system may need longer."""

_VERSION_LINE = re.compile(r"^dtrace: +(?:Sun |Oracle )?D +(\d+(?:\.\d+)*)", re.MULTILINE)
_ANSWER_BYTES = 65536


@dataclass(frozen=True, slots=True)
class DTraceCommand:
    """A command that answered `-V` as DTrace does, and is new enough."""

    path: str
    """Absolute."""
    version: tuple[int, ...]

    @property
    def version_text(self) -> str:
        return ".".join(map(str, self.version))


def find_dtrace(
    on: System | None = None, environ: Mapping[str, str] | None = None, *, timeout_s: float = VERSION_TIMEOUT_S
) -> DTraceCommand:
    """The dtrace to use on system `on` (default: this one).

    DTRACE_PROFILER_DTRACE if set, else the first real DTrace of PATH and the directories where the system keeps it:
    another program of the same name is passed over. Raises DTraceNotFound, NotDTrace, DTraceTooOld, or DTraceFailed
    for one that doesn't answer within `timeout_s`. Runs each candidate once with `-V`; answers are remembered by
    path and time of change.
    """
    on = system() if on is None else on
    environ = os.environ if environ is None else environ
    chosen = environ.get(ENVIRONMENT_VARIABLE, "")
    if chosen:
        path = shutil.which(chosen, path=environ.get("PATH", ""))
        if path is None:
            raise DTraceNotFound(
                f"{ENVIRONMENT_VARIABLE} names {chosen}, which is not there or can't be executed.",
                remedy=f"unset {ENVIRONMENT_VARIABLE}",
            )
        return _check(os.path.abspath(path), on, timeout_s)
    refused: list[EngineError] = []
    for path in candidates(on, environ):
        try:
            return _check(path, on, timeout_s)
        except EngineError as error:
            refused.append(error)
    if refused:
        # A DTrace that is too old, or doesn't answer, says more than a stranger of the same name.
        raise min(refused, key=lambda error: isinstance(error, NotDTrace))
    raise DTraceNotFound(
        "dtrace is not installed: it is neither in PATH nor in " + ", ".join(_directories(on, environ)) + ".",
        remedy=facts(on).install,
    )


def candidates(on: System, environ: Mapping[str, str]) -> Iterator[str]:
    """Absolute paths of executable files called dtrace, in the order of preference, each file once."""
    seen: set[str] = set()
    path = [entry for entry in environ.get("PATH", "").split(os.pathsep) if entry]
    for directory in (*path, *_directories(on, environ)):
        found = shutil.which("dtrace", path=directory)
        if found is None:
            continue
        found = os.path.abspath(found)
        real = os.path.realpath(found)
        if real not in seen:
            seen.add(real)
            yield found


def parse_version(answer: str) -> tuple[int, ...] | None:
    """The version in an answer to `dtrace -V`: `dtrace: D 2.0.7`, `dtrace:  D 2.0.3`, `dtrace: Sun D 1.13.1`.

    None for anything else.
    """
    match = _VERSION_LINE.search(answer)
    return None if match is None else tuple(int(part) for part in match[1].split("."))


def _directories(on: System, environ: Mapping[str, str]) -> list[str]:
    return [
        re.sub(r"%(\w+)%", lambda match: environ.get(match[1], match[0]), directory)
        for directory in facts(on).directories
    ]


_versions: dict[tuple[str, int, int], tuple[int, ...]] = {}


def _check(path: str, on: System, timeout_s: float) -> DTraceCommand:
    key = _identity(path)
    version = _versions.get(key)
    if version is None:
        answer = _ask_version(path, timeout_s)
        version = parse_version(answer)
        if version is None:
            raise NotDTrace(
                f"{path} is not DTrace but another program of that name{_who(answer)}.", remedy=facts(on).install
            )
        _versions[key] = version
    command = DTraceCommand(path, version)
    minimum = facts(on).minimum_version
    if version < minimum:
        raise DTraceTooOld(
            f"{path} is DTrace {command.version_text}: too old, {'.'.join(map(str, minimum))} or later is needed.",
            remedy=facts(on).install,
        )
    return command


def _identity(path: str) -> tuple[str, int, int]:
    try:
        facts = os.stat(path)
    except OSError:
        return path, 0, 0
    return path, facts.st_mtime_ns, facts.st_size


def _who(answer: str) -> str:
    """What gave itself away. systemtap's script prints its usage with -s File.d and -o File."""
    if "-s File.d" in answer:
        return ": systemtap's script, which only makes header files"
    return ""


def _ask_version(path: str, timeout_s: float) -> str:
    """Both outputs of `path -V`, at most 64 kB. Never waits longer than `timeout_s`, whatever the program does."""
    try:
        child = subprocess.Popen(
            [path, "-V"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise NotDTrace(f"{path} can't be executed: {error.strerror or error}.") from error
    stdout = child.stdout
    assert stdout is not None
    answer: list[bytes] = []
    # A thread, as Windows can't wait for a pipe with a time limit.
    reader = threading.Thread(target=lambda: answer.append(stdout.read(_ANSWER_BYTES)), daemon=True)
    reader.start()
    reader.join(timeout_s)
    silent = reader.is_alive()
    _kill(child)
    reader.join(1.0)
    if not reader.is_alive():
        stdout.close()
    if silent:
        raise DTraceFailed(f"{path} -V did not answer within {timeout_s:g} seconds.")
    return b"".join(answer).decode(errors="replace")


def _kill(child: subprocess.Popen[bytes]) -> None:
    """Ends a child that may have ended already, and what it has started (dtrace may be a shell script around it)."""
    killpg = getattr(os, "killpg", None)
    with contextlib.suppress(OSError):
        if killpg is not None:
            killpg(child.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
        else:
            child.kill()
    child.wait()
