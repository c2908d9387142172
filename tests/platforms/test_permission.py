"""Whether a process may be profiled: real processes, and another user's as an ordinary user."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dtrace_profiler.errors import NoSuchProcess, NotPermitted
from dtrace_profiler.platforms import ownership, permission
from dtrace_profiler.platforms.base import is_superuser, system
from dtrace_profiler.platforms.permission import check_process

pytestmark = pytest.mark.posix

posix_only = pytest.mark.skipif(system() == "windows", reason="asks by signal 0")
linux_only = pytest.mark.skipif(system() != "linux", reason="reads /proc")
SOURCE = Path(__file__).parents[2] / "src"
NOBODY = 65534


def test_our_own_process_and_a_child() -> None:
    check_process(os.getpid())
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        check_process(child.pid)
    finally:
        child.communicate(b"\n")


@posix_only
@pytest.mark.parametrize("pid", [0, -1, 2**31, 10**30])
def test_not_a_process_id(pid: int) -> None:
    with pytest.raises(NoSuchProcess, match="is not a process id"):
        check_process(pid)


@posix_only
def test_one_that_has_ended() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    with pytest.raises(NoSuchProcess, match=f"there is no process {child.pid}"):
        check_process(child.pid)


@linux_only
def test_one_that_has_ended_and_is_not_waited_for() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(NoSuchProcess, match="has ended"):
        check_process(child.pid)
    child.wait()


@linux_only
def test_a_thread_is_no_process() -> None:
    ids: list[int] = []
    go, done = threading.Event(), threading.Event()

    def live() -> None:
        ids.append(threading.get_native_id())
        go.set()
        done.wait()

    thread = threading.Thread(target=live)
    thread.start()
    go.wait()
    try:
        with pytest.raises(NoSuchProcess, match=f"is a thread of process {os.getpid()}") as caught:
            check_process(ids[0])
        assert caught.value.remedy == f"dtrace-profiler attach {os.getpid()}"
    finally:
        done.set()
        thread.join()


@posix_only
def test_another_users_process() -> None:
    if not is_superuser() or shutil.which("setpriv") is None:
        pytest.skip("needs root and setpriv to become another user")
    # Loaded before the change of user: the checkout may be where nobody may read.
    code = (
        "import os, sys; sys.path.insert(0, sys.argv[1])\n"
        "from dtrace_profiler.platforms.permission import check_process\n"
        f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
        "try: check_process(int(sys.argv[2]))\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(SOURCE), str(os.getpid())], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"{NotPermitted.__name__} process {os.getpid()} belongs to another user")


def test_on_windows_nothing_is_sent_to_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "kill")
    check_process(os.getpid(), "windows")
    with pytest.raises(NoSuchProcess, match="0 is not a process id"):
        check_process(0, "windows")


@posix_only
def test_what_the_system_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(pid: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", denied)
    with pytest.raises(NotPermitted, match="process 77 belongs to another user") as caught:
        check_process(77, "freebsd")
    assert caught.value.remedy == "sudo dtrace-profiler attach 77"
    monkeypatch.setattr(os, "kill", lambda pid, number: None)
    check_process(77, "macos")


def test_a_program_with_more_rights_than_its_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux lets its user signal it, but not look into it."""
    monkeypatch.setattr(os, "kill", lambda pid, number: None)
    monkeypatch.setattr(permission.linux, "process_state", lambda pid: "S")
    monkeypatch.setattr(permission.linux, "thread_group", lambda pid: pid)
    monkeypatch.setattr(permission.linux, "process_user", lambda pid: 0)
    monkeypatch.setattr(permission, "user_id", lambda: 1000)
    monkeypatch.setattr(permission, "is_superuser", lambda: False)
    with pytest.raises(NotPermitted):
        check_process(77, "linux")
    monkeypatch.setattr(permission, "is_superuser", lambda: True)
    check_process(77, "linux")


def test_invoking_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ownership, "is_superuser", lambda: True)
    assert ownership.invoking_user({"SUDO_UID": "1000", "SUDO_GID": "100"}) == (1000, 100)
    assert ownership.invoking_user({"SUDO_UID": "0", "SUDO_GID": "0"}) is None
    assert ownership.invoking_user({"SUDO_UID": "x", "SUDO_GID": "0"}) is None
    assert ownership.invoking_user({}) is None
    monkeypatch.setattr(ownership, "is_superuser", lambda: False)
    assert ownership.invoking_user({"SUDO_UID": "1000", "SUDO_GID": "100"}) is None


@posix_only
def test_files_go_to_the_invoking_user_but_not_through_links(tmp_path: Path) -> None:
    if not is_superuser():
        pytest.skip("needs root to give files away")
    made, other, link = tmp_path / "made", tmp_path / "other", tmp_path / "link"
    made.touch()
    other.touch()
    link.symlink_to(other)
    environ = {"SUDO_UID": str(NOBODY), "SUDO_GID": str(NOBODY)}
    ownership.give_to_invoking_user(made, environ)
    ownership.give_to_invoking_user(link, environ)
    ownership.give_to_invoking_user(tmp_path / "missing", environ)
    assert (made.stat().st_uid, made.stat().st_gid) == (NOBODY, NOBODY)
    assert other.stat().st_uid == 0
    ownership.give_to_invoking_user(other, {})
    assert other.stat().st_uid == 0
