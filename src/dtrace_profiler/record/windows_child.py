"""dtrace as a child process on Windows, where there are no shells and signals to watch over it.

It gets a process group of its own, so that Ctrl-Break can be sent to it alone: that ends it as SIGINT does elsewhere,
with its last output. And it is put into a job that ends what is in it when we are gone, however that happens.
Written by the documents (docs/platforms.md), never run by us on Windows.
"""

from __future__ import annotations

import ctypes
import signal
import subprocess
from collections.abc import Sequence
from typing import Any

_CREATE_NEW_PROCESS_GROUP = 0x200
_LIMIT_KILL_ON_CLOSE = 0x2000
_EXTENDED_LIMIT_INFORMATION = 9


class _ExtendedLimits(ctypes.Structure):
    """JOBOBJECT_EXTENDED_LIMIT_INFORMATION, of which one field is used."""

    _fields_ = (
        ("times", ctypes.c_int64 * 2),
        ("limit_flags", ctypes.c_uint32),
        ("working_set", ctypes.c_size_t * 2),
        ("active_processes", ctypes.c_uint32),
        ("affinity", ctypes.c_size_t),
        ("classes", ctypes.c_uint32 * 2),
        ("io_counters", ctypes.c_uint64 * 6),
        ("memory", ctypes.c_size_t * 4),
    )


def start(command: Sequence[str], kernel32: Any = None) -> subprocess.Popen[bytes]:
    """Raises OSError where it can't be started. That it can't be put into a job is no reason not to."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        creationflags=_CREATE_NEW_PROCESS_GROUP,
    )
    handle = getattr(process, "_handle", None)
    if handle is not None:
        _contain(int(handle), kernel32 or ctypes.WinDLL("kernel32"))  # type: ignore[attr-defined,unused-ignore]
    return process


def _contain(process: int, kernel32: Any) -> None:
    job = kernel32.CreateJobObjectW(None, None)
    if not job:
        return
    limits = _ExtendedLimits(limit_flags=_LIMIT_KILL_ON_CLOSE)
    kernel32.SetInformationJobObject(
        ctypes.c_void_p(job), _EXTENDED_LIMIT_INFORMATION, ctypes.byref(limits), ctypes.sizeof(limits)
    )
    # The job's handle is never closed by us: the system does so when we end, and with it ends what is in the job.
    kernel32.AssignProcessToJobObject(ctypes.c_void_p(job), ctypes.c_void_p(process))


def interrupt(process: subprocess.Popen[bytes]) -> None:
    """As SIGINT: its last output comes, then it ends."""
    process.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGINT))
