"""The live view's server: the page, a stream of what is new, and the profile as a file. Loopback only, unless asked.

    /?key=…         the page, and a cookie for what follows
    /               the page
    /page.css, /*.js    its parts
    /events         a stream of server-sent events: `snapshot`, then `delta`, each with its seq as its id
    /save/FORMAT    the profile of now as a file
    /source?file=N  the text of a file of the profile, by the number of its string

A thread a viewer: one that reads slowly, or not at all, holds up its own alone, and is brought up to date by a
snapshot when it is too far behind. One more thread makes the deltas. See docs/security.md.
"""

from __future__ import annotations

import io
import json
import socketserver
import threading
import urllib.parse
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET6, socket
from typing import Any

from dtrace_profiler.errors import DTraceProfilerError, UsageError
from dtrace_profiler.formats.assets import read_asset
from dtrace_profiler.live.feed import Feed, LiveSource, Message
from dtrace_profiler.live.session import HEADERS, Session
from dtrace_profiler.live.source_text import NoSource, read_source
from dtrace_profiler.own_threads import OWN_THREADS

REFRESH_S = 0.1
LOOPBACK = "127.0.0.1"
MAX_VIEWERS = 64
"""Streams at once. A browser opens one a page."""
_SILENCE_S = 1.0
"""After so long without news a stream gets a comment, which tells whether its viewer is still there."""
_PATIENCE_S = 20.0
"""A viewer that takes nothing for so long is given up; it comes back by itself if it lives."""
_ASSETS = {"page.css": "text/css; charset=utf-8"}
_SCRIPT = "text/javascript; charset=utf-8"

Export = Callable[[str, io.BytesIO], None]


class LiveServer:
    """`address` is what a browser opens. Serves from `start` to `close`; the source may end in between.

    Raises `UsageError` where the address can't be listened on.
    """

    def __init__(
        self, source: LiveSource, export: Export, *, host: str = LOOPBACK, port: int = 0, refresh_s: float = REFRESH_S
    ) -> None:
        self._source = source
        self._export = export
        self._refresh_s = refresh_s
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._streams = 0
        """To viewers, now."""
        self.was_viewed = False
        """Somebody has come."""
        self._feed = Feed(source)
        try:
            self._http = _Http((host, port), self)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UsageError(f"the live view can't listen on {host}:{port}: {reason}.") from error
        self.port = int(self._http.server_address[1])
        shown = f"[{host}]" if ":" in host else host
        self.session = Session(self.port, (shown, "localhost", LOOPBACK))
        self.address = f"http://{shown}:{self.port}/?key={self.session.key}"
        self._threads = [
            threading.Thread(target=self._http.serve_forever, name="dtrace-profiler-live", daemon=True),
            threading.Thread(target=self._follow, name="dtrace-profiler-feed", daemon=True),
        ]

    def start(self) -> None:
        for thread in self._threads:
            OWN_THREADS.add(thread)
            thread.start()

    def close(self) -> None:
        """Ends the streams and the listening. Safe to call again."""
        if self._closing.is_set():
            return
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        self._http.shutdown()
        self._http.server_close()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(5.0)

    @property
    def viewers(self) -> int:
        """Pages that are open now."""
        return self._streams

    def after_fork(self) -> None:
        """In a forked child: the parent listens, not we."""
        self._closing = threading.Event()
        self._closing.set()
        self._http.socket.close()

    def _follow(self) -> None:
        while not self._closing.wait(self._refresh_s):
            # No more often than that; but what comes later is shown at once, not after as long again.
            self._feed.collector.arrived.wait(self._refresh_s)
            self._feed.collector.arrived.clear()
            self._feed.collector.watched = self._streams > 0
            if self._source.collector is not self._feed.collector:
                # It has been started again: all pages begin anew.
                self._feed = Feed(self._source, first_seq=self._feed.seq + 1)
            if self._feed.tick():
                with self._changed:
                    self._changed.notify_all()

    def news(self, seq: int | None) -> list[Message]:
        """What a page at `seq` lacks. Waits for it, not for ever: then there is none."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing.is_set() or self._feed.seq != seq, timeout=_SILENCE_S)
        return self._feed.after(seq)

    # The requests: a thread each.

    def answer(self, request: _Request) -> None:
        OWN_THREADS.add(threading.current_thread())
        headers = {name.title(): value for name, value in request.headers.items()}
        if not self.session.is_ours(headers):
            request.refuse("This is the live view of dtrace-profiler. Open the address that it printed.")
            return
        url = urllib.parse.urlsplit(request.path)
        key = urllib.parse.parse_qs(url.query).get("key", [""])[0]
        opened = url.path == "/" and self.session.opens(key)
        if not opened and not self.session.holds(headers):
            request.refuse("The address lacks its key, or is of an earlier run. Open the one that was printed last.")
            return
        name = url.path[1:]
        if not name:
            cookie = {"Set-Cookie": self.session.cookie()} if opened else {}
            request.send(read_asset("page.html").encode(), "text/html; charset=utf-8", cookie)
        elif name == "events":
            self._stream(request)
        elif name.startswith("save/") and name.removeprefix("save/").isidentifier():
            self._save(request, name.removeprefix("save/"))
        elif name == "source":
            self._source_text(request, urllib.parse.parse_qs(url.query).get("file", [""])[0])
        elif name in _ASSETS or (name.endswith(".js") and name.removesuffix(".js").isidentifier()):
            try:
                request.send(read_asset(name).encode(), _ASSETS.get(name, _SCRIPT))
            except FileNotFoundError:
                request.send(b"There is no such file.\n", status=HTTPStatus.NOT_FOUND)
        else:
            request.send(b"There is no such page.\n", status=HTTPStatus.NOT_FOUND)

    def _stream(self, request: _Request) -> None:
        with self._changed:
            if self._streams >= MAX_VIEWERS:
                request.send(b"There are too many viewers.\n", status=HTTPStatus.SERVICE_UNAVAILABLE)
                return
            self._streams += 1
            self.was_viewed = True
        try:
            last = request.headers.get("Last-Event-ID", "")
            seq = int(last) if last.isascii() and last.isdigit() and len(last) < 16 else None
            request.begin_stream()
            while not self._closing.is_set():
                messages = self.news(seq)
                for message in messages:
                    request.event("snapshot" if message.is_snapshot else "delta", message.seq, message.data)
                    seq = message.seq
                if not messages:
                    request.comment()
        finally:
            with self._changed:
                self._streams -= 1

    def _source_text(self, request: _Request, number: str) -> None:
        whole = number.isascii() and number.isdigit() and len(number) < 10
        path = self._feed.file_name(int(number)) if whole else None
        try:
            if path is None:
                raise NoSource("The profile has no such file.")
            text = read_source(path, self._source.meta().start_ns)
        except NoSource as error:
            request.send(f"{error}\n".encode(), status=HTTPStatus.NOT_FOUND)
            return
        body = json.dumps({"lines": text.lines, "changed": text.changed}).encode("ascii")
        request.send(body, "application/json")

    def _save(self, request: _Request, name: str) -> None:
        file = io.BytesIO()
        try:
            self._export(name, file)
        except DTraceProfilerError as error:
            request.send(f"{error}\n".encode(), status=HTTPStatus.NOT_FOUND)
            return
        disposition = {"Content-Disposition": f'attachment; filename="profile.{name}"'}
        request.send(file.getvalue(), "application/octet-stream", disposition)


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    # Else a second server could take the same port on some systems, and with it the first one's viewers.
    allow_reuse_port = False

    def __init__(self, address: tuple[str, int], live: LiveServer) -> None:
        self.live = live
        if ":" in address[0]:
            self.address_family = AF_INET6
        super().__init__(address, _Request)

    def server_bind(self) -> None:
        """Without asking the network what we are called."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        """A viewer that has gone is nothing to speak of."""


class _Request(BaseHTTPRequestHandler):
    """One connection: HTTP, and nothing of what we are."""

    server: _Http
    protocol_version = "HTTP/1.1"
    timeout = _PATIENCE_S
    server_version = "dtrace-profiler"
    sys_version = ""

    def do_GET(self) -> None:
        self.server.live.answer(self)

    def refuse(self, why: str) -> None:
        self.send(f"{why}\n".encode(), status=HTTPStatus.FORBIDDEN)

    def send(
        self,
        body: bytes,
        kind: str = "text/plain; charset=utf-8",
        headers: dict[str, str] | None = None,
        *,
        status: HTTPStatus = HTTPStatus.OK,
    ) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, **(headers or {}), "Content-Type": kind}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def begin_stream(self) -> None:
        self.close_connection = True
        self.send_response(HTTPStatus.OK)
        for name, value in {**HEADERS, "Content-Type": "text/event-stream", "Connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"retry: 1000\n\n")

    def event(self, kind: str, seq: int, data: bytes) -> None:
        self.wfile.write(b"event: %s\nid: %d\ndata: %s\n\n" % (kind.encode(), seq, data))

    def comment(self) -> None:
        self.wfile.write(b":\n\n")

    def log_message(self, format: str, *args: object) -> None:
        """Who looked at what is nobody's business."""
