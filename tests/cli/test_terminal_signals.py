"""Keys on a terminal, by a pseudo-terminal: Ctrl-C, the line of progress, and programs that own the screen."""

from __future__ import annotations

import os
import re
import select
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_runs import command

import fake_dtrace
from dtrace_profiler.platforms.base import system

pytestmark = pytest.mark.skipif(system() != "linux", reason="DTrace is run only on Linux as yet")
Fake = Callable[..., Path]


class Terminal:
    """Our command line on a terminal of its own."""

    def __init__(self, folder: Path, *arguments: object) -> None:
        import pty

        self.output = ""
        pid, self._master = pty.fork()
        if pid == 0:
            os.chdir(folder)
            os.execv(sys.executable, command(*arguments))
        self.pid = pid

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def until(self, pattern: str, timeout: float = 60) -> None:
        end = time.monotonic() + timeout
        while not re.search(pattern, self.output):
            assert time.monotonic() < end, self.output
            if not self._read(0.1) and not select.select([self._master], [], [], 0)[0]:
                continue

    def wait(self) -> int:
        """Its exit status, after all output."""
        while self._read(60):
            pass
        os.close(self._master)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def _read(self, timeout: float) -> bool:
        if not select.select([self._master], [], [], timeout)[0]:
            return False
        try:
            data = os.read(self._master, 4096)
        except OSError:  # the other end is closed
            return False
        self.output += data.decode(errors="replace")
        return bool(data)


def test_ctrl_c_reaches_the_program_once(fake: Fake, tmp_path: Path) -> None:
    fake(**fake_dtrace.SAMPLING)
    code = (
        "import signal, time, sys; count = [0]\n"
        "def got(*_): count[0] += 1\n"
        "signal.signal(signal.SIGINT, got); print('ready', flush=True)\n"
        "while not count[0]: time.sleep(0.01)\n"
        "time.sleep(0.7); print('got', count[0]); sys.exit(5)"
    )
    terminal = Terminal(tmp_path, "run", "-q", "-o", "out.folded", "--", sys.executable, "-c", code)
    terminal.until("ready")
    terminal.type(b"\x03")
    assert terminal.wait() == 5
    assert "got 1\r\n" in terminal.output
    assert (tmp_path / "out.folded").exists()


def test_ctrl_c_ends_an_ordinary_program_and_the_profile_is_written(fake: Fake, tmp_path: Path) -> None:
    fake(**fake_dtrace.SAMPLING)
    terminal = Terminal(tmp_path, "run", "-o", "out.folded", "--", "sh", "-c", "echo ready; exec sleep 60")
    terminal.until("ready")
    terminal.type(b"\x03")
    assert terminal.wait() == 130
    assert "out.folded" in terminal.output
    assert (tmp_path / "out.folded").exists()


def test_ctrl_backslash_is_the_programs(fake: Fake, tmp_path: Path) -> None:
    fake(**fake_dtrace.SAMPLING)
    code = "trap 'echo got; exit 6' QUIT; echo ready; while :; do sleep 0.05; done"
    terminal = Terminal(tmp_path, "run", "-q", "-o", "out.folded", "--", "bash", "-c", code)
    terminal.until("ready")
    terminal.type(b"\x1c")
    assert terminal.wait() == 6
    assert terminal.output.count("got") == 1


def test_progress(fake: Fake, tmp_path: Path) -> None:
    fake(**fake_dtrace.SAMPLING)
    terminal = Terminal(tmp_path, "attach", os.getpid(), "-o", "out.folded")
    terminal.until(r"\d+\.\d s  [1-9]\d* samples  nothing lost  \(Ctrl-C ends\)")
    terminal.type(b"\x03")
    assert terminal.wait() == 0
    after = terminal.output.rpartition("\x1b[K")[2]
    assert "samples of 1 thread" in after
    assert "out.folded" in after


def test_no_progress_over_a_program_that_owns_the_screen(fake: Fake, tmp_path: Path) -> None:
    fake(**fake_dtrace.SAMPLING)
    code = "import sys, time, tty; tty.setraw(1); print('raw', flush=True); time.sleep(1.5); print('end', flush=True)"
    terminal = Terminal(tmp_path, "run", "-o", "out.folded", "--", sys.executable, "-c", code)
    terminal.until("end")
    assert "samples" not in terminal.output.partition("raw")[2].partition("end")[0]
    assert terminal.wait() == 0
