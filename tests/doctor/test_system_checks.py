"""Each system's checks, by what its commands answer. The answers are those of the systems' documents and users."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from dtrace_profiler.doctor import (
    common_checks,
    freebsd_checks,
    illumos_checks,
    linux_checks,
    macos_checks,
    windows_checks,
)
from dtrace_profiler.doctor.checks import Ask, Check, ask
from dtrace_profiler.doctor.examination import OF_SYSTEM
from dtrace_profiler.errors import PrivilegeError
from dtrace_profiler.platforms import linux
from dtrace_profiler.platforms.systems import SYSTEMS


def answering(answers: Mapping[str, str]) -> Ask:
    """Commands by their first words; all others are not there."""

    def answer(command: Sequence[str]) -> str:
        line = " ".join(command)
        return next((text for begin, text in answers.items() if line.startswith(begin)), "")

    return answer


def found(checks: object) -> dict[str, Check]:
    out = {}
    for check in checks:  # type: ignore[attr-defined]
        assert check.ok is True or check.text
        assert check.name not in out, "each name stands once"
        out[check.name] = check
    return out


def test_every_system_has_its_checks() -> None:
    assert set(OF_SYSTEM) == set(SYSTEMS) - {"netbsd"}


def test_no_answers_at_all_are_no_crash() -> None:
    for name in ("macos", "freebsd", "illumos", "windows"):
        assert isinstance(found(OF_SYSTEM[name](answering({}))), dict)  # type: ignore[index]


SIP_ON = "System Integrity Protection status: enabled.\n"
SIP_CUSTOM = "System Integrity Protection status: unknown (Custom Configuration).\n\nDTrace Restrictions: disabled\n"


@pytest.mark.parametrize(
    ("status", "ok", "costs"), [(SIP_ON, None, True), (SIP_CUSTOM, True, False), ("", None, False)]
)
def test_macos_protection(status: str, ok: bool | None, costs: bool) -> None:
    check = found(macos_checks.checks(answering({"csrutil": status})))["SIP"]
    assert (check.ok, bool(check.cost)) == (ok, costs)
    if costs:
        assert "all others can" in check.text


def test_macos_rosetta_and_pythons(monkeypatch: pytest.MonkeyPatch) -> None:
    by_name = found(macos_checks.checks(answering({"sysctl": "1\n"})))
    assert by_name["Rosetta"].ok is False
    monkeypatch.setattr("sys.executable", "/usr/bin/python3")
    monkeypatch.setattr("os.path.realpath", lambda path: path)
    assert "Apple" in found(macos_checks.checks(answering({"csrutil": SIP_ON})))["Python"].text
    monkeypatch.setattr("sys.executable", "/Library/Frameworks/Python.framework/Versions/3.13/bin/python3")
    hardened = "Executable=python3\nCodeDirectory v=20500 size=500 flags=0x10000(runtime) hashes=1\n"
    by_name = found(macos_checks.checks(answering({"csrutil": SIP_ON, "codesign": hardened})))
    assert "hardened" in by_name["Python"].text
    allowed = hardened + "com.apple.security.get-task-allow"
    assert "Python" not in found(macos_checks.checks(answering({"csrutil": SIP_ON, "codesign": allowed})))


def test_freebsd() -> None:
    by_name = found(freebsd_checks.checks(answering({"sysctl -n security.jail": "1\n"})))
    assert by_name["jail"].ok is False
    assert by_name["modules"].ok is None
    assert by_name["modules"].fix == ("kldload", "dtraceall")
    loaded = "Id Refs Address Size Name\n 5 1 0xffffffff82c00000 1000 dtraceall.ko\n"
    by_name = found(freebsd_checks.checks(answering({"sysctl": "0\n", "kldstat": loaded})))
    assert set(by_name) == {"modules"}
    assert by_name["modules"].ok is True


def test_illumos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(illumos_checks, "is_superuser", lambda: True)
    assert found(illumos_checks.checks(answering({}))) == {}
    monkeypatch.setattr(illumos_checks, "is_superuser", lambda: False)
    held = "8142: bash\nflags = <none>\n\tE: basic,dtrace_proc,dtrace_user\n\tI: basic\n"
    assert found(illumos_checks.checks(answering({"ppriv": held})))["privileges"].ok is True
    check = found(illumos_checks.checks(answering({"ppriv": "1: sh\n\tE: basic,dtrace_proc\n"})))["privileges"]
    assert check.text.endswith("dtrace_user")
    assert "usermod" in check.remedy


def test_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    on = "Windows Boot Loader\n-------------------\nidentifier {current}\ndtrace                  Yes\n"
    secure = "\nHKEY_LOCAL_MACHINE\\...\n    UEFISecureBootEnabled    REG_DWORD    0x1\n"
    monkeypatch.setenv("DTRACE_EXECUTION_POLICY", "AllSigned")
    answers = {"bcdedit": on, r"reg query HKLM\SYSTEM\CurrentControlSet\Control\SecureBoot": secure}
    by_name = found(windows_checks.checks(answering(answers)))
    assert by_name["administrator"].ok is False
    assert by_name["boot option"].ok is True
    assert by_name["Secure Boot"].cost == ""
    assert "signed" in by_name["policy"].text
    by_name = found(windows_checks.checks(answering({**answers, "bcdedit": on.replace("Yes", "No")})))
    assert by_name["boot option"].ok is False
    assert "bcdedit /set dtrace ON" in by_name["boot option"].remedy
    assert by_name["Secure Boot"].cost
    assert found(windows_checks.checks(answering({})))["boot option"].ok is None


@pytest.mark.parametrize(
    ("places", "variable", "ok", "text"),
    [
        ({}, "", None, "nothing says"),
        ({}, "RemoteSigned", True, "RemoteSigned, by DTRACE_EXECUTION_POLICY"),
        ({r"HKLM\Software\OpenDTrace": "Unrestricted"}, "", True, "by the machine's registry"),
        ({r"HKCU\Software\OpenDTrace": "Restricted"}, "", None, "by the user's registry: programs must be signed"),
        ({r"HKLM\Software\Policies": "AllSigned"}, "Bypass", None, "by the machine's group policy"),
        ({r"HKCU\Software\OpenDTrace": "AllSigned"}, "bypass", True, "bypass, by DTRACE_EXECUTION_POLICY"),
    ],
)
def test_windows_policy_for_scripts(
    places: dict[str, str], variable: str, ok: bool | None, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DTRACE_EXECUTION_POLICY", variable)
    answers = {
        f"reg query {key}": f"\nHKEY_...\n    ExecutionPolicy    REG_SZ    {is_}\n" for key, is_ in places.items()
    }
    check = found(windows_checks.checks(answering(answers)))["policy"]
    assert check.ok is ok
    assert text in check.text
    assert bool(check.cost) == ("must be signed" in text or "group" in text)


def test_linux_without_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linux_checks, "is_superuser", lambda: False)
    monkeypatch.setattr(linux, "ptrace_scope", lambda: 2)
    monkeypatch.setattr(linux, "perf_event_max_stack", lambda: 32)
    monkeypatch.setattr(linux, "tracefs_mounted", lambda: False)
    monkeypatch.setattr(linux, "in_container", lambda: "a Docker container")
    by_name = found(linux_checks.checks(answering({})))
    assert by_name["ptrace_scope"].cost == "Python frames will be missing"
    assert by_name["ptrace_scope"].fix == (), "it would make the machine less safe"
    assert by_name["stack depth"].cost
    assert by_name["tracefs"].fix[0] == "mount"
    assert by_name["container"].remedy == ""
    monkeypatch.setattr(linux_checks, "is_superuser", lambda: True)
    monkeypatch.setattr(linux, "missing_capabilities", lambda: ["CAP_BPF"])
    by_name = found(linux_checks.checks(answering({})))
    assert "docker run" in by_name["container"].remedy
    assert "Kubernetes" in by_name["container"].remedy
    assert by_name["capabilities"].remedy.endswith("--cap-add BPF")


def test_linux_kernel_options(tmp_path: Path) -> None:
    (tmp_path / "proc/sys/kernel").mkdir(parents=True)
    (tmp_path / "proc/sys/kernel/osrelease").write_text("6.1.0-test\n")
    assert linux_checks.kernel_configuration(tmp_path) == ""
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot/config-6.1.0-test").write_text("CONFIG_BPF_SYSCALL=y\n")
    assert linux_checks.kernel_configuration(tmp_path) == "CONFIG_BPF_SYSCALL=y\n"
    (tmp_path / "proc/config.gz").write_bytes(gzip.compress(b"CONFIG_PERF_EVENTS=y\n"))
    assert linux_checks.kernel_configuration(tmp_path) == "CONFIG_PERF_EVENTS=y\n"
    (tmp_path / "proc/config.gz").write_bytes(b"\x1f\x8bnot really")
    assert linux_checks.kernel_configuration(tmp_path) == "CONFIG_BPF_SYSCALL=y\n"


def test_linux_says_which_options_are_missing() -> None:
    full = "".join(f"CONFIG_{name}=y\n" for name in linux_checks.OPTIONS)
    assert [check.ok for check in linux_checks.kernel_options(full)] == [True]
    (check,) = linux_checks.kernel_options(full.replace("CONFIG_BPF_EVENTS=y", "# CONFIG_BPF_EVENTS is not set"))
    assert check.text == "built without CONFIG_BPF_EVENTS"
    assert list(linux_checks.kernel_options("")) == []


def test_common_ones_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*, interactive: bool) -> list[str]:
        raise PrivilegeError("dtrace needs root, and sudo wants a password.", remedy="do so")

    monkeypatch.setattr(common_checks, "is_superuser", lambda: False)
    monkeypatch.setattr(common_checks, "elevation", refuse)
    monkeypatch.setattr(common_checks, "in_foreground", lambda: True)
    assert found(common_checks.checks("macos"))["privilege"].ok is None, "it will be asked for"
    monkeypatch.setattr(common_checks, "in_foreground", lambda: False)
    by_name = found(common_checks.checks("illumos"))
    assert by_name["privilege"].cost == "dtrace refuses to begin"
    assert "not been tried here" in by_name["system"].text
    monkeypatch.setattr(common_checks, "elevation", lambda *, interactive: ["sudo", "-n", "--"])
    assert found(common_checks.checks("freebsd"))["privilege"].text == "sudo -n --, for DTrace alone"
    assert "privilege" not in found(common_checks.checks("windows"))
    assert found(common_checks.checks("other"))["system"].ok is False


def test_what_libraries_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    check = found(common_checks.checks("linux"))["libraries"]
    assert check.remedy == "pip install 'dtrace-profiler[symbols,numpy,tui]'"
    assert "millions of stacks" in check.cost


def test_commands_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dtrace_profiler.doctor.checks.ANSWER_TIMEOUT_S", 60.0)
    assert ask(["python3", "-c", "print('yes')"]).strip() == "yes"
    assert ask(["there-is-no-such-command"]) == ""
    monkeypatch.setattr("dtrace_profiler.doctor.checks.ANSWER_TIMEOUT_S", 0.1)
    assert ask(["sleep", "30"]) == "", "it did not answer in time"
