"""The live view of `run` and `attach`: shown from the first sample on, and kept until it is closed."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dtrace_profiler.cli import report
from dtrace_profiler.cli.browser import open_in_browser
from dtrace_profiler.cli.interrupts import Interrupts
from dtrace_profiler.formats import write_profile
from dtrace_profiler.live.feed import LiveSource
from dtrace_profiler.live.server import LiveServer


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRequest:
    """`--live` and what goes with it."""

    host: str
    port: int
    browser: bool


def live_request(values: Mapping[str, Any]) -> LiveRequest | None:
    """Of the values of `output_options`; None without `--live`."""
    if not values["live"]:
        return None
    return LiveRequest(host=values["host"], port=values["port"], browser=not values["no_browser"])


@contextlib.contextmanager
def shown(source: LiveSource, request: LiveRequest | None) -> Iterator[Callable[[Interrupts], None]]:
    """Serves the view, says where, and opens it. Gives what keeps it until Ctrl-C; does nothing without `request`.

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
    )
    server.start()
    try:
        report.note(f"live view: {server.address}")
        if not _is_loopback(request.host):
            report.note("whoever has this address and reaches this machine can read the profile, unencrypted.")
        if request.browser:
            open_in_browser(server.address)
        yield lambda interrupts: _keep(server, interrupts)
    finally:
        server.close()


def _keep(server: LiveServer, interrupts: Interrupts) -> None:
    """The profile is whole; whoever looks at it may go on."""
    report.note(f"the live view stays at {server.address} until Ctrl-C.")
    interrupts.alone()
    while not interrupts.count:
        interrupts.wait(60.0)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
