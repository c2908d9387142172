"""What goes wrong: with DTrace, with the process, with files. One sentence, its exit status, and what was sampled."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cli_runs import Run

import fake_dtrace
from dtrace_profiler.platforms.base import is_superuser, system

pytestmark = pytest.mark.skipif(system() != "linux", reason="DTrace is run only on Linux as yet")
Fake = Callable[..., Path]
BURN = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: sum(range(200))\n"


def sentence(stderr: str) -> str:
    """The one error there must be; what to try and where to read more are left out."""
    lines = stderr.splitlines()
    assert lines[0].startswith("dtrace-profiler: ")
    assert all(line.startswith(("  try: ", "  read: docs/")) for line in lines[1:]), stderr
    return lines[0].removeprefix("dtrace-profiler: ")


# DTrace: (what the stand-in does, what must be said).
NO_DTRACE = [
    ({"version_mode": "systemtap"}, "is not DTrace but another program of that name"),
    ({"version_mode": "garbage"}, "is not DTrace but another program of that name"),
    ({"version": "D 2.0.4"}, "is DTrace 2.0.4: too old, 2.0.5 or later"),
    ({"stderr": "dtrace: run as root for tracing and listing probes\n", "status": 2}, "dtrace needs root."),
    ({"stderr": "dtrace: flux capacitor is empty\n", "status": 3}, "exit status 3: flux capacitor is empty"),
    ({"status": 0}, "dtrace ended with exit status 0 and gave no reason."),
    ({"then": "kill"}, "dtrace was ended by SIGKILL."),
    ({"garbage_bytes": 3_000_000, "status": 1}, "dtrace ended with exit status 1"),
]


@pytest.mark.parametrize(("behaviour", "said"), NO_DTRACE)
def test_no_dtrace_for_who_insists(
    cli: Run, fake: Fake, tmp_path: Path, behaviour: dict[str, object], said: str
) -> None:
    fake(**behaviour)
    done = cli("run", "--engine", "dtrace", "-o", "out.folded", "--", "touch", "made")
    assert done.returncode == 4
    assert said in sentence(done.stderr)
    assert os.listdir(tmp_path / "here") == []


def test_no_dtrace_for_a_native_program(cli: Run, fake: Fake, tmp_path: Path) -> None:
    fake(status=1, stderr="dtrace: run as root for tracing and listing probes\n")
    done = cli("run", "-o", "out.folded", "--", "touch", "made")
    assert done.returncode == 4
    assert sentence(done.stderr) == "dtrace needs root."
    assert done.stderr.splitlines()[-1] == "  read: docs/errors.md#privilegeerror"
    assert os.listdir(tmp_path / "here") == []


def test_no_dtrace_for_a_python_program(cli: Run, fake: Fake, tmp_path: Path) -> None:
    """The sampler takes over, and says so in one line."""
    fake(status=1, stderr="dtrace: run as root for tracing and listing probes\n")
    done = cli("run", "-o", "out.folded", "--", sys.executable, "-c", BURN + "print('once')\nraise SystemExit(9)")
    assert (done.returncode, done.stdout) == (9, "once\n")
    first, second, *_ = done.stderr.splitlines()
    assert first.endswith("so native and kernel frames are missing: dtrace needs root.")
    assert second.startswith("  try: ")
    assert done.stderr.count("needs root") == 1
    assert "<module>" in (tmp_path / "here" / "out.folded").read_text()


def test_no_dtrace_to_attach(cli: Run, fake: Fake, tmp_path: Path) -> None:
    fake(version="D 2.0.4")
    done = cli("attach", os.getpid(), "-o", "out.folded")
    assert done.returncode == 4
    assert "too old" in sentence(done.stderr)
    assert os.listdir(tmp_path / "here") == []


def test_dtrace_is_nowhere(cli: Run, tmp_path: Path) -> None:
    done = cli("attach", os.getpid(), env={"DTRACE_PROFILER_DTRACE": str(tmp_path / "nowhere")})
    assert done.returncode == 4
    assert "which is not there" in sentence(done.stderr)


def test_dtrace_that_never_gets_ready(fake: Fake, tmp_path: Path) -> None:
    fake(then="ignore")
    code = (
        "import sys; from dtrace_profiler import cli, stage; stage.READY_TIMEOUT_S = 1\n"
        "sys.exit(cli.main(['run', '--engine', 'dtrace', '--', 'touch', 'made']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 4
    assert "did not begin to sample within 1 seconds, and was ended" in sentence(done.stderr)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("then", "said"),
    [({"then": "kill"}, "dtrace was ended by SIGKILL."), ({"status": 5}, "dtrace ended with exit status 5")],
)
def test_dtrace_that_ends_in_mid_run(
    cli: Run, fake: Fake, program: list[str], tmp_path: Path, then: dict[str, object], said: str
) -> None:
    """What was sampled until then is written; the program goes on to its end."""
    fake(**{**fake_dtrace.SAMPLING, "then": "exit", "lives_s": 0.6, **then})
    done = cli("run", "-o", "out.folded", "--", *program, 1.5, 0)
    assert done.returncode == 4
    assert said in done.stderr
    assert (tmp_path / "here" / "out.folded").stat().st_size > 0
    done = cli("run", "-q", "-o", "out.folded", "--", *program, 1.5, 7)
    assert done.returncode == 7  # the program's own counts first
    assert said in done.stderr


def test_drops_are_said(cli: Run, fake: Fake, program: list[str]) -> None:
    fake(**{**fake_dtrace.SAMPLING, "stderr": "dtrace: 19 drops on CPU 0\ndtrace: 2 drops on CPU 1\n"})
    done = cli("run", "--no-python", "-o", "out.folded", "--", *program, 0.3, 0)  # one dtrace, not two
    assert done.returncode == 0
    assert re.search(r"^lost: .*\(21\)$", done.stderr, re.MULTILINE)


# The process.


def test_no_such_process(cli: Run, tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    done = cli("attach", ended.pid, "-o", "out.folded")
    assert (done.returncode, sentence(done.stderr)) == (3, f"there is no process {ended.pid}.")
    assert os.listdir(tmp_path / "here") == []


def test_a_target_killed_while_it_is_profiled(cli: Run, fake: Fake, tmp_path: Path) -> None:
    fake(**fake_dtrace.SAMPLING)
    done = cli("run", "-o", "out.folded", "--", "sh", "-c", "sleep 0.5; kill -KILL $$")
    assert done.returncode == 137
    assert (tmp_path / "here" / "out.folded").stat().st_size > 0


# Files.


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("nowhere/out.folded", "there is no folder"),
        ("folder.folded", "it is a folder"),
        ("nowhere/run.dtrace", "there is no folder"),
    ],
)
def test_files_that_can_not_be_written_are_told_before(
    cli: Run, fake: Fake, tmp_path: Path, output: str, said: str
) -> None:
    path = fake(**fake_dtrace.SAMPLING)
    (tmp_path / "here" / "folder.folded").mkdir()
    done = cli("run", "-o", output, "--", "touch", "made")
    assert done.returncode == 6
    assert said in sentence(done.stderr)
    assert os.listdir(tmp_path / "here") == ["folder.folded"]
    assert fake_dtrace.calls(path) == []


def test_files_without_permission(tmp_path: Path) -> None:
    from dtrace_profiler.cli.outputs import Output, Outputs
    from dtrace_profiler.errors import OutputError

    if is_superuser():
        pytest.skip("root may write everything")
    file = tmp_path / "read only"
    file.write_text("")
    file.chmod(0o400)
    with pytest.raises(OutputError, match="permission denied"):
        Outputs((Output(str(file), "folded"),), None).check()


def test_a_full_device(cli: Run, fake: Fake, program: list[str]) -> None:
    """The profile is kept elsewhere, and the other files are written."""
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    fake(**fake_dtrace.SAMPLING)
    done = cli("run", "-q", "--format", "folded", "-o", "/dev/full", "-o", "out", "--", *program, 0.2, 0)
    assert done.returncode == 6
    said = sentence(done.stderr)
    assert said.startswith("/dev/full can't be written: No space left on device. The profile is in ")
    rescued = Path(said.removesuffix(" instead.").rpartition(" ")[2])
    try:
        assert rescued.stat().st_size > 0
    finally:
        rescued.unlink()
    status = cli("run", "-q", "--format", "folded", "-o", "/dev/full", "--", *program, 0.1, 3).returncode
    assert status == 3


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    if not is_superuser() or shutil.which("mount") is None:
        pytest.skip("needs root to mount a small disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)], check=False).returncode:
        pytest.skip("may not mount")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_what_was_there(
    cli: Run, fake: Fake, program: list[str], full_disk: Path, tmp_path: Path
) -> None:
    fake(**fake_dtrace.SAMPLING)
    old = full_disk / "out.html"
    old.write_text("before")
    (full_disk / "filler").write_bytes(b"x" * 40_000)
    done = cli("run", "-q", "-o", old, "--", *program, 0.1, 0, env={"TMPDIR": str(tmp_path)})
    assert done.returncode == 6
    assert "No space left on device" in sentence(done.stderr)
    assert old.read_text() == "before"
    assert sorted(os.listdir(full_disk)) == ["filler", "out.html"]


def test_a_recording_on_a_full_disk(
    cli: Run, fake: Fake, program: list[str], full_disk: Path, tmp_path: Path
) -> None:
    fake(**{**fake_dtrace.SAMPLING, "each_10_ms": fake_dtrace.SAMPLING["each_10_ms"] * 40})
    done = cli("run", "-q", "--record", full_disk / "run.dtrace", "-o", "out.folded", "--", *program, 1, 0)
    assert (tmp_path / "here" / "out.folded").stat().st_size > 0
    assert done.returncode in (0, 6)
