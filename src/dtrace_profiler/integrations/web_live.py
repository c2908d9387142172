"""The live page of a worker process, got from its own live server, which listens on loopback alone.

Any worker can show any worker's page: which of them gets a browser's next request is not ours to say. An answer is
always finite: the stream of news ends when it has told what there is, and the browser comes again within a second.
So a page takes no worker for longer than a moment, nor does it matter what stands between.
"""

from __future__ import annotations

import http.client
import os
import socket
import urllib.parse
from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple

from dtrace_profiler.integrations.web_store import Worker
from dtrace_profiler.live.session import HEADERS

TIMEOUT_S = 10.0
NEWS_S = 0.3
"""How long a stream waits for something to tell."""
MAX_BYTES = 256 << 20
_PASSED_ON = {"content-type", "content-disposition", *(name.lower() for name in HEADERS)}
_STREAM_BEGIN = b"retry: 1000\n\n"


class LivePart(NamedTuple):
    status: int
    headers: list[tuple[str, str]]
    body: bytes


def live_worker(address: str) -> Worker:
    """This process, given the address of its live server. Raises `OSError`."""
    url = urllib.parse.urlsplit(address)
    port = url.port or 0
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", f"/?{url.query}")
        cookie = connection.getresponse().headers.get("Set-Cookie", "").partition(";")[0]
    finally:
        connection.close()
    return Worker(os.getpid(), port, cookie)


def live_part(worker: Worker, name: str, headers: Mapping[str, str]) -> LivePart | None:
    """A part of the page: `""` (itself), `page.css`, `events` … None where the worker does not answer."""
    connection = http.client.HTTPConnection("127.0.0.1", worker.port, timeout=TIMEOUT_S)
    asked = {"Cookie": worker.cookie}
    if "last-event-id" in headers:
        asked["Last-Event-ID"] = headers["last-event-id"]
    try:
        connection.connect()
        channel = connection.sock  # the connection gives it up when it has the answer's head
        connection.request("GET", "/" + urllib.parse.quote(name), headers=asked)
        answer = connection.getresponse()
        kept = [(key, value) for key, value in answer.getheaders() if key.lower() in _PASSED_ON]
        stream = name == "events" and answer.status == HTTPStatus.OK
        return LivePart(answer.status, kept, _news(answer, channel) if stream else answer.read(MAX_BYTES))
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()


def _news(answer: http.client.HTTPResponse, channel: socket.socket) -> bytes:
    """The events that can be had at once, each whole."""
    text = b""
    try:
        while len(text) < MAX_BYTES:
            begun = not text.endswith(b"\n\n")
            channel.settimeout(TIMEOUT_S if begun else NEWS_S)
            more = answer.read1(1 << 20)
            if not more:
                break
            text += more
            if text.endswith(b"\n\n") and b"data:" in text:
                break
    except TimeoutError:
        pass
    return text[: text.rfind(b"\n\n") + 2] if b"\n\n" in text else _STREAM_BEGIN
