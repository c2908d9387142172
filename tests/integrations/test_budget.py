"""When a budget counts as exceeded: no more often by chance than is promised, with as few samples as that allows."""

from __future__ import annotations

from fractions import Fraction
from math import comb
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_profiles import native, profile_of

from dtrace_profiler.errors import UsageError
from dtrace_profiler.integrations.budget import FALSE_ALARMS, Budget, budget_of, judge
from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.model.profile import Profile

SECOND_NS = 1_000_000_000


def profile(inside: int, outside: int) -> Profile:
    rows = [(0, [native("main"), native("f"), native("g")], 1)] * inside
    return profile_of([*rows, *[(0, [native("main"), native("h")], 1)] * outside])


def chance(at_least: int, samples: int, limit: Fraction) -> Fraction:
    """Exactly, of the binomial."""
    return sum(
        (comb(samples, k) * limit**k * (1 - limit) ** (samples - k) for k in range(at_least, samples + 1)), Fraction()
    )


@settings(max_examples=40)
@given(st.integers(1, 70), st.integers(0, 19))
def test_exceeded_is_what_chance_shows_less_than_once_in_a_thousand(samples: int, twentieths: int) -> None:
    limit = Fraction(twentieths, 20)
    budget = Budget("f", float(limit), None)
    verdicts = [judge(budget, profile(inside, samples - inside), SECOND_NS) for inside in range(samples + 1)]
    for inside, verdict in enumerate(verdicts):
        likely = chance(inside, samples, limit)
        if abs(likely - FALSE_ALARMS) > 1e-12:  # at the limit itself, rounding decides
            assert verdict.exceeded == (verdict.judged and likely < FALSE_ALARMS)
    # Not judged is what no outcome could have failed.
    assert verdicts[0].judged == (chance(samples, samples, limit) < FALSE_ALARMS)


def test_seconds_of_a_function_are_a_share_of_those_measured() -> None:
    budget = Budget("f", None, 0.5)
    assert judge(budget, profile(600, 400), 2 * SECOND_NS).exceeded
    assert "1.20 s (60.0 %) ± 1.5 of the test's 2.00 s" in judge(budget, profile(600, 400), 2 * SECOND_NS).text
    assert not judge(budget, profile(255, 745), 2 * SECOND_NS).exceeded
    assert not judge(budget, profile(1000, 0), SECOND_NS // 2).exceeded


def test_seconds_of_the_whole_test_need_no_sample() -> None:
    budget = Budget(None, None, 0.5)
    assert judge(budget, profile(0, 0), SECOND_NS).exceeded
    assert not judge(budget, profile(0, 0), SECOND_NS // 2).exceeded


def test_a_few_heavy_samples_are_no_more_sure_than_their_number() -> None:
    stacks = [[native("main"), native("f")], [native("main"), native("h")]]
    heavy = [(0, stacks[0], 300_000_000)] * 3
    light = [(0, stacks[1], 1_000)] * 1_000
    assert not judge(Budget("f", 0.5, None), profile_of([*heavy, *light], unit="nanoseconds"), SECOND_NS).judged
    equal = [(0, stacks[0], 10_000_000)] * 80 + [(0, stacks[1], 10_000_000)] * 20
    assert judge(Budget("f", 0.5, None), profile_of(equal, unit="nanoseconds"), SECOND_NS).exceeded


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("C.f", True),
        ("shop.cart:C.f", True),
        ("cart.py:C.f", True),
        ("shop.*:*", True),
        ("f", False),
        ("cart:C.f", False),
        ("c.f", False),
        ("?.f", False),
        ("[C].*", False),
    ],
)
def test_a_function_is_named_as_in_the_table(pattern: str, matches: bool) -> None:
    frame = StackFrame("C.f", "shop.cart", 0, "/src/shop/cart.py", 7, 3, FrameKind.PYTHON)
    found = judge(Budget(pattern, 0.5, None), profile_of([(0, [frame, native("g")], 1)] * 50), SECOND_NS)
    assert found.exceeded is matches


@pytest.mark.parametrize(
    ("arguments", "named", "says"),
    [
        (("f",), {}, "needs a limit"),
        (("f",), {"share": 0.5, "cpu_s": 1}, "needs a limit"),
        (("f",), {"share": 30}, "0 to below 1"),
        (("f",), {"share": float("nan")}, "0 to below 1"),
        (("f",), {"share": True}, "0 to below 1"),
        ((), {"share": 0.5}, "name it"),
        ((), {"cpu_s": 0}, "above 0"),
        ((7,), {"cpu_s": 1}, "'name' or 'module:name'"),
        (("f", "g"), {"cpu_s": 1}, "takes one function"),
        (("f",), {"max": 1}, "has no argument 'max'"),
        (("f",), {"share": 0.5, "engine": "perf"}, "auto, dtrace or sampler"),
        (("f",), {"share": 0.5, "frequency_hz": 0}, "1 to 4999"),
    ],
)
def test_a_mark_that_can_not_be_judged_is_refused(arguments: Any, named: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        budget_of(arguments, named)
