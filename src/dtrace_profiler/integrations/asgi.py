"""ASGI middleware: profiles a request that asks for it with the secret, or all of them all the time. See docs/web.md.

app = ProfilerMiddleware(app)    # the secret is in DTRACE_PROFILER_SECRET
"""

from __future__ import annotations

import asyncio
import functools
import threading
import urllib.parse
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeVar, cast

from dtrace_profiler.integrations.web_pages import Answer, PageRequest, answer_page, is_below, may_be_answered
from dtrace_profiler.integrations.web_profiler import WebProfiler
from dtrace_profiler.integrations.web_requests import Asked, RequestProfiling
from dtrace_profiler.integrations.web_routes import starlette_route
from dtrace_profiler.integrations.web_settings import SECRET_HEADER, WebSettings
from dtrace_profiler.own_threads import OWN_THREADS

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
_T = TypeVar("_T")


class ProfilerMiddleware:
    """`route`: the framework's name for a request, given the scope; None, or an error, where it has none. By default
    that of Starlette and FastAPI, which an application that is added to with `add_middleware` tells.

    `options`: those of `WebSettings`. Raises `UsageError` for what can't be.
    """

    def __init__(
        self, app: Application, *, route: Callable[[Scope], str | None] = starlette_route, **options: Any
    ) -> None:
        self.app = app
        self.profiler = WebProfiler(WebSettings(**options))
        self._requests = RequestProfiling(self.profiler)
        self._route = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        known = scope["type"] in ("http", "websocket", "lifespan")
        if not self.profiler.settings.enabled or not known or not self._on_asyncio():
            await self.app(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._http(scope, receive, send)

    def _on_asyncio(self) -> bool:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self.profiler.tell_once("requests are profiled on asyncio's loop alone: this one is another's.")
            return False
        return True

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = page_request(scope)
        if may_be_answered(self.profiler, request):
            answer = await in_thread(lambda: answer_page(self.profiler, request))
            if answer is not None:
                await _send(answer, request.method, send)
                return
        decide = functools.partial(self._requests.asked, request, lambda: self._route(scope))
        # It waits for dtrace where it is to profile: others go on meanwhile.
        asked = await in_thread(decide, lost=end_asked) if self._requests.wants_profile(request) else decide()
        if asked is None:
            await self.app(scope, receive, send)
            return
        if asked.refusal is not None:
            await _send(asked.refusal, request.method, send)
            return
        if asked.headers:
            hide_secret(scope)
        if asked.answer_format:
            await self._run(asked, scope, receive, _ignore)
            await _send(await in_thread(lambda: self._requests.instead(asked)), request.method, send)
        elif asked.headers:
            await self._run(asked, scope, receive, _with_headers(send, asked))
        else:
            await self._run(asked, scope, receive, send)

    async def _run(self, asked: Asked, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with asked.label():
                await self.app(scope, receive, send)
        finally:
            asked.end()

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = page_request({**scope, "method": "WEBSOCKET"})
        # A connection is no request: it has no profile of its own.
        headers = {name: value for name, value in request.headers.items() if not name.startswith("x-profile-")}
        unasked = PageRequest(
            method="WEBSOCKET", root=request.root, path=request.path, query="", scheme=request.scheme, headers=headers
        )
        asked = self._requests.asked(unasked, lambda: self._route(scope))
        if asked is None:
            await self.app(scope, receive, send)
        else:
            await self._run(asked, scope, receive, send)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def heard() -> Message:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self.profiler.open()
                self.profiler.start_soon()
            return message

        async def told(message: Message) -> None:
            if message["type"] in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
                await in_thread(self.profiler.close)
            await send(message)

        await self.app(scope, heard, told)


def page_request(scope: Scope) -> PageRequest:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        # A browser may send its cookies in several headers, over HTTP/2.
        headers[name] = (
            value if name not in headers else f"{headers[name]}{'; ' if name == 'cookie' else ', '}{value}"
        )
    root, path = scope.get("root_path", ""), scope["path"]
    return PageRequest(
        method=scope["method"],
        root=urllib.parse.quote(root),
        # Servers differ in whether the path has the root before it.
        path=path.removeprefix(root) if root and is_below(root, path) else path,
        query=scope.get("query_string", b"").decode("latin-1"),
        scheme=scope.get("scheme", "http"),
        headers=headers,
    )


def hide_secret(scope: Scope) -> None:
    """From the application, which may log headers, and from what reports its errors."""
    scope["headers"] = [header for header in scope["headers"] if header[0].lower() != SECRET_HEADER.encode()]


async def in_thread(work: Callable[[], _T], lost: Callable[[_T], None] | None = None) -> _T:
    """In a thread of ours, that is in no profile and keeps no thread from the application.

    `lost`: gets the result where nobody waits for it any more.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[_T] = loop.create_future()

    def tell(result: _T | None, error: BaseException | None) -> None:
        if error is not None:
            if not done.cancelled():
                done.set_exception(error)
        elif not done.cancelled():
            done.set_result(cast(_T, result))
        elif lost is not None:
            lost(cast(_T, result))

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except BaseException as caught:
            error = caught
        try:
            loop.call_soon_threadsafe(tell, result, error)
        except RuntimeError:  # the loop has ended
            pass

    thread = threading.Thread(target=run, name="dtrace-profiler-page", daemon=True)
    OWN_THREADS.add(thread)
    try:
        thread.start()
    except RuntimeError:  # there are too many: nothing that would take its time begins now, either
        return work()
    try:
        return await done
    except asyncio.CancelledError:
        if lost is not None and not done.cancelled() and done.done() and done.exception() is None:
            lost(done.result())  # it came when this task was to end, but had not been woken up
        raise


def end_asked(asked: Asked | None) -> None:
    if asked is not None:
        asked.end()


def _with_headers(send: Send, asked: Asked) -> Send:
    added = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in asked.headers]

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *added]}
        await send(message)

    return send_with_headers


async def _ignore(message: Message) -> None:
    """The profile is the answer."""


async def _send(answer: Answer, method: str, send: Send) -> None:
    headers = [*answer.headers, ("Content-Length", str(len(answer.body)))]
    encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else answer.body})
