"""`compare`: names, sums, quantities, and what it refuses."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtrace_profiler.compare import By, Comparison, ComparisonRow, Measure, Normalise, compare
from dtrace_profiler.compare.merged import merged
from dtrace_profiler.compare.runs import read_runs
from dtrace_profiler.errors import NotComparable, UsageError
from dtrace_profiler.formats import read_profile
from dtrace_profiler.formats.comparison_json import write_json
from dtrace_profiler.formats.comparison_markdown import write_markdown
from dtrace_profiler.formats.comparison_text import write_table
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.model.profile import Meta, Profile, Unit


def python(function: str, module: str = "app", line: int = 1) -> StackFrame:
    return StackFrame(function, module, 0, f"/src/{module}.py", line, line, FrameKind.PYTHON)


def profile_of(
    stacks: dict[tuple[StackFrame | str, ...], int],
    *,
    unit: Unit = "samples",
    value: int = 1,
    engine: str = "dtrace",
    frequency_hz: int = 99,
    duration_ns: int = 10_000_000_000,
    notes: tuple[str, ...] = (),
) -> Profile:
    """Stacks, root first, with the number of their samples, each of the value."""
    builder = ProfileBuilder()
    thread = builder.add_thread(1, 1)
    time = 1_700_000_000_000_000_000
    for stack, count in stacks.items():
        node = builder.add_stack(python(frame) if isinstance(frame, str) else frame for frame in stack)
        for _ in range(count):
            time += 10_000_000
            builder.add_sample(time, thread, node, value)
    return builder.snapshot(
        Meta(engine=engine, unit=unit, frequency_hz=frequency_hz, duration_ns=duration_ns, notes=notes)
    )


def row(comparison: Comparison, name: str) -> ComparisonRow:
    (found,) = [row for row in comparison.rows if row.name == name]
    return found


BEFORE = profile_of({("main", "work"): 300, ("main", "rest"): 700})
AFTER = profile_of({("main", "work"): 600, ("main", "rest"): 400})


def test_a_large_change_is_beyond_noise_and_its_interval_does_not_hold_zero() -> None:
    found = row(compare(BEFORE, AFTER), "app:work")
    assert (found.before, found.after) == (0.3, 0.6)
    assert found.change == pytest.approx(0.3)
    assert found.relative == pytest.approx(1.0)
    # Newcombe's method 10, worked out by hand from the two Wilson intervals 0.2724..0.3291 and 0.5693..0.6299.
    assert found.interval.low == pytest.approx(0.3 - (0.0307**2 + 0.0291**2) ** 0.5, abs=2e-4)
    assert found.interval.high == pytest.approx(0.3 + (0.0299**2 + 0.0276**2) ** 0.5, abs=2e-4)
    assert found.beyond_noise
    assert found.p_value < 1e-30


def test_a_profile_against_itself_has_not_changed() -> None:
    for normalise in ("samples", "time", "run"):
        comparison = compare(BEFORE, BEFORE, normalise=normalise)  # type: ignore[arg-type]
        assert [found.change for found in comparison.rows] == [0, 0]
        assert all(found.p_value == 1 and not found.beyond_noise for found in comparison.rows)
        assert all(found.interval.low < 0 < found.interval.high for found in comparison.rows)


def test_total_counts_recursion_once() -> None:
    before = profile_of({("main", "f", "f", "f"): 10, ("main",): 10})
    after = profile_of({("main", "f"): 10, ("main", "g", "f", "g"): 10})
    comparison = compare(before, after, measure="total")
    assert (row(comparison, "app:f").before, row(comparison, "app:f").after) == (0.5, 1.0)
    assert (row(comparison, "app:g").before, row(comparison, "app:g").after) == (0.0, 0.5)
    assert row(comparison, "app:main").change == 0


def test_a_function_that_moved_to_another_line_is_the_same_one() -> None:
    before = profile_of({(python("work", line=10),): 5})
    after = profile_of({(python("work", line=99),): 5})
    assert [found.change for found in compare(before, after).rows] == [0]


def in_file(function: str, file: str) -> StackFrame:
    return StackFrame(function, "", 0, file, 1, 1, FrameKind.PYTHON)


def test_a_file_in_another_folder_is_the_same_one() -> None:
    before = profile_of({(in_file("f", "/old/app.py"),): 10, (in_file("f", "/lib/x.py"),): 10})
    after = profile_of({(in_file("f", "/new/app.py"),): 10, (in_file("f", "/lib/x.py"),): 10})
    for by in ("function", "file"):
        comparison = compare(before, after, by=by)  # type: ignore[arg-type]
        assert [found.change for found in comparison.rows] == [0, 0]
        assert {found.module for found in comparison.rows} == {"app.py", "/lib/x.py"}
    assert len(merged(before, after).frames) == 2
    runs = read_runs([("a", before)], [("b", after)])
    assert {group.module for group in runs.groups()} == {"app.py", "/lib/x.py"}


def test_two_files_of_one_name_stay_two() -> None:
    before = profile_of({(in_file("f", "/a/__init__.py"),): 10, (in_file("f", "/b/__init__.py"),): 10})
    after = profile_of({(in_file("f", "/c/__init__.py"),): 10})
    assert len(compare(before, after).rows) == 3


def test_native_functions_without_a_name_are_one_a_module() -> None:
    def unnamed(address: int) -> StackFrame:
        return StackFrame(f"{address:#x}", "libc.so.6", address, kind=FrameKind.NATIVE)

    before = profile_of({("main", unnamed(0x7F01)): 5, ("main", unnamed(0x7F02)): 5})
    after = profile_of({("main", unnamed(0x8F01)): 10})
    assert [(found.name, found.change) for found in compare(before, after).rows] == [("libc.so.6:(no symbol)", 0)]


def test_modules_and_files_are_compared_as_well() -> None:
    before = profile_of({("main", python("f", "lib")): 10, ("main", python("g", "lib")): 10, ("main",): 20})
    after = profile_of({("main", python("g", "lib"), python("f", "lib")): 10, ("main",): 30})
    assert row(compare(before, after, by="module", measure="total"), "lib").change == -0.25
    assert row(compare(before, after, by="file"), "/src/lib.py").change == -0.25


def test_by_time_a_profile_of_half_the_length_has_not_changed() -> None:
    half = profile_of({("main", "work"): 150, ("main", "rest"): 350}, duration_ns=5_000_000_000)
    comparison = compare(BEFORE, half, normalise="time")
    assert comparison.quantity == "cores"
    assert row(comparison, "app:work").before == pytest.approx(300 / 99 / 10)
    assert row(comparison, "app:work").change == pytest.approx(0)
    by_run = compare(BEFORE, half, normalise="run")
    assert by_run.quantity == "seconds"
    assert row(by_run, "app:work").change == pytest.approx(-150 / 99)
    assert by_run.whole is not None
    assert by_run.whole.beyond_noise


def test_weights_that_are_all_alike_give_the_intervals_of_counts() -> None:
    weighted = [
        profile_of({("main", "work"): count, ("main", "rest"): 1000 - count}, unit="nanoseconds", value=10_101_010)
        for count in (300, 600)
    ]
    for normalise in ("samples", "time", "run"):
        counted = row(compare(BEFORE, AFTER, normalise=normalise), "app:work")  # type: ignore[arg-type]
        found = row(compare(*weighted, normalise=normalise), "app:work")  # type: ignore[arg-type]
        assert found.interval == pytest.approx(counted.interval, rel=1e-6)
        assert found.p_value == pytest.approx(counted.p_value, rel=1e-6)


def test_a_few_heavy_samples_are_worth_little() -> None:
    """As much CPU time as BEFORE's and AFTER's, in ten samples instead of a thousand."""
    before = profile_of({("main", "work"): 3, ("main", "rest"): 7}, unit="nanoseconds", value=1_000_000_000)
    after = profile_of({("main", "work"): 6, ("main", "rest"): 4}, unit="nanoseconds", value=1_000_000_000)
    found = row(compare(before, after), "app:work")
    assert found.change == pytest.approx(0.3)
    assert found.interval.low < 0
    assert not found.beyond_noise


def test_time_already_summed_by_stack_counts_as_many_samples_as_it_has_periods() -> None:
    def summed(count: int) -> Profile:
        builder = ProfileBuilder()
        thread = builder.add_thread(1, 1)
        for name, times in (("work", count), ("rest", 1000 - count)):
            builder.add_sample(0, thread, builder.add_stack([python("main"), python(name)]), times * 10_000_000)
        return builder.snapshot(Meta(engine="dtrace", unit="nanoseconds", frequency_hz=100))

    found = row(compare(summed(300), summed(600)), "app:work")
    assert found.interval == pytest.approx(row(compare(BEFORE, AFTER), "app:work").interval, rel=1e-6)


def with_meta(profile: Profile, **facts: object) -> Profile:
    return replace(profile, meta=replace(profile.meta, **facts))  # type: ignore[arg-type]


def test_engines_that_differ_are_refused_for_own_time_and_warned_of_for_totals() -> None:
    sampled = with_meta(AFTER, engine="sampler", unit="nanoseconds")
    with pytest.raises(NotComparable, match=r"A was sampled by DTrace and B by the embedded sampler"):
        compare(BEFORE, sampled)
    assert any("embedded sampler" in text for text in compare(BEFORE, sampled, measure="total").warnings)
    assert any("embedded sampler" in text for text in compare(BEFORE, sampled, anyway=True).warnings)


def test_modes_that_differ_are_refused() -> None:
    kernel = StackFrame("sys_read", "vmlinux", 1, kind=FrameKind.KERNEL)
    with_kernel = profile_of({("main", kernel): 500, ("main",): 500})
    with pytest.raises(NotComparable, match="A has kernel frames and B has none"):
        compare(with_kernel, AFTER)
    with pytest.raises(NotComparable, match="B has kernel frames and A has none"):
        compare(BEFORE, with_kernel)
    assert any("kernel" in text for text in compare(BEFORE, with_kernel, measure="total").warnings)


def test_a_kind_of_frame_that_is_merely_rare_is_no_other_mode() -> None:
    kernel = StackFrame("sys_read", "vmlinux", 1, kind=FrameKind.KERNEL)
    rare = profile_of({("main", kernel): 3, ("main",): 997})
    assert compare(rare, AFTER).warnings == ()


def test_values_of_different_things_are_refused() -> None:
    memory = with_meta(AFTER, notes=("The values are bytes, not samples.",))
    with pytest.raises(NotComparable, match=r"different things.*Of B: The values are bytes"):
        compare(BEFORE, memory)


def test_what_has_no_duration_or_frequency_is_not_compared_by_time() -> None:
    with pytest.raises(NotComparable, match="how long B was profiled is not known"):
        compare(BEFORE, with_meta(AFTER, duration_ns=0), normalise="time", anyway=True)
    with pytest.raises(NotComparable, match="what frequency A was sampled"):
        compare(with_meta(BEFORE, frequency_hz=0), AFTER, normalise="run")
    neither = compare(with_meta(BEFORE, frequency_hz=0), with_meta(AFTER, frequency_hz=0), normalise="run")
    assert neither.quantity == "samples"
    assert any("frequency of neither" in text for text in neither.warnings)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"frequency_hz": 997}, "99 Hz and B at 997 Hz"),
        ({"system": "Linux 7"}, "system is another one"),
        ({"engine": "folded"}, "A comes from DTrace and B from folded"),
        ({"losses": {"drops": 500}}, "B lacks something: drops 500, of 1,000 samples"),
    ],
)
def test_lesser_differences_are_warned_of(facts: dict[str, object], words: str) -> None:
    before = with_meta(BEFORE, system="Linux 6")
    after = with_meta(AFTER, **{"system": "Linux 6", **facts})
    assert any(words in text for text in compare(before, after).warnings)
    assert compare(before, with_meta(AFTER, system="Linux 6")).warnings == ()


def test_nothing_can_be_said_of_a_profile_without_samples() -> None:
    with pytest.raises(NotComparable, match="B has no samples"):
        compare(BEFORE, profile_of({}))


def test_a_confidence_of_95_is_told_to_be_out_of_range() -> None:
    with pytest.raises(UsageError, match="out of range"):
        compare(BEFORE, AFTER, confidence=95)


DATA = Path(__file__).parents[1] / "data" / "profilers"


@pytest.mark.parametrize("other", ["austin-mem.austin", "austin.austin", "tachyon.jsonl", "viztracer.trace.json"])
def test_files_of_other_things_than_cpu_time_are_refused(other: str) -> None:
    """By what the real readers note."""
    with pytest.raises(NotComparable, match="different things"):
        compare(read_profile(DATA / "austin-cpu.austin"), read_profile(DATA / other))


def test_perfs_events_are_told_apart_where_they_are_no_cpu_time() -> None:
    clock = read_profile(DATA / "perf-dwarf.perf")  # cpu-clock:ppp
    assert compare(clock, read_profile(DATA / "perf-srcline.perf")).rows  # cpu-clock
    misses = with_meta(clock, notes=("Samples of perf's event `cache-misses:u`.",))
    with pytest.raises(NotComparable, match=r"different things.*cache-misses"):
        compare(clock, misses)
    assert compare(misses, misses).rows


names = st.text(st.characters(codec="utf-8"), max_size=6)
frames = st.builds(
    StackFrame, names, names, file=st.sampled_from(["", "/a.py", "/b.c"]), kind=st.sampled_from(list(FrameKind))
)
stacks = st.lists(st.tuples(st.lists(frames, min_size=1, max_size=5), st.integers(1, 50)), min_size=1, max_size=6)


def any_profile(given: list[tuple[list[StackFrame], int]], unit: Unit) -> Profile:
    builder = ProfileBuilder()
    thread = builder.add_thread(1, 1)
    for stack, count in given:
        builder.add_sample(1, thread, builder.add_stack(stack), count)
    return builder.snapshot(Meta(engine="dtrace", unit=unit, frequency_hz=10, duration_ns=10**9))


@settings(max_examples=60)
@given(
    stacks,
    stacks,
    st.sampled_from(["function", "file", "module"]),
    st.sampled_from(["self", "total"]),
    st.sampled_from(["samples", "time", "run"]),
    st.sampled_from(["samples", "nanoseconds"]),
)
def test_whatever_the_profiles_the_rows_add_up_and_can_be_written(
    before: list[tuple[list[StackFrame], int]],
    after: list[tuple[list[StackFrame], int]],
    by: By,
    measure: Measure,
    normalise: Normalise,
    unit: Unit,
) -> None:
    comparison = compare(
        any_profile(before, unit),
        any_profile(after, unit),
        by=by,
        measure=measure,
        normalise=normalise,
        anyway=True,
    )
    whole = comparison.whole
    wholes = (1.0, 1.0) if whole is None else (whole.before, whole.after)
    for found in comparison.rows:
        assert found.interval.low <= found.change <= found.interval.high
        assert 0 <= found.p_value <= found.adjusted_p_value <= 1
        assert found.before <= wholes[0] * (1 + 1e-9)
        assert found.after <= wholes[1] * (1 + 1e-9)
    if measure == "self":
        assert sum(found.before for found in comparison.rows) == pytest.approx(wholes[0])
        assert sum(found.after for found in comparison.rows) == pytest.approx(wholes[1])
    sides = ("a\x1b[31m|", "b`\n")
    document = json.loads(write_json(comparison, comparison.rows, sides))
    assert len(document["rows"]) == len(comparison.rows)
    table = write_table(comparison, comparison.rows, sides, colour=False)
    assert "\x1b" not in table
    assert len(table.splitlines()) <= len(comparison.rows) + 12 + len(comparison.warnings)
    lines = [line for line in write_markdown(comparison, comparison.rows, sides).splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(comparison.rows) + (whole is not None)
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {7}
