"""Processes that fork and execute, told in any order: what the D program is told, and whose stacks are named."""

from __future__ import annotations

import dataclasses
import time
from types import SimpleNamespace
from typing import Any

import pytest

from dtrace_profiler import python_processes
from dtrace_profiler.cpython.code_object import CodeObject
from dtrace_profiler.cpython.identity import NO_COUNTER
from dtrace_profiler.cpython.layout import Layout, LayoutError
from dtrace_profiler.cpython.memory import MemoryReadError
from dtrace_profiler.cpython.offsets import table
from dtrace_profiler.python_processes import PythonProcesses
from dtrace_profiler.record.parse import PythonStack, SampleRecord
from dtrace_profiler.record.python_walk import PythonProcess
from dtrace_profiler.silent_processes import SilentProcesses

PARENT, CHILD = 100, 200
LATER, EARLIER = 10**12, -(10**12)


class Reader:
    """Names every code object by its address."""

    def __init__(self, *_: object) -> None:
        pass

    def read(self, frames: list[tuple[int, int]], generation: int, **_: object) -> list[CodeObject]:
        return [CodeObject(f"f{address:x}", "app.py", 1, 0, 0, b"") for address, _ in frames]

    def inherited(self) -> Reader:
        return self


def layout(pid: int) -> Layout:
    return Layout(
        pid=pid,
        version=0x030B07F0,
        path="/usr/bin/python",
        runtime=1,
        interpreter=1,
        offsets=table(11),
        slot=-8,
        holder=0,
        current_slot=0,
        counter=NO_COUNTER,
        code_type=0x1000,
        none=0,
        functions=(),
        machine="x86_64",
    )


@pytest.fixture
def told() -> list[PythonProcess]:
    return []


@pytest.fixture
def lost() -> list[Any]:
    """What is missing, and notes."""
    return []


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch, told: list[PythonProcess], lost: list[Any]) -> PythonProcesses:
    there = {PARENT}

    def look_into(pid: int, on: str) -> tuple[Layout, Any]:
        if pid not in there:
            raise LayoutError("it is no CPython.", "not_python")
        return layout(pid), SimpleNamespace(read=lambda *_: b"")

    monkeypatch.setattr(python_processes, "look_into", look_into)
    monkeypatch.setattr(python_processes, "CodeReader", Reader)
    monkeypatch.setattr(python_processes, "EvaluationLoops", lambda layout: SimpleNamespace(prepare=lambda: None))
    monkeypatch.setattr(python_processes, "process_exists", lambda pid: False)
    made = PythonProcesses(tell=told.append, lose=lambda *what: lost.append(what), note=lost.append, depth=128)
    assert made.look(PARENT)
    return made


def stack(pid: int, number: int = 7) -> PythonStack:
    return PythonStack(number, pid, 0, 0, ((0xAB, 0xAC),))


def sample(pid: int, python: int = 0) -> SampleRecord:
    return SampleRecord(time.time_ns(), pid, pid, pid, 1, 0, python, 0)


def names(processes: PythonProcesses, number: int = 7) -> list[str] | None:
    named = processes.stack(number)
    return None if named is None else [frame.function_name for frame in named.frames if frame is not None]


def test_a_fork_inherits_in_the_d_program_itself(processes: PythonProcesses, told: list[PythonProcess]) -> None:
    processes.forked(PARENT, CHILD, time.time_ns())
    assert told == [], "its parent was in the program's text"
    assert processes.is_python(CHILD)


def test_who_was_forked_before_the_program_knew_its_parent_is_told_of(
    processes: PythonProcesses, told: list[PythonProcess]
) -> None:
    before = time.time_ns()
    processes.tell_all()
    processes.forked(PARENT, CHILD, before)
    assert [process.pid for process in told] == [PARENT, CHILD]
    processes.forked(PARENT, CHILD + 1, time.time_ns() + LATER)
    assert [process.pid for process in told] == [PARENT, CHILD]


def test_stacks_that_come_before_the_fork_are_named_after_it(processes: PythonProcesses) -> None:
    processes.define(stack(CHILD))
    assert names(processes) is None
    processes.forked(PARENT, CHILD, time.time_ns())
    assert names(processes) == ["fab"]


def test_stacks_whose_process_is_found_later_are_named_when_they_come_again(processes: PythonProcesses) -> None:
    processes.define(stack(CHILD))
    processes._known[CHILD] = processes._known[PARENT]
    processes.sampled(sample(CHILD, python=7))
    assert names(processes) == ["fab"]


def test_a_child_that_ended_before_it_was_looked_at_has_what_its_parent_has(
    processes: PythonProcesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(pid: int) -> None:
        raise MemoryReadError(f"process {pid} is gone")

    processes.define(stack(CHILD))
    monkeypatch.setattr(python_processes, "ProcessMemory", gone)
    processes.forked(PARENT, CHILD, time.time_ns())
    assert names(processes) == ["fab"]


def test_at_the_end_nothing_is_waited_for(processes: PythonProcesses) -> None:
    processes.define(stack(CHILD))
    processes.give_up()
    assert names(processes) == ["<unknown>"]


def test_stacks_of_nobody_are_unknown_in_the_end(processes: PythonProcesses, monkeypatch: pytest.MonkeyPatch) -> None:
    processes.define(stack(CHILD))
    monkeypatch.setattr(python_processes, "_ORPHAN_S", 0.0)
    assert names(processes) == ["<unknown>"]


def test_after_an_exec_nothing_of_before_is_believed(
    processes: PythonProcesses, told: list[PythonProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    processes.define(stack(CHILD))
    processes.new_image(CHILD, time.time_ns())
    assert names(processes) == ["<unknown>"], "printed by an image that is gone"
    processes.forked(PARENT, CHILD, EARLIER)
    assert not processes.is_python(CHILD), "the fork was before the exec, though it was seen after"
    processes.new_image(PARENT, time.time_ns())
    assert not processes.is_python(PARENT)
    assert told == []
    processes.close()


def test_what_was_told_after_an_exec_was_of_the_image_before(
    processes: PythonProcesses, told: list[PythonProcess]
) -> None:
    at_ns = time.time_ns()
    processes.tell_all()
    processes.new_image(PARENT, at_ns)
    assert [(process.pid, process.slot) for process in told] == [(PARENT, -8), (PARENT, 0)]
    processes.close()


def test_who_has_ended_is_forgotten(processes: PythonProcesses, monkeypatch: pytest.MonkeyPatch) -> None:
    """But not at once: stacks of its last moments may come from another CPU's buffer."""
    processes.ended(PARENT)
    assert [process.pid for process in processes.found] == [PARENT]
    monkeypatch.setattr("dtrace_profiler.python_processes._ORPHAN_S", -1.0)
    processes.ended(PARENT + 1)
    assert processes.found == []


@pytest.fixture
def clock(processes: PythonProcesses, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds. Who is watched is looked at at once."""
    now = [100.0]
    processes._silent = SilentProcesses(lambda: now[0])
    monkeypatch.setattr(processes, "watch", lambda pid: processes._try(pid, time.monotonic()))
    return now


def test_who_stays_silent_is_looked_at_and_told_of_again(
    processes: PythonProcesses, told: list[PythonProcess], lost: list[Any], clock: list[float]
) -> None:
    processes.tell_all()
    for _ in range(20):
        processes.sampled(sample(PARENT))
    assert len(told) == 1, "a moment of silence says nothing"
    clock[0] += 0.5
    for _ in range(20):
        processes.sampled(sample(PARENT))
    assert [process.pid for process in told] == [PARENT, PARENT]
    clock[0] += 0.1
    processes.sampled(sample(PARENT, python=9))
    note = "Python frames of process 100 came when it was looked at again, after 0.6 s: samples before may lack them."
    assert lost == [note]
    assert PARENT not in processes._silent, "who was heard once is not doubted again"


def test_who_runs_no_python_is_not_looked_at_all_the_time(
    processes: PythonProcesses, told: list[PythonProcess], lost: list[Any], clock: list[float]
) -> None:
    processes.tell_all()
    for _ in range(1000):
        clock[0] += 0.1
        processes.sampled(sample(PARENT))
    assert len(told) == 1 + 5, "after 0.3, 1.2, 4.8, 19.2 and 76.8 s; the first time, when ten samples have come"
    clock[0] += 60.0
    processes.sampled(sample(PARENT, python=9))
    assert lost == [], "Python that begins later is not late"


def test_who_is_looked_at_again_may_be_another_than_it_seemed(
    processes: PythonProcesses, told: list[PythonProcess], clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    processes.tell_all()
    clock[0] += 1.0
    monkeypatch.setattr(
        python_processes, "look_into", lambda pid, on: (dataclasses.replace(layout(pid), slot=-16), SimpleNamespace())
    )
    monkeypatch.setattr(python_processes, "native_unwind_works", lambda *_: False)
    for _ in range(20):
        processes.sampled(sample(PARENT, python=1))
    assert [process.slot for process in told] == [-8, -16]
    assert [process.slot for process in processes.found] == [-16]


def test_what_was_seen_while_it_executed_another_program_is_not_believed(
    processes: PythonProcesses, told: list[PythonProcess], clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def look_into(pid: int, on: str) -> tuple[Layout, Any]:
        monkeypatch.setattr(processes, "watch", lambda pid: None)
        processes.new_image(pid, time.time_ns())
        return layout(pid), SimpleNamespace(read=lambda *_: b"")

    monkeypatch.setattr(python_processes, "look_into", look_into)
    processes.watch(CHILD)
    assert not processes.is_python(CHILD)
    assert told == []


def test_where_nothing_can_be_told_nobody_is_doubted(
    processes: PythonProcesses, told: list[PythonProcess], clock: list[float]
) -> None:
    """Classic programs are written anew for each process; silence is no reason to begin one."""
    processes._tell = None
    processes.tell_all()
    clock[0] += 1.0
    for _ in range(20):
        processes.sampled(sample(PARENT))
    processes.new_image(PARENT, EARLIER)
    assert told == []
    assert PARENT not in processes._silent
