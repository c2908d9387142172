"""Telling a D program to end: by which threads, and what they say."""

from __future__ import annotations

import os
import threading

import pytest

from dtrace_profiler.record.control import ControlChannel


@pytest.mark.posix
def test_the_threads_that_have_each_processor_print_are_known_as_ours() -> None:
    """They use CPU time, are sampled, and have ended when their samples come."""
    said: list[tuple[int, tuple[int, ...]]] = []
    channel = ControlChannel(0x40000000, _call=lambda *words: said.append((threading.get_native_id(), words)) or 0)
    channel.stop(7)
    others = {thread for thread, _ in said if thread != threading.get_native_id()}
    assert others == channel.threads
    assert len(others) == 1
    flushes = [words for thread, words in said if thread in others]
    assert flushes == [(0x40000003, 7, 1, 0, 0)] * len(os.sched_getaffinity(0))
    assert said[-1] == (threading.get_native_id(), (0x40000003, 7, 0, 0, 0))


def test_where_nobody_listens_nothing_is_said() -> None:
    called: list[object] = []
    ControlChannel(0, _call=lambda *words: called.append(words) or 0).stop(7)
    assert called == []
