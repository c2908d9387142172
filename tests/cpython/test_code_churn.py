"""Code that is made and thrown away all the time: an address that was reused never gives another function's name.

A sample is taken as the D program takes it, but with the process held still, so that what lies at each address then
is known. Some milliseconds later, when the process has gone on, the code objects are read.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from cpython_targets import held, layout_of, let_run, running, thread_states, walk

from dtrace_profiler.cpython.code import CodeReader
from dtrace_profiler.cpython.code_object import CodeObject
from dtrace_profiler.cpython.memory import ProcessMemory, word

CHURN = '''
import sys
kept, n = [], 0
print("ready", flush=True)
while True:
    n += 1
    names = {}
    body = "k = k * 3 % 1000\\n        " * (n % 7)
    exec(f"""
def outer_{n}(k):
    def inner_{n}(k):
        {body}return len([i for i in range(k * 40)])
    return inner_{n}(k)
""", names)
    function = names[f"outer_{n}"]
    function(200)
    if n % 5 == 0:
        kept.append(function)
        del kept[:-40]
    names.clear()  # else only the garbage collector frees it
    del function
'''
SAMPLES = 250


@pytest.fixture
def churning(python: str, tmp_path: Path):
    script = tmp_path / "churn.py"
    script.write_text(CHURN)
    with running([python, str(script)]) as pid:
        yield layout_of(pid), ProcessMemory(pid)


def test_no_name_that_was_not_there(churning) -> None:
    layout, memory = churning
    reader = CodeReader(layout, memory)
    chance = random.Random(1)
    wrong, named, unknown = [], 0, 0
    for _ in range(SAMPLES):
        with held(layout.pid):
            (state,) = thread_states(layout, memory)
            frames = walk(layout, memory, state)
            count = word(memory, layout.generation_address) if layout.generation_address else 0
            there = CodeReader(layout, memory).read(frames, count)
        let_run(layout.pid, chance.choice((0, 500_000, 3_000_000, 10_000_000)))
        for truth, found, (address, _) in zip(there, reader.read(frames, count), frames, strict=True):
            assert truth is not None, f"{address:#x} has no name although it is running"
            if found is None:
                unknown += 1
            elif isinstance(found, CodeObject):
                named += 1
                if not isinstance(truth, CodeObject) or found.qualname != truth.qualname:
                    wrong.append((found.qualname, truth))
            else:
                assert type(found) is type(truth)
        let_run(layout.pid, 200_000)
    print(f"{layout.version_text}: {named} named, {unknown} unknown, {len(wrong)} wrong")
    # The script itself never goes away; what it makes mostly has by the time it is read.
    assert named >= SAMPLES
    assert unknown > SAMPLES / 10, "the program does not reuse addresses fast enough to test anything"
    if layout.minor == 11:
        # It has no count to tell by: not never, but seldom. See docs/python-frames.md.
        assert len(wrong) <= 0.03 * (named + unknown)
    else:
        assert not wrong


def test_the_count_is_found_however_the_memory_changes(churning) -> None:
    # What contradicts it is code on the stack that was freed and overwritten as it was looked at: one look in fifty.
    layout, _ = churning
    if layout.minor == 11:
        assert layout.counter.kind == ""
    else:
        assert {layout_of(layout.pid).counter.kind for _ in range(300)} == {"versions"}
