"""macOS: System Integrity Protection and what it really limits, Rosetta, protected Pythons."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from dtrace_profiler.doctor.checks import Ask, Check
from dtrace_profiler.platforms import macos

_PAGE = macos.FACTS.page


def checks(ask: Ask) -> Iterator[Check]:
    protected = macos.integrity_protection(ask(["csrutil", "status"]))
    if protected is None:
        yield Check("SIP", None, "csrutil did not say whether it is on", page=f"{_PAGE}#system-integrity-protection")
    elif protected:
        yield Check(
            "SIP",
            None,
            "on: programs that Apple protects, and the kernel, can't be sampled; all others can",
            "csrutil enable --without dtrace   (in the recovery system; only if you need those)",
            "kernel frames, and profiles of Apple's own programs",
            f"{_PAGE}#system-integrity-protection",
        )
    else:
        yield Check("SIP", True, "off for DTrace")
    if macos.is_translated(ask(["sysctl", "-n", "sysctl.proc_translated"])):
        yield Check(
            "Rosetta",
            False,
            "this Python is translated from x86-64: dtrace started from it fails",
            "arch -arm64 python3 -m dtrace_profiler …   (a native Python)",
            "dtrace does not compile its libraries",
            f"{_PAGE}#rosetta",
        )
    python = os.path.realpath(sys.executable)
    if protected and macos.is_protected_program(python):
        yield Check(
            "Python",
            None,
            "this is Apple's own Python, which SIP protects",
            "a Python of python.org, Homebrew or pyenv",
            "it can't be sampled through DTrace, only by the embedded sampler",
            f"{_PAGE}#python-builds",
        )
    elif macos.is_hardened(ask(["codesign", "-d", "-v", "--entitlements", "-", python])):
        yield Check(
            "Python",
            None,
            "this Python is signed with the hardened runtime",
            "a Python of Homebrew or pyenv, or: codesign -s - -f PYTHON",
            "dtrace may not name its native functions",
            f"{_PAGE}#python-builds",
        )
