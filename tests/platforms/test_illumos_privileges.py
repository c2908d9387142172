"""What `ppriv` says of a process, and a user who may sample without being root."""

from __future__ import annotations

from pathlib import Path

import pytest

from dtrace_profiler.platforms.base import system
from dtrace_profiler.platforms.illumos import NEEDED_PRIVILEGES, may_use_dtrace, missing_privileges

PPRIV = "1234:\t-bash\nflags = <none>\n\tE: {}\n\tI: basic\n\tP: basic,dtrace_user,dtrace_proc\n\tL: all\n"


@pytest.mark.parametrize(
    ("effective", "missing"),
    [
        ("all", []),
        ("zone", []),
        ("all,!dtrace_user", ["dtrace_user"]),
        ("basic,dtrace_user,dtrace_proc", []),
        ("basic,dtrace_user", ["dtrace_proc"]),
        ("basic", ["dtrace_user", "dtrace_proc"]),
    ],
)
def test_the_effective_set_counts(effective: str, missing: list[str]) -> None:
    assert missing_privileges(PPRIV.format(effective)) == missing


@pytest.mark.parametrize("text", ["", "ppriv: cannot examine 1: no such process\n", "E basic\n"])
def test_what_says_nothing_grants_nothing(text: str) -> None:
    assert missing_privileges(text) == list(NEEDED_PRIVILEGES)


@pytest.mark.skipif(system() == "windows", reason="a shell script takes ppriv's place")
def test_ppriv_is_asked_about_ourselves(tmp_path: Path) -> None:
    import os

    ppriv = tmp_path / "ppriv"
    answer = PPRIV.format("basic,dtrace_user,dtrace_proc")
    ppriv.write_text(f"#!/bin/sh\n[ $1 = {os.getpid()} ] && cat <<'END'\n{answer}END\n")
    ppriv.chmod(0o755)
    assert may_use_dtrace(str(ppriv))
    ppriv.write_text("#!/bin/sh\nexit 1\n")
    assert not may_use_dtrace(str(ppriv))
    assert not may_use_dtrace(str(tmp_path / "none"))
