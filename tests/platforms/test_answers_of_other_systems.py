"""What macOS, Windows and FreeBSD answer about themselves, as their documents and users show it."""

from __future__ import annotations

import pytest

from dtrace_profiler.platforms import freebsd, macos, windows

CUSTOM = """System Integrity Protection status: unknown (Custom Configuration).

Configuration:
\tApple Internal: disabled
\tKext Signing: enabled
\tDebugging Restrictions: enabled
\tDTrace Restrictions: disabled
"""


@pytest.mark.parametrize(
    ("answer", "protected"),
    [
        ("System Integrity Protection status: enabled.\n", True),
        ("System Integrity Protection status: disabled.\n", False),
        (CUSTOM, False),
        (CUSTOM.replace("DTrace Restrictions: disabled", "DTrace Restrictions: enabled"), True),
        ("csrutil: command not found", None),
    ],
)
def test_integrity_protection(answer: str, protected: bool | None) -> None:
    assert macos.integrity_protection(answer) is protected


def test_programs_of_macos_itself_are_protected() -> None:
    assert macos.is_protected_program("/usr/bin/python3")
    assert macos.is_protected_program("/System/Library/CoreServices/Finder.app/Contents/MacOS/Finder")
    assert not macos.is_protected_program("/usr/local/bin/python3")
    assert not macos.is_protected_program("/opt/homebrew/bin/python3")


def test_rosetta_and_hardened_programs() -> None:
    assert [macos.is_translated(answer) for answer in ("1\n", "0\n", "")] == [True, False, None]
    signed = "CodeDirectory v=20500 size=482 flags=0x10000(runtime) hashes=4+7 location=embedded\n"
    assert macos.is_hardened(signed)
    assert not macos.is_hardened(signed + "<key>com.apple.security.get-task-allow</key>")
    assert not macos.is_hardened("CodeDirectory v=20400 flags=0x2(adhoc) hashes=4+0")


@pytest.mark.parametrize(
    ("answer", "on"),
    [
        ("Windows Boot Loader\ndtrace                  Yes\n", True),
        ("Windows Boot Loader\ndtrace                  No\n", False),
        ("Windows Boot Loader\nidentifier              {current}\n", False),
        ("", None),
    ],
)
def test_dtrace_is_switched_on_at_boot(answer: str, on: bool | None) -> None:
    assert windows.switched_on(answer) is on


def test_modules_and_jails_of_freebsd() -> None:
    assert freebsd.modules_loaded(
        " 1   12 0xffffffff80200000  1d345a8 kernel\n 2    1 0xffffffff82719000 dtraceall.ko"
    )
    assert freebsd.modules_loaded(" 3 dtrace.ko\n 4 profile.ko\n")
    assert not freebsd.modules_loaded(" 3 dtrace.ko\n")
    assert freebsd.is_jailed("1\n")
    assert not freebsd.is_jailed("0\n")
