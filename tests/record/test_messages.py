"""dtrace's own words. Those that the corpus holds: test_corpus.py."""

from __future__ import annotations

import re
import signal
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtrace_profiler.errors import DTraceFailed, DTraceProfilerError, NoSuchProcess, NotPermitted, PrivilegeError
from dtrace_profiler.platforms.base import System
from dtrace_profiler.record.message_table import MESSAGES
from dtrace_profiler.record.messages import RunTimeError, classify, drops, is_notice, run_time_error

SYSTEMS: tuple[System, ...] = get_args(System)


@pytest.mark.parametrize("row", MESSAGES, ids=lambda row: row.pattern.pattern[:40])
def test_every_row_makes_a_sentence(row) -> None:  # type: ignore[no-untyped-def]
    names = dict.fromkeys(row.pattern.groupindex, "x")
    sentence = row.sentence.format_map(names)
    assert row.remedy.format_map(names)
    assert sentence.endswith((".", "x"))
    assert "\n" not in sentence


# (text, status, system, class, in the sentence, in the remedy)
CASES: list[tuple[str, int | None, System, type[DTraceProfilerError], str, str]] = [
    ("dtrace: run as root for tracing and listing probes\n", 2, "linux", PrivilegeError, "needs root", "sudo"),
    (
        "dtrace: could not enable tracing: failed to create BPF map 'state':\n\tThe kernel locked-memory limit is"
        " possibly too low.  Set a\n\thigher limit\n",
        1,
        "linux",
        PrivilegeError,
        "CAP_BPF",
        "--cap-add",
    ),
    (
        "dtrace: could not enable tracing: BPF program load for 'dtrace:::BEGIN' failed:\n"
        "\tThe kernel locked-memory limit is possibly too low.  Set a\n",
        1,
        "linux",
        PrivilegeError,
        "CAP_PERFMON",
        "--cap-add",
    ),
    (
        "BPF: func#0 @0\nBPF: jump out of range from insn 147 to -22984\n"
        "dtrace: could not enable tracing: BPF program load for 'profile:::profile-99' failed: Invalid argument\n",
        1,
        "linux",
        DTraceFailed,
        "verifier refused the program for profile:::profile-99 (Invalid argument)",
        "--depth",
    ),
    (
        "dtrace: failed to compile script /tmp/x.d: line 12: probe description rawtp:sched::sched_process_exec"
        " does not match any probes\n",
        1,
        "linux",
        DTraceFailed,
        "tracefs is not mounted",
        "mount -t debugfs",
    ),
    (
        "dtrace: could not enable tracing: Failed to enable dtrace:::BEGIN: No such file or directory\n",
        1,
        "linux",
        DTraceFailed,
        "tracefs is not mounted",
        "mount -t debugfs",
    ),
    (
        "dtrace: invalid probe specifier BEGIN { exit(0); }: \"/usr/lib/dtrace/6.10/io.d\", line 134: failed to"
        " resolve vmlinux`major_names: Unknown symbol name\n",
        1,
        "linux",
        DTraceFailed,
        "own library io.d does not fit this kernel (failed to resolve vmlinux`major_names",
        "report",
    ),
    (
        'dtrace: invalid probe specifier profile-97 { a("x}: y"); }: undefined function name: foo\n',
        1,
        "linux",
        DTraceFailed,
        "refused our program: undefined function name: foo.",
        "report",
    ),
    (
        "dtrace: invalid probe specifier profile-99 /pid==1/{}: built-in variable 'pid' not implemented\n",
        1,
        "linux",
        DTraceFailed,
        "bpf_dlib.o",
        "install",
    ),
    (
        "dtrace: failed to set -x ustackframes: Invalid value for specified option\n",
        1,
        "linux",
        DTraceFailed,
        "perf_event_max_stack",
        "--depth",
    ),
    (
        "dtrace: invalid probe specifier profile-9999{}:"
        " probe description :::profile-9999 does not match any probes\n",
        1,
        "linux",
        DTraceFailed,
        "no probe profile-9999. Frequencies from 1 to 4999 Hz",
        "dtrace -l -P profile",
    ),
    ("dtrace: No such process\n", 1, "linux", NoSuchProcess, "no such process", "attach PID"),
    ("dtrace: failed to grab pid 12: no such process\n", 1, "freebsd", NoSuchProcess, "no process 12", "attach PID"),
    (
        "dtrace: failed to initialize dtrace: DTrace requires additional privileges\n",
        1,
        "windows",
        PrivilegeError,
        "administrator",
        "Run as administrator",
    ),
    (
        "dtrace: failed to initialize dtrace: DTrace device not available on system\n",
        1,
        "netbsd",
        DTraceFailed,
        "modules are not loaded",
        "modload dtrace",
    ),
    (
        "dtrace: invalid probe specifier profile-99 { }: probe description :::profile-99 does not match any probes\n",
        1,
        "netbsd",
        DTraceFailed,
        "not loaded",
        "modload dtrace",
    ),
    (
        "dtrace: pid 3704 has exited\ndtrace: processing aborted: Abort due to systemic unresponsiveness\n",
        1,
        "windows",
        DTraceFailed,
        "hung when the program ended",
        "newest",
    ),
    ("dtrace: processing aborted: Success\n", 1, "linux", DTraceFailed, "buffer was full", "2.0.7"),
    (
        "dtrace: failed to grab pid 585: the current security restriction (system integrity protection enabled)"
        " prevents dtrace from attaching to an executable not signed with the [com.apple.security.get-task-allow]"
        " entitlement\n",
        1,
        "macos",
        NotPermitted,
        "macOS protects",
        "--engine sampler",
    ),
    ("dtrace: failed to grab pid 12: permission denied\n", 1, "freebsd", NotPermitted, "permission denied", "root"),
    (
        "dtrace: failed to initialize dtrace: DTrace device not available on system\n",
        1,
        "windows",
        DTraceFailed,
        "driver is not running",
        "bcdedit /set dtrace ON",
    ),
    (
        "dtrace: failed to initialize dtrace: DTrace device not available on system\n",
        1,
        "freebsd",
        DTraceFailed,
        "modules are not loaded",
        "kldload",
    ),
    (
        "dtrace: system integrity protection is on, some features will not be available\n"
        "dtrace: failed to initialize dtrace: DTrace requires additional privileges\n",
        1,
        "macos",
        PrivilegeError,
        "needs root",
        "sudo",
    ),
    (
        "dtrace: failed to initialize dtrace: DTrace requires additional privileges\n",
        1,
        "illumos",
        PrivilegeError,
        "dtrace_proc",
        "usermod",
    ),
    (
        "dtrace: system integrity protection is on, some features will not be available\n\n"
        "dtrace: failed to execute ls: dtrace cannot control executables signed with restricted entitlements\n",
        1,
        "macos",
        NotPermitted,
        "macOS protects",
        "python.org",
    ),
    (
        "dtrace: invalid probe specifier syscall:::entry { }: probe description syscall:::entry does not match any"
        " probes. System Integrity Protection is on\n",
        1,
        "macos",
        DTraceFailed,
        "System Integrity Protection hides",
        "csrutil",
    ),
    ("sudo: a password is required\n", 1, "linux", PrivilegeError, "wants a password", "sudo -v"),
    ("sudo: a terminal is required to read the password; either use the -S option\nsudo: a password is required\n",
     1, "linux", PrivilegeError, "wants a password", "sudo -v"),
    ("eve is not in the sudoers file.\n", 1, "linux", PrivilegeError, "does not let this user", "sampler"),
    (
        'sudo: The "no new privileges" flag is set, which prevents sudo from running as root.\n',
        1,
        "linux",
        PrivilegeError,
        "can't give it here",
        "sampler",
    ),
    (
        "dtrace: processing aborted: Abort due to systemic unresponsiveness\n",
        1,
        "freebsd",
        DTraceFailed,
        "too busy",
        "--frequency",
    ),
    (
        "dtrace: failed to enable 'C:\\Temp\\program.d': Permission denied\n",
        1,
        "windows",
        PrivilegeError,
        "policy for scripts",
        "DTRACE_EXECUTION_POLICY",
    ),
    (
        "dtrace: failed to enable '/tmp/program.d': DIF program exceeds maximum program size\n",
        1,
        "illumos",
        DTraceFailed,
        "no D program of this size",
        "--no-python",
    ),
]  # fmt: skip


FOREIGN: dict[str, str] = {
    "linux": r"bcdedit|kldload|modload|csrutil|usermod -K|administrator”",
    "macos": r"bcdedit|kldload|modload|mount -t|sysctl|usermod|administrator”",
    "freebsd": r"bcdedit|modload|csrutil|mount -t|usermod|administrator”",
    "netbsd": r"bcdedit|kldload|csrutil|mount -t|usermod|administrator”",
    "illumos": r"bcdedit|kldload|modload|csrutil|mount -t|administrator”",
    "windows": r"sudo in front|kldload|modload|csrutil|mount -t|usermod",
    "other": r"bcdedit|kldload|modload|csrutil|mount -t|usermod|administrator”",
}


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("text", sorted({case[0] for case in CASES}))
def test_no_system_is_told_a_command_of_another(text: str, system: System) -> None:
    error = classify(text, 1, system)
    if not text.startswith("dtrace: run as root"):  # only DTrace for Linux says so
        assert not re.search(FOREIGN[system], error.remedy), error.remedy
    assert not re.match("try ", error.remedy), "the command line writes “try: ” before it"


@pytest.mark.parametrize(("text", "status", "system", "kind", "sentence", "remedy"), CASES)
def test_classify(
    text: str, status: int, system: System, kind: type[DTraceProfilerError], sentence: str, remedy: str
) -> None:
    error = classify(text, status, system)
    assert type(error) is kind
    assert sentence in str(error)
    assert remedy in error.remedy
    assert error.remedy
    if isinstance(error, DTraceFailed):
        assert (error.output, error.status) == (text, status)


@pytest.mark.parametrize(
    ("text", "status", "sentence"),
    [
        ("dtrace: flux capacitor is empty\n", 3, "dtrace ended with exit status 3: flux capacitor is empty"),
        ("Killed\n", 137, "dtrace was ended by SIGKILL."),
        ("/bin/sh: line 5:  4242 Segmentation fault      dtrace\n", 139, "dtrace was ended by SIGSEGV."),
        ("", 0, "dtrace ended with exit status 0 and gave no reason."),
        ("", -signal.SIGKILL, "dtrace was ended by SIGKILL."),
        ("", 128 + signal.SIGTERM, "dtrace was ended by SIGTERM."),
        ("strange\n", None, "dtrace ended: strange"),
        ("dtrace: 4 drops on CPU 0\n", 1, "dtrace ended with exit status 1 and gave no reason."),
        ("x", -99, "dtrace ended with exit status -99: x"),
    ],
)
def test_unknown_text_is_quoted(text: str, status: int | None, sentence: str) -> None:
    error = classify(text, status, "linux")
    assert type(error) is DTraceFailed
    assert str(error) == sentence
    assert ("please report" in error.remedy) == (": " in sentence)
    assert error.page == "errors.md#messages-that-we-do-not-know"


def test_a_long_unknown_text_keeps_its_end() -> None:
    error = classify("a" * 5000 + " the reason", 1, "linux")
    assert str(error).endswith("the reason")
    assert len(str(error)) < 700


@given(st.text(), st.none() | st.integers(-200, 300), st.sampled_from(SYSTEMS))
def test_any_text_is_an_error_with_a_sentence(text: str, status: int | None, system: System) -> None:
    assert str(classify(text, status, system))


@pytest.mark.parametrize(
    ("line", "lost"),
    [
        ("dtrace: 19 drops on CPU 0", ("drops", 19)),
        ("dtrace: 1 drop on CPU 3", ("drops", 1)),
        ("dtrace: 7 aggregation drops on CPU 1", ("aggregation_drops", 7)),
        ("dtrace: 2 dynamic variable drops", ("dynamic_variable_drops", 2)),
        ("dtrace: 2 dynamic variable drops with non-empty dirty list", ("dynamic_variable_drops", 2)),
        ("dtrace: 1 dynamic variable drop with non-empty rinsing list", ("dynamic_variable_drops", 1)),
        ("dtrace: 5 speculative drops", ("speculative_drops", 5)),
        ("dtrace: 5 failed speculations (no speculative buffer available)", ("speculative_drops", 5)),
        ("dtrace: 3 jstack()/ustack() string table overflows", ("stack_string_drops", 3)),
        ("dtrace: 3 errors in ERROR probe enabling", ("error_probe_errors", 3)),
        ("dtrace: 19 errors", None),
        ("dtrace: some drops on CPU 0", None),
        ("19", None),
        ("", None),
    ],
)
def test_drops(line: str, lost: tuple[str, int] | None) -> None:
    assert drops(line) == lost


@given(st.text(max_size=60))
def test_drops_never_fails(line: str) -> None:
    lost = drops(line)
    assert lost is None or lost[1] >= 0


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (
            "dtrace: error in dt_clause_0 for probe ID 53 (profile:::profile-97): invalid address (0x10)"
            " at BPF pc 160",
            RunTimeError("profile:::profile-97", "invalid address", 0x10),
        ),
        (
            "dtrace: error on enabled probe ID 1 (ID 34: profile:::profile-997): invalid address (0x7ffee5f38900) in"
            " action #2 at DIF offset 16",
            RunTimeError("profile:::profile-997", "invalid address", 0x7FFEE5F38900),
        ),
        (
            "dtrace: error on enabled probe ID 661 (ID 4250: pid39182:libdyld.dylib:tlv_get_addr:entry): invalid user"
            " access in action #1",
            RunTimeError("pid39182:libdyld.dylib:tlv_get_addr:entry", "invalid user access", None),
        ),
        (
            "dtrace: error in dt_clause_3 for probe ID 1 (dtrace:::BEGIN): divide-by-zero at BPF pc 9",
            RunTimeError("dtrace:::BEGIN", "divide-by-zero", None),
        ),
        ("dtrace: error: no", None),
    ],
)
def test_run_time_error(line: str, error: RunTimeError | None) -> None:
    assert run_time_error(line) == error


@pytest.mark.parametrize(
    "line",
    [
        "dtrace: description 'profile-97 ' matched 2 probes",
        "dtrace: script '.\\helloworld.d' matched 1 probe",
        "bufsize increased to 137438953472",
        "dtrace: pid 5312 has exited",
        "dtrace: pid 12 terminated by SIGSEGV",
        "dtrace: system integrity protection is on, some features will not be available",
        "",
    ],
)
def test_notices(line: str) -> None:
    assert is_notice(line)
    assert classify(line, 1, "linux").args == classify("", 1, "linux").args


def test_an_error_is_no_notice() -> None:
    assert not is_notice("dtrace: run as root for tracing and listing probes")
