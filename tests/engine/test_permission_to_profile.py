"""Whom `DTraceProfiler.start` refuses, before anything is started and before sudo is asked."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from engine_runs import Fake, profiler_of

import fake_dtrace
from dtrace_profiler import DTraceProfiler
from dtrace_profiler.errors import NoSuchProcess
from dtrace_profiler.platforms.base import is_superuser, system

pytestmark = pytest.mark.skipif(system() != "linux" or not is_superuser(), reason="becomes another user, on Linux")

AS_ANOTHER_USER = """
import os, sys
from dtrace_profiler import DTraceProfiler, DTraceProfilerError
os.environ["PATH"] = sys.argv[2] + ":" + os.environ["PATH"]
os.environ["DTRACE_PROFILER_DTRACE"] = sys.argv[2] + "/dtrace"
os.setgroups([]); os.setgid(65534); os.setuid(65534)
child = os.fork()
if not child:
    import time
    time.sleep(600)
for pid in (int(sys.argv[1]), child):
    try:
        with DTraceProfiler(pid, engine="dtrace", native="leaf") as profiler:
            print("ready", profiler.wait_ready(30))
    except DTraceProfilerError as error:
        print(type(error).__name__, error, error.remedy)
os.kill(child, 9)
"""


DTRACE = """#!/bin/sh
[ "$1" = -V ] && echo "dtrace: D 2.0.7" && exit
trap "exit 0" TERM
echo "B $(date +%s)000000000"
while :; do sleep 0.1; done
"""
SUDO = """#!/bin/sh
echo sudo "$@" >>"${0%/*}/asked"
shift 2
exec "$@"
"""


def test_an_ordinary_user_profiles_own_processes_whatever_sudo_allows(target: int) -> None:
    """Ours is refused and sudo not asked, theirs goes through sudo."""
    with tempfile.TemporaryDirectory() as name:  # pytest's own can be entered by nobody else
        folder = Path(name)
        folder.chmod(0o777)
        for command, text in (("dtrace", DTRACE), ("sudo", SUDO)):
            (folder / command).write_text(text)
            (folder / command).chmod(0o755)
        done = subprocess.run(
            [sys.executable, "-c", AS_ANOTHER_USER, str(target), name],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        first, second = done.stdout.splitlines() or (done.stderr, "")
        assert first.startswith(f"NotPermitted process {target} belongs to another user")
        assert first.endswith(f"sudo dtrace-profiler attach {target}")
        assert second == "ready True", done.stderr
        asked = (folder / "asked").read_text()
        assert asked.startswith("sudo -n -- /bin/sh -c :\nsudo -n -- /bin/sh -c ")
        assert asked.count("sudo -n -- ") == 2


def test_a_thread_is_no_process(fake: Fake) -> None:
    path = fake(**fake_dtrace.SAMPLING)
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    try:
        with pytest.raises(NoSuchProcess, match=f"is a thread of process {os.getpid()}") as raised:
            profiler_of(thread.native_id).start()
        assert raised.value.remedy.endswith(str(os.getpid()))
    finally:
        over.set()
        thread.join()
    assert fake_dtrace.calls(path) == []


@pytest.mark.parametrize("engine", ["auto", "sampler", "dtrace"])
def test_a_process_that_never_was_is_told_for_every_engine(fake: Fake, engine: str) -> None:
    path = fake(**fake_dtrace.SAMPLING)
    with pytest.raises(NoSuchProcess):
        DTraceProfiler(2**31 - 1, engine=engine).start()  # type: ignore[arg-type]
    assert fake_dtrace.calls(path) == []
