"""The terminal, by pseudo-terminals."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dtrace_profiler.platforms.terminal import in_foreground, taken_over

pty = pytest.importorskip("pty", reason="not on Windows")
tty = pytest.importorskip("tty", reason="not on Windows")
pytestmark = pytest.mark.posix

SOURCE = Path(__file__).parents[2] / "src"


def test_only_its_foreground_has_a_terminal() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(SOURCE)!r})\n"
        "from dtrace_profiler.platforms.terminal import in_foreground\n"
        "print('terminal', in_foreground())"
    )
    pid, master = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", code])
    text = b""
    while b"\n" not in text:
        text += os.read(master, 1024)
    os.waitpid(pid, 0)
    os.close(master)
    assert text.strip() == b"terminal True"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, start_new_session=True)
    assert done.stdout.strip() == "terminal False"
    assert isinstance(in_foreground(), bool)


def test_who_is_in_the_foreground_is_asked_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same from inside: a terminal that is ours, another group's, gone; and none at all."""
    master, slave = pty.openpty()
    real = os.open
    monkeypatch.setattr(os, "open", lambda path, flags: real(os.ttyname(slave), flags))
    monkeypatch.setattr(os, "tcgetpgrp", lambda descriptor: os.getpgrp())
    assert in_foreground()
    monkeypatch.setattr(os, "tcgetpgrp", lambda descriptor: os.getpgrp() + 1)
    assert not in_foreground()

    def gone(descriptor: int) -> int:
        raise OSError(25, "Inappropriate ioctl for device")

    monkeypatch.setattr(os, "tcgetpgrp", gone)
    before = len(os.listdir("/dev/fd"))
    assert not in_foreground()
    assert len(os.listdir("/dev/fd")) == before, "it is closed again"

    def none(path: str, flags: int) -> int:
        raise OSError(6, "No such device or address")

    monkeypatch.setattr(os, "open", none)
    assert not in_foreground()
    monkeypatch.delattr(os, "tcgetpgrp")
    assert in_foreground(), "Windows' consoles tell all of their processes"
    os.close(slave)
    os.close(master)


def test_where_there_are_no_terminals_none_is_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "termios", None)
    assert not taken_over(0)


def test_taken_over() -> None:
    master, slave = pty.openpty()
    assert not taken_over(slave)
    tty.setraw(slave)
    assert taken_over(slave)
    os.close(slave)
    os.close(master)
    assert not taken_over(slave)
