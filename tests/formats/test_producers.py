"""Profilers of others, run here: what each of them writes today is known by its content and read, with its totals.

The files in tests/data/profilers are of versions that may have changed since. Each profiler runs the same program:
nearly all of its time is in `inner`, called by `outer`. How they count is theirs; that nothing gets lost is ours.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dtrace_profiler.formats import detect, read_profile
from dtrace_profiler.model.frame import FrameKind
from dtrace_profiler.model.profile import Profile
from dtrace_profiler.model.top import top_functions
from dtrace_profiler.model.tree import CallTree

PROGRAM = """\
import time
def inner(n):
    s = 0
    for i in range(n):
        s += i * i
    return s
def outer(end):
    while time.perf_counter() < end:
        inner(3000)
outer(time.perf_counter() + 0.4)
"""
MEMORY_PROGRAM = """\
def inner(n):
    return bytearray(n)
def outer():
    return [inner(3_000_000) for _ in range(7)]
kept = outer()
"""
C_PROGRAM = """\
#include <time.h>
#define APART __attribute__((noinline))
APART long inner(long n) { volatile long s = 0; for (long i = 0; i < n; i++) s += i * i; return s; }
APART long outer(void) { long s = 0; while (clock() < 3 * CLOCKS_PER_SEC / 10) s += inner(9999); return s; }
int main(void) { return outer() == 1; }
"""
GO_PROGRAM = """\
package main
import ("os"; "runtime/pprof"; "time")
//go:noinline
func inner(n int) int { s := 0; for i := 0; i < n; i++ { s += i * i % 7 }; return s }
//go:noinline
func outer(end time.Time) int { s := 0; for time.Now().Before(end) { s += inner(100000) }; return s }
func main() {
    pprof.StartCPUProfile(os.Stdout)
    outer(time.Now().Add(400 * time.Millisecond))
    pprof.StopCPUProfile()
}
"""


def run(*command: str | Path, cwd: Path) -> bytes:
    done = subprocess.run([str(word) for word in command], cwd=cwd, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


def needs_module(name: str) -> None:
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"no {name} here")


def command_of(name: str) -> str:
    """A program of this environment, or of the machine."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if not found:
        pytest.skip(f"no {name} here")
    return found


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "hot.py"
    path.write_text(PROGRAM)
    return path


def known_and_read(path: Path, name: str) -> Profile:
    """By its content alone, as its file's name may be anything."""
    assert detect(path.read_bytes(), "").name == name
    return read_profile(path)


def share_below(profile: Profile, *callers_then_callee: str) -> float:
    """Of all samples, those in the last function while the others had called one another in this order."""
    found = 0
    for node, value in profile.stack_values().items():
        names = [frame.function_name.rpartition(".")[2] for frame in profile.stack(node)]
        rest = iter(names)
        found += value if all(name in rest for name in callers_then_callee) else 0
    return found / profile.total


def mostly_inner(profile: Profile) -> bool:
    """Of the samples of `outer`; how long the interpreter took to begin is the machine's affair."""
    share = share_below(profile, "outer")
    return share > 0 and share_below(profile, "outer", "inner") > 0.8 * share


def sum_of_last_words(text: bytes) -> int:
    return sum(int(line.rpartition(b" ")[2]) for line in text.splitlines() if line.strip())


@pytest.mark.skipif(sys.platform != "linux", reason="py-spy needs rights elsewhere")
def test_py_spys_raw_text(program: Path, tmp_path: Path) -> None:
    path = tmp_path / "out"
    run(command_of("py-spy"), "record", "-f", "raw", "-t", "-r", "200", "-o", path, "--", sys.executable, program,
        cwd=tmp_path)  # fmt: skip
    profile = known_and_read(path, "folded")
    assert profile.total == sum_of_last_words(path.read_bytes())
    assert mostly_inner(profile)
    assert {frame.kind for frame in profile.frames if frame.function_name == "inner"} == {FrameKind.PYTHON}
    assert any(thread.thread_id for thread in profile.threads)


@pytest.mark.skipif(sys.platform != "linux", reason="py-spy needs rights elsewhere")
def test_py_spys_speedscope(program: Path, tmp_path: Path) -> None:
    path = tmp_path / "out"
    run(command_of("py-spy"), "record", "-f", "speedscope", "-r", "200", "-o", path, "--", sys.executable, program,
        cwd=tmp_path)  # fmt: skip
    profile = known_and_read(path, "speedscope")
    assert profile.meta.unit == "nanoseconds"
    said = [weight for one in json.loads(path.read_text())["profiles"] for weight in one["weights"]]
    assert profile.total == pytest.approx(sum(said) * 1e9, rel=0.05), "idle samples alone may be left out"
    assert mostly_inner(profile)


def python_3_15() -> str:
    found = shutil.which("python3.15")
    if not found or subprocess.run([found, "-c", "import profiling.sampling"], check=False).returncode:
        pytest.skip("no CPython 3.15 here")
    return found


@pytest.mark.parametrize(("option", "name"), [("--collapsed", "folded"), ("--jsonl", "tachyon-jsonl")])
def test_cpythons_own_profiler(program: Path, tmp_path: Path, option: str, name: str) -> None:
    path = tmp_path / "out"
    run(python_3_15(), "-m", "profiling.sampling", "run", "-r", "500", option, "-o", path, program, cwd=tmp_path)
    profile = known_and_read(path, name)
    if option == "--collapsed":
        assert profile.total == sum_of_last_words(path.read_bytes())
        assert mostly_inner(profile)
    else:  # holds no stacks
        top = top_functions(profile, limit=1)[0]
        assert top.frame.function_name == "inner"
        assert top.self_value > 0.5 * profile.total


def test_perf(tmp_path: Path) -> None:
    perf, compiler = command_of("perf"), command_of("gcc")
    (tmp_path / "hot.c").write_text(C_PROGRAM)
    run(compiler, "-O1", "-g", "-fno-omit-frame-pointer", "-o", "hot", "hot.c", cwd=tmp_path)
    recording = [perf, "record", "-q", "-F", "499", "-g", "-e", "cpu-clock:u", "-o", "perf.data", "./hot"]
    done = subprocess.run(recording, cwd=tmp_path, capture_output=True, timeout=60, check=False)
    if done.returncode:
        pytest.skip(f"perf can't record here: {done.stderr.decode(errors='replace').strip()[:200]}")
    path = tmp_path / "out"
    path.write_bytes(run(perf, "script", "--header", "-i", "perf.data", "-F", "+period", cwd=tmp_path))
    profile = known_and_read(path, "perf")
    assert profile.meta.unit == "nanoseconds"
    heads = [line for line in path.read_text().splitlines() if line.rstrip().endswith("cpu-clock:u:")]
    periods = [int(line.split()[-2]) for line in heads]
    assert len(periods) > 20
    assert profile.total == sum(periods)
    assert share_below(profile, "main", "outer", "inner") > 0.8
    assert {thread.name for thread in profile.threads} == {"hot"}


def roots(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events of functions that nobody called."""
    depth, out = 0, []
    for event in events:
        depth += event["type"] == "O"
        out += [event] if depth == 1 else []
        depth -= event["type"] == "C"
    return out


def test_pyinstrument(program: Path, tmp_path: Path) -> None:
    needs_module("pyinstrument")
    path = tmp_path / "out"
    run(sys.executable, "-m", "pyinstrument", "-r", "speedscope", "-o", path, program, cwd=tmp_path)
    profile = known_and_read(path, "speedscope")
    (said,) = json.loads(path.read_text())["profiles"]
    spans = [event["at"] if event["type"] == "C" else -event["at"] for event in roots(said["events"])]
    assert profile.total == pytest.approx(sum(spans) * 1e9, abs=2)
    assert mostly_inner(profile)


def test_memray(tmp_path: Path) -> None:
    needs_module("memray")
    (tmp_path / "fill.py").write_text(MEMORY_PROGRAM)
    memray = (sys.executable, "-m", "memray")
    run(*memray, "run", "-q", "-o", "out.bin", "fill.py", cwd=tmp_path)
    run(*memray, "transform", "-o", "out", "speedscope", "out.bin", cwd=tmp_path)
    path = tmp_path / "out"
    profile = known_and_read(path, "speedscope")
    memory, _ = json.loads(path.read_text())["profiles"]
    assert profile.total == sum(memory["weights"])
    assert 21_000_000 <= profile.total * share_below(profile, "outer", "inner") < 21_100_000
    assert list(profile.meta.notes) == [
        "The values are bytes, not samples.",
        "Left out, being of another unit: Allocations.",
    ]


@pytest.mark.go
def test_gos_pprof(tmp_path: Path) -> None:
    (tmp_path / "hot.go").write_text(GO_PROGRAM)
    run("go", "build", "-o", "hot", "hot.go", cwd=tmp_path)
    path = tmp_path / "out.pb.gz"
    path.write_bytes(run("./hot", cwd=tmp_path))
    profile = read_profile(path)
    assert (profile.meta.unit, profile.meta.frequency_hz) == ("nanoseconds", 100)
    shown = run("go", "tool", "pprof", "-top", "-unit=ms", path, cwd=tmp_path).decode()
    assert f"Total samples = {profile.total // 1_000_000}ms" in shown
    assert share_below(profile, "main", "outer", "inner") > 0.8
    assert CallTree.from_profile(profile).total[0] == profile.total
    assert os.path.basename(next(f.module_name for f in profile.frames if f.function_name == "main.inner")) == "hot"
