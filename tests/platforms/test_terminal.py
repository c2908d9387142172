"""The terminal, by pseudo-terminals."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import tty
from pathlib import Path

from dtrace_profiler.platforms.terminal import in_foreground, taken_over

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


def test_taken_over() -> None:
    master, slave = pty.openpty()
    assert not taken_over(slave)
    tty.setraw(slave)
    assert taken_over(slave)
    os.close(slave)
    os.close(master)
    assert not taken_over(slave)
