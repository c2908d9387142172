"""Processed profiles of the Firefox Profiler: totals, times and losses, and what its own importer makes of them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from any_profiles import START_NS, by_names, by_thread, profiles, small_profile, written
from hypothesis import given

from dtrace_profiler.formats import firefox, format_of, write_profile
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import StackFrame
from dtrace_profiler.model.profile import Meta, Profile
from viewers import profiler_cli

DATA = Path(__file__).parents[1] / "data" / "firefox"


def document(profile: Profile) -> Any:
    return json.loads(written(firefox, profile))


def stacks(thread: Any) -> dict[tuple[str, ...], float]:
    """Names, root first → weight, looked up as the Profiler does."""
    table, frames, functions = thread["stackTable"], thread["frameTable"], thread["funcTable"]
    out: dict[tuple[str, ...], float] = {}
    for stack, weight in zip(thread["samples"]["stack"], thread["samples"]["weight"], strict=True):
        names = []
        place = stack
        while place is not None:
            function = frames["func"][table["frame"][place]]
            names.append(thread["stringArray"][functions["name"][function]])
            assert table["prefix"][place] is None or table["prefix"][place] < place
            place = table["prefix"][place]
        key = tuple(reversed(names))
        out[key] = out.get(key, 0) + weight
    return {key: weight for key, weight in out.items() if weight}


def test_the_small_profile_is_written_as_ever(
    golden: Callable[[Path, bytes], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(firefox, "__version__", "VERSION")
    golden(DATA / "small.firefox.json", written(firefox, small_profile()))


def test_times_losses_and_categories() -> None:
    found = document(small_profile())
    main, worker = found["threads"]
    assert (main["name"], main["pid"], main["tid"], worker["tid"]) == ("main", "100", 101, 102)
    assert main["samples"]["time"] == [0, 200, 400]
    assert found["meta"]["startTime"] == START_NS / 1e6
    assert main["markers"]["data"] == [{"type": "Lost", "count": 3}]
    assert worker["markers"]["length"] == 0
    names = [category["name"] for category in found["meta"]["categories"]]
    kinds = [names[category] for category in main["stackTable"]["category"]]
    assert kinds == ["Native", "Python", "Native", "Inlined", "Inlined", "Kernel", "Kernel"]
    assert firefox.dropped(small_profile()) == ["addresses"]
    assert format_of("run.firefox.json.gz") == "firefox"


@given(profiles(most=1 << 20))
def test_totals_names_and_threads_are_all_there(profile: Profile) -> None:
    found = document(profile)
    factor = 1e-6 if profile.meta.unit == "nanoseconds" else 1
    names: dict[tuple[str, ...], float] = {}
    threads: dict[tuple[int, int], float] = {}
    for thread in found["threads"]:
        for column in ("samples", "markers", "stackTable", "frameTable", "funcTable", "resourceTable"):
            size = thread[column]["length"]
            assert all(len(values) == size for values in thread[column].values() if isinstance(values, list))
        times = thread["samples"]["time"]
        assert times == sorted(times)
        for stack, weight in stacks(thread).items():
            names[stack] = names.get(stack, 0) + weight
        if thread["samples"]["length"]:
            threads[int(thread["pid"]), thread["tid"]] = sum(thread["samples"]["weight"])
    expected = {stack: value * factor for stack, value in by_names(profile).items()}
    assert names == pytest.approx(expected)
    assert {key: value for key, value in threads.items() if value} == pytest.approx(
        {key: value * factor for key, value in by_thread(profile).items()}
    )


def test_samples_without_times_come_one_after_the_other() -> None:
    builder = ProfileBuilder()
    thread = builder.add_thread(0, 0)
    for name in "fgh":
        builder.add_sample(0, thread, builder.add_stack([StackFrame(name)]), 5)
    (only,) = document(builder.snapshot(Meta()))["threads"]
    assert only["samples"]["time"] == [0, 1, 2]
    assert only["samples"]["weight"] == [5, 5, 5]


def test_an_empty_profile_has_one_thread_without_samples() -> None:
    found = document(ProfileBuilder().snapshot(Meta()))
    assert [thread["samples"]["length"] for thread in found["threads"]] == [0]


@pytest.mark.firefox
def test_the_profiler_s_own_importer_finds_the_same(tmp_path: Path) -> None:
    path = tmp_path / "small.firefox.json.gz"
    write_profile(small_profile(), path)

    def ask(*words: str) -> str:
        answer = subprocess.run(
            [*profiler_cli(), *words],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=tmp_path,
            env={**os.environ, "HOME": str(tmp_path)},
        )
        assert answer.returncode == 0, answer.stdout + answer.stderr
        return answer.stdout

    ask("load", str(path))
    try:
        assert "2 threads across 1 processes" in ask("profile", "info")
        tree = ask("thread", "samples-top-down")
        assert "app.main!run [total: 66.7%, self: 0.0%]" in tree
        assert "a.out!carry [total: 66.7%, self: 66.7%]" in tree
        assert "zfs!zfs_read [total: 33.3%, self: 33.3%]" in tree
        assert "Lost" in ask("thread", "markers")
    finally:
        ask("stop", "--all")
