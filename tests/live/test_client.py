"""A profile by the address of a live view: all of it, from nowhere else, and without telling the key."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from live_sources import Source

from dtrace_profiler.errors import InputError
from dtrace_profiler.formats import write_profile
from dtrace_profiler.live.client import fetch_profile
from dtrace_profiler.live.server import LiveServer


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def server(source: Source) -> Iterator[LiveServer]:
    server = LiveServer(source, lambda name, file: write_profile(source.profile(), file, name), refresh_s=0.01)
    server.start()
    yield server
    server.close()


def test_the_profile_of_now_comes_whole(source: Source, server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    # Nor is a proxy asked, which would learn the key.
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    source.sample("main", "parse", thread=3, count=7, at_ms=40, file="/srv/app.py")
    source.losses["drops"] = 2
    profile = fetch_profile(server.address)
    assert (profile.total, replace(profile.meta, notes=())) == (7, source.profile().meta)
    assert list(profile.timestamp_ns) == list(source.profile().timestamp_ns)
    assert [frame.function_name for frame in profile.stack(profile.node[0])] == ["main", "parse"]
    source.sample("main", count=2)
    assert fetch_profile(server.address).total == 9
    assert not server.was_viewed, "who asks is no page that keeps the view open"


def test_a_wrong_key_is_told_without_it(server: LiveServer) -> None:
    with pytest.raises(InputError, match="refuses the key") as raised:
        fetch_profile(server.address + "x")
    assert server.session.key not in str(raised.value)


class Elsewhere(BaseHTTPRequestHandler):
    """A server that sends its visitors to another place."""

    asked: list[str] = []  # noqa: RUF012

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(302 if self.path.startswith("/?") else 200)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_no_redirection_is_followed_and_others_are_told_apart() -> None:
    Elsewhere.asked.clear()
    with HTTPServer(("127.0.0.1", 0), Elsewhere) as other:
        thread = threading.Thread(target=other.serve_forever)
        thread.start()
        try:
            address = f"http://127.0.0.1:{other.server_port}"
            with pytest.raises(InputError, match=r"is no live view of dtrace-profiler: its status is 302\."):
                fetch_profile(f"{address}/?key=a")
            with pytest.raises(InputError, match=r"is no live view of dtrace-profiler\."):
                fetch_profile(f"{address}/x?key=a")
        finally:
            other.shutdown()
            thread.join()
    assert Elsewhere.asked == ["/?key=a", "/x?key=a"]
