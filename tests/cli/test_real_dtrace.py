"""`run` and `attach` with the real DTrace: whole lives, real shares, and as an ordinary user through sudo."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from cli_runs import Run

import dtrace_profiler

pytestmark = pytest.mark.dtrace
NOBODY = 65534
FIRST = "burner`main;burner`first"
SECOND = "burner`main;burner`second"

BURNER = r"""
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
static double used(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}
#define BURN(name, result) __attribute__((noinline)) static int name(double end) { \
    while (used() < end) for (volatile int i = 0; i < 5000; i++); \
    return result; \
}
BURN(first, 1)
BURN(second, 2)
int main(int argc, char **argv) {
    double seconds = atof(argv[1]);
    int sum = first(seconds / 3) + second(seconds);
    printf("%f\n", used());
    return sum == 3 ? atoi(argv[2]) : 99;
}
"""


@pytest.fixture(scope="module")
def burner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Burns CPU seconds, a third in `first` and the rest in `second`; prints what it has used."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    folder = tmp_path_factory.mktemp("burner")
    (folder / "burner.c").write_text(BURNER)
    path = folder / "burner"
    subprocess.run(
        [compiler, "-O1", "-g", "-fno-omit-frame-pointer", "-o", str(path), str(folder / "burner.c")], check=True
    )
    return path


def values(folded: Path) -> dict[str, int]:
    out: dict[str, int] = {}
    for line in folded.read_text().splitlines():
        stack, _, value = line.rpartition(" ")
        out[stack] = out.get(stack, 0) + int(value)
    return out


def test_a_short_program_is_profiled_whole(cli: Run, burner: Path, tmp_path: Path) -> None:
    """300 ms at 997 Hz: all of it, in both functions, from `main` on."""
    done = cli("run", "-F", 997, "-o", "out.folded", "--", burner, 0.3, 7)
    assert done.returncode == 7, done.stderr
    found = values(tmp_path / "here" / "out.folded")
    first = sum(value for stack, value in found.items() if FIRST in stack)
    second = sum(value for stack, value in found.items() if SECOND in stack)
    cpu_s = float(done.stdout)
    # Three standard errors, were the samples independent, and 5 % for what a busy machine's clocks do.
    expected, error = cpu_s * 997, 3 * (cpu_s * 997) ** 0.5
    assert abs(first + second - expected) < error + 0.05 * expected, (found, done.stderr)
    assert abs(first - expected / 3) < error + 0.05 * expected


def test_the_recording_says_the_same(cli: Run, burner: Path, tmp_path: Path) -> None:
    done = cli("run", "--record", "run.dtrace", "-o", "out.folded", "--", burner, 0.5, 0)
    assert done.returncode == 0, done.stderr
    assert cli("convert", "run.dtrace", "-o", "again.folded").returncode == 0
    here = tmp_path / "here"
    assert values(here / "again.folded") == values(here / "out.folded")


def test_attach_to_a_busy_process(cli: Run, burner: Path, tmp_path: Path) -> None:
    target = subprocess.Popen([burner, "60", "0"], stdout=subprocess.DEVNULL)
    try:
        done = cli("attach", target.pid, "-d", "1s", "-o", "out.folded")
        assert done.returncode == 0, done.stderr
        assert any(FIRST in stack for stack in values(tmp_path / "here" / "out.folded"))
        assert "by DTrace" in done.stderr
    finally:
        target.kill()
        target.wait()


# As an ordinary user.

User = Callable[..., subprocess.CompletedProcess[str]]


def _interpreter_for_all() -> str | None:
    """A Python that an ordinary user may execute: those of a user's own folder often may not."""
    path = os.pathsep.join([os.environ["PATH"], "/usr/local/bin", "/usr/bin"])
    for name in ("python3.14", "python3.13", "python3.12", "python3.11", "python3"):
        for folder in path.split(os.pathsep):
            found = shutil.which(name, path=folder)
            if found is None:
                continue
            code = "import sys; sys.exit(sys.version_info < (3, 11))"
            if subprocess.run([*_AS_USER, found, "-c", code], capture_output=True, check=False).returncode == 0:
                return found
    return None


_AS_USER = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]


@pytest.fixture
def user() -> Iterator[User]:
    """Runs our command line as an ordinary user in a folder of that user's, `user.folder`; sudo lets it do all."""
    if shutil.which("setpriv") is None or shutil.which("sudo") is None or not Path("/etc/sudoers.d").is_dir():
        pytest.skip("needs setpriv and sudo to be an ordinary user who may use sudo")
    interpreter = _interpreter_for_all()
    if interpreter is None:
        pytest.skip("needs a Python that other users may execute")
    base = Path(tempfile.mkdtemp(prefix="dtrace-profiler-test-"))
    base.chmod(0o755)
    for package in (dtrace_profiler, click):
        assert package.__file__ is not None
        source = Path(package.__file__).parent
        shutil.copytree(source, base / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    folder = base / "folder"
    folder.mkdir()
    os.chown(folder, NOBODY, NOBODY)
    sudoers = Path("/etc/sudoers.d/dtrace-profiler-cli-test")

    def run(*arguments: object, sudo: bool = True) -> subprocess.CompletedProcess[str]:
        sudoers.unlink(missing_ok=True)
        if sudo:
            sudoers.write_text(f"#{NOBODY} ALL=(root) NOPASSWD: ALL\n")
            sudoers.chmod(0o440)
        environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(base), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(
            [*_AS_USER, interpreter, "-m", "dtrace_profiler", *map(str, arguments)],
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            start_new_session=True,
        )

    run.folder = folder  # type: ignore[attr-defined]
    run.interpreter = interpreter  # type: ignore[attr-defined]
    try:
        yield run
    finally:
        sudoers.unlink(missing_ok=True)
        shutil.rmtree(base, ignore_errors=True)


def test_only_dtrace_is_elevated(user: User) -> None:
    code = "id -u; i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"
    done = user("run", "-o", "out.folded", "--record", "run.dtrace", "--", "sh", "-c", code)
    assert (done.returncode, done.stdout) == (0, f"{NOBODY}\n"), done.stderr
    assert "by DTrace" in done.stderr
    folder: Path = user.folder  # type: ignore[attr-defined]
    assert values(folder / "out.folded")
    assert {path.name: path.stat().st_uid for path in folder.iterdir()} == {
        "out.folded": NOBODY,
        "run.dtrace": NOBODY,
    }


def test_without_sudo_the_sampler(user: User) -> None:
    interpreter: str = user.interpreter  # type: ignore[attr-defined]
    program = [interpreter, "-c", "print(sum(range(20_000_000)))"]
    done = user("run", "-o", "out.folded", "--", *program, sudo=False)
    assert (done.returncode, done.stdout) == (0, "199999990000000\n"), done.stderr
    assert "so native and kernel frames are missing: dtrace needs root, and sudo" in done.stderr
    done = user("run", "--engine", "dtrace", "-o", "other.folded", "--", *program, sudo=False)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("dtrace-profiler: dtrace needs root, and sudo")
    assert "  try: " in done.stderr


def test_another_users_process_is_not_ours(user: User) -> None:
    done = user("attach", os.getpid(), "-d", "1")
    assert done.returncode == 3
    assert f"process {os.getpid()} belongs to another user" in done.stderr
    assert f"try: sudo dtrace-profiler attach {os.getpid()}" in done.stderr
