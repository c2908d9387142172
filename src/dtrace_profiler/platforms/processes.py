"""Small questions about processes, answered from procfs where there is one."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from typing import Any

from dtrace_profiler.platforms.base import system

_os: Any = os
"""For what Windows lacks."""


def process_exists(pid: int, *, proc: str = "/proc") -> bool:
    """Whether a process runs: a zombie has ended."""
    try:
        with open(f"{proc}/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X", b"x")
    except (FileNotFoundError, ProcessLookupError):
        return os.path.isdir(proc + "/self") is False and _answers_signals(pid)
    except (OSError, IndexError):
        return _answers_signals(pid)


def cpu_seconds(pid: int, *, proc: str = "/proc") -> float | None:
    """CPU time that a process has used, all threads together; None where that can't be told."""
    try:
        with open(f"{proc}/{pid}/stat", "rb") as file:
            user, system_time = file.read().rpartition(b")")[2].split()[11:13]
        return (int(user) + int(system_time)) / float(_os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError):
        return None


def _answers_signals(pid: int) -> bool:
    if system() == "windows":
        return True  # there, signal 0 ends a process; whoever opens it will be told
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # it exists, but belongs to another user
    return True


def thread_name(pid: int, thread_id: int, *, proc: str = "/proc") -> str:
    """The name the system knows a thread by; empty where it has ended or none is known."""
    try:
        with open(f"{proc}/{pid}/task/{thread_id}/comm", "rb") as file:
            return file.read().rstrip(b"\n").decode("utf-8", "replace")
    except OSError:
        return ""


def command_line(pid: int, *, proc: str = "/proc") -> str:
    """The command as it could be typed, at most 500 characters; empty where it can't be read."""
    return shlex.join(arguments(pid, proc=proc))[:500]


def arguments(pid: int, *, proc: str = "/proc") -> list[str]:
    """The command and its arguments, up to 8 kB; empty where they can't be read."""
    try:
        with open(f"{proc}/{pid}/cmdline", "rb") as file:
            data = file.read(8192)
    except OSError:
        return []
    return [word.decode("utf-8", "replace") for word in data.removesuffix(b"\0").split(b"\0")] if data else []


def working_directory(pid: int, *, proc: str = "/proc") -> str:
    """Where a process stands, as itself sees it; empty where that can't be read."""
    try:
        return os.readlink(f"{proc}/{pid}/cwd")
    except OSError:
        return ""


def children(pid: int, *, proc: str = "/proc") -> list[int]:
    """The processes that this one's threads have started and that are still theirs."""
    out: list[int] = []
    try:
        tasks = os.listdir(f"{proc}/{pid}/task")
    except OSError:
        return out
    for task in tasks:
        try:
            with open(f"{proc}/{pid}/task/{task}/children", "rb") as file:
                out += [int(word) for word in file.read().split()]
        except (OSError, ValueError):
            continue
    return out


def descendants(pid: int, *, proc: str = "/proc") -> Iterator[int]:
    """All processes below this one, parents before their children."""
    waiting, seen = [pid], {pid}
    while waiting:
        for child in children(waiting.pop(0), proc=proc):
            if child not in seen:
                seen.add(child)
                waiting.append(child)
                yield child
