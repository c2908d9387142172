"""Processes that fork and execute, told in any order: what the D program is told, and whose stacks are named."""

from __future__ import annotations

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
from dtrace_profiler.record.parse import PythonStack
from dtrace_profiler.record.python_walk import PythonProcess

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
def processes(monkeypatch: pytest.MonkeyPatch, told: list[PythonProcess]) -> PythonProcesses:
    there = {PARENT}

    def look_into(pid: int, on: str) -> tuple[Layout, Any]:
        if pid not in there:
            raise LayoutError("it is no CPython.", "not_python")
        return layout(pid), SimpleNamespace(read=lambda *_: b"")

    monkeypatch.setattr(python_processes, "look_into", look_into)
    monkeypatch.setattr(python_processes, "CodeReader", Reader)
    monkeypatch.setattr(python_processes, "EvaluationLoops", lambda layout: SimpleNamespace(prepare=lambda: None))
    monkeypatch.setattr(python_processes, "process_exists", lambda pid: False)
    lost: list[Any] = []
    made = PythonProcesses(tell=told.append, lose=lambda *what: lost.append(what), note=lost.append, depth=128)
    assert made.look(PARENT)
    return made


def stack(pid: int, number: int = 7) -> PythonStack:
    return PythonStack(number, pid, 0, 0, ((0xAB, 0xAC),))


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
    processes.look_again(7)
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
