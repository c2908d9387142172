from __future__ import annotations

import io

from dtrace_profiler.formats import read_profile
from dtrace_profiler.formats.table import format_top


def test_rows_by_self_with_shares_and_errors() -> None:
    lines = format_top(read_profile(io.BytesIO(b"main;f 30\nmain 70\n"))).splitlines()
    assert [line.split()[-1] for line in lines] == ["function", "main", "f"]
    assert "70.0%" in lines[1]
    assert "100.0%" in lines[1]
    assert " 4.6 " in lines[1], "sqrt(0.7 * 0.3 / 100)"


def test_limit_and_width_hold() -> None:
    text = "".join(f"main;{'x' * 300}{number} {number + 1}\n" for number in range(30))
    lines = format_top(read_profile(io.BytesIO(text.encode())), limit=5, width=80).splitlines()
    assert len(lines) == 6
    assert max(map(len, lines)) <= 80


def test_a_profile_without_samples_is_a_heading() -> None:
    assert len(format_top(read_profile(io.BytesIO(b"\n\n"))).splitlines()) == 1


def test_no_control_characters_reach_the_terminal() -> None:
    assert "\x1b" not in format_top(read_profile(io.BytesIO(b"a;\x1b[31mred 3\n")))
