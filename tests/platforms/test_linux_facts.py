"""Facts read from a small made-up /proc and /sys, and from the real one where there is one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dtrace_profiler.platforms import linux
from dtrace_profiler.platforms.base import system


def put(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_an_empty_machine_has_defaults(tmp_path: Path) -> None:
    assert linux.perf_event_max_stack(tmp_path) == 127
    assert linux.ptrace_scope(tmp_path) == 0
    assert not linux.tracefs_mounted(tmp_path)
    assert not linux.has_type_information(tmp_path)
    assert linux.lockdown(tmp_path) == ""
    assert linux.missing_capabilities(tmp_path) == []
    assert linux.process_state(1, tmp_path) == ""
    assert linux.process_user(1, tmp_path) is None
    assert linux.thread_group(1, tmp_path) is None


def test_numbers(tmp_path: Path) -> None:
    put(tmp_path, "proc/sys/kernel/perf_event_max_stack", "512\n")
    put(tmp_path, "proc/sys/kernel/yama/ptrace_scope", "1\n")
    assert linux.perf_event_max_stack(tmp_path) == 512
    assert linux.ptrace_scope(tmp_path) == 1
    put(tmp_path, "proc/sys/kernel/perf_event_max_stack", "junk")
    assert linux.perf_event_max_stack(tmp_path) == 127


@pytest.mark.parametrize(
    ("mounts", "there"),
    [
        ("nodev /sys/kernel/tracing tracefs rw 0 0\n", False),
        ("tracefs /sys/kernel/debug/tracing tracefs rw 0 0\n", True),
        ("debugfs /sys/kernel/debug debugfs rw 0 0\n", True),
        ("tracefs /tracefs ext4 rw 0 0\n\n", False),
    ],
)
def test_tracefs(tmp_path: Path, mounts: str, there: bool) -> None:
    put(tmp_path, "proc/self/mounts", mounts)
    assert linux.tracefs_mounted(tmp_path) is there


def test_lockdown(tmp_path: Path) -> None:
    put(tmp_path, "sys/kernel/security/lockdown", "none [integrity] confidentiality\n")
    assert linux.lockdown(tmp_path) == "integrity"


@pytest.mark.parametrize(
    ("effective", "missing"),
    [
        ("000001ffffffffff", []),
        ("0000000000000000", sorted(linux.CAPABILITIES)),
        # as in Docker: no CAP_SYS_ADMIN and what follows from it
        ("00000000a80425fb", sorted(linux.CAPABILITIES)),
        # an older kernel: CAP_SYS_ADMIN covers the two that came later
        ("0000003fffffffff", []),
        # both of them, but not CAP_SYS_ADMIN, which is not needed then
        ("000001ffffdfffff", []),
        ("0000003fffdfffff", ["CAP_BPF", "CAP_PERFMON", "CAP_SYS_ADMIN"]),
    ],
)
def test_missing_capabilities(tmp_path: Path, effective: str, missing: list[str]) -> None:
    put(tmp_path, "proc/self/status", f"Name:\tx\nCapEff:\t{effective}\n")
    assert linux.missing_capabilities(tmp_path) == missing


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        (".dockerenv", "", "a Docker container"),
        ("run/.containerenv", "", "a Podman container"),
        ("var/run/secrets/kubernetes.io/token", "", "a Kubernetes pod"),
        ("proc/1/environ", "HOME=/\0container=lxc\0", "a container (lxc)"),
        ("proc/1/environ", "HOME=/\0", ""),
        ("etc/hostname", "x", ""),
    ],
)
def test_containers_give_themselves_away(tmp_path: Path, name: str, text: str, what: str) -> None:
    put(tmp_path, name, text)
    assert linux.in_container(tmp_path) == what


def test_a_name_with_brackets_and_blanks(tmp_path: Path) -> None:
    put(tmp_path, "proc/7/stat", "7 (a) b) (c) T 1 7 7 0\n")
    assert linux.process_state(7, tmp_path) == "T"


@pytest.mark.skipif(system() != "linux", reason="reads the real /proc")
def test_our_own_process_and_a_child() -> None:
    pid = os.getpid()
    assert linux.process_state(pid) in ("R", "S")
    assert linux.process_user(pid) == os.geteuid()
    assert linux.thread_group(pid) == pid
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert linux.process_state(child.pid) == "Z"
    child.wait()
    assert linux.process_state(child.pid) == ""
