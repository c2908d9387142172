"""Python programs under the real DTrace, on each CPython there is: shares, callers, processes, churn."""

from __future__ import annotations

import collections
import json
import math
import os
import sys
from pathlib import Path

import pytest

from dtrace_profiler import FrameKind

sys.path.insert(0, str(Path(__file__).parent))
from pythons import INTERPRETERS, each_python, names, oldest_and_newest, run, said

HERE = Path(__file__).parent
pytestmark = pytest.mark.dtrace


@pytest.mark.slow
@each_python
def test_shares_and_callers(python: str) -> None:
    profile, printed = run([python, str(HERE / "truth.py"), "4"], 997)
    spent = json.loads(printed)
    everything = sum(spent.values())
    found: collections.Counter[str] = collections.Counter()
    for sample in profile.samples():
        python_names = names(sample)
        if "timed" not in python_names:
            continue
        below = python_names[python_names.index("timed") + 1 :]
        found[below[0] if below else "timed"] += 1
    count = sum(found.values())
    assert count > 0.9 * 997 * everything, said(profile)
    for name, seconds in spent.items():
        share = seconds / everything
        error = math.sqrt(share * (1 - share) / count)
        assert abs(found[name] / count - share) <= 3 * error + 0.004, (name, found[name] / count, share)
    # Samples in a C extension that released the GIL have their Python caller. Before and after the program's jobs
    # imports use these libraries, and as the process ends there is no Python any more.
    jobs = [sample for sample in profile.samples() if "timed" in names(sample)]
    begin, end = jobs[0].timestamp_ns, jobs[-1].timestamp_ns
    extension = wrong = 0
    for sample in profile.samples():
        modules = {frame.module_name for frame in sample.stack_frames}
        if begin < sample.timestamp_ns < end and any(m.startswith(("libz.so", "libcrypto.so")) for m in modules):
            extension += 1
            wrong += not {"compress_page", "hash_page"} & set(names(sample))
    assert extension > 100, said(profile)
    assert wrong <= extension * 0.001
    assert any("dive" in names(s) and names(s).count("dive") == 21 for s in profile.samples())


@pytest.mark.skipif("3.15" not in INTERPRETERS, reason="needs CPython 3.15, whose builds keep frame pointers")
def test_c_functions_stand_between_the_right_python_functions(tmp_path: Path) -> None:
    program = tmp_path / "callbacks.py"
    program.write_text(
        """
import json, time
class Thing: pass
def by_key(number):
    for _ in range(300): number = (number * 7 + 1) % 1000003
    return number
def as_text(thing):
    for _ in range(900): pass
    return "thing"
def sort_all(): sorted(range(300), key=by_key)
def dump_all(): json.dumps([Thing() for _ in range(300)], default=as_text)
end = time.process_time() + 2
while time.process_time() < end:
    sort_all(); dump_all()
"""
    )
    profile, _ = run([INTERPRETERS["3.15"], str(program)], 997)
    between: dict[str, collections.Counter[bool]] = collections.defaultdict(collections.Counter)
    callers = {"by_key": "sort_all", "as_text": "JSONEncoder.iterencode"}
    for sample in profile.samples():
        frames = sample.stack_frames
        for callee, caller in callers.items():
            if callee in names(sample):
                at = next(index for index, frame in enumerate(frames) if frame.function_name == callee)
                native = [frame for frame in frames[:at] if frame.kind is FrameKind.NATIVE]
                python = [frame for frame in frames[:at] if frame.kind is FrameKind.PYTHON]
                assert python[-1].function_name == caller
                # All of them stand behind the caller, in front of the callee.
                between[callee][bool(native) and frames[at - 1] is native[-1]] += 1
                assert all(frames.index(frame) > frames.index(python[-1]) for frame in native)
    for callee in callers:
        assert between[callee].total() > 300
        assert between[callee][True] >= 0.99 * between[callee].total(), between


@each_python
def test_no_impossible_stack(python: str, tmp_path: Path) -> None:
    program = tmp_path / "alternate.py"
    program.write_text(
        """
import sys, time
def c(n): return n + sum((1, 2, 3))
def b(n): return c(n) + 1
def a(n): return b(n) + 1
def z(n):
    try:
        raise ValueError(n)
    except ValueError:
        return n
def y(n): return z(n) - 1
def x(n): return y(n) - 1
def generate():
    for number in range(5): yield a(number)
def alternate():
    end = time.process_time() + float(sys.argv[1])
    while time.process_time() < end:
        a(1); x(1); sum(generate())
alternate()
"""
    )
    # DTRACE_PROFILER_LONG=1: a hundred thousand samples instead of twelve thousand.
    seconds = 21.0 if os.environ.get("DTRACE_PROFILER_LONG") else 2.5
    profile, _ = run([python, str(program), str(seconds)], 4999)
    stacks = [names(sample) for sample in profile.samples()]
    running = [number for number, stack in enumerate(stacks) if "alternate" in stack]
    checked, without = 0, 0
    for stack in stacks[running[0] : running[-1]]:
        stack = [name for name in stack if name in "abcxyz" or name in ("generate", "alternate")]
        if "alternate" not in stack:
            without += 1
            continue
        text = " ".join(stack[stack.index("alternate") + 1 :]).replace("generate ", "").replace("generate", "")
        assert "a b c".startswith(text) or "x y z".startswith(text), stack
        checked += 1
    assert checked > 0.8 * 4999 * seconds, said(profile)
    assert without <= 0.001 * checked, (without, checked)


@each_python
def test_short_lived_code_never_has_a_wrong_name(python: str, tmp_path: Path) -> None:
    program = tmp_path / "churn.py"
    program.write_text(
        """
import time
def serve(function, number):
    return function(number)
def churn():
    end, number = time.process_time() + 2.5, 0
    while time.process_time() < end:
        space = {}
        name = f"made_{number % 9973}"
        if number % 100 == 0: name = "größe" if number % 200 else "計算" * 40  # not ASCII, stored in other ways
        body = "    m = 0\\n    for i in range(8000): m += i\\n    return m"
        exec(compile(f"def {name}(n):\\n{body}", "made", "exec"), space)
        serve(space[name], number)
        number += 1
churn()
"""
    )
    profile, _ = run([python, str(program)], 997)
    leaves = unknown = 0
    for sample in profile.samples():
        stack = [f for f in sample.stack_frames if f.kind is FrameKind.PYTHON or f.function_name == "<unknown>"]
        python_names = [frame.function_name for frame in stack]
        if "serve" not in python_names:
            continue
        below = stack[python_names.index("serve") + 1 :]
        leaves += 1
        unknown += any(frame.function_name == "<unknown>" for frame in below)
        # Below `serve` nothing but a function that was made runs.
        made = ("made_", "größe", "計算" * 40, "<unknown>")
        assert all(frame.function_name.startswith(made) for frame in below), python_names
    assert leaves > 100, said(profile)
    # The program makes some thousand functions a second, and their names are read as they run.
    assert unknown <= 0.02 * leaves


@pytest.mark.skipif(len(INTERPRETERS) < 2, reason="needs two versions of CPython")
def test_a_tree_of_two_versions(tmp_path: Path) -> None:
    old, *_, new = INTERPRETERS.values()
    program = tmp_path / "burner.py"
    program.write_text(
        """
import multiprocessing, os, sys, time
def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end: sum(range(1000))
if __name__ == "__main__":
    child = os.fork()
    burn(0.5)
    if not child: os._exit(0)
    os.wait()
    process = multiprocessing.get_context("spawn").Process(target=burn, args=(0.5,))
    process.start(); process.join()
    if len(sys.argv) > 1:
        os.execv(sys.argv[1], [sys.argv[1], __file__])
"""
    )
    profile, _ = run(["sh", "-c", f"{old} {program} {new}; true"], 499, children=True)
    by_process: collections.Counter[int] = collections.Counter()
    for sample in profile.samples():
        by_process[sample.process_id] += "burn" in names(sample)
    # The old one, its fork, its spawned child; after the exec the new one (the same process), its fork and its child.
    assert sum(count > 50 for count in by_process.values()) == 5, by_process
    assert max(by_process.values()) > 300, "the process that executed the other version has samples of both"


@oldest_and_newest
def test_in_its_own_namespaces(python: str, tmp_path: Path) -> None:
    program = tmp_path / "inside.py"
    program.write_text(
        "import time\ndef burn():\n    end = time.process_time() + 0.5\n"
        "    while time.process_time() < end: sum(range(1000))\nburn()\n"
    )
    command = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", python, str(program)]
    profile, _ = run(command, 499, children=True)
    assert sum("burn" in names(sample) for sample in profile.samples()) > 150


def test_lines(tmp_path: Path) -> None:
    program = tmp_path / "lines.py"
    program.write_text(
        "import random, time\n"
        "def work():\n"
        "    end = time.process_time() + 2\n"
        "    while time.process_time() < end:\n"
        "        n = random.randrange(20000)\n"  # a rhythm of its own could be that of the samples
        "        for i in range(3 * n): pass\n"
        "        for i in range(n): pass\n"
        "work()\n"
    )
    profile, _ = run([sys.executable, str(program)], 997)
    lines: collections.Counter[int] = collections.Counter()
    for sample in profile.samples():
        for frame in sample.stack_frames:
            if frame.function_name == "work":
                lines[frame.line] += 1
    both = lines[6] + lines[7]
    assert both > 1500
    assert lines[6] / both == pytest.approx(0.75, abs=0.05)
