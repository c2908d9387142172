"""What a program prints while the view is up: nothing is lost, nothing waits, the order stays."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dtrace_profiler.launch import start_held
from dtrace_profiler.terminal.printed import Printed

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def run(code: str, given: bytearray, *, captured: tuple[int, ...] = (1, 2), through_first: bool = False) -> Printed:
    """The program to its end, as `run --tui` starts it."""
    printed = Printed(captured, takes_stdin=True, put=given.extend)
    target = start_held([sys.executable, "-c", code], streams=printed.streams)
    printed.started()
    if through_first:
        printed.let_through()
    target.release()
    assert target.wait(60) == 0
    return printed


def test_it_comes_when_the_view_closes_in_the_order_in_which_it_was_printed() -> None:
    given = bytearray()
    printed = run(
        "import sys\n"
        "for number in range(100):\n"
        "    print(number, file=sys.stderr if number % 2 else sys.stdout)\n"
        "print(sys.stdout.isatty(), sys.stdin.read() == '')",
        given,
    )
    assert given == b""
    printed.close()
    assert given.decode() == "".join(f"{number}\n" for number in range(100)) + "True True\n"
    printed.close()


def test_ten_megabytes_hold_up_nobody() -> None:
    given = bytearray()
    run("import sys; sys.stdout.write('x' * 10_000_000)", given).close()
    assert len(given) == 10_000_000


def test_after_the_view_it_goes_straight_to_the_terminal() -> None:
    given = bytearray()
    run("print('late')", given, through_first=True).close()
    assert given == b"late\n"


def test_lines_are_given_whole_and_what_is_no_line_a_moment_later() -> None:
    """What we draw ourselves goes over a line that was begun."""
    given: list[bytes] = []
    printed = Printed((1, 2), takes_stdin=False, put=given.append)
    write = os.dup(printed.streams[1])
    printed.started()
    os.write(write, b"step 1\nste")
    while len(printed.tail()) < 2:
        time.sleep(0.01)
    printed.let_through()
    os.write(write, b"p 2\nprompt? ")
    while not given or given[-1] != b"prompt? ":
        time.sleep(0.01)
    os.close(write)
    printed.close()
    assert b"".join(given) == b"step 1\nstep 2\nprompt? "
    assert given[0] == b"step 1\n"


def test_the_last_lines() -> None:
    given = bytearray()
    printed = run("print('first'); print('1%\\r100%'); print('\\x1b[1mlast')", given)
    try:
        for _ in range(1000):
            if len(lines := printed.tail()) == 4:
                break
            os.sched_yield()
        else:
            printed._thread.join(0.5)
            lines = printed.tail()
        assert lines == ["first", "100%", "\x1b[1mlast", ""]
    finally:
        printed.close()
    assert given == b"first\n1%\r100%\n\x1b[1mlast\n"


def test_what_is_not_captured_is_left_alone(tmp_path: Path) -> None:
    given = bytearray()
    before = os.dup(1)
    with (tmp_path / "out").open("wb") as file:
        os.dup2(file.fileno(), 1)
        try:
            run(
                "import sys; print('to the file'); print('to the terminal', file=sys.stderr)", given, captured=(2,)
            ).close()
        finally:
            os.dup2(before, 1)
            os.close(before)
    assert (tmp_path / "out").read_text() == "to the file\n"
    assert given == b"to the terminal\n"


def test_a_process_left_behind_is_not_waited_for() -> None:
    given = bytearray()
    printed = Printed((1, 2), takes_stdin=False, put=given.extend)
    code = "import subprocess, sys; print(subprocess.Popen(['sleep', '1000']).pid, flush=True)"
    target = start_held([sys.executable, "-c", code], streams=printed.streams)
    printed.started()
    target.release()
    target.wait(60)
    printed.close()
    subprocess.run(["kill", given.decode().strip()], check=True)
