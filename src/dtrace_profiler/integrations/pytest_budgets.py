"""The tests with a mark `profile_budget`: each has a profile of its own while it runs, and is judged by it.

Only the test's call counts, not its fixtures. A test that fails by itself is not judged. What was found stands in the
report's `user_properties`, and so in a JUnit XML file, too.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable

import pytest

from dtrace_profiler.errors import DTraceProfilerError, UsageError
from dtrace_profiler.formats.facts import facts, losses
from dtrace_profiler.formats.table import format_top
from dtrace_profiler.integrations.budget import Budget, Verdict, budget_of, judge
from dtrace_profiler.integrations.pytest_plugin import MARK
from dtrace_profiler.model.profile import Profile
from dtrace_profiler.profiler import DTraceProfiler

READY_S = 10.0
TOP_FUNCTIONS = 5


class TestBudgets:
    """The plugin. Raises `pytest.UsageError` for a mark that says nothing that can be judged."""

    __test__ = False

    def __init__(self, items: Iterable[pytest.Item]) -> None:
        for item in items:
            budgets_of(item)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        budgets = budgets_of(item)
        if not budgets:
            return (yield)
        profiler = DTraceProfiler(engine=budgets[0].engine)
        try:
            profiler.start(max(budget.frequency_hz for budget in budgets))
            profiler.wait_ready(READY_S)
        except DTraceProfilerError as error:
            profiler.close()
            item.user_properties.append((MARK, f"{item.nodeid}: NOT JUDGED: {error}"))
            return (yield)
        begin_ns = time.process_time_ns()
        try:
            result = yield
            cpu_ns = time.process_time_ns() - begin_ns
        finally:
            profiler.close()
        profile = profiler.profile()
        # The sampler's samples are the process's CPU time, without its own.
        measured_ns = profile.total if profile.meta.unit == "nanoseconds" else cpu_ns
        verdicts = [judge(budget, profile, measured_ns) for budget in budgets]
        for verdict in verdicts:
            word = "EXCEEDED" if verdict.exceeded else "kept" if verdict.judged else "NOT JUDGED"
            item.user_properties.append((MARK, f"{item.nodeid}: {word}: {verdict.text}"))
        if any(verdict.exceeded for verdict in verdicts):
            pytest.fail(_report(verdicts, profile), pytrace=False)
        return result


def budgets_of(item: pytest.Item) -> list[Budget]:
    """Of a test's marks, its own first."""
    try:
        budgets = [budget_of(mark.args, mark.kwargs) for mark in item.iter_markers(MARK)]
        if len({budget.engine for budget in budgets}) > 1:
            raise UsageError("all profile_budget marks of a test need the same engine.")
    except UsageError as error:
        raise pytest.UsageError(f"{item.nodeid}: {error}") from None
    return budgets


def _report(verdicts: Iterable[Verdict], profile: Profile) -> str:
    lines = [f"profile budget exceeded: {verdict.text}." for verdict in verdicts if verdict.exceeded]
    lines += ["", " · ".join(facts(profile))]
    if lost := losses(profile):
        lines.append(f"lost: {', '.join(lost)}")
    return "\n".join([*lines, "", format_top(profile, TOP_FUNCTIONS)])
