"""Who may see the live view, and that one who looks slowly, or not at all, is nobody else's trouble."""

from __future__ import annotations

import http.client
import json
import os
import socket
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from live_sources import START_NS, PageModel, Source

from dtrace_profiler.errors import UsageError
from dtrace_profiler.formats import write_profile
from dtrace_profiler.live.feed import Message
from dtrace_profiler.live.server import LiveServer
from dtrace_profiler.live.source_text import MAX_BYTES
from dtrace_profiler.own_threads import OwnThreadIds

WAIT_S = 30.0


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def server(source: Source) -> Iterator[LiveServer]:
    server = LiveServer(source, lambda name, file: write_profile(source.profile(), file, name), refresh_s=0.01)
    server.start()
    yield server
    server.close()


class Browser:
    """A client that has a cookie or has none."""

    def __init__(self, server: LiveServer, *, allowed: bool = True) -> None:
        self.port = server.port
        self.cookie = ""
        if allowed:
            url = urllib.parse.urlsplit(server.address)
            answer, _ = self.get(f"{url.path}?{url.query}")
            assert answer.status == 200
            self.cookie = (answer.getheader("Set-Cookie") or "").partition(";")[0]

    def get(self, path: str, **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)
        try:
            connection.request("GET", path, headers=self._headers(headers))
            answer = connection.getresponse()
            return answer, answer.read()
        finally:
            connection.close()

    def stream(self, **headers: str) -> Iterator[Message]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)
        try:
            connection.request("GET", "/events", headers=self._headers(headers))
            answer = connection.getresponse()
            assert answer.status == 200
            assert answer.getheader("Content-Type") == "text/event-stream"
            fields: dict[str, str] = {}
            for line in answer:
                text = line.decode().rstrip("\n")
                if text:
                    name, _, value = text.partition(": ")
                    fields[name] = value
                elif "data" in fields:
                    yield Message(int(fields["id"]), fields["event"] == "snapshot", fields["data"].encode())
                    fields = {}
        finally:
            connection.close()

    def _headers(self, more: dict[str, str]) -> dict[str, str]:
        cookie = {"Cookie": self.cookie} if self.cookie else {}
        return {**cookie, **{name.replace("_", "-"): value for name, value in more.items()}}


def follow(stream: Iterator[Message], done: Callable[[PageModel], bool]) -> PageModel:
    page, deadline = PageModel(), time.monotonic() + WAIT_S
    for message in stream:
        page.take([message])
        if done(page):
            return page
        assert time.monotonic() < deadline, page.data
    raise AssertionError("the stream has ended")


def total(page: PageModel) -> int:
    return sum(page.stacks().values())


def test_the_address_is_good_for_a_cookie_and_the_cookie_for_the_rest(server: LiveServer) -> None:
    browser = Browser(server)
    assert browser.cookie
    assert server.session.key not in browser.cookie, "a cookie is a secret of its own"
    for path, kind in (("/", "text/html"), ("/page.js", "text/javascript"), ("/page.css", "text/css")):
        answer, body = browser.get(path)
        assert answer.status == 200
        assert (answer.getheader("Content-Type") or "").startswith(kind)
        assert body
        policy = answer.getheader("Content-Security-Policy") or ""
        assert policy.startswith("default-src 'none'; script-src 'self'")
        assert "unsafe" not in policy
        assert answer.getheader("X-Content-Type-Options") == "nosniff"
        assert answer.getheader("Cache-Control") == "no-store"


def test_the_cookie_is_for_no_script_and_no_other_site(server: LiveServer) -> None:
    answer, _ = Browser(server, allowed=False).get("/?" + server.address.partition("?")[2])
    attributes = (answer.getheader("Set-Cookie") or "").split("; ")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(attributes)


@pytest.mark.parametrize("path", ["/", "/events", "/page.js", "/save/svg", "/?key=", "/?key=wrong", "/?key=%00"])
def test_without_the_key_there_is_nothing(server: LiveServer, path: str) -> None:
    for cookie in ("", f"dtrace-profiler-{server.port}=wrong", "dtrace-profiler", '"', "\udcff"):
        browser = Browser(server, allowed=False)
        browser.cookie = cookie.encode("utf-8", "surrogateescape").decode("latin-1")
        answer, body = browser.get(path)
        assert answer.status == 403
        assert answer.getheader("Set-Cookie") is None
        assert body == b"The address lacks its key, or is of an earlier run. Open the one that was printed last.\n"


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1:1"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
def test_other_sites_and_other_names_get_nothing(server: LiveServer, headers: dict[str, str]) -> None:
    """A name that someone pointed at this machine (DNS rebinding), and pages of other sites, cookie or not."""
    browser = Browser(server)
    for path in ("/", "/events", "/save/folded", "/?" + server.address.partition("?")[2]):
        answer, body = browser.get(path, **headers)
        assert answer.status == 403, path
        assert b"Open the address that it printed" in body


def test_our_own_page_is_ours(server: LiveServer) -> None:
    origin = f"http://127.0.0.1:{server.port}"
    answer, _ = Browser(server).get("/page.js", Origin=origin, Sec_Fetch_Site="same-origin")
    assert answer.status == 200
    assert Browser(server).get("/", Host=f"localhost:{server.port}")[0].status == 200


@pytest.mark.parametrize(
    "path",
    ["/../server.py", "/..%2fserver.py", "/page.html.js", "/nothing.js", "/assets/page.js", "//etc/passwd", "/save/"],
)
def test_only_the_pages_own_files(server: LiveServer, path: str) -> None:
    answer, body = Browser(server).get(path)
    assert answer.status == 404
    assert len(body) < 300


def test_only_looking(server: LiveServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=WAIT_S)
    connection.request("POST", "/", body="x=1")
    assert connection.getresponse().status == 501
    connection.close()


def test_rubbish_does_not_end_it(server: LiveServer) -> None:
    for rubbish in (b"\0" * 100, b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 500 + b"\r\n", b"G" * 100_000, b""):
        with socket.create_connection(("127.0.0.1", server.port), timeout=WAIT_S) as connection:
            connection.sendall(rubbish)
    assert Browser(server).get("/")[0].status == 200


def test_a_stream_begins_with_all_and_goes_on_with_what_is_new(server: LiveServer, source: Source) -> None:
    source.sample("main", "work", count=3)
    stream = Browser(server).stream()
    follow(stream, lambda page: total(page) == 3)
    source.sample("main", "rest", thread=2)
    source.running = False
    rest = [next(stream)]
    while not any("values" in json.loads(message.data) for message in rest):
        rest.append(next(stream))
    assert not any(message.is_snapshot for message in rest)


def test_who_comes_back_goes_on_where_it_was(server: LiveServer, source: Source) -> None:
    source.sample("main")
    browser = Browser(server)
    page = follow(browser.stream(), lambda page: total(page) == 1)
    source.sample("main", "later")
    page.take([next(browser.stream(Last_Event_ID=str(page.seq)))])
    assert total(page) == 2, "a delta, not a snapshot"
    for unknown in ("x", "-1", "9" * 15, "9" * 40, "²"):
        first = next(browser.stream(Last_Event_ID=unknown.encode().decode("latin-1")))
        assert first.is_snapshot


def test_started_again_all_pages_begin_anew(server: LiveServer, source: Source) -> None:
    source.sample("before")
    stream = Browser(server).stream()
    page = follow(stream, lambda page: total(page) == 1)
    source.collector = Source().collector
    source.sample("after")
    messages = [next(stream)]
    while not messages[-1].is_snapshot:
        messages.append(next(stream))
    assert messages[-1].seq > (page.seq or 0)
    page.take(messages[-1:])
    assert ("before",) not in {names for _, names in page.stacks()}


def test_one_that_takes_nothing_holds_up_nobody(server: LiveServer, source: Source) -> None:
    browser = Browser(server)
    stuck = socket.create_connection(("127.0.0.1", server.port))
    stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    request = f"GET /events HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nCookie: {browser.cookie}\r\n\r\n"
    stuck.sendall(request.encode())
    names = [f"{'x' * 2000}{number}" for number in range(2000)]
    for name in names:
        source.sample(name)
    page = follow(browser.stream(), lambda page: total(page) == len(names))
    source.sample("more")
    assert follow(browser.stream(), lambda page: total(page) == len(names) + 1).data["threads"][0]["samples"] == 2001
    assert total(page) == len(names)
    stuck.close()


def test_the_profile_of_now_can_be_saved(server: LiveServer, source: Source) -> None:
    source.sample("main", "work", count=3)
    answer, body = Browser(server).get("/save/folded")
    assert answer.getheader("Content-Disposition") == 'attachment; filename="profile.folded"'
    assert body == b"app.main;app.work 3\n"
    answer, body = Browser(server).get("/save/nothing")
    assert answer.status == 404
    assert b"nothing" in body


def numbers_of_strings(server: LiveServer) -> dict[str, int]:
    """As the page knows them."""
    page = follow(Browser(server).stream(), lambda page: len(page.data["strings"]) > 2)
    return {text: number for number, text in enumerate(page.data["strings"])}


@pytest.mark.parametrize("name", ["dtrace", "html", "svg", "table", "speedscope", "trace", "json"])
def test_every_format_can_be_saved(server: LiveServer, source: Source, name: str) -> None:
    source.sample("main", "work", count=3)
    page = follow(Browser(server).stream(), lambda page: bool(page.stacks()))
    assert name in page.data["meta"]["saves"]
    answer, body = Browser(server).get(f"/save/{name}")
    assert answer.status == 200
    assert b"work" in body


def test_sources_are_those_of_the_profile(server: LiveServer, source: Source, tmp_path: Path) -> None:
    path, other = tmp_path / "app.py", tmp_path / "other.py"
    for file in (path, other):
        file.write_text("import x\n\tr\u00e4t\n")
    os.utime(path, ns=(START_NS - 1, START_NS - 1))
    source.sample("main", "work", file=str(path))
    numbers = numbers_of_strings(server)
    answer, body = Browser(server).get(f"/source?file={numbers[str(path)]}")
    assert answer.status == 200
    assert json.loads(body) == {"lines": ["import x", "\tr\u00e4t"], "changed": False}
    os.utime(path, ns=(START_NS + 1, START_NS + 1))
    assert json.loads(Browser(server).get(f"/source?file={numbers[str(path)]}")[1])["changed"]
    asked = [str(numbers["main"]), "99", "-1", "", str(other), f"../{other}", "1e0", "\u0661", "9" * 40]
    for file in asked:
        answer, body = Browser(server).get(f"/source?file={urllib.parse.quote(file)}")
        assert answer.status == 404
        assert body == b"The profile has no such file.\n"
    assert Browser(server, allowed=False).get(f"/source?file={numbers[str(path)]}")[0].status == 403


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("shadow", b"root:x", "no source file"),
        ("pipe.py", None, "no source file"),
        ("folder.py", "", "Is a directory"),
        ("gone.py", "gone", "can't be read here: No such file"),
        ("large.py", b"x" * (MAX_BYTES + 1), "larger than 4 MB"),
        ("binary.c", b"a\0b", "no text"),
        ("relative.py", "relative", "no source file"),
    ],
)
def test_what_is_no_source_is_not_read(
    server: LiveServer, source: Source, tmp_path: Path, name: str, content: object, why: str
) -> None:
    path = tmp_path / name
    if content is None:
        os.mkfifo(path)
    elif content == "":
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    shown = name if content == "relative" else str(path)
    source.sample("main", file=shown)
    answer, body = Browser(server).get(f"/source?file={numbers_of_strings(server)[shown]}")
    assert answer.status == 404
    assert why in body.decode()


def test_it_ends_with_all_its_streams_and_threads(source: Source) -> None:
    before = set(threading.enumerate())
    server = LiveServer(source, lambda name, file: None, refresh_s=0.01)
    server.start()
    stream = Browser(server).stream()
    next(stream)
    server.close()
    server.close()
    list(stream)
    deadline = time.monotonic() + WAIT_S
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert set(threading.enumerate()) <= before
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", server.port), timeout=1).close()


def test_our_threads_are_known_as_ours(server: LiveServer) -> None:
    stream = Browser(server).stream()
    next(stream)
    ours = [thread for thread in threading.enumerate() if thread.native_id in OwnThreadIds()]
    assert len(ours) >= 3, "that which listens, that which makes deltas, and one for the viewer"


@pytest.mark.parametrize(("host", "port"), [("203.0.113.9", 0), ("127.0.0.1", 70000), ("no such host", 0)])
def test_where_nothing_can_listen_it_says_so(source: Source, host: str, port: int) -> None:
    with pytest.raises(UsageError, match=r"^the live view can't listen on .*:\d+: .*\.$"):
        LiveServer(source, lambda name, file: None, host=host, port=port)


def test_a_port_that_is_taken(server: LiveServer, source: Source) -> None:
    with pytest.raises(UsageError, match="in use"):
        LiveServer(source, lambda name, file: None, port=server.port)
