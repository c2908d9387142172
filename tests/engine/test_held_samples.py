"""Samples of a process that executes its program: those of before are not shown, those of after are, seen or not."""

from __future__ import annotations

import pytest

from dtrace_profiler import held_samples
from dtrace_profiler.held_samples import HeldSamples
from dtrace_profiler.record.parse import SampleRecord

HELD, OTHER = 100, 200


def sample(at_ns: int, pid: int = HELD) -> SampleRecord:
    return SampleRecord(at_ns, pid, pid, pid, 1, 0, 0, 0)


def test_what_came_before_the_exec_is_not_the_programs() -> None:
    taken: list[SampleRecord] = []
    held = HeldSamples(HELD, taken.append, lambda *_: pytest.fail("it was seen"), expected=True)
    held.sample(sample(10))
    held.sample(sample(11, OTHER))
    assert taken == [sample(11, OTHER)]
    held.executed(OTHER, 12)
    held.executed(HELD, 20)
    held.executed(HELD, 30)  # its program executes another one
    held.sample(sample(25))
    held.sample(sample(35))
    assert taken[1:] == [sample(25), sample(35)]


def test_an_exec_that_is_never_told_of_was_at_the_first_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[SampleRecord] = []
    executed: list[tuple[int, ...]] = []
    held = HeldSamples(HELD, taken.append, lambda *what: executed.append(what), expected=True)
    held.sample(sample(10))
    assert (taken, executed) == ([], [])
    monkeypatch.setattr(held_samples, "_EXEC_UNSEEN_S", -1.0)
    held.sample(sample(20))
    held.sample(sample(30))
    assert executed == [(HELD, 10)], "once"
    assert taken == [sample(10), sample(20), sample(30)]
