"""Real interpreters as targets: found, started, held still and looked at from outside."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from dtrace_profiler.cpython.layout import Layout, LayoutError, find_layout
from dtrace_profiler.cpython.memory import Memory, MemoryReadError, word
from dtrace_profiler.record.python_walk import FULL_WALK_STEPS

VERSIONS = ("3.11", "3.12", "3.13", "3.14", "3.15")
WAIT_S = 20.0
Value = TypeVar("Value")


@functools.cache
def interpreter(version: str) -> str | None:
    """An executable of that minor version: on the path, else among pyenv's. None where there is none."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = [str(path) for path in sorted(root.glob(f"versions/{version}.*/bin/python{version}"))]
    on_path = shutil.which(f"python{version}")
    for path in [*found, *([on_path] if on_path else [])]:
        command = [path, "-c", "import sys; print('%d.%d %s' % (*sys.version_info[:2], sys.implementation.name))"]
        try:
            answer = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S).stdout.strip()
        except OSError:
            continue
        if answer == f"{version} cpython":
            return path
    return None


@contextlib.contextmanager
def running(command: Sequence[str], *, ready: str = "ready", **options: object) -> Iterator[int]:
    """A process that has printed the line `ready`; its pid. Killed in the end."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)  # type: ignore[call-overload]
    try:
        if ready:
            line = process.stdout.readline().strip()
            assert line.startswith(ready), f"{command[0]} said {line!r}"
        yield process.pid
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def eventually(what: Callable[[], Value], *, until: Callable[[Value], bool] = bool) -> Value:
    """The first value that will do; the last one after some time."""
    limit = time.monotonic() + WAIT_S
    while True:
        value = what()
        if until(value) or time.monotonic() > limit:
            return value
        time.sleep(0.01)


def layout_of(pid: int) -> Layout:
    """Of a process that may still be starting."""
    limit = time.monotonic() + WAIT_S
    while True:
        try:
            return find_layout(pid)
        except LayoutError as error:
            if error.kind not in ("not_ready", "not_python") or time.monotonic() > limit:
                raise
        time.sleep(0.002)


@contextlib.contextmanager
def held(pid: int) -> Iterator[None]:
    """All threads of a process stand still."""
    os.kill(pid, signal.SIGSTOP)
    try:
        eventually(lambda: _states(pid), until=lambda states: states <= {"T"})
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def let_run(pid: int, cpu_ns: int) -> None:
    """Wait until the main thread has had so much more CPU time, however busy the machine is."""
    schedstat = Path(f"/proc/{pid}/schedstat")

    def used_ns() -> int:
        return int(schedstat.read_text().split()[0])

    goal = used_ns() + cpu_ns
    limit = time.monotonic() + WAIT_S
    while used_ns() < goal and time.monotonic() < limit:
        time.sleep(0.0005)


def _states(pid: int) -> set[str]:
    out = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            out.add((task / "stat").read_text().rpartition(")")[2].split()[0])
    return out


def thread_states(layout: Layout, memory: Memory) -> list[int]:
    """Addresses of the main interpreter's PyThreadStates."""
    out, state = [], word(memory, layout.interpreter + layout.offsets["is.threads_head"])
    while state:
        out.append(state)
        state = word(memory, state + layout.offsets["ts.next"])
    return out


def walk(layout: Layout, memory: Memory, state: int) -> list[tuple[int, int]]:
    """(code object, instruction) of a thread's frames, leaf first, as the D program reads them."""
    offsets = layout.offsets
    if "ts.cframe" in offsets:
        current = offsets["cframe.frame"]
        link = word(memory, state + offsets["ts.cframe"])
        frame = word(memory, link + current)
        if not _runs(layout, memory, frame):  # a loop that has begun does not say yet which frame it runs
            frame = word(memory, word(memory, link + current + 8) + current)
    else:
        frame = word(memory, state + offsets["ts.frame"])
    out: list[tuple[int, int]] = []
    while frame and len(out) < FULL_WALK_STEPS:
        out.append((word(memory, frame + offsets["fr.code"]), word(memory, frame + offsets["fr.instr"])))
        frame = word(memory, frame + offsets["fr.previous"])
    return out


def _runs(layout: Layout, memory: Memory, frame: int) -> bool:
    """Whether it is the frame of a code object."""
    try:
        code = word(memory, frame + layout.offsets["fr.code"])
        return word(memory, code + layout.offsets["ob.type"]) == layout.code_type
    except MemoryReadError:
        return False
