"""The pytest plugin: its options and its mark, and nothing else until one of them is used.

Every pytest run where this package is installed loads this module, whatever its version of pytest. So it imports
nothing, uses only what every pytest has, and hands over to `pytest_run` and `pytest_budgets` when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

MARK = "profile_budget"
_INI = {
    "flamegraph_frequency": "samples a second and CPU, 1 to 4999 (default: 99)",
    "flamegraph_engine": "who samples: auto, dtrace or sampler (default: auto)",
    "flamegraph_dir": "the folder of --flamegraph-per-test (default: flamegraphs)",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("flamegraph", "flame graphs (dtrace-profiler)")
    group.addoption(
        "--flamegraph",
        nargs="?",
        const="flamegraph.html",
        metavar="PATH",
        help="Profile the run, and write a flame graph: to flamegraph.html, or with =PATH there, in the format of its"
        " suffix. With xdist each worker writes its own (flamegraph-gw0.html).",
    )
    group.addoption(
        "--flamegraph-per-test",
        action="store_true",
        help="Write a flame graph of each test that used the CPU.",
    )
    group.addoption("--flamegraph-dir", metavar="DIR", help=f"With --flamegraph-per-test: {_INI['flamegraph_dir']}.")
    group.addoption("--flamegraph-frequency", metavar="HZ", help=f"Of --flamegraph: {_INI['flamegraph_frequency']}.")
    group.addoption("--flamegraph-engine", metavar="NAME", help=f"Of --flamegraph: {_INI['flamegraph_engine']}.")
    group.addoption(
        "--no-profile-budgets", action="store_true", help=f"Judge no test by its mark {MARK}, as under a debugger."
    )
    for name, text in _INI.items():
        parser.addini(name, f"--flamegraph: {text}.")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        f"{MARK}(function=None, *, share=None, cpu_s=None, frequency_hz=997, engine='sampler'): fails the test if"
        " surely more than this share of its CPU time, or so many seconds, went to the function; without a function,"
        " if the test used more CPU seconds.",
    )
    if config.getoption("flamegraph") is None and not config.getoption("flamegraph_per_test"):
        return
    _require_pytest_8()
    from dtrace_profiler.integrations.pytest_run import RunProfile

    config.pluginmanager.register(RunProfile(config), "dtrace-profiler-run")


def pytest_collection_finish(session: pytest.Session) -> None:
    config = session.config
    if config.getoption("no_profile_budgets") or not any(item.get_closest_marker(MARK) for item in session.items):
        return
    _require_pytest_8()
    from dtrace_profiler.integrations.pytest_budgets import TestBudgets

    budgets = TestBudgets(session.items)
    if not config.pluginmanager.hasplugin("dtrace-profiler-budgets"):
        config.pluginmanager.register(budgets, "dtrace-profiler-budgets")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    # Here, as with xdist the process that reports has collected nothing.
    said = [
        property[1]
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "call"
        for property in getattr(report, "user_properties", ())
        if property[0] == MARK and "NOT JUDGED" in property[1]
    ]
    if said:
        terminalreporter.section("profile budgets that could not be judged")
        for text in said:
            terminalreporter.line(text)


def _require_pytest_8() -> None:
    import pytest

    if int(pytest.__version__.partition(".")[0]) < 8:
        raise pytest.UsageError(
            f"dtrace-profiler's flame graphs and budgets need pytest 8 or later, and this is {pytest.__version__}:"
            " pip install 'dtrace-profiler[pytest]' brings it."
        )
