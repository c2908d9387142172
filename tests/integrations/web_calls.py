"""Requests to middleware in this process, and what a profile says of them."""

from __future__ import annotations

import time
from typing import Any, NamedTuple
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

from dtrace_profiler.integrations.web_profiler import WebProfiler
from dtrace_profiler.model.profile import Profile

SECRET = "0123456789-abcdefghijklm"
ASKS = {"X-Profile-Secret": SECRET}


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    """Names in small letters."""
    body: bytes


def burn(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(500))


def call_wsgi(app: Any, path: str, headers: dict[str, str] | None = None, method: str = "GET") -> Reply:
    """With the middleware held to PEP 3333."""
    path, _, query = path.partition("?")
    environ: dict[str, Any] = {"SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": method}
    setup_testing_defaults(environ)
    environ.update({f"HTTP_{name.upper().replace('-', '_')}": value for name, value in (headers or {}).items()})
    head: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        head[:] = [status, headers]
        return lambda data: None

    body = validator(app)(environ, start_response)
    try:
        text = b"".join(body)
    finally:
        body.close()
    return Reply(int(head[0][:3]), {name.lower(): value for name, value in head[1]}, text)


async def call_asgi(app: Any, path: str, headers: dict[str, str] | None = None) -> Reply:
    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()],
    }
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    names = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Reply(sent[0]["status"], names, b"".join(message.get("body", b"") for message in sent[1:]))


def profile_at(profiler: WebProfiler, reply: Reply) -> Profile:
    """The one that the answer tells of, when it is there."""
    profile_id = reply.headers["x-profile-location"].rpartition("/")[2]
    end = time.monotonic() + 30
    while (found := profiler.store.read(profile_id)) is None:
        assert time.monotonic() < end, "the profile has not been made"
        time.sleep(0.01)
    return found


def functions(profile: Profile) -> set[str]:
    return {frame.function_name.rpartition(".")[2] for frame in profile.frames}


def options(folder: Any, **more: Any) -> dict[str, Any]:
    return {"secret": SECRET, "engine": "sampler", "folder": str(folder / "kept"), **more}
