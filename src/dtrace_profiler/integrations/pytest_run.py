"""A pytest run with its profile: from the session's start to its end, and cut into tests by the time.

One engine for the whole run, however many tests: starting dtrace takes half a second. In each xdist worker one; what
it found goes to the process that reports through `workeroutput`.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from dtrace_profiler.errors import DTraceProfilerError, UsageError
from dtrace_profiler.formats import FORMATS, format_of, write_profile
from dtrace_profiler.formats.facts import facts, losses, percent, quantity
from dtrace_profiler.formats.names import shown
from dtrace_profiler.formats.table import format_top
from dtrace_profiler.labels.label import label
from dtrace_profiler.model.options import DEFAULT_FREQUENCY_HZ, Options
from dtrace_profiler.model.profile import Profile
from dtrace_profiler.profiler import DTraceProfiler
from dtrace_profiler.transform.time_spans import Span, split_by_time

READY_S = 10.0
"""How long the run waits for dtrace, which needs less than a second as a rule."""
TOP_FUNCTIONS = 10
TOP_TESTS = 5
_OUTPUT = "dtrace_profiler"
"""In `workeroutput`: the lines that a worker has to say."""
_LONGEST_NAME = 150
"""Of a test's file, in characters: systems allow 255 bytes."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What was asked for. `path` and `folder` are absolute; each None where it wasn't."""

    path: Path | None
    folder: Path | None
    options: Options


def settings_of(config: pytest.Config) -> Settings:
    """Of the command line, else of the ini file. Raises `pytest.UsageError`."""

    def given(name: str, default: str) -> str:
        return str(config.getoption(name) or config.getini(name) or default)

    here = config.invocation_params.dir
    path = config.getoption("flamegraph")
    frequency = given("flamegraph_frequency", str(DEFAULT_FREQUENCY_HZ))
    try:
        if not re.fullmatch(r"[+-]?[0-9]{1,9}", frequency):
            raise UsageError(f"frequency must be a whole number of Hz, 1 to 4999, not {frequency!r}.")
        engine: Any = given("flamegraph_engine", "auto")
        options = Options(frequency_hz=int(frequency), engine=engine)
        if path is not None:
            _check_path(str(path))
    except UsageError as error:
        raise pytest.UsageError(f"--flamegraph: {error}") from None
    folder = here / given("flamegraph_dir", "flamegraphs") if config.getoption("flamegraph_per_test") else None
    return Settings(None if path is None else here / path, folder, options)


def _check_path(path: str) -> None:
    try:
        format_of(path)
    except UsageError as error:
        if "names no format" not in str(error):
            raise
        raise UsageError(
            f"{path!r} is no name of a profile, as .html, .svg or .folded would be. If it names tests, put"
            " --flamegraph behind them, or write --flamegraph=FILE.html."
        ) from None


class RunProfile:
    """The plugin of a run that is profiled. In the process that only hands tests to xdist's workers, it reports."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._settings = settings_of(config)
        # Workers run elsewhere, and get the options as they are now.
        if self._settings.path is not None:
            config.option.flamegraph = str(self._settings.path)
        if self._settings.folder is not None:
            config.option.flamegraph_dir = str(self._settings.folder)
        self._profiler: DTraceProfiler | None = None
        self._spans: list[tuple[str, Span]] = []
        """Each test that ran: its id, from its set-up to its end."""
        self._lines: list[str] = []
        """For the terminal."""

    # The run.

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        if self._config.pluginmanager.hasplugin("dsession"):  # xdist's: the workers run the tests
            return
        options = self._settings.options
        profiler = DTraceProfiler(engine=options.engine)
        try:
            profiler.start(options.frequency_hz)
            profiler.wait_ready(READY_S)
        except DTraceProfilerError as error:
            profiler.close()
            remedy = f" Try: {error.remedy}" if error.remedy else ""
            if options.engine != "auto":
                raise pytest.UsageError(f"--flamegraph: {error}{remedy}") from None
            self._lines = [f"NO FLAME GRAPH: {error}{remedy}"]
            return
        self._profiler = profiler

    def pytest_report_header(self) -> str | None:
        if self._profiler is None:
            return None
        name = "DTrace" if self._profiler.engine == "dtrace" else "the embedded sampler"
        return f"flamegraph: sampled by {name} at {self._settings.options.frequency_hz} Hz"

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        begin = time.time_ns()
        try:
            with label(test=item.nodeid):
                return (yield)
        finally:
            self._spans.append((item.nodeid, (begin, time.time_ns())))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        profiler, self._profiler = self._profiler, None
        if profiler is not None:
            profiler.close()
            if profiler.error is not None:
                self._lines.append(f"the profile ends early: {profiler.error}")
            try:
                self._finish(profiler.profile())
            except Exception as error:  # the tests' result stands, whatever is wrong with us
                self._lines.append(f"NO FLAME GRAPH: {type(error).__name__}: {error}")
        output = getattr(self._config, "workeroutput", None)
        if output is not None:
            output[_OUTPUT] = self._lines

    # What was found.

    def _finish(self, profile: Profile) -> None:
        profile = replace(profile, meta=replace(profile.meta, target="pytest " + " ".join(self._config.args)))
        lines = self._lines
        lines.append(" · ".join(facts(profile)))
        if lost := losses(profile):
            lines.append(f"lost: {', '.join(lost)}")
        lines += [f"note: {shown(note)}" for note in profile.meta.notes]
        parts = split_by_time(profile, [span for _, span in self._spans])
        if len(profile):
            lines += ["", *format_top(profile, TOP_FUNCTIONS).splitlines()]
            lines += self._busiest_tests(profile, parts)
        if self._settings.path is not None:
            self._write(profile, _of_worker(self._settings.path, self._config))
        if self._settings.folder is not None:
            self._write_tests(self._settings.folder, parts)

    def _busiest_tests(self, profile: Profile, parts: Sequence[Profile]) -> list[str]:
        found = sorted(zip((part.total for part in parts), self._spans, strict=True), reverse=True)[:TOP_TESTS]
        rows = [
            f"{percent(value / profile.total):>8} {quantity(value, profile.meta.unit):>14}  {shown(name)}"
            for value, (name, _) in found
            if value
        ]
        return ["", "tests with the most CPU time, set-up and teardown included:", *rows] if rows else []

    def _write(self, profile: Profile, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_profile(profile, path)
        except (OSError, DTraceProfilerError) as error:
            self._lines.append(f"NOT WRITTEN: {path}: {getattr(error, 'strerror', None) or error}")
        else:
            self._lines.append(f"flame graph: {path}")

    def _write_tests(self, folder: Path, parts: Sequence[Profile]) -> None:
        taken: set[str] = set()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for (test, _), part in zip(self._spans, parts, strict=True):
                if len(part):
                    named = replace(part, meta=replace(part.meta, target=test))
                    write_profile(named, folder / f"{file_name(test, taken)}.html")
        except OSError as error:
            self._lines.append(f"NOT WRITTEN: {folder}: {error.strerror or error}")
        without = f" (tests without a sample have none: {len(parts) - len(taken)})" if len(taken) < len(parts) else ""
        self._lines.append(f"flame graphs of tests: {len(taken)}, in {folder}{os.sep}{without}")

    # The report.

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """xdist's: a worker has ended."""
        lines = getattr(node, "workeroutput", {}).get(_OUTPUT, ["NO FLAME GRAPH: this worker ended without a word."])
        self._lines += [
            "",
            f"worker {node.gateway.id}, with a profile of its own:",
            *lines,
        ]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._lines:
            terminalreporter.section("flame graph")
            for line in self._lines:
                terminalreporter.line(line)


def _of_worker(path: Path, config: pytest.Config) -> Path:
    """The same; in an xdist worker with its name before the suffix."""
    worker = getattr(config, "workerinput", {}).get("workerid")
    if not worker:
        return path
    name = path.name
    plain = name.lower().removesuffix(".gz")
    suffixes = [suffix for item in FORMATS for suffix in item.suffixes if plain.endswith(suffix)]
    stem = len(plain) - max((len(suffix) for suffix in suffixes), default=0)
    return path.with_name(f"{name[:stem]}-{worker}{name[stem:]}")


def file_name(test: str, taken: set[str]) -> str:
    """A name for a test's file, other than those that are taken; adds it to them."""
    name = re.sub(r"[^\w.]+", "-", test, flags=re.ASCII).strip("-.") or "test"
    if len(name) > _LONGEST_NAME or name.lower() in taken:
        name = f"{name[:_LONGEST_NAME]}-{hashlib.sha256(test.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
    while name.lower() in taken:  # the same test again
        name += "-again"
    taken.add(name.lower())
    return name
