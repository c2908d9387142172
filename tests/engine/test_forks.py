"""A program that forks while it is profiled, or profiles: in the child nothing runs, and nothing of it stays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from engine_runs import Fake

import fake_dtrace
from dtrace_profiler.formats import read_profile
from dtrace_profiler.platforms.base import is_superuser, system

pytestmark = pytest.mark.skipif(system() != "linux" or not is_superuser(), reason="runs dtrace as root, on Linux")

PRELUDE = """
import os, sys, threading, time
from dtrace_profiler import DTraceProfiler
def opened(pid="self"):
    paths = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        try: paths[name] = os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError: pass
    return paths
def in_child(work):
    child = os.fork()
    if not child:
        try:
            work()
            sys.stdout.flush()
            os._exit(0)
        except BaseException:
            import traceback; traceback.print_exc()
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


def run(program: str, *arguments: object) -> str:
    # Python warns of each fork of a process with threads; that it works all the same is what is tested.
    command = [sys.executable, "-W", "error", "-W", "ignore:This process:DeprecationWarning", "-c", PRELUDE + program]
    done = subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True, timeout=200, check=False)
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout


IN_CHILD = """
target, recording = int(sys.argv[1]), sys.argv[2]
before = set(opened())
profiler = DTraceProfiler(target, engine="dtrace", native="leaf", record=recording)
profiler.start(99)
assert profiler.wait_ready(60)
while profiler.sample_count < 10: time.sleep(0.01)
def child():
    paths = opened()
    assert not [path for name, path in paths.items() if name not in before and path.startswith("pipe:")], paths
    assert not profiler.running
    assert profiler.take_samples() == []
    profiler.stop()
    profiler.start(99)
    assert profiler.wait_ready(60)
    while profiler.sample_count < 10: time.sleep(0.01)
    profiler.stop()
    assert len(profiler.take_samples()) == profiler.sample_count
    print("child")
in_child(child if recording == "/dev/null" else lambda: None)
samples = profiler.sample_count
while profiler.sample_count < samples + 10: time.sleep(0.01)
profiler.stop()
assert profiler.error is None
print(len(profiler.take_samples()) == profiler.sample_count)
"""


def test_the_child_can_profile_anew_and_the_parent_goes_on(fake: Fake, target: int) -> None:
    fake(**fake_dtrace.SAMPLING)
    assert run(IN_CHILD, target, "/dev/null") == "child\nTrue\n"


def test_a_child_does_not_write_into_the_recording(fake: Fake, target: int, tmp_path: Path) -> None:
    fake(**fake_dtrace.SAMPLING)
    recording = tmp_path / "run.dtrace"
    assert run(IN_CHILD, target, recording) == "True\n"
    profile = read_profile(recording)
    times = [sample.timestamp_ns for sample in profile.samples()]
    assert len(times) >= 20
    assert len(set(times)) == len(times)
    assert "unreadable_lines" not in profile.meta.losses


WHILE_IT_STARTS = """
import subprocess
from dtrace_profiler.record import session
real = session.subprocess.Popen
children = []
def fork():
    child = os.fork()
    if not child:
        os.close(1), os.close(2)
        time.sleep(600)
        os._exit(0)
    children.append(child)
class Forking(real):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        if self.stdin is not None:
            thread = threading.Thread(target=fork)
            thread.start()
            thread.join(0.3)
session.subprocess.Popen = Forking
profiler = DTraceProfiler(int(sys.argv[1]), engine="dtrace", native="leaf")
profiler.start(99)
while not children: time.sleep(0.01)
(child,) = children
time.sleep(0.1)
before = set(opened().values())
profiler.stop()
ours = {path for path in before - set(opened().values()) if path.startswith("pipe:")}
print(len(ours), ours & set(opened(child).values()))
os.kill(child, 9)
os.waitpid(child, 0)
"""


def test_a_fork_in_the_middle_of_a_start_keeps_no_pipe_open(fake: Fake, target: int) -> None:
    """It would keep dtrace alive when we are killed."""
    fake(**fake_dtrace.SAMPLING)
    assert run(WHILE_IT_STARTS, target) == "3 set()\n"
