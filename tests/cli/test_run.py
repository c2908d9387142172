"""`run` and `attach` with a stand-in for dtrace, and with the sampler: the program's life, files and words."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_runs import Run, command

import fake_dtrace
from dtrace_profiler.platforms.base import is_superuser, system

pytestmark = pytest.mark.skipif(system() != "linux", reason="DTrace is run only on Linux as yet")
Fake = Callable[..., Path]


def values(folded: str) -> int:
    """The sum of a folded file."""
    return sum(int(line.rpartition(" ")[2]) for line in folded.splitlines())


def test_run_gives_the_programs_status_and_the_profile(
    cli: Run, fake: Fake, program: list[str], tmp_path: Path
) -> None:
    fake(**fake_dtrace.SAMPLING)
    done = cli("run", "-o", "out.folded", "--", *program, 0.3, 7)
    assert done.returncode == 7
    assert done.stdout == ""
    assert values((tmp_path / "here" / "out.folded").read_text()) > 10
    assert re.search(r"samples of 1 thread in .* s, by DTrace 2\.0\.7 at 99 Hz", done.stderr)
    assert "out.folded" in done.stderr
    assert sorted(os.listdir(tmp_path / "here")) == ["out.folded"]


def test_quiet_says_nothing(cli: Run, fake: Fake, program: list[str]) -> None:
    fake(**fake_dtrace.SAMPLING)
    done = cli("run", "-q", "-o", "out.folded", "--", *program, 0.1, 0)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_stdout(cli: Run, fake: Fake, program: list[str]) -> None:
    fake(**fake_dtrace.SAMPLING)
    done = cli("run", "-q", "-o", "-", "--", "sh", "-c", 'echo "the program"; exec "$@"', "sh", *program, 0.2, 0)
    first, _, folded = done.stdout.partition("\n")
    assert first == "the program"
    assert values(folded) > 5


def test_several_outputs_and_the_default_name(cli: Run, fake: Fake, program: list[str], tmp_path: Path) -> None:
    fake(**fake_dtrace.SAMPLING)
    here = tmp_path / "here"
    assert cli("run", "-q", "-o", "a.folded", "-o", "b.svg", "--", *program, 0.1, 0).returncode == 0
    assert sorted(os.listdir(here)) == ["a.folded", "b.svg"]
    assert "<svg" in (here / "b.svg").read_text()
    done = cli("run", "--", *program, 0.1, 0)
    (name,) = set(os.listdir(here)) - {"a.folded", "b.svg"}
    assert re.fullmatch(r"python[\d.]*-\d{8}-\d{6}\.html", name)
    assert name in done.stderr


def test_new_files_have_ordinary_rights_and_old_ones_keep_theirs(
    cli: Run, fake: Fake, program: list[str], tmp_path: Path
) -> None:
    fake(**fake_dtrace.SAMPLING)
    old = tmp_path / "here" / "old.folded"
    old.write_text("before")
    old.chmod(0o600)
    link = tmp_path / "here" / "link.folded"
    link.symlink_to("old.folded")
    assert cli("run", "-q", "-o", "new.folded", "-o", link.name, "--", *program, 0.1, 0).returncode == 0
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / "here" / "new.folded").stat().st_mode) == 0o666 & ~mask
    assert stat.S_IMODE(old.stat().st_mode) == 0o600
    assert link.is_symlink()
    assert old.read_text() != "before"


def test_recording(cli: Run, fake: Fake, program: list[str], tmp_path: Path) -> None:
    fake(**fake_dtrace.SAMPLING)
    done = cli("run", "--record", "run.dtrace", "--", *program, 0.2, 0)
    assert done.returncode == 0
    assert "recording: run.dtrace" in done.stderr
    text = (tmp_path / "here" / "run.dtrace").read_text()
    assert text.count("\nS ") > 5
    assert os.listdir(tmp_path / "here") == ["run.dtrace"]


def test_arguments_with_blanks_and_quotes(cli: Run, fake: Fake) -> None:
    fake(**fake_dtrace.SAMPLING)
    words = ["two words", "'single'", '"double"', "$HOME", "--", "-o", "", "ünï"]
    code = "import json, sys; print(json.dumps(sys.argv[1:]))"
    done = cli("run", "-q", "-o", "out.folded", "--", sys.executable, "-c", code, *words)
    assert json.loads(done.stdout) == words


def test_options_end_where_the_command_begins(cli: Run, fake: Fake) -> None:
    fake(**fake_dtrace.SAMPLING)
    done = cli("run", "-q", "-o", "out.folded", "echo", "-o", "x", "--help")
    assert done.stdout == "-o x --help\n"


def test_stdin_is_the_programs(cli: Run, fake: Fake) -> None:
    fake(**fake_dtrace.SAMPLING)
    assert cli("run", "-q", "-o", "out.folded", "--", "cat", stdin="typed\n").stdout == "typed\n"


def test_a_program_ended_by_a_signal(cli: Run, fake: Fake) -> None:
    fake(**fake_dtrace.SAMPLING)
    done = cli("run", "-q", "-o", "out.folded", "--", "sh", "-c", "kill -SEGV $$")
    assert done.returncode == 128 + signal.SIGSEGV


def test_duration_ends_the_profile_not_the_program(cli: Run, fake: Fake, program: list[str], tmp_path: Path) -> None:
    fake(**fake_dtrace.SAMPLING)
    done = cli("run", "-d", "300ms", "-o", "out.folded", "--", *program, 1.5, 4)
    assert done.returncode == 4
    assert "the profile has ended; waiting for the program" in done.stderr
    assert 0 < values((tmp_path / "here" / "out.folded").read_text()) < 100


def test_attach(cli: Run, fake: Fake, program: list[str], tmp_path: Path) -> None:
    calls = fake(**fake_dtrace.SAMPLING)
    target = subprocess.Popen([*program, "60", "0"])
    try:
        done = cli("attach", target.pid, "-d", "0.3", "-o", "out.folded")
        assert done.returncode == 0, done.stderr
        assert target.poll() is None
        assert values((tmp_path / "here" / "out.folded").read_text()) > 10
        program_text = fake_dtrace.calls(calls)[0]["args"]
        assert "-s" in program_text
    finally:
        target.kill()
        target.wait()


def test_attach_ends_with_the_target(cli: Run, fake: Fake, program: list[str], tmp_path: Path) -> None:
    fake(**fake_dtrace.SAMPLING)
    target = subprocess.Popen([*program, "1", "0"])
    waiter = subprocess.Popen(
        command("attach", target.pid, "-q", "-o", "out.folded"), cwd=tmp_path / "here", stderr=subprocess.PIPE
    )
    target.wait()  # so that it is no zombie
    assert waiter.communicate(timeout=60)[1] == b""
    assert waiter.returncode == 0
    assert (tmp_path / "here" / "out.folded").exists()


def test_the_sampler_alone(cli: Run, program: list[str], tmp_path: Path) -> None:
    done = cli("run", "--engine", "sampler", "-o", "out.folded", "--", *program, 0.5, 5)
    assert done.returncode == 5
    assert "burn" in (tmp_path / "here" / "out.folded").read_text()
    assert "missing" not in done.stderr


def test_the_sampler_needs_a_python_program(cli: Run, tmp_path: Path) -> None:
    done = cli("run", "--engine", "sampler", "--", "true")
    assert done.returncode == 3
    assert "the sampler sees only Python programs" in done.stderr
    assert os.listdir(tmp_path / "here") == []


@pytest.mark.parametrize("asked", [(), ("--engine", "dtrace")])
def test_a_program_that_is_not_there(cli: Run, fake: Fake, tmp_path: Path, asked: tuple[str, ...]) -> None:
    path = fake(**fake_dtrace.SAMPLING)
    done = cli("run", *asked, "--", "no-such-program")
    assert (done.returncode, done.stderr) == (
        127,
        "dtrace-profiler: command not found: no-such-program (it is nowhere in PATH).\n",
    )
    assert os.listdir(tmp_path / "here") == []
    assert fake_dtrace.calls(path) == []


def test_a_program_that_is_none(cli: Run, fake: Fake, tmp_path: Path) -> None:
    fake(**fake_dtrace.SAMPLING)
    data = tmp_path / "data"
    data.write_text("x")
    assert cli("run", "--", data).returncode == 126
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    done = cli("run", "-o", "out.folded", "--", script)
    assert done.returncode == 127
    assert "the interpreter that its first line names" in done.stderr
    assert os.listdir(tmp_path / "here") == []


# Signals.


def started(tmp_path: Path, *arguments: object, ready: str = "ready") -> subprocess.Popen[str]:
    """Our command line whose program has said that it is ready."""
    process = subprocess.Popen(
        command(*arguments),
        cwd=tmp_path / "here",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # no terminal of the test's is ours
    )
    assert process.stdout is not None
    assert process.stdout.readline() == ready + "\n"
    return process


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2"])
def test_signals_sent_to_us_are_the_programs(cli: Run, fake: Fake, tmp_path: Path, name: str) -> None:
    fake(**fake_dtrace.SAMPLING)
    code = f"trap 'echo got {name}; exit 9' {name[3:]}; echo ready; while :; do sleep 0.05; done"
    process = started(tmp_path, "run", "-q", "-o", "out.folded", "--", "bash", "-c", code)
    process.send_signal(signal.Signals[name])
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (9, f"got {name}\n", "")
    assert values((tmp_path / "here" / "out.folded").read_text()) > 0


def test_a_program_that_ignores_ctrl_c_outlives_its_profile(cli: Run, fake: Fake, tmp_path: Path) -> None:
    fake(**fake_dtrace.SAMPLING)
    code = "trap '' INT; echo ready; sleep 6; exit 3"
    process = started(tmp_path, "run", "-q", "-o", "out.folded", "--", "sh", "-c", code)
    process.send_signal(signal.SIGINT)
    out = tmp_path / "here" / "out.folded"
    while not out.exists():
        assert process.poll() is None
        time.sleep(0.05)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)  # no longer ours to act upon
    assert process.wait(60) == 3
    process.communicate()


def test_ctrl_c_ends_attach_and_writes(cli: Run, fake: Fake, program: list[str], tmp_path: Path) -> None:
    path = fake(**fake_dtrace.SAMPLING)
    target = subprocess.Popen([*program, "60", "0"])
    process = subprocess.Popen(
        command("attach", target.pid, "-o", "out.folded"),
        cwd=tmp_path / "here",
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        while not fake_dtrace.calls(path):
            time.sleep(0.02)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0
        assert "out.folded" in err
        assert values((tmp_path / "here" / "out.folded").read_text()) > 0
        assert target.poll() is None
    finally:
        target.kill()
        target.wait()


def test_ctrl_c_before_dtrace_is_ready(cli: Run, fake: Fake, tmp_path: Path) -> None:
    path = fake(then="wait")
    process = subprocess.Popen(
        command("run", "-o", "out.folded", "--", "touch", "made"),
        cwd=tmp_path / "here",
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not fake_dtrace.calls(path):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.lstrip() == "dtrace-profiler: interrupted.\n"
    assert os.listdir(tmp_path / "here") == []


def test_the_third_ctrl_c_gives_up(cli: Run, fake: Fake, program: list[str], tmp_path: Path) -> None:
    """The first ends the profile; dtrace doesn't end for it, so that there is time for the others."""
    path = fake(stdout="B @NOW@\n", then="ignore")
    target = subprocess.Popen([*program, "60", "0"])
    process = subprocess.Popen(
        command("attach", target.pid, "-o", "out.folded"),
        cwd=tmp_path / "here",
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        while not fake_dtrace.calls(path):
            time.sleep(0.02)
        time.sleep(0.5)
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            time.sleep(0.7)
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130
        assert err.lstrip() == "dtrace-profiler: interrupted.\n"
    finally:
        target.kill()
        target.wait()


def test_no_dtrace_is_left_when_we_are_killed(cli: Run, fake: Fake, program: list[str], tmp_path: Path) -> None:
    path = fake(**fake_dtrace.SAMPLING)
    target = subprocess.Popen([*program, "60", "0"])
    process = subprocess.Popen(
        command("attach", target.pid, "-q", "-o", "out.folded"), cwd=tmp_path / "here", stderr=subprocess.DEVNULL
    )
    try:
        while not fake_dtrace.calls(path):
            time.sleep(0.02)
        process.kill()
        process.wait()
        dtrace = fake_dtrace.calls(path)[0]["pid"]
        for _ in range(500):
            if not Path(f"/proc/{dtrace}").exists():
                break
            time.sleep(0.02)
        assert not Path(f"/proc/{dtrace}").exists()
    finally:
        target.kill()
        target.wait()


def test_files_of_sudo_belong_to_its_user(cli: Run, fake: Fake, program: list[str], tmp_path: Path) -> None:
    if not is_superuser():
        pytest.skip("needs root to give files away")
    fake(**fake_dtrace.SAMPLING)
    here = tmp_path / "here"
    (here / "old.folded").write_text("")
    outputs = ("-o", "new.folded", "-o", "old.folded", "--record", "run.dtrace")
    done = cli("run", *outputs, "--", *program, 0.1, 0, env={"SUDO_UID": "65534", "SUDO_GID": "65534"})
    assert done.returncode == 0
    owners = {name: (here / name).stat().st_uid for name in os.listdir(here)}
    assert owners == {"new.folded": 65534, "old.folded": 0, "run.dtrace": 65534}
