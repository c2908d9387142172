"""What each format keeps of a profile that has everything, and that `dropped` says the rest: no more, and no less."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from any_profiles import SMALL_STACKS, START_NS, by_names

from dtrace_profiler.formats import FORMATS, Format, dropped, read_profile, write_profile
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.model.profile import Meta, Profile


def full_profile() -> Profile:
    """Each fact that a profile can have, and that a format may have no place for."""
    builder = ProfileBuilder()
    first = builder.add_thread(100, 101, "main")
    threads = [
        first,
        builder.add_thread(100, 101, "main", (("route", "/x"),)),
        builder.add_thread(100, 102, "worker"),
    ]
    for row in range(9):
        stack = builder.add_stack(SMALL_STACKS[row % 3])
        builder.add_sample(START_NS + row * 100_000_000, threads[row % 2 + row % 3 // 2], stack, 1)
    builder.add_loss(START_NS, 3)
    return builder.snapshot(
        Meta(
            engine="dtrace",
            frequency_hz=100,
            start_ns=START_NS,
            duration_ns=1_000_000_000,
            target="./a.out 7",
            system="Linux 6.1 x86_64",
            versions={"python": "3.13.1"},
            losses={"drops": 3},
            notes=["A note."],
        )
    )


def _frames(profile: Profile, fact: Callable[[StackFrame], object]) -> set[tuple[str, object]]:
    return {(frame.function_name, fact(frame)) for frame in profile.frames if frame.kind is not FrameKind.UNKNOWN}


def _threads(profile: Profile) -> set[tuple[int, int, str]]:
    return {(thread.process_id, thread.thread_id, thread.name) for thread in profile.threads}


FACTS: dict[str, Callable[[Profile], object]] = {
    "times": lambda profile: sorted(profile.timestamp_ns),
    "threads": _threads,
    "labels": lambda profile: {thread.labels for thread in profile.threads},
    "stacks": by_names,
    "addresses": lambda profile: _frames(profile, lambda frame: frame.address),
    "files of native functions": lambda profile: _frames(
        profile, lambda frame: "" if frame.kind is FrameKind.PYTHON else frame.file
    ),
    "lines within functions": lambda profile: _frames(
        profile, lambda frame: frame.line if frame.line != frame.first_line else 0
    ),
    "modules of Python functions": lambda profile: _frames(
        profile, lambda frame: frame.module_name if frame.kind is FrameKind.PYTHON else ""
    ),
    "when samples were lost": lambda profile: list(profile.lost),
    "what was lost": lambda profile: dict(profile.meta.losses),
    "when and how it was taken": lambda profile: (
        profile.meta.start_ns,
        profile.meta.duration_ns,
        profile.meta.frequency_hz,
        profile.meta.target,
        profile.meta.system,
    ),
    "versions": lambda profile: dict(profile.meta.versions),
    "notes": lambda profile: list(profile.meta.notes),
}
_ALSO = {
    "the samples' times": {"times"},
    "what was lost": {"what was lost", "when samples were lost"},
    "when and how it was taken": {"when and how it was taken", "versions"},
}
"""What a phrase says beside itself."""


@pytest.mark.parametrize("name", [item.name for item in FORMATS if item.writes and item.reads])
def test_what_does_not_come_back_is_said_to_be_dropped(name: str) -> None:
    profile = full_profile()
    file = io.BytesIO()
    write_profile(profile, file, name)
    again = read_profile(io.BytesIO(file.getvalue()), name)
    assert (again.total, again.meta.unit) == (profile.total, profile.meta.unit)
    gone = {what for what, fact in FACTS.items() if fact(again) != fact(profile)}
    said = set().union(*(_ALSO.get(phrase, {phrase}) for phrase in dropped(profile, name)))
    assert said == gone


@pytest.mark.parametrize("item", [item for item in FORMATS if item.writes], ids=lambda item: item.name)
def test_each_format_that_is_written_has_been_looked_at(item: Format) -> None:
    assert hasattr(item.code, "dropped")


@pytest.mark.parametrize("name", [item.name for item in FORMATS if item.writes])
def test_of_a_profile_that_has_little_little_is_dropped(name: str) -> None:
    plain = read_profile(io.BytesIO(b"main;f 3\n"))
    assert set(dropped(plain, name)) <= {"stacks"}
