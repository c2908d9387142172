"""Questions about processes, of real ones and of a /proc that is made here; and systems without one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dtrace_profiler.platforms import processes
from dtrace_profiler.platforms.base import is_superuser, system, user_id

linux_only = pytest.mark.skipif(system() != "linux", reason="reads /proc")
STAT = "7 (a) (b) {} 1 1 1 0 0 0 0 0 0 0 150 50 0 0 20 0 1 0 77 0 0"


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """Processes 7, with threads 7 and 8, a child 9 and a grandchild 10 that names 7 as its child; 6 has ended."""
    for pid, tid, children in ((7, 7, "9 "), (7, 8, "x"), (9, 9, "10"), (10, 10, "7 9")):
        task = tmp_path / str(pid) / "task" / str(tid)
        task.mkdir(parents=True)
        (task / "children").write_text(children)
        (task / "comm").write_bytes(b"worker \xff\n")
    (tmp_path / "7" / "stat").write_text(STAT.format("S"))
    (tmp_path / "7" / "cmdline").write_bytes(b"python\0a b.py\0\xff\0")
    (tmp_path / "7" / "cwd").symlink_to("/srv")
    (tmp_path / "6").mkdir()
    (tmp_path / "6" / "stat").write_text(STAT.format("Z"))
    (tmp_path / "6" / "cmdline").write_bytes(b"")
    (tmp_path / "5").mkdir()
    (tmp_path / "5" / "stat").write_text("")
    (tmp_path / "self").mkdir()
    return tmp_path


def test_a_process_of_a_made_proc(proc: Path) -> None:
    base = str(proc)
    assert processes.process_exists(7, proc=base)
    assert not processes.process_exists(6, proc=base), "a zombie"
    assert not processes.process_exists(4, proc=base)
    assert processes.cpu_seconds(7, proc=base) == 200 / os.sysconf("SC_CLK_TCK")
    assert processes.cpu_seconds(4, proc=base) is None
    assert processes.cpu_seconds(5, proc=base) is None
    assert processes.thread_name(7, 8, proc=base) == "worker \ufffd"
    assert processes.thread_name(7, 9, proc=base) == ""
    assert processes.arguments(7, proc=base) == ["python", "a b.py", "\ufffd"]
    assert processes.arguments(6, proc=base) == []
    assert processes.arguments(4, proc=base) == []
    assert processes.command_line(7, proc=base) == "python 'a b.py' '\ufffd'"
    assert processes.working_directory(7, proc=base) == "/srv"
    assert processes.working_directory(9, proc=base) == ""


def test_children_are_followed_once(proc: Path) -> None:
    assert processes.children(7, proc=str(proc)) == [9]
    assert processes.children(4, proc=str(proc)) == []
    assert list(processes.descendants(7, proc=str(proc))) == [9, 10]


def test_without_a_proc_a_signal_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proc: Path) -> None:
    nowhere = str(tmp_path / "nowhere")
    assert processes.process_exists(os.getpid(), proc=nowhere)
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert not processes.process_exists(child.pid, proc=nowhere)
    assert not processes.process_exists(child.pid, proc=str(proc))
    assert not processes._answers_signals(child.pid)

    def denied(pid: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", denied)
    assert processes.process_exists(5, proc=str(proc)), "another user's, whose stat says nothing"
    monkeypatch.setattr(processes, "system", lambda: "windows")
    monkeypatch.delattr(os, "kill")
    assert processes.process_exists(5, proc=nowhere), "never asked there"


@linux_only
def test_this_process() -> None:
    assert processes.process_exists(os.getpid())
    assert (processes.cpu_seconds(os.getpid()) or 0) > 0
    assert processes.arguments(os.getpid())
    assert processes.working_directory(os.getpid()) == os.getcwd()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert child.pid in processes.children(os.getpid())
        child.communicate(b"\n")


def test_users_are_numbered_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000, raising=False)
    assert (user_id(), is_superuser()) == (1000, False)
    monkeypatch.setattr(os, "geteuid", lambda: 0, raising=False)
    assert (user_id(), is_superuser()) == (0, True)
    monkeypatch.delattr(os, "geteuid")
    assert (user_id(), is_superuser()) == (None, None)


@pytest.mark.parametrize(
    ("platform", "name"),
    [
        ("linux", "linux"),
        ("android", "linux"),
        ("darwin", "macos"),
        ("freebsd14", "freebsd"),
        ("dragonfly6", "freebsd"),
        ("netbsd10", "netbsd"),
        ("sunos5", "illumos"),
        ("win32", "windows"),
        ("cygwin", "windows"),
        ("aix", "other"),
    ],
)
def test_systems_by_what_python_calls_them(platform: str, name: str) -> None:
    assert system(platform) == name
