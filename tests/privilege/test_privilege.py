"""How dtrace gets its rights: through stand-ins for sudo that refuse in sudo's words, and through the real one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dtrace_profiler import privilege
from dtrace_profiler.errors import PrivilegeError
from dtrace_profiler.platforms.base import is_superuser
from dtrace_profiler.privilege import elevation

pytestmark = pytest.mark.posix

SOURCE = Path(__file__).parents[2] / "src"
NOBODY = 65534


@pytest.fixture
def sudo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file called sudo in a PATH of its own, for an ordinary user; tests write what it does."""
    monkeypatch.setattr(privilege, "is_superuser", lambda: False)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path / "sudo"


def write(path: Path, body: str) -> None:
    path.write_text(f'#!/bin/sh\necho "$*" >>{path}.calls\n{body}\n')
    path.chmod(0o755)


def test_root_needs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privilege, "is_superuser", lambda: True)
    assert elevation() == []


def test_windows_has_no_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privilege, "is_superuser", lambda: None)
    assert elevation() == []


def test_no_sudo(sudo: Path) -> None:
    with pytest.raises(PrivilegeError, match="no sudo here") as caught:
        elevation(interactive=True)
    assert "--engine sampler" in caught.value.remedy


def test_sudo_that_asks_nothing(sudo: Path) -> None:
    write(sudo, 'shift 2; exec "$@"')
    assert elevation(interactive=True) == [str(sudo), "-n", "--"]
    assert Path(f"{sudo}.calls").read_text() == "-n -- /bin/sh -c :\n"


def test_nobody_is_asked_without_a_terminal(sudo: Path) -> None:
    write(sudo, "echo 'sudo: a password is required' >&2; exit 1")
    with pytest.raises(PrivilegeError, match="wants a password that nobody is here to type") as caught:
        elevation(interactive=False)
    assert caught.value.remedy.startswith("sudo -v")
    assert "-v" not in Path(f"{sudo}.calls").read_text()


def test_a_password_is_asked_for_once_and_before(sudo: Path) -> None:
    write(
        sudo,
        f'for word; do [ "$word" = -v ] && {{ : >{sudo}.known; exit 0; }}; done\n'
        f"[ -e {sudo}.known ] && exit 0\necho 'sudo: a password is required' >&2; exit 1",
    )
    assert elevation(interactive=True) == [str(sudo), "-n", "--"]
    assert Path(f"{sudo}.calls").read_text().count("-v") == 1


def test_a_wrong_password(sudo: Path) -> None:
    write(sudo, "echo 'sudo: a password is required' >&2; exit 1")
    with pytest.raises(PrivilegeError, match="did not accept the password"):
        elevation(interactive=True)


def test_a_user_without_the_right_is_not_asked(sudo: Path) -> None:
    write(sudo, "echo 'Sorry, user eve is not allowed to execute /bin/sh as root on host.' >&2; exit 1")
    with pytest.raises(PrivilegeError, match="does not let this user run it"):
        elevation(interactive=True)
    assert "-v" not in Path(f"{sudo}.calls").read_text()


def test_a_reason_nobody_knows_is_quoted(sudo: Path) -> None:
    write(sudo, "echo 'lecture'; echo 'sudo: the moon is full' >&2; exit 7")
    with pytest.raises(PrivilegeError, match="sudo refused it: sudo: the moon is full"):
        elevation()


def test_a_sudo_that_hangs(sudo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privilege, "ANSWER_TIMEOUT_S", 0.3)
    write(sudo, "exec /bin/sleep 60")
    with pytest.raises(PrivilegeError, match="sudo did not answer"):
        elevation()


@pytest.fixture
def sudoers() -> Iterator[Path]:
    """The folder of sudo's own rules, as root; what a test adds is taken away."""
    folder = Path("/etc/sudoers.d")
    if not is_superuser() or shutil.which("sudo") is None or not folder.is_dir():
        pytest.skip("needs root and sudo to give rights to another user")
    path = folder / "dtrace-profiler-test"
    yield path
    path.unlink(missing_ok=True)


def as_nobody(code: str) -> dict[str, str]:
    """Runs code as an ordinary user after the imports (the checkout may be where only root may read)."""
    program = (
        "import json, os, sys; sys.path.insert(0, sys.argv[1])\n"
        "from dtrace_profiler.privilege import elevation\n"
        f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY}); os.chdir('/')\n"
        "try: out = {'prefix': ' '.join(elevation())}\n"
        "except Exception as error: out = {'error': type(error).__name__, 'text': str(error)}\n"
        f"{code}\nprint(json.dumps(out))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(SOURCE)],
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    answer: dict[str, str] = json.loads(done.stdout)
    return answer


@pytest.mark.alone
def test_the_real_sudo_refuses(sudoers: Path) -> None:
    answer = as_nobody("")
    assert answer["error"] == "PrivilegeError"
    assert "password" in answer["text"] or "does not let this user" in answer["text"]


@pytest.mark.alone
def test_the_real_sudo_allows(sudoers: Path) -> None:
    sudoers.write_text(f"#{NOBODY} ALL=(root) NOPASSWD: ALL\n")
    sudoers.chmod(0o440)
    answer = as_nobody(
        "import subprocess; out['user'] = subprocess.run([*out['prefix'].split(), 'id', '-u'],"
        " capture_output=True, text=True).stdout.strip()"
    )
    assert answer["prefix"].endswith("sudo -n --")
    assert answer["user"] == "0"
