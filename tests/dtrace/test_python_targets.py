"""Python programs of every kind under the real DTrace: where they live, how they start, what else runs in them."""

from __future__ import annotations

import collections
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dtrace_profiler import DTraceProfiler, Profile, Sample
from dtrace_profiler.record.control import ControlChannel
from dtrace_profiler.record.python_walk import PythonProcess

sys.path.insert(0, str(Path(__file__).parent))
from pythons import INTERPRETERS, each_python, names, oldest_and_newest, run, said

HERE = Path(__file__).parent
pytestmark = pytest.mark.dtrace
SOURCE = str(HERE.parent.parent / "src")

BURN = """
import sys, time
def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end: sum(range(1000))
"""


def script(folder: Path, text: str) -> str:
    path = folder / "program.py"
    path.write_text(BURN + text)
    return str(path)


@contextmanager
def started(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A program that says when it works, and is ended."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "working\n"
            yield process
        finally:
            process.send_signal(signal.SIGKILL)


def attach(pid: int, **options: object) -> Profile:
    """Of a busy process, until there are samples enough."""
    profiler = DTraceProfiler(pid, engine="dtrace", **options)  # type: ignore[arg-type]
    profiler.start(499)
    assert profiler.wait_ready(60)
    deadline = time.monotonic() + 60
    while profiler.sample_count < 300 and time.monotonic() < deadline:
        time.sleep(0.1)
    profiler.stop()
    return profiler.profile()


def share(profile: Profile, function: str) -> float:
    """Of the samples, those with a Python function of this name on the stack."""
    found = [function in names(sample) for sample in profile.samples()]
    assert len(found) > 100
    return sum(found) / len(found)


WORKING = "print('working', flush=True)\nburn(60)\n"


@each_python
def test_attached_to_while_it_runs(python: str, tmp_path: Path) -> None:
    with started([python, script(tmp_path, WORKING)]) as target:
        assert share(attach(target.pid), "burn") > 0.99


@oldest_and_newest
def test_our_own_process(python: str) -> None:
    """All our threads have Python frames, those of the profiler are not seen."""
    code = """
import threading, time
from dtrace_profiler import DTraceProfiler
stop = threading.Event()
def early():
    while not stop.is_set(): sum(range(1000))
def late():
    while not stop.is_set(): sum(range(1000))
first = threading.Thread(target=early); first.start()
profiler = DTraceProfiler(engine="dtrace"); profiler.start(499); profiler.wait_ready(60)
second = threading.Thread(target=late); second.start()
ids = [first.native_id, second.native_id]
time.sleep(2); stop.set(); first.join(); second.join(); profiler.stop()
samples = profiler.take_samples()
def share(thread, name):
    mine = [s for s in samples if s.thread_id == thread]
    assert len(mine) > 100, (thread, name, len(mine))
    return sum(name in [f.function_name for f in s.stack_frames if f.kind.name == "PYTHON"] for s in mine) / len(mine)
assert share(ids[0], "early") > 0.95 and share(ids[1], "late") > 0.95
assert {s.thread_id for s in samples} <= {*ids, threading.get_native_id()}
print("fine")
"""
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    done = subprocess.run(
        [python, "-c", code], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.stdout, done.returncode) == ("fine\n", 0), done.stderr


def test_in_a_chroot(tmp_path: Path) -> None:
    """With its own root folder, in which paths mean something else than here."""
    python = INTERPRETERS[max(INTERPRETERS)]
    root = tmp_path / "root"
    root.mkdir()
    program = script(tmp_path, WORKING)
    command = f"mount --rbind / {root} && exec chroot {root} {python} {program}"
    with started(["unshare", "--mount", "sh", "-c", command]) as target:
        profile = attach(target.pid)
    assert share(profile, "burn") > 0.99


def test_an_interpreter_that_was_replaced_by_an_upgrade(tmp_path: Path) -> None:
    original = INTERPRETERS[min(INTERPRETERS)]
    python = tmp_path / "python"
    shutil.copy(original, python)
    with started([str(python), "-S", "-E", script(tmp_path, WORKING)]) as target:
        python.unlink()
        python.write_bytes(b"another version")
        assert share(attach(target.pid), "burn") > 0.99


@each_python
def test_a_short_script_from_its_first_line_on(python: str, tmp_path: Path) -> None:
    """Its start is the interpreter's; from the first line to the last each sample has the script's frames."""
    program = tmp_path / "short.py"
    program.write_text("total = 0\nfor number in range(1000000): total += number\n")
    profile, _ = run([python, str(program)], 4999)
    # That `<module>` whose file is the script's: imports have frames of that name, too.
    stacks = [[frame.file or frame.function_name for frame in sample.stack_frames] for sample in profile.samples()]
    first = next(index for index, stack in enumerate(stacks) if str(program) in stack)
    inside = [str(program) in stack for stack in stacks[first:]]
    last = len(inside) - inside[::-1].index(True)
    assert last > 50
    # While 3.11 pushes a frame the thread's current one is not set; from 3.12 on it always is.
    assert sum(inside[:last]) >= (0.9 if python.endswith("3.11") else 0.98) * last


@oldest_and_newest
def test_deep_stacks_keep_their_leaf_side(python: str, tmp_path: Path) -> None:
    text = "def dive(n):\n    return dive(n - 1) if n else burn(60)\nprint('working', flush=True)\ndive(300)\n"
    whole = ["dive"] * 127 + ["burn"]
    with started([python, script(tmp_path, text)]) as target:
        profiler = DTraceProfiler(target.pid, engine="dtrace")
        profiler.start(499)
        samples: list[Sample] = []
        deadline = time.monotonic() + 60
        # The program that follows as many frames needs some seconds to be verified; until then stacks are shorter.
        while sum(names(sample) == whole for sample in samples) < 200 and time.monotonic() < deadline:
            time.sleep(0.2)
            samples += profiler.take_samples()
        profiler.stop()
    samples.sort(key=lambda sample: sample.timestamp_ns)  # the last of the first program may come after the other's
    first = next(index for index, sample in enumerate(samples) if names(sample) == whole)
    found = collections.Counter(
        (sample.stack_frames[0].function_name, names(sample)) == ("<truncated>", whole) for sample in samples[first:]
    )
    assert found[True] >= 0.95 * found.total() > 150, found


@oldest_and_newest
def test_generators_and_coroutines_have_their_callers(python: str, tmp_path: Path) -> None:
    program = script(
        tmp_path,
        """
import asyncio
def inner():
    for _ in range(3):
        burn(0.05); yield
def outer(): yield from inner()
def drain(): list(outer())
async def wait(): burn(0.05); await asyncio.sleep(0)
async def task(): await wait()
async def main(): await asyncio.gather(*(task() for _ in range(3)))
for _ in range(6): drain(); asyncio.run(main())
""",
    )
    profile, _ = run([python, program], 499)
    burning = [names(sample) for sample in profile.samples() if "burn" in names(sample)]
    chains = collections.Counter(" ".join(stack[: stack.index("burn") + 1]) for stack in burning)
    generators = sum(count for chain, count in chains.items() if chain == "<module> drain outer inner burn")
    coroutines = sum(count for chain, count in chains.items() if chain.endswith("task wait burn"))
    assert generators + coroutines >= 0.99 * len(burning), chains
    assert min(generators, coroutines) > 0.4 * len(burning), chains


def test_greenlets_have_their_own_chains(tmp_path: Path) -> None:
    """As their tracebacks do: each begins with the function it was made of. In the interpreter that has greenlet."""
    pytest.importorskip("greenlet")
    program = script(
        tmp_path,
        """
import greenlet
def a(): b()
def b():
    while True: burn(0.02); main.switch()
def x(): y(10)
def y(n):
    if n: y(n - 1)
    while True: burn(0.02); main.switch()
main = greenlet.getcurrent()
one, two = greenlet.greenlet(a), greenlet.greenlet(x)
for _ in range(20): one.switch(); two.switch(); burn(0.02)
""",
    )
    profile, _ = run([sys.executable, program], 499)
    burning = [names(sample) for sample in profile.samples() if "burn" in names(sample)]
    chains = collections.Counter(" ".join(stack[: stack.index("burn") + 1]) for stack in burning)
    whole = ("<module> burn", "a b burn", "x" + " y" * 11 + " burn")
    assert sum(chains[chain] for chain in whole) >= 0.99 * len(burning), chains
    assert min(chains[chain] for chain in whole) > 0.25 * len(burning), chains


@oldest_and_newest
def test_workers_that_are_replaced(python: str, tmp_path: Path) -> None:
    program = script(
        tmp_path,
        """
import multiprocessing, os
def work(number):
    burn(0.8 if number < 2 else 0.15)
    return os.getpid()
if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    with context.Pool(2, maxtasksperchild=1) as pool:
        workers = pool.map(work, range(6), chunksize=1)
    assert len(set(workers)) == 6
""",
    )
    for method in ("fork", "forkserver"):
        profile, _ = run([python, program, method], 499, children=True)
        workers = collections.Counter(s.process_id for s in profile.samples() if "work" in names(s))
        everyone = collections.Counter(sample.process_id for sample in profile.samples())
        assert len(workers) == 6, f"{method} {workers} {everyone} {profile.meta.losses}"
        # 0.15 s at 499 Hz are 75 samples each, more or less: other processes compete with them for processors. The
        # first two are without Python frames until their interpreter, a new one, has been looked at: they run longer.
        replaced = sorted(workers.values())[:4]
        assert sum(replaced) >= 0.8 * 4 * 75, (method, workers)


def test_a_virtual_environment_below_a_shell(tmp_path: Path) -> None:
    python = INTERPRETERS[min(INTERPRETERS)]
    subprocess.run([python, "-m", "venv", "--without-pip", str(tmp_path / "env")], check=True)
    command = f"cd / && {tmp_path}/env/bin/python {script(tmp_path, 'burn(0.5)')} && true"
    profile, _ = run(["sh", "-c", command], 499, children=True)
    assert sum("burn" in names(sample) for sample in profile.samples()) > 200


@pytest.mark.skipif("3.12" not in INTERPRETERS, reason="needs CPython 3.12 or later")
def test_perf_trampolines_are_not_shown_twice(tmp_path: Path) -> None:
    for version in sorted({min(set(INTERPRETERS) - {"3.11"}), max(INTERPRETERS)}):
        profile, _ = run([INTERPRETERS[version], "-X", "perf", script(tmp_path, "burn(0.7)")], 499)
        assert share(profile, "burn") > 0.5
        # In the first moments, when no frames can be followed yet, the trampolines are all there is.
        frames = {f.function_name for sample in profile.samples() if names(sample) for f in sample.stack_frames}
        assert not [name for name in frames if name.startswith("py::")], version


@pytest.mark.skipif("3.14" not in INTERPRETERS, reason="needs CPython 3.14, which has concurrent.interpreters")
def test_subinterpreters(tmp_path: Path) -> None:
    program = script(
        tmp_path,
        f"""
import concurrent.interpreters as interpreters, threading
def work(name):
    code = {BURN!r} + f"def {{name}}(): burn(0.7)\\n{{name}}()\\n"
    interpreters.create().exec(code)
threads = [threading.Thread(target=work, args=(name,)) for name in ("one", "two")]
for thread in threads: thread.start()
for thread in threads: thread.join()
""",
    )
    profile, _ = run([INTERPRETERS["3.14"], program], 499)
    for name in ("one", "two"):
        burning = [names(sample) for sample in profile.samples() if name in names(sample)]
        assert len(burning) > 100
        assert sum(stack == ["<module>", name, "burn"] for stack in burning) >= 0.99 * len(burning)


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_no_ptrace_call_and_no_signal_to_the_target(tmp_path: Path) -> None:
    log = tmp_path / "calls"
    with started([sys.executable, script(tmp_path, WORKING)]) as target:
        traced = ["strace", "-f", "-qq", "-o", str(log), "-e", "trace=ptrace,kill,tgkill,tkill,pidfd_send_signal"]
        ours = [sys.executable, "-m", "dtrace_profiler", "attach", str(target.pid), "-d", "1", "-o", "-"]
        done = subprocess.run(
            [*traced, *ours, "--format", "folded", "--engine", "dtrace"],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "burn" in done.stdout
        calls = log.read_text()
        assert "ptrace(" not in calls
        assert not re.search(rf"kill\({target.pid}, [^0]|pidfd_send_signal", calls), calls


def test_what_is_read_of_an_interpreter_says_its_version(tmp_path: Path) -> None:
    """An interpreter of a version that is not known: native frames, and one sentence."""
    python = INTERPRETERS["3.13"] if "3.13" in INTERPRETERS else INTERPRETERS[max(INTERPRETERS)]
    copy = tmp_path / "python"
    data = bytearray(Path(python).read_bytes())
    at = data.find(b"xdebugpy") + 8
    if at < 8:
        pytest.skip("this interpreter has its offsets elsewhere")
    version = int.from_bytes(data[at : at + 8], "little")
    data[at : at + 8] = ((version & ~(0xFF << 16)) | 99 << 16).to_bytes(8, "little")
    copy.write_bytes(data)
    copy.chmod(0o755)
    with started([str(copy), "-S", "-E", script(tmp_path, WORKING)]) as target:
        profile = attach(target.pid)
    assert not any(names(sample) for sample in profile.samples())
    assert len(list(profile.samples())) > 100
    assert [note for note in profile.meta.notes if "3.99 is not known" in note], json.dumps(list(profile.meta.notes))


def test_what_did_not_reach_the_d_program_is_told_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tell = ControlChannel.python
    untold: list[int] = []

    def lose_the_first(channel: ControlChannel, process: PythonProcess) -> None:
        if untold:
            tell(channel, process)
        untold.append(process.pid)

    monkeypatch.setattr(ControlChannel, "python", lose_the_first)
    profile, _ = run([INTERPRETERS[max(INTERPRETERS)], script(tmp_path, "burn(1.5)")], 499)
    found = [sample for sample in profile.samples() if "burn" in names(sample)]
    assert len(found) > 0.4 * len(profile), said(profile)
    notice = r"Python frames of process \d+ came when it was looked at again, after 0\.\d s: .* may lack them\."
    assert any(re.fullmatch(notice, note) for note in profile.meta.notes), said(profile)
