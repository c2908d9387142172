"""WSGI middleware: profiles a request that asks for it with the secret, or all of them all the time. See docs/web.md.

application = ProfilerMiddleware(application)    # the secret is in DTRACE_PROFILER_SECRET
"""

from __future__ import annotations

import contextlib
import urllib.parse
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any

from dtrace_profiler.integrations.web_pages import Answer, PageRequest, answer_page
from dtrace_profiler.integrations.web_profiler import WebProfiler
from dtrace_profiler.integrations.web_requests import Asked, RequestProfiling
from dtrace_profiler.integrations.web_settings import SECRET_HEADER, WebSettings

Environ = dict[str, Any]
Application = Callable[[Environ, Any], Iterable[bytes]]
SECRET_VARIABLE_OF_WSGI = f"HTTP_{SECRET_HEADER.upper().replace('-', '_')}"


class ProfilerMiddleware:
    """`route`: the framework's name for a request, given the environ; None, or an error, where it has none.

    `options`: those of `WebSettings`, if there are no `settings`. Raises `UsageError` for what can't be.
    """

    def __init__(
        self,
        app: Application,
        *,
        route: Callable[[Environ], str | None] | None = None,
        settings: WebSettings | None = None,
        **options: Any,
    ) -> None:
        self.app = app
        self.profiler = WebProfiler(settings or WebSettings(**options))
        self._requests = RequestProfiling(self.profiler)
        self._route = route

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        if not self.profiler.settings.enabled:
            return self.app(environ, start_response)
        request = page_request(environ)
        answer = answer_page(self.profiler, request)
        if answer is not None:
            return _send(answer, request.method, start_response)
        asked = self._requests.asked(request, lambda: self._route(environ) if self._route is not None else None)
        if asked is None:
            return self.app(environ, start_response)
        if asked.refusal is not None:
            return _send(asked.refusal, request.method, start_response)
        return self._profiled(asked, environ, start_response, request)

    def _profiled(self, asked: Asked, environ: Environ, start_response: Any, request: PageRequest) -> Iterable[bytes]:
        if asked.headers:  # the secret is not for the application, which may log headers
            environ.pop(SECRET_VARIABLE_OF_WSGI, None)

        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            return start_response(status, [*headers, *asked.headers], *exc_info)

        try:
            with asked.label():
                body = self.app(environ, _ignore if asked.answer_format else start)
            if asked.answer_format:
                with contextlib.closing(LabelledBody(body, asked)) as steps:
                    for _ in steps:
                        pass
                return _send(self._requests.instead(asked), request.method, start_response)
            file_wrapper = environ.get("wsgi.file_wrapper")
            # All has been done, and a server may want to see how long it is; or the server has a quicker way for it.
            if isinstance(body, list | tuple) or (isinstance(file_wrapper, type) and isinstance(body, file_wrapper)):
                asked.end()
                return body
            return LabelledBody(body, asked)
        except BaseException:  # also of a body that is none
            asked.end()
            raise


class LabelledBody:
    """What is left of the answer: made while somebody iterates, so that each step has the request's labels."""

    def __init__(self, body: Iterable[bytes], asked: Asked) -> None:
        self._body = body
        self._steps = iter(body)
        self._asked = asked

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            with self._asked.label():
                return next(self._steps)
        except BaseException:  # its end, most often
            self._asked.end()
            raise

    def close(self) -> None:
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                with self._asked.label():
                    close()
        finally:
            self._asked.end()


def page_request(environ: Environ) -> PageRequest:
    headers = {
        name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")
    }
    return PageRequest(
        method=environ.get("REQUEST_METHOD", "GET"),
        root=urllib.parse.quote(environ.get("SCRIPT_NAME", "").encode("latin-1", "replace")),
        # Bytes in the shape of text, as PEP 3333 has it.
        path=environ.get("PATH_INFO", "").encode("latin-1", "replace").decode("utf-8", "replace"),
        query=environ.get("QUERY_STRING", ""),
        scheme=environ.get("wsgi.url_scheme", "http"),
        headers=headers,
    )


def _ignore(*head: Any) -> Callable[[bytes], None]:
    return lambda data: None


def _send(answer: Answer, method: str, start_response: Any) -> Iterable[bytes]:
    status = HTTPStatus(answer.status)
    headers = [*answer.headers, ("Content-Length", str(len(answer.body)))]
    start_response(f"{status.value} {status.phrase}", headers)
    return [] if method == "HEAD" else [answer.body]
