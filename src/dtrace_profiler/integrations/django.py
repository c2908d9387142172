"""Django: `"dtrace_profiler.integrations.django.ProfilerMiddleware"`, first in MIDDLEWARE. See docs/web.md.

DTRACE_PROFILER = {"ALWAYS_ON": True}    # in the settings; the secret is in the environment, or here as SECRET

For ordinary and asynchronous views, under WSGI and ASGI.
"""

from __future__ import annotations

import functools
import inspect
import urllib.parse
from collections.abc import AsyncIterator
from typing import Any

from dtrace_profiler.integrations.asgi import end_asked, hide_secret, in_thread
from dtrace_profiler.integrations.web_pages import Answer, PageRequest, answer_page, may_be_answered
from dtrace_profiler.integrations.web_profiler import WebProfiler
from dtrace_profiler.integrations.web_requests import Asked, RequestProfiling
from dtrace_profiler.integrations.web_settings import settings_from
from dtrace_profiler.integrations.wsgi import SECRET_VARIABLE_OF_WSGI, LabelledBody


class ProfilerMiddleware:
    """Raises `UsageError` for settings that can't be."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Any) -> None:
        from django.conf import settings

        self._get_response = get_response
        self.profiler = WebProfiler(settings_from(getattr(settings, "DTRACE_PROFILER", {})))
        self._requests = RequestProfiling(self.profiler)
        self._asynchronous = inspect.iscoroutinefunction(get_response)
        if self._asynchronous:
            from asgiref.sync import markcoroutinefunction

            markcoroutinefunction(self)

    def __call__(self, request: Any) -> Any:
        if self._asynchronous:
            return self._answer_asynchronously(request)
        if not self.profiler.settings.enabled:
            return self._get_response(request)
        asked_for = page_request(request)
        answer = answer_page(self.profiler, asked_for)
        if answer is not None:
            return _response(answer)
        asked = self._requests.asked(asked_for, lambda: _route(request))
        if asked is None:
            return self._get_response(request)
        if asked.refusal is not None:
            return _response(asked.refusal)
        if asked.headers:
            _hide_secret(request)
        try:
            with asked.label():
                response = self._get_response(request)
                if asked.answer_format and response.streaming:
                    for _ in response:
                        pass
        except BaseException:
            asked.end()
            raise
        if asked.answer_format:
            asked.end()
            return _in_place_of(response, self._requests.instead(asked))
        return _with_profile(response, asked)

    async def _answer_asynchronously(self, request: Any) -> Any:
        if not self.profiler.settings.enabled:
            return await self._get_response(request)
        asked_for = page_request(request)
        if may_be_answered(self.profiler, asked_for):
            answer = await in_thread(lambda: answer_page(self.profiler, asked_for))
            if answer is not None:
                return _response(answer)
        decide = functools.partial(self._requests.asked, asked_for, lambda: _route(request))
        # It waits for dtrace where it is to profile: others go on meanwhile.
        wanted = self._requests.wants_profile(asked_for)
        asked = await in_thread(decide, lost=end_asked) if wanted else decide()
        if asked is None:
            return await self._get_response(request)
        if asked.refusal is not None:
            return _response(asked.refusal)
        if asked.headers:
            _hide_secret(request)
        try:
            with asked.label():
                response = await self._get_response(request)
                if asked.answer_format and response.streaming:
                    async for _ in response:
                        pass
        except BaseException:
            asked.end()
            raise
        if asked.answer_format:
            asked.end()
            return _in_place_of(response, await in_thread(lambda: self._requests.instead(asked)))
        return _with_profile(response, asked)


class _LabelledStream:
    """What `LabelledBody` is, for a body that is made asynchronously."""

    def __init__(self, body: AsyncIterator[bytes], asked: Asked) -> None:
        self._steps = aiter(body)
        self._asked = asked

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        with self._asked.label():
            return await anext(self._steps)

    def close(self) -> None:
        self._asked.end()


def _with_profile(response: Any, asked: Asked) -> Any:
    for name, value in asked.headers:
        response.headers[name] = value
    # A file may be one that the server has a quicker way for.
    if not response.streaming or getattr(response, "file_to_stream", None) is not None:
        asked.end()
    elif response.is_async:
        response.streaming_content = _LabelledStream(response.streaming_content, asked)
    else:
        response.streaming_content = LabelledBody(response.streaming_content, asked)
    return response


def _hide_secret(request: Any) -> None:
    """From the application, which may log headers, and from what reports its errors."""
    request.META.pop(SECRET_VARIABLE_OF_WSGI, None)
    request.__dict__.pop("headers", None)  # made from META, and anew when somebody asks
    if hasattr(request, "scope"):
        hide_secret(request.scope)


def _response(answer: Answer) -> Any:
    from django.http import HttpResponse

    return HttpResponse(answer.body, status=answer.status, headers=dict(answer.headers))


def _in_place_of(response: Any, answer: Answer) -> Any:
    made = _response(answer)
    # What is to be closed with the application's response is closed with this one.
    made._resource_closers.extend(response._resource_closers)
    return made


def _route(request: Any) -> str:
    from django.urls import resolve

    return f"/{resolve(request.path_info).route}"


def page_request(request: Any) -> PageRequest:
    return PageRequest(
        method=request.method,
        root=urllib.parse.quote(request.META.get("SCRIPT_NAME", "").rstrip("/")),
        path=request.path_info,
        query=request.META.get("QUERY_STRING", ""),
        scheme=request.scheme,
        headers={name.lower(): value for name, value in request.headers.items()},
    )
