"""A held program: what it is, what it inherits, and when it can't be one. Real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dtrace_profiler.errors import CommandNotStarted
from dtrace_profiler.launch import find_program, shell_status, start_held
from dtrace_profiler.platforms.base import system

pytestmark = pytest.mark.skipif(system() == "windows", reason="Windows can't hold a program before its start")
SOURCE = str(Path(__file__).parents[2] / "src")


def state_of(pid: int) -> str:
    done = subprocess.run(["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def run(command: list[str], **options: object) -> int | None:
    target = start_held(command, **options)  # type: ignore[arg-type]
    target.release()
    return target.wait(30)


def test_it_does_nothing_until_it_is_released(tmp_path: Path) -> None:
    made = tmp_path / "made"
    target = start_held(["touch", str(made)])
    assert target.wait(0.2) is None
    assert not made.exists()
    assert "touch" not in state_of(target.pid).split()[:1]
    target.release()
    assert target.wait(30) == 0
    assert made.exists()


def test_release_returns_when_it_is_the_program() -> None:
    target = start_held(["sleep", "30"])
    target.release()
    assert state_of(target.pid) == "sleep 30"
    assert target.poll() is None
    target.send_signal(signal.SIGTERM)
    assert target.wait(30) == -signal.SIGTERM
    target.send_signal(signal.SIGTERM)  # ended: nothing happens


def test_an_abandoned_one_never_runs(tmp_path: Path) -> None:
    made = tmp_path / "made"
    target = start_held(["touch", str(made)])
    target.abandon()
    assert target.poll() == -signal.SIGKILL
    assert not made.exists()


def test_it_ends_when_we_end_before_its_release(tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {SOURCE!r}); from dtrace_profiler.launch import start_held; import os\n"
        f"print(start_held(['touch', {str(tmp_path / 'made')!r}]).pid, flush=True); os._exit(0)"
    )
    # Its end of the output closes only when the held child is gone too.
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert int(done.stdout) > 0
    assert not (tmp_path / "made").exists()


def test_arguments_arrive_as_they_are(tmp_path: Path) -> None:
    words = ["two words", "", "'single'", '"double"', "$HOME", "*", "back\\slash", "new\nline", "ünï", "-x", "--"]
    out = tmp_path / "out"
    code = f"import sys, json; open({str(out)!r}, 'w').write(json.dumps(sys.argv[1:]))"
    assert run([sys.executable, "-c", code, *words]) == 0
    assert json.loads(out.read_text()) == words


@pytest.mark.parametrize("status", [0, 1, 3, 255])
def test_exit_status(status: int) -> None:
    assert run(["sh", "-c", f"exit {status}"]) == status


def test_a_signal_that_ended_it() -> None:
    status = run(["sh", "-c", "kill -USR1 $$"])
    assert status == -signal.SIGUSR1
    assert shell_status(status) == 128 + signal.SIGUSR1
    assert shell_status(7) == 7


def test_environment_and_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    environ = {"PATH": os.environ["PATH"], "COLOUR": "two words"}
    assert run(["sh", "-c", f'echo "$COLOUR $(pwd)" >{out}'], env=environ, cwd=tmp_path) == 0
    assert out.read_text() == f"two words {tmp_path.resolve()}\n"


def test_a_script_without_an_interpreter_line_is_the_shells(tmp_path: Path) -> None:
    script = tmp_path / "my script"
    script.write_text(f'echo "$1" >{tmp_path / "out"}; exit 4\n')
    script.chmod(0o755)
    assert run([str(script), "a  b"]) == 4
    assert (tmp_path / "out").read_text() == "a  b\n"


# What can't be started.


def test_not_found() -> None:
    with pytest.raises(
        CommandNotStarted, match=r"command not found: no-such-program \(it is nowhere in PATH"
    ) as caught:
        start_held(["no-such-program"])
    assert caught.value.exit_status == 127
    with pytest.raises(CommandNotStarted, match=r"/no/such/program \(there is no such file") as caught:
        start_held(["/no/such/program"])
    assert caught.value.exit_status == 127
    with pytest.raises(CommandNotStarted):
        start_held([])
    with pytest.raises(CommandNotStarted):
        start_held([""])


def test_not_executable(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_text("x")
    with pytest.raises(CommandNotStarted, match="permission denied") as caught:
        start_held([str(path)])
    assert (caught.value.exit_status, caught.value.remedy) == (126, "")
    path.write_text("#!/bin/sh\n")
    with pytest.raises(CommandNotStarted, match="permission denied") as caught:
        start_held([str(path)])
    assert caught.value.remedy == f"chmod +x {path}"
    with pytest.raises(CommandNotStarted, match="permission denied") as caught:
        start_held(["data"], env={"PATH": str(tmp_path)})
    assert caught.value.exit_status == 126


def test_a_folder_and_a_link_to_nothing(tmp_path: Path) -> None:
    with pytest.raises(CommandNotStarted, match="is a folder") as caught:
        start_held([str(tmp_path)])
    assert caught.value.exit_status == 126
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(CommandNotStarted, match="is a link to nothing") as caught:
        start_held([str(tmp_path / "link")])
    assert caught.value.exit_status == 127


def test_refused_by_the_system_at_its_release(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    target = start_held([str(script)])
    with pytest.raises(CommandNotStarted, match="the interpreter that its first line names") as caught:
        target.release()
    assert caught.value.exit_status == 127
    assert target.poll() is not None


def test_too_many_arguments() -> None:
    target = start_held(["true", *["x" * 100_000] * 200])
    with pytest.raises(CommandNotStarted, match="argument list too long") as caught:
        target.release()
    assert caught.value.exit_status == 126


def test_killed_while_it_was_held() -> None:
    target = start_held(["true"])
    os.kill(target.pid, signal.SIGKILL)
    while os.waitid(os.P_PID, target.pid, os.WEXITED | os.WNOWAIT) is None:
        time.sleep(0.01)
    target.release()
    assert target.wait(30) == -signal.SIGKILL


def test_the_first_of_path_counts(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "program").write_text("")
    (tmp_path / "b" / "program").chmod(0o755)
    path = f"/nowhere:{tmp_path}/a:{tmp_path}/b"
    assert find_program("program", {"PATH": path}) == f"{tmp_path}/b/program"
    (tmp_path / "program").write_text("")
    (tmp_path / "program").chmod(0o755)
    assert find_program("program", {"PATH": ":/nowhere"}, tmp_path) == "program"
    assert find_program("./program", {"PATH": ""}, tmp_path) == "./program"


# What it inherits.


@pytest.mark.skipif(system() != "linux", reason="reads /proc")
def test_signals_are_as_without_us(tmp_path: Path) -> None:
    """Also when we have handlers, a mask, and SIGCHLD ignored."""
    code = f"""
import signal, subprocess, sys
sys.path.insert(0, {SOURCE!r})
from dtrace_profiler.launch import start_held
signal.signal(signal.SIGTERM, lambda *_: None)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
target = start_held(["grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"])
target.release()
assert target.wait(30) == 0, target.poll()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ours = _signal_masks(Path("/proc/self/status").read_text())
    masks = _signal_masks(done.stdout)
    assert masks["SigBlk"] == ours["SigBlk"]
    # Python ignores these for itself and not for those whom it starts.
    inherited = ours["SigIgn"] & ~_bits(signal.SIGPIPE, signal.SIGXFSZ)
    assert masks["SigIgn"] == inherited | _bits(signal.SIGHUP, signal.SIGCHLD)


def _signal_masks(status: str) -> dict[str, int]:
    lines = (line.split() for line in status.splitlines() if line.startswith("Sig"))
    return {name.rstrip(":"): int(mask, 16) for name, mask in lines if "/" not in mask}


def _bits(*signals: signal.Signals) -> int:
    return sum(1 << (number - 1) for number in signals)


def test_streams_and_group_are_ours_and_nothing_is_written_twice(tmp_path: Path) -> None:
    code = f"""
import os, sys
sys.path.insert(0, {SOURCE!r})
from dtrace_profiler.launch import start_held
sys.stdout.write("buffered\\n")
target = start_held([sys.executable, "-c", "import os, sys; print(os.getpgrp(), sys.stdin.read())"])
target.release()
target.wait(30)
print(os.getpgrp())
"""
    done = subprocess.run([sys.executable, "-c", code], input="typed", capture_output=True, text=True, check=True)
    buffered, theirs, ours = done.stdout.splitlines()
    assert buffered == "buffered"
    assert theirs == f"{ours} typed"


@pytest.mark.skipif(system() != "linux", reason="reads /proc")
def test_no_descriptor_of_ours_is_left_open() -> None:
    before = len(os.listdir("/proc/self/fd"))
    command = ["sh", "-c", "exit $(ls /proc/self/fd | wc -l)"]
    target = start_held(command)
    target.release()
    # The test's own process may have some that every child gets.
    assert target.wait(30) == subprocess.run(command, close_fds=False, check=False).returncode > 2
    assert len(os.listdir("/proc/self/fd")) == before
