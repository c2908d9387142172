"""dtrace as a child on Windows, played: flags of its creation, Ctrl-Break, the job that ends it with us.

The child is a real process of this system. What only Windows has (`creationflags`, `CTRL_BREAK_EVENT`, kernel32) is
recorded, and a signal takes the place of Ctrl-Break.
"""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from dtrace_profiler.platforms.base import system
from dtrace_profiler.record import session as session_module
from dtrace_profiler.record import windows_child
from dtrace_profiler.record.session import Session, SessionCommand

pytestmark = pytest.mark.skipif(system() == "windows", reason="plays Windows with signals")

BREAK = signal.SIGTERM
POLITE = """
import os, signal, time
def end(number, frame):
    os.write(1, b"the last samples\\n")
    os._exit(7)
signal.signal(signal.SIGTERM, end)
os.write(2, b"a notice")
os.write(1, b"ready\\n")
while True: time.sleep(0.05)
"""
IMPATIENT = """
import os, signal, time
got = []
signal.signal(signal.SIGTERM, lambda number, frame: got.append(number))
os.write(1, b"ready\\n")
while not got: time.sleep(0.01)
time.sleep(0.3)
os.write(1, b"got %d\\n" % len(got))
"""
DEAF = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.write(1, b"ready\\n")
while True: time.sleep(0.05)
"""


class Kernel32:
    """`job`: the handle of the new job, 0 where none can be made."""

    def __init__(self, job: int = 0x44) -> None:
        self.job = job
        self.flags = 0
        self.size = 0
        self.contained: list[tuple[int, int]] = []

    def CreateJobObjectW(self, attributes: None, name: None) -> int:
        return self.job

    def SetInformationJobObject(self, job: ctypes.c_void_p, kind: int, limits: Any, size: int) -> int:
        assert (job.value, kind) == (self.job, 9)
        self.flags, self.size = limits._obj.limit_flags, size
        return 1

    def AssignProcessToJobObject(self, job: ctypes.c_void_p, process: ctypes.c_void_p) -> int:
        self.contained.append((job.value or 0, process.value or 0))
        return 1


class Run:
    """A session of a played Windows, and what it did."""

    def __init__(self, code: str, *, grace_s: float = 30.0) -> None:
        self.output, self.errors = b"", b""
        self.statuses: list[int] = []
        self.ready = threading.Event()
        command = SessionCommand(dtrace=sys.executable, arguments=["-c", code], elevation=["sudo"], grace_s=grace_s)
        self.session = Session(command, on_output=self._take, on_errors=self._take_error, on_end=self.statuses.append)

    def _take(self, data: bytes) -> None:
        self.output += data
        self.ready.set()

    def _take_error(self, data: bytes) -> None:
        self.errors += data

    def begin(self) -> Session:
        self.session.start()
        assert self.ready.wait(60)
        return self.session


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """`flags` and `commands` of the processes that were created, `kernel32`, and the signals `sent`."""
    real = subprocess.Popen
    seen = SimpleNamespace(flags=[], commands=[], kernel32=Kernel32(), sent=[])

    class Popen(real):  # type: ignore[type-arg,misc]
        def __init__(self, command: Any, *, creationflags: int, **options: Any) -> None:
            seen.flags.append(creationflags)
            seen.commands.append(command)
            assert options["stdin"] == subprocess.DEVNULL
            assert not options.get("shell")
            super().__init__(command, **options)
            self._handle = 0x1234

        def send_signal(self, number: int) -> None:
            seen.sent.append(number)
            super().send_signal(number)

    monkeypatch.setattr(windows_child.subprocess, "Popen", Popen)
    monkeypatch.setattr(signal, "CTRL_BREAK_EVENT", BREAK, raising=False)
    monkeypatch.setattr(ctypes, "WinDLL", lambda name: seen.kernel32, raising=False)
    monkeypatch.setattr(session_module, "system", lambda: "windows")
    return seen


def test_it_has_a_group_of_its_own_no_shell_and_a_job_that_ends_it_with_us(windows: SimpleNamespace) -> None:
    run = Run(POLITE)
    run.begin().kill()
    assert run.session.wait(60)
    assert windows.flags == [0x200]
    assert windows.commands == [[sys.executable, "-c", POLITE]], "neither a shell nor sudo"
    assert windows.kernel32.flags == 0x2000
    assert windows.kernel32.contained == [(0x44, 0x1234)]


def test_the_limits_are_laid_out_as_the_system_has_them() -> None:
    limits = windows_child._ExtendedLimits
    assert (limits.limit_flags.offset, limits.affinity.offset, limits.io_counters.offset) == (16, 48, 64)
    assert ctypes.sizeof(limits) == 144


def test_without_a_job_it_runs_all_the_same(windows: SimpleNamespace) -> None:
    windows.kernel32.job = 0
    run = Run(POLITE)
    run.begin().stop()
    assert run.session.wait(60)
    assert windows.kernel32.contained == []
    assert run.statuses == [7]


def test_ctrl_break_ends_it_and_its_last_output_comes(windows: SimpleNamespace) -> None:
    run = Run(POLITE)
    run.begin().stop()
    assert run.session.wait(60)
    assert windows.sent == [BREAK]
    assert (run.output, run.errors) == (b"ready\nthe last samples\n", b"a notice")
    assert run.statuses == [7]
    run.session.stop()
    run.session.kill()
    assert windows.sent == [BREAK], "nothing is sent to one that has ended"


def test_asked_twice_it_is_interrupted_once(windows: SimpleNamespace) -> None:
    """The second Ctrl-Break makes dtrace leave without its last samples."""
    run = Run(IMPATIENT)
    run.begin().stop(told=True)
    run.session.stop()
    run.session.stop()
    assert run.session.wait(60)
    assert run.output == b"ready\ngot 1\n"
    assert windows.sent == [BREAK]


def test_one_that_does_not_end_is_killed_when_its_grace_is_over(windows: SimpleNamespace) -> None:
    run = Run(DEAF, grace_s=0.1)
    run.begin().stop()
    assert run.session.wait(60)
    assert run.statuses == [-signal.SIGKILL]


def test_one_that_ends_in_this_moment_is_no_error(windows: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(process: object) -> None:
        raise PermissionError(5, "Access is denied")

    run = Run(POLITE)
    run.session.stop()  # not begun
    monkeypatch.setattr(windows_child, "interrupt", gone)
    run.begin().stop()
    run.session.kill()
    assert run.session.wait(60)
    assert run.statuses == [-signal.SIGKILL]


def test_one_that_can_not_be_started_is_an_os_error(windows: SimpleNamespace, tmp_path: Any) -> None:
    session = Session(
        SessionCommand(dtrace=str(tmp_path / "dtrace.exe"), arguments=[]),
        on_output=lambda data: None,
        on_errors=lambda data: None,
        on_end=lambda status: None,
    )
    with pytest.raises(FileNotFoundError):
        session.start()
    assert session.process_id == 0
