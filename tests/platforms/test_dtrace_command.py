"""Finding dtrace and telling it from others."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fake_dtrace
from dtrace_profiler.errors import DTraceFailed, DTraceNotFound, DTraceTooOld, NotDTrace
from dtrace_profiler.platforms import dtrace_command
from dtrace_profiler.platforms.dtrace_command import find_dtrace, parse_version
from dtrace_profiler.platforms.systems import facts


@pytest.fixture(autouse=True)
def no_system_directories(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The machine's own dtrace stays out of sight; `sbin` stands for the directories outside PATH."""
    sbin = tmp_path / "sbin"
    sbin.mkdir()
    monkeypatch.setattr(dtrace_command, "facts", lambda on: replace(facts(on), directories=(str(sbin),)))
    return sbin


@pytest.mark.parametrize(
    ("answer", "version"),
    [
        ("dtrace: D 2.0.7\n", (2, 0, 7)),
        ("dtrace:  D 2.0.3\n", (2, 0, 3)),
        ("dtrace: Sun D 1.13.1\n", (1, 13, 1)),
        ("dtrace: Oracle D 1.6\n", (1, 6)),
        ("a warning first\ndtrace: D 2.0.10\nThis is DTrace 2.0.10\n", (2, 0, 10)),
        ("dtrace: D\n", None),
        ("xdtrace: D 2.0.7", None),
        (fake_dtrace.SYSTEMTAP_USAGE, None),
        ("", None),
    ],
)
def test_parse_version(answer: str, version: tuple[int, ...] | None) -> None:
    assert parse_version(answer) == version


@given(st.text(), st.lists(st.integers(0, 999), min_size=1, max_size=4))
def test_version_is_found_after_any_line(before: str, version: list[int]) -> None:
    text = ".".join(map(str, version))
    if parse_version(before) is None:
        assert parse_version(f"{before}\ndtrace: D {text}\n") == tuple(version)


def test_path_first_then_the_systems_directories(tmp_path: Path, no_system_directories: Path) -> None:
    fake_dtrace.install(no_system_directories, version="D 2.0.6")
    assert find_dtrace("linux", {"PATH": str(tmp_path)}).version == (2, 0, 6)
    fake_dtrace.install(tmp_path, version="D 2.0.9")
    found = find_dtrace("linux", {"PATH": f"{os.pathsep}{tmp_path}{os.pathsep}/nowhere"})
    assert (found.path, found.version, found.version_text) == (str(tmp_path / "dtrace"), (2, 0, 9), "2.0.9")


def test_systemtaps_script_is_passed_over(tmp_path: Path, no_system_directories: Path) -> None:
    fake_dtrace.install(tmp_path, version_mode="systemtap")
    with pytest.raises(NotDTrace, match=r"systemtap's script, which only makes header files"):
        find_dtrace("linux", {"PATH": str(tmp_path)})
    fake_dtrace.install(no_system_directories)
    assert find_dtrace("linux", {"PATH": str(tmp_path)}).version == (2, 0, 7)


def test_too_old_says_which_is_needed(tmp_path: Path, no_system_directories: Path) -> None:
    fake_dtrace.install(tmp_path, version_mode="systemtap")
    fake_dtrace.install(no_system_directories, version="D 2.0.4")
    with pytest.raises(DTraceTooOld, match=r"is DTrace 2\.0\.4: too old, 2\.0\.5 or later"):
        find_dtrace("linux", {"PATH": str(tmp_path)})


def test_sun_d_is_new_enough_elsewhere(tmp_path: Path) -> None:
    fake_dtrace.install(tmp_path, version="Sun D 1.13")
    assert find_dtrace("freebsd", {"PATH": str(tmp_path)}).version == (1, 13)
    with pytest.raises(DTraceTooOld):
        find_dtrace("linux", {"PATH": str(tmp_path)})


def test_nothing_of_that_name(tmp_path: Path) -> None:
    (tmp_path / "dtrace").write_text("not executable")
    with pytest.raises(DTraceNotFound, match="dtrace is not installed") as caught:
        find_dtrace("linux", {"PATH": str(tmp_path)})
    assert "apt install dtrace" in caught.value.remedy


@pytest.mark.parametrize("mode", ["garbage", "flood"])
def test_garbage_is_not_dtrace(tmp_path: Path, mode: str) -> None:
    fake_dtrace.install(tmp_path, version_mode=mode)
    with pytest.raises(NotDTrace, match="another program of that name"):
        find_dtrace("linux", {"PATH": str(tmp_path)})


def test_one_that_hangs_is_ended(tmp_path: Path) -> None:
    fake_dtrace.install(tmp_path, version_mode="hang")
    with pytest.raises(DTraceFailed, match=r"-V did not answer within 0\.5 seconds"):
        find_dtrace("linux", {"PATH": str(tmp_path)}, timeout_s=0.5)


def test_a_file_that_no_system_executes(tmp_path: Path) -> None:
    path = tmp_path / "dtrace"
    path.write_bytes(b"\x7fELF junk")
    path.chmod(0o755)
    with pytest.raises(NotDTrace, match="can't be executed"):
        find_dtrace("linux", {"PATH": str(tmp_path)})


def test_the_environment_overrides(tmp_path: Path, no_system_directories: Path) -> None:
    fake_dtrace.install(no_system_directories)
    chosen = fake_dtrace.install(tmp_path, name="my dtrace", version="D 2.1")
    assert find_dtrace("linux", {"DTRACE_PROFILER_DTRACE": str(chosen)}).path == str(chosen)
    with pytest.raises(DTraceNotFound, match="DTRACE_PROFILER_DTRACE names /no/such/file"):
        find_dtrace("linux", {"DTRACE_PROFILER_DTRACE": "/no/such/file"})
    fake_dtrace.install(tmp_path, name="other", version_mode="systemtap")
    with pytest.raises(NotDTrace):
        find_dtrace("linux", {"DTRACE_PROFILER_DTRACE": str(tmp_path / "other")})


def test_an_answer_is_remembered_until_the_file_changes(tmp_path: Path) -> None:
    path = fake_dtrace.install(tmp_path, version="D 2.0.5")
    environ = {"PATH": str(tmp_path)}
    assert find_dtrace("linux", environ).version == (2, 0, 5)
    fake_dtrace.install(tmp_path, version="D 2.0.11")
    assert find_dtrace("linux", environ).version == (2, 0, 11)
    path.unlink()
    with pytest.raises(DTraceNotFound):
        find_dtrace("linux", environ)


def test_windows_directories_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    directories = ("%ProgramFiles%",)
    monkeypatch.setattr(dtrace_command, "facts", lambda on: replace(facts(on), directories=directories))
    fake_dtrace.install(tmp_path, version="Sun D 1.13.1")
    assert find_dtrace("windows", {"ProgramFiles": str(tmp_path)}).version == (1, 13, 1)
