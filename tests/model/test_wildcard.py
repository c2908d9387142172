"""Patterns with `*`."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtrace_profiler.model.wildcard import matches


@given(st.text("ab*", max_size=8), st.text("ab", max_size=12))
def test_a_star_is_any_characters(pattern: str, name: str) -> None:
    expression = ".*".join(map(re.escape, pattern.split("*")))
    assert matches(pattern, name) == (re.fullmatch(expression, name) is not None)


def test_nothing_else_has_a_meaning() -> None:
    assert matches("operator[]<a.b>", "operator[]<a.b>")
    assert not matches("a.b", "axb")
    assert not matches("[ab]?", "a")


@pytest.mark.timeout(20)
def test_no_pattern_takes_long() -> None:
    assert not matches("*a" * 5_000 + "b", "a" * 20_000)
