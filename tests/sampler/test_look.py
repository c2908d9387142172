"""Stacks of running threads: whole, of a moment, harmless to the program whose they are."""

from __future__ import annotations

import ast
import gc
import inspect
import subprocess
import sys
import threading
import time
import types
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sampled import interpreter

from dtrace_profiler.sampling.target import look as module
from dtrace_profiler.sampling.target import walk
from dtrace_profiler.sampling.target.look import identifiers, look, other_threads

# Threads in a hurry, and garbage whose finalizers give the GIL away. If the collector may come while a frame object
# is made, CPython 3.11 crashes here within seconds (0.2 to 3 of five runs).
HURRY = """
import gc, importlib.util, os, sys, threading, time

spec = importlib.util.spec_from_file_location("look", sys.argv[1])
look = importlib.util.module_from_spec(spec)
spec.loader.exec_module(look)

class Ring:
    def __init__(self):
        self.me = self
    def __del__(self):
        for _ in range(200):
            pass

def odd(depth, *more):
    x = y = z = 12345
    if depth:
        return even(depth - 1, x, y, z)

def even(depth, *more):
    p = q = 0.25
    if depth:
        return odd(depth - 1, p, q, depth)

callers = {}
for number in range(1, 12):  # frames of many sizes: what was one lies across several others a moment later
    names = "=".join(f"v{index}" for index in range(number))
    exec(f"def caller_{number}():\\n {names} = 7\\n odd(12)", globals(), callers)
callers = list(callers.values())

def work():
    while True:
        for caller in callers:
            caller()
        Ring()

POSSIBLE = {"odd": {"even", "caller"}, "even": {"odd"}, "caller": {"work"}, "__init__": {"work"}, "work": {"run"}}

def check(places):
    names = [code.co_name.split("_1")[0].rstrip("_23456789") if code.co_name.startswith("caller") else code.co_name
             for code, lasti, names in places]
    if "__del__" in names:  # of what the collector found: below anything
        names = names[names.index("__del__") + 2:]
    for name, caller in zip(names, names[1:]):
        if name in POSSIBLE and caller not in POSSIBLE[name]:
            print("impossible:", names)
            os._exit(1)

gc.set_threshold(10)
sys.setswitchinterval(float(sys.argv[2]))
workers = [threading.Thread(target=work, daemon=True) for _ in range(2)]
for worker in workers:
    worker.start()
end = time.monotonic() + float(sys.argv[3])
seen = 0
while time.monotonic() < end:
    time.sleep(0.00005)
    moment, stacks = look.look(look.other_threads(), 137)
    for places in stacks:
        check(places)
        seen += len(places)
os._exit(0 if seen > 1000 else 2)
"""


@pytest.mark.parametrize(("version", "seconds"), [("3.11", 6), ("3.12", 1), ("3.13", 1), ("3.14", 1), ("3.15", 1)])
def test_a_program_in_a_hurry_is_not_harmed_and_its_stacks_are_whole(version: str, seconds: int) -> None:
    command = [interpreter(version), "-c", HURRY, str(module.__file__), "5e-5", str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def held(function: Callable[[threading.Event, threading.Event], object]) -> Iterator[threading.Thread]:
    """A thread in the function, which sets the first event and waits for the second."""
    there, go_on = threading.Event(), threading.Event()
    thread = threading.Thread(target=function, args=(there, go_on))
    thread.start()
    there.wait()
    try:
        yield thread
    finally:
        go_on.set()
        thread.join()


def _wait(there: threading.Event, go_on: threading.Event) -> None:
    there.set()
    go_on.wait()


def test_frames_are_leaf_first_at_the_time_told() -> None:
    with held(_wait) as thread:
        before = time.time_ns()
        moment, [places] = look([thread.ident or 0], 100)
        assert before <= moment <= time.time_ns()
    names = [code.co_name for code, _, _ in places]
    assert names[names.index("_wait") :][:2] == ["_wait", "run"]
    assert names[-1] == "_bootstrap"
    assert places[names.index("_wait")][2] is globals()


def test_at_most_so_many_and_none_of_who_is_not_there() -> None:
    with held(_wait) as thread:
        whole = look([thread.ident or 0], 100)[1][0]
        _, [few, nobody, again] = look([thread.ident or 0, 12345, thread.ident or 0], 2)
    assert few == again == whole[:2]
    assert nobody == []
    assert look([], 100)[1] == []


def test_our_own_thread_is_among_the_identifiers_only() -> None:
    with held(_wait) as thread:
        assert {threading.get_ident(), thread.ident} <= set(identifiers())
        assert thread.ident in other_threads()
        assert threading.get_ident() not in other_threads()


class Big:
    pass


def test_nothing_of_the_program_is_kept_alive() -> None:
    kept: list[weakref.ref[Big]] = []

    def with_local(there: threading.Event, go_on: threading.Event) -> None:
        local = Big()
        kept.append(weakref.ref(local))
        _wait(there, go_on)

    gc.disable()
    try:
        with held(with_local) as thread:
            _, stacks = look([thread.ident or 0], 100)
            assert kept[0]() is not None
        assert stacks
        assert kept[0]() is None
        mine = Big()
        kept.append(weakref.ref(mine))
        look(other_threads(), 100)
        del mine
        assert kept[1]() is None, "our own frame was among those read"
    finally:
        gc.enable()


@pytest.mark.parametrize("on", [True, False])
@pytest.mark.parametrize("any_time", [True, False])
def test_the_collector_is_as_it_was(on: bool, any_time: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_COLLECTOR_COMES_ANY_TIME", any_time)
    seen: list[bool] = []
    frames = sys._current_frames
    monkeypatch.setattr(sys, "_current_frames", lambda: (seen.append(gc.isenabled()), frames())[1])
    (gc.enable if on else gc.disable)()
    try:
        assert len(look([threading.get_ident()], 3)[1]) == 1
        list(identifiers())
        assert gc.isenabled() is on
    finally:
        gc.enable()
    assert seen == [on and not any_time] * 2


def _lines() -> list[tuple[types.CodeType, int, int]]:
    """Each instruction that a busy function of many lines comes by: its code and number, and the frame's own line."""
    seen: list[tuple[types.CodeType, int, int]] = []

    def trace(frame: types.FrameType, event: str, _: object) -> object:
        frame.f_trace_opcodes = True
        if event == "opcode":
            seen.append((frame.f_code, frame.f_lasti, frame.f_lineno))
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        ast.literal_eval("[1, -2, (3, 'x' 'y'), {4: b'z'}]")
        inspect.signature(subprocess.Popen)
    finally:
        sys.settrace(before)
    return seen


def test_lines_are_those_of_the_frame() -> None:
    lines = _lines()
    assert len(lines) > 1000
    assert [walk.line_of(code, lasti) for code, lasti, _ in lines] == [
        line or code.co_firstlineno for code, _, line in lines
    ]


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="no co_lnotab any more")
def test_lines_of_before_3_10() -> None:
    """The old table, which CPython still makes of the new one: all that it can tell is told."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        for code in _codes(compile(Path(walk.__file__).read_text("utf-8"), "walk.py", "exec")):
            for start, _, line in code.co_lines():
                if line is not None:
                    assert walk.line_before_3_10(code.co_firstlineno, code.co_lnotab, start) == line
