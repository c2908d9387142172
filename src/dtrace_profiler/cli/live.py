"""The live view of `run` and `attach`: shown from the first sample on, and kept until it is closed."""

from __future__ import annotations

import contextlib
import ipaddress
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dtrace_profiler.cli import report
from dtrace_profiler.cli.browser import browser_here, open_in_browser
from dtrace_profiler.cli.interrupts import Interrupts
from dtrace_profiler.cli.outputs import STDOUT
from dtrace_profiler.errors import UsageError
from dtrace_profiler.formats import write_profile
from dtrace_profiler.live.feed import LiveSource
from dtrace_profiler.live.server import LiveServer
from dtrace_profiler.platforms.terminal import in_foreground

STAY_S = 5.0
"""A page that is gone for so long was closed: one that is loaded again comes back sooner."""
_OPENING_S = 20.0
"""A browser that was opened may take so long to ask for the page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRequest:
    """The live view, asked for or not, and what goes with it."""

    host: str
    port: int
    browser: bool
    refresh_s: float
    asked: bool
    """By `--live` or what implies it: then it stays for who opens the address later."""


def live_request(values: Mapping[str, Any], *, at_hand: Callable[[], bool] | None = None) -> LiveRequest | None:
    """Of the values of `output_options`; None where there is to be no view.

    Without `--live` and `--no-live` there is one where somebody sees it: on a terminal with a browser `at_hand`.
    Raises `UsageError` for options that contradict each other.
    """
    live, only = values["live"], values["live_only"]
    if only and live is False:
        raise UsageError("--live-only and --no-live contradict each other.")
    if only and (values["outputs"] or values["format_name"]):
        raise UsageError("--live-only writes no file: leave out -o and --format, or take --live.")
    asked = bool(live or only)
    if not asked and (live is False or values["tui"] or values["quiet"] or STDOUT in values["outputs"]):
        return None
    if not asked and (values["no_browser"] or not (at_hand or _window_at_hand)()):
        return None
    return LiveRequest(
        host=values["host"],
        port=values["port"],
        browser=not values["no_browser"],
        refresh_s=values["refresh_s"],
        asked=asked,
    )


def _window_at_hand() -> bool:
    stderr = sys.__stderr__
    return stderr is not None and stderr.isatty() and in_foreground() and browser_here()


@contextlib.contextmanager
def shown(source: LiveSource, request: LiveRequest | None) -> Iterator[Callable[[Interrupts], None]]:
    """Serves the view, says where, and opens it. Gives what keeps it while somebody looks; does nothing without
    `request`.

    Raises `UsageError` where it can't listen.
    """
    if request is None:
        yield lambda interrupts: None
        return
    server = LiveServer(
        source,
        lambda name, file: write_profile(source.profile(), file, name),
        host=request.host,
        port=request.port,
        refresh_s=request.refresh_s,
    )
    server.start()
    try:
        report.note(f"live view: {server.address}")
        if not _is_loopback(request.host):
            report.note("whoever has this address and reaches this machine can read the profile, unencrypted.")
        opened = request.browser and open_in_browser(server.address, wait=False)
        yield lambda interrupts: _keep(server, interrupts, waits=request.asked, opened=opened)
    finally:
        server.close()


def _keep(server: LiveServer, interrupts: Interrupts, *, waits: bool, opened: bool) -> None:
    """The profile is whole; whoever looks at it may go on.

    `waits`: for the first viewer, however long. `opened`: a browser was told to come, which takes a moment.
    """
    if not waits and not (opened or server.was_viewed):
        return
    report.note(f"the live view stays at {server.address} until its page is closed, or Ctrl-C.")
    interrupts.alone()
    alone_since = time.monotonic()
    while not interrupts.count:
        now = time.monotonic()
        if server.viewers or (waits and not server.was_viewed):
            alone_since = now
        elif now - alone_since > (STAY_S if server.was_viewed else _OPENING_S):
            return
        interrupts.wait(0.5)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
