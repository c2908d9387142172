from __future__ import annotations

from math import sqrt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_profiles import ROWS, native, profile_of

from dtrace_profiler.model.identity import merge_frames
from dtrace_profiler.model.top import top_functions


@given(ROWS, st.sampled_from(["function", "line", "address"]), st.none() | st.sets(st.integers(0, 2)))
def test_self_and_total_of_each_function(rows: list[Any], by: Any, threads: set[int] | None) -> None:
    profile = profile_of(rows)
    merged = merge_frames(profile.frames, by)
    new = dict(zip(profile.frames, (merged.frames[index] for index in merged.of_frame), strict=True))
    own: dict[Any, int] = {}
    total: dict[Any, int] = {}
    for thread, stack, value in rows:
        if threads is None or thread in threads:
            own[new[stack[-1]]] = own.get(new[stack[-1]], 0) + value
            for frame in {new[frame] for frame in stack}:
                total[frame] = total.get(frame, 0) + value
    found = top_functions(profile, by=by, threads=threads)
    assert {row.frame: row.total for row in found} == {frame: value for frame, value in total.items() if value}
    assert {row.frame: row.self_value for row in found if row.self_value} == {
        frame: value for frame, value in own.items() if value
    }
    assert [row.self_value for row in found] == sorted((row.self_value for row in found), reverse=True)


def test_recursion_counts_once_and_order_and_limit_are_as_asked() -> None:
    f, g, leaf = native("f"), native("g"), native("leaf")
    profile = profile_of([(0, [f, g, f, leaf], 70), (0, [f, f], 20), (0, [g], 10)])
    rows = {row.frame: row for row in top_functions(profile)}
    assert (rows[f].self_value, rows[f].total) == (20, 90)
    assert (rows[g].self_value, rows[g].total) == (10, 80)
    assert [row.frame for row in top_functions(profile)] == [leaf, f, g]
    assert [row.frame for row in top_functions(profile, order="total", limit=2)] == [f, g]


def test_error_of_samples_is_the_binomials() -> None:
    profile = profile_of([(0, [native("main"), native("f")], 30), (1, [native("main")], 70)])
    row = next(row for row in top_functions(profile) if row.frame == native("f"))
    assert row.self_error == pytest.approx(sqrt(100 * 0.3 * 0.7))
    main = next(row for row in top_functions(profile) if row.frame == native("main"))
    assert main.total_error == 0.0, "all of it for certain"


def test_error_of_nanoseconds_of_equal_weight_is_the_binomials_in_nanoseconds() -> None:
    # 400,000 samples of 10 ms: the plain sum of squares doesn't fit 64 bits.
    weight, count = 10_000_000, 400_000
    stack, other = [native("f")], [native("g")]
    rows = [(0, stack if index % 4 == 0 else other, weight) for index in range(count)]
    row = next(row for row in top_functions(profile_of(rows, unit="nanoseconds")) if row.frame == native("f"))
    assert row.self_error == pytest.approx(weight * sqrt(count * 0.25 * 0.75), rel=1e-6)


def test_error_of_nanoseconds_grows_with_uneven_weights() -> None:
    even = profile_of([(0, [native("f")], 50)] * 10 + [(0, [native("g")], 50)] * 10, unit="nanoseconds")
    uneven = profile_of([(0, [native("f")], 500)] + [(0, [native("g")], 50)] * 10, unit="nanoseconds")
    assert top_functions(uneven)[0].self_error > top_functions(even)[0].self_error


def test_a_profile_without_samples_has_no_functions() -> None:
    assert top_functions(profile_of([])) == []
