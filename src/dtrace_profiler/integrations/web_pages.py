"""What is below the mount: kept profiles, and the live pages of all worker processes. For any framework.

    /open               with the secret in a header: the address to open in a browser, good for a minute
    /?key=…             lets a browser in
    /                   what there is
    /requests/ID        a profile as a flame graph; `?format=` as something else
    /workers/PID/…      the live page of a worker

To who may not see it the mount is not there: the application answers.
"""

from __future__ import annotations

import html
import io
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from dtrace_profiler.errors import DTraceProfilerError, UsageError
from dtrace_profiler.formats import format_of, write_profile
from dtrace_profiler.integrations.web_access import KEY_S
from dtrace_profiler.integrations.web_live import live_part
from dtrace_profiler.integrations.web_profiler import LOG, WebProfiler
from dtrace_profiler.labels.label import label
from dtrace_profiler.live.session import HEADERS
from dtrace_profiler.model.profile import Profile

WAIT_S = 15.0
"""How long the answer to a question for a profile waits until that is made."""
_HTML = "text/html; charset=utf-8"
_TEXT = "text/plain; charset=utf-8"
_TEXT_FORMATS = ("folded", "table")


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """`path` is decoded, `query` is not; `root`: what stands before the application's paths, quoted; `headers`: names
    in small letters. What is secret is not in its `repr`, which reporters of errors collect."""

    method: str
    root: str
    path: str
    query: str = field(repr=False)
    scheme: str
    headers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes


def is_below(mount: str, path: str) -> bool:
    return path == mount or path.startswith(mount + "/")


def may_be_answered(profiler: WebProfiler, request: PageRequest) -> bool:
    """Whether the question is for us, and of somebody who may ask. Quick."""
    settings, access, headers = profiler.settings, profiler.access, request.headers
    if not settings.enabled or request.method not in ("GET", "HEAD") or not is_below(settings.mount, request.path):
        return False
    if not access.from_our_page(headers):
        return False
    return access.has_secret(headers) or access.holds_cookie(headers) or _has_key(profiler, request)


def _has_key(profiler: WebProfiler, request: PageRequest) -> bool:
    key = urllib.parse.parse_qs(request.query).get("key", [""])[0]
    return request.path == profiler.settings.mount + "/" and profiler.access.opens(key)


def answer_page(profiler: WebProfiler, request: PageRequest) -> Answer | None:
    """None: not for us, the application is to answer. May take some seconds. Does not raise."""
    if not may_be_answered(profiler, request):
        return None
    # What it costs to look is not to be taken for the application's work.
    with label(route=profiler.settings.mount):
        return _answer_page(profiler, request)


def _answer_page(profiler: WebProfiler, request: PageRequest) -> Answer | None:
    access, mount = profiler.access, profiler.settings.mount
    name = request.path.removeprefix(mount)
    asked = urllib.parse.parse_qs(request.query)
    here = request.root + mount
    try:
        if _has_key(profiler, request):
            # To an address without the key, that does not stay in the history.
            cookie = access.cookie(here, secure=request.scheme == "https")
            return _answer("", _TEXT, HTTPStatus.SEE_OTHER, ("Location", here + "/"), ("Set-Cookie", cookie))
        if name == "":
            return _answer("", _TEXT, HTTPStatus.SEE_OTHER, ("Location", here + "/"))
        if name == "/open" and access.has_secret(request.headers):
            host = request.headers.get("host", "localhost")
            address = f"{request.scheme}://{host}{here}/?key={access.key()}"
            return _answer(f"{address}\nOpen it in a browser within {KEY_S} seconds.\n")
        if name == "/":
            return _answer(_index(profiler), _HTML)
        kind, _, rest = name[1:].partition("/")
        if kind == "requests":
            return profile_answer(profiler, rest, asked.get("format", ["html"])[0])
        if kind == "workers":
            return _live(profiler, rest, here, request.headers)
        return _answer("There is no such page.\n", _TEXT, HTTPStatus.NOT_FOUND)
    except Exception as error:
        LOG.warning("dtrace-profiler: a page could not be shown: %s", error)
        return _answer("The page could not be made: the application's log has the reason.\n", _TEXT, 500)


def writable(format_name: str) -> str:
    """Why a profile can't be answered in this format, in a sentence; empty: it can."""
    try:
        format_of("", format_name)
    except UsageError as error:
        return str(error)
    return ""


def profile_answer(profiler: WebProfiler, profile_id: str, format_name: str) -> Answer:
    """The profile in this format, when it is there. Raises `OSError` and `DTraceProfilerError`."""
    refusal = writable(format_name)
    if refusal:
        return _answer(f"{refusal}\n", _TEXT, HTTPStatus.BAD_REQUEST)
    found = _wait_for(profiler, profile_id)
    if found is None and profiler.store.is_waited_for(profile_id):
        text = "The request is still running: ask again.\n"
        return _answer(text, _TEXT, HTTPStatus.SERVICE_UNAVAILABLE, ("Retry-After", "5"))
    if found is None:
        return _answer("There is no such profile, or newer ones took its place.\n", _TEXT, HTTPStatus.NOT_FOUND)
    file = io.BytesIO()
    try:
        write_profile(found, file, format_name)
    except DTraceProfilerError as error:
        return _answer(f"{error}\n", _TEXT, HTTPStatus.BAD_REQUEST)
    if format_name == "html":
        # The document has its own policy, by the hashes of its script and style.
        return _answer(file.getvalue(), _HTML, HTTPStatus.OK, ("Content-Security-Policy", "frame-ancestors 'none'"))
    kind = _TEXT if format_name in _TEXT_FORMATS else "application/octet-stream"
    disposition = f'attachment; filename="request-{profile_id[:8]}.{format_name}"'
    return _answer(file.getvalue(), kind, HTTPStatus.OK, ("Content-Disposition", disposition))


def error_answer(status: int, sentence: str) -> Answer:
    return _answer(sentence + "\n", _TEXT, status)


def _wait_for(profiler: WebProfiler, profile_id: str) -> Profile | None:
    end = time.monotonic() + WAIT_S
    while True:
        waited_for = profiler.store.is_waited_for(profile_id)  # before the look: it is kept first
        found = profiler.store.read(profile_id)
        if found is not None or not waited_for or time.monotonic() > end:
            return found
        time.sleep(0.05)


def _live(profiler: WebProfiler, rest: str, here: str, headers: Mapping[str, str]) -> Answer:
    number, slash, name = rest.partition("/")
    if not slash:
        return _answer("", _TEXT, HTTPStatus.SEE_OTHER, ("Location", f"{here}/workers/{number}/"))
    worker = next((worker for worker in profiler.store.workers() if str(worker.process_id) == number), None)
    if worker is None:
        return _answer("There is no such process, or it is not profiled.\n", _TEXT, HTTPStatus.NOT_FOUND)
    if name == "source":
        return _answer("Source text is not given out by an application.\n", _TEXT, HTTPStatus.NOT_FOUND)
    part = live_part(worker, name, headers)
    if part is None:
        return _answer("The process does not answer.\n", _TEXT, HTTPStatus.BAD_GATEWAY)
    return Answer(part.status, part.headers, part.body)


def _index(profiler: WebProfiler) -> str:
    rows = ["<!doctype html>", '<html lang="en"><meta charset="utf-8"><title>Profiles</title>', "<h1>Profiles</h1>"]
    rows += ["<h2>Live</h2>", "<ul>"]
    workers = profiler.store.workers()
    for worker in workers:
        rows.append(f'<li><a href="workers/{worker.process_id}/">Process {worker.process_id}</a>')
    if not workers:
        rows.append("<li>No process is profiled all the time.")
    rows += ["</ul>", "<h2>Requests</h2>", "<ul>"]
    kept = profiler.store.kept()
    for profile in kept:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(profile.when))
        name = html.escape(profile.name)
        rows.append(f'<li><a href="requests/{html.escape(profile.id)}">{at} UTC</a> {name}')
    if not kept:
        rows.append("<li>No request has been profiled.")
    return "\n".join([*rows, "</ul>", "</html>", ""])


def _answer(body: str | bytes, kind: str = _TEXT, status: int = HTTPStatus.OK, *more: tuple[str, str]) -> Answer:
    headers = {**HEADERS, "Content-Type": kind, **dict(more)}
    return Answer(int(status), list(headers.items()), body.encode() if isinstance(body, str) else body)
