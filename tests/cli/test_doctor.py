"""`doctor`: what it finds with stand-ins for dtrace, and with the real one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_runs import Run

import fake_dtrace
from dtrace_profiler.cli import doctor, main
from dtrace_profiler.doctor import common_checks, linux_checks
from dtrace_profiler.doctor.checks import Check
from dtrace_profiler.doctor.selftest import Trial
from dtrace_profiler.errors import PrivilegeError
from dtrace_profiler.platforms import linux
from dtrace_profiler.platforms.base import system

pytestmark = pytest.mark.posix

linux_only = pytest.mark.skipif(system() != "linux", reason="DTrace is run only on Linux as yet")
Fake = Callable[..., Path]


@pytest.fixture
def good_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel and rights with which DTrace can be used, whatever this machine has."""
    monkeypatch.setattr(linux, "tracefs_mounted", lambda: True)
    monkeypatch.setattr(linux, "has_type_information", lambda: True)
    monkeypatch.setattr(linux, "missing_capabilities", list)
    monkeypatch.setattr(linux, "lockdown", lambda: "")


def checks(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, object], dict[str, dict[str, object]]]:
    status = main(["doctor", "--json"])
    found = json.loads(capsys.readouterr().out)
    return status, found, {check["name"]: check for check in found["checks"]}


@linux_only
def test_all_well(fake: Fake, good_kernel: None, capsys: pytest.CaptureFixture[str]) -> None:
    path = fake(**fake_dtrace.SAMPLING)
    status, found, by_name = checks(capsys)
    assert (status, found["usable"], found["engine"], found["reason"]) == (0, True, "dtrace", "")
    assert by_name["dtrace"]["text"] == f"{path}, version 2.0.7, as DTRACE_PROFILER_DTRACE says"
    assert by_name["trial"]["ok"] is True
    assert main(["doctor"]) == 0
    assert "DTrace can be used" in capsys.readouterr().out


@linux_only
@pytest.mark.parametrize(
    ("behaviour", "name", "text"),
    [
        ({"version": "D 2.0.4"}, "dtrace", "too old"),
        ({"version_mode": "systemtap"}, "dtrace", "systemtap"),
        ({"stderr": "dtrace: boom\n", "status": 1}, "trial", "boom"),
    ],
)
def test_what_stands_against_it(
    fake: Fake,
    good_kernel: None,
    capsys: pytest.CaptureFixture[str],
    behaviour: dict[str, object],
    name: str,
    text: str,
) -> None:
    fake(**behaviour)
    status, found, by_name = checks(capsys)
    assert (status, found["usable"], found["engine"]) == (4, False, "sampler")
    assert str(found["reason"]).startswith(name)
    assert by_name[name]["ok"] is False
    assert text in str(by_name[name]["text"])
    assert main(["doctor"]) == 4
    said = capsys.readouterr().out
    assert f"FAIL {name}" in said
    assert "DTrace can't be used" in said


@linux_only
@pytest.mark.parametrize(
    ("fact", "value", "name", "remedy"),
    [
        ("tracefs_mounted", False, "tracefs", "mount -t debugfs"),
        ("has_type_information", False, "BTF", "CONFIG_DEBUG_INFO_BTF"),
        ("lockdown", "confidentiality", "lockdown", "integrity"),
    ],
)
def test_what_the_kernel_lacks(
    fake: Fake,
    good_kernel: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    fact: str,
    value: object,
    name: str,
    remedy: str,
) -> None:
    path = fake(**fake_dtrace.SAMPLING)
    monkeypatch.setattr(linux, fact, lambda: value)
    status, _, by_name = checks(capsys)
    assert status == 4
    assert by_name[name]["ok"] is False
    assert remedy in str(by_name[name]["remedy"])
    assert "trial" not in by_name
    assert fake_dtrace.calls(path) == []


@linux_only
def test_a_container_without_rights(
    fake: Fake, good_kernel: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(**fake_dtrace.SAMPLING)
    monkeypatch.setattr(linux_checks, "is_superuser", lambda: True)
    monkeypatch.setattr(linux, "missing_capabilities", lambda: ["CAP_BPF", "CAP_SYS_ADMIN"])
    status, _, by_name = checks(capsys)
    assert status == 4
    assert by_name["capabilities"]["remedy"] == "start the container with --cap-add BPF,SYS_ADMIN"


@linux_only
def test_a_password_is_not_asked_for(
    fake: Fake, good_kernel: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(**fake_dtrace.SAMPLING)

    def refuse(*, interactive: bool) -> list[str]:
        assert not interactive
        raise PrivilegeError("dtrace needs root, and sudo wants a password that nobody is here to type.")

    monkeypatch.setattr(common_checks, "is_superuser", lambda: False)
    monkeypatch.setattr(common_checks, "elevation", refuse)
    monkeypatch.setattr(common_checks, "in_foreground", lambda: False)
    status, _, by_name = checks(capsys)
    assert (status, by_name["privilege"]["ok"]) == (4, False)


@linux_only
def test_dtrace_is_started_once(fake: Fake, good_kernel: None, capsys: pytest.CaptureFixture[str]) -> None:
    path = fake(**fake_dtrace.SAMPLING)
    assert main(["doctor", str(os.getpid())]) == 0
    assert len([call for call in fake_dtrace.calls(path) if "-V" not in call]) == 1
    said = capsys.readouterr().out
    assert f"process {os.getpid()}" in said
    assert "CPython 3." in said


MENDABLE = Check("tracefs", False, "not mounted", fix=("mount", "it"))
MENDED = Check("tracefs", True, "mounted")


@pytest.fixture
def mending(monkeypatch: pytest.MonkeyPatch) -> list[Check]:
    """What was mended; before that, something is wrong."""
    done: list[Check] = []
    monkeypatch.setattr(doctor, "examine", lambda pid: iter([MENDED if done else MENDABLE]))
    monkeypatch.setattr(doctor, "mend", done.append)
    return done


def test_mending(mending: list[Check], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 4
    assert mending == []
    assert main(["doctor", "--fix", "--yes"]) == 0
    assert mending == [MENDABLE]
    assert "ok   tracefs" in capsys.readouterr().out
    assert main(["doctor", "--fix", "--yes"]) == 0
    assert "Nothing here can be mended" in capsys.readouterr().out


def test_mending_asks(
    mending: list[Check], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert main(["doctor", "--fix"]) == 2
    assert "--yes" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    for answer, status in ((False, 4), (True, 0)):
        monkeypatch.setattr("click.confirm", lambda text, err, answer=answer: answer)
        assert main(["doctor", "--fix"]) == status
        assert bool(mending) is answer


def test_a_selftest_writes_its_report(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = Trial(way="one", ok=True, text="75 %"), Trial(way="two", ok=False, text="50 %")
    monkeypatch.setattr(doctor, "examine", lambda pid: iter([MENDED]))
    monkeypatch.setattr(doctor, "selftest", lambda on, *, dtrace_usable: iter([good]))
    monkeypatch.chdir(tmp_path)
    assert main(["doctor", "--selftest"]) == 0
    assert json.loads((tmp_path / doctor.DEFAULT_REPORT).read_text())["trials"][0]["way"] == "one"
    monkeypatch.setattr(doctor, "selftest", lambda on, *, dtrace_usable: iter([good, bad]))
    capsys.readouterr()
    assert main(["doctor", "--selftest", "--json"]) == 4
    assert [trial["ok"] for trial in json.loads(capsys.readouterr().out)["trials"]] == [True, False]
    assert main(["doctor", "--selftest", "-o", "no-such-folder/x"]) == 2
    assert "can't be written" in capsys.readouterr().err


@pytest.mark.dtrace
@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("DTRACE_PROFILER_LONG"), reason="half a minute: with DTRACE_PROFILER_LONG=1")
def test_the_real_selftest(cli: Run, tmp_path: Path) -> None:
    done = cli("doctor", "--selftest", "-o", str(tmp_path / "report.json"))
    found = json.loads((tmp_path / "report.json").read_text())
    assert [(trial["way"], trial["ok"]) for trial in found["trials"]] == [
        ("DTrace, this process", True),
        ("DTrace as elsewhere, this process", True),
        ("embedded sampler", True),
        ("DTrace, another process", True),
    ], done.stdout
    assert done.returncode == 0


@pytest.mark.dtrace
def test_the_real_one(cli: Run) -> None:
    done = cli("doctor", "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["usable"], done.stderr) == (0, True, ""), done.stdout
    assert found["checks"][-1]["name"] == "trial"
