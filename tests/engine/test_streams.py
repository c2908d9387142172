"""What dtrace may do to its two pipes, and how its shell ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from engine_runs import Fake, dtrace_is_gone, profiler_of, until

import fake_dtrace
from dtrace_profiler.platforms.base import is_superuser, system
from dtrace_profiler.platforms.processes import descendants
from dtrace_profiler.record.session import Session, SessionCommand

pytestmark = pytest.mark.skipif(system() != "linux" or not is_superuser(), reason="runs dtrace as root, on Linux")


def test_one_that_closes_its_output_and_lives_on(fake: Fake, target: int) -> None:
    """Nothing more can come of it: it is ended, and that is told."""
    path = fake(**{**fake_dtrace.SAMPLING, "closes_stdout": True})
    profiler = profiler_of(target)
    profiler.start(99)
    until(lambda: profiler.error)
    assert not profiler.running
    assert str(profiler.error).startswith("dtrace ")
    dtrace_is_gone(path)
    profiler.stop()


def test_a_line_of_errors_that_never_ends_takes_no_memory(fake: Fake, target: int) -> None:
    fake(**{**fake_dtrace.SAMPLING, "error_bytes": 60_000_000})
    profiler = profiler_of(target)
    tracemalloc.start()
    try:
        profiler.start(99)
        until(lambda: profiler.sample_count > 5)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    profiler.stop()
    assert peak < 20_000_000
    assert profiler.error is None


def test_a_long_text_of_errors_is_told_in_short(fake: Fake, target: int) -> None:
    fake(stderr="dtrace: something is odd\n" * 4_000, status=1)
    profiler = profiler_of(target)
    profiler.start(99)
    until(lambda: profiler.error)
    assert "something is odd" in str(profiler.error)
    assert len(str(profiler.error)) < 1000
    profiler.stop()


class Ran:
    """A session and all it said."""

    def __init__(self, dtrace: Path, grace_s: float) -> None:
        self.output = b""
        self.errors = b""
        self.statuses: list[int] = []
        self.dtrace = dtrace
        self.session = Session(
            SessionCommand(dtrace=str(dtrace), arguments=[], grace_s=grace_s),
            on_output=self._out,
            on_errors=self._err,
            on_end=self.statuses.append,
        )
        self.session.start()

    def _out(self, data: bytes) -> None:
        self.output += data

    def _err(self, data: bytes) -> None:
        self.errors += data

    def processes(self) -> list[int]:
        """The shell, dtrace and who watches."""
        return [self.session.process_id, *descendants(self.session.process_id)]

    def is_gone(self) -> bool:
        """Whether no process has the path of this dtrace on its command line."""
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if file.parent.name != str(os.getpid()) and os.fsencode(self.dtrace) in file.read_bytes():
                    return False
            except OSError:
                continue
        return True


BEGUN = {"stdout": "begun\n", "last_stdout": "last words\n"}


@pytest.mark.parametrize("then", ["wait", "ignore"])
@pytest.mark.parametrize("end", [Session.stop, Session.kill])
def test_nothing_is_left_of_a_session(fake: Fake, then: str, end: Callable[[Session], None]) -> None:
    ran = Ran(fake(**BEGUN, then=then), 0.3)
    until(lambda: ran.output)
    assert len(ran.processes()) >= 3
    end(ran.session)
    end(ran.session)
    assert ran.session.wait(60)
    until(ran.is_gone)
    (status,) = ran.statuses
    polite = then == "wait" and end is Session.stop
    assert status == (0 if polite else 128 + signal.SIGKILL)
    assert ran.output == b"begun\n" + b"last words\n" * polite
    assert not any(thread.is_alive() for thread in ran.session.threads)
    end(ran.session)  # nobody is there to hear it


def test_who_would_have_killed_it_does_not_wait_for_a_process_of_the_same_number(fake: Fake) -> None:
    """When dtrace has ended in time its number is free for others."""
    ran = Ran(fake(**BEGUN, then="wait"), grace_s=30)
    until(lambda: ran.output)
    ran.session.stop()
    assert ran.session.wait(60)
    until(ran.is_gone, within_s=20)


def test_one_that_is_asked_to_stop_can_still_be_killed(fake: Fake) -> None:
    ran = Ran(fake(**BEGUN, then="ignore"), 600)
    until(lambda: ran.output)
    ran.session.stop()
    assert not ran.session.wait(0.2)
    ran.session.kill()
    assert ran.session.wait(60)


def test_a_shell_that_was_killed_takes_no_dtrace_along(fake: Fake) -> None:
    """The one who watches is still there, and does as told."""
    ran = Ran(fake(**BEGUN, then="wait"), 10)
    until(lambda: ran.output)
    os.kill(ran.session.process_id, signal.SIGKILL)
    ran.session.stop()
    assert ran.session.wait(60)
    until(ran.is_gone)
    assert ran.output == b"begun\nlast words\n"


def test_one_that_can_not_be_executed(tmp_path: Path) -> None:
    dtrace = tmp_path / "dtrace"
    dtrace.write_text("")
    ran = Ran(dtrace, 1)
    assert ran.session.wait(60)
    assert ran.statuses == [126]
    assert b"ermission denied" in ran.errors


def test_no_descriptor_of_ours_reaches_dtrace(tmp_path: Path) -> None:
    dtrace = tmp_path / "dtrace"
    dtrace.write_text("#!/bin/sh\nls -l /proc/$$/fd\n")
    dtrace.chmod(0o755)
    with open(os.devnull, "rb") as file:
        os.set_inheritable(file.fileno(), True)
        ran = Ran(dtrace, 1)
        assert ran.session.wait(60)
    # Its three streams, the script itself (whose number the shell chooses), and nothing of the pipe that ends it.
    opened = {line.split()[-3]: line.split()[-1] for line in ran.output.decode().splitlines() if "->" in line}
    assert opened.pop("0") == "/dev/null"
    assert opened.pop("1").startswith("pipe:")
    assert opened.pop("2").startswith("pipe:")
    assert list(opened.values()) == [str(dtrace)]


def pipes(pid: int) -> set[str]:
    opened = (os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd"))
    return {path for path in opened if path.startswith("pipe:")}


def test_a_program_of_ours_that_is_started_meanwhile_keeps_no_pipe_open(fake: Fake) -> None:
    """It would keep dtrace alive when we are killed."""
    ran = Ran(fake(**BEGUN, then="wait"), 1)
    until(lambda: ran.output)
    with subprocess.Popen(["sleep", "600"], close_fds=False) as other:
        theirs = pipes(other.pid)
        other.kill()
    assert pipes(ran.session.process_id)
    assert not pipes(ran.session.process_id) & theirs
    ran.session.stop()
    assert ran.session.wait(60)
