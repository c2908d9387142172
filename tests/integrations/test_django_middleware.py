"""The Django middleware, called as Django does: bodies that fail or are asynchronous, files, and the secret."""

from __future__ import annotations

import asyncio
import io
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from web_calls import ASKS, burn, options

pytest.importorskip("django", reason="needs Django")
from django.conf import settings
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.test import AsyncRequestFactory, RequestFactory, override_settings

from dtrace_profiler.integrations.django import ProfilerMiddleware

Make = Callable[..., ProfilerMiddleware]
HEADERS = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in ASKS.items()}
INSTEAD = {**HEADERS, "HTTP_X_PROFILE_ANSWER": "folded"}


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    if not settings.configured:
        settings.configure(ALLOWED_HOSTS=["testserver"])
    made: list[ProfilerMiddleware] = []

    def make(view: Any, **more: Any) -> ProfilerMiddleware:
        named = {name.upper(): value for name, value in options(tmp_path, **more).items()}
        with override_settings(DTRACE_PROFILER=named):
            made.append(ProfilerMiddleware(view))
        return made[-1]

    yield make
    for middleware in made:
        middleware.profiler.close()


def broken() -> Iterator[bytes]:
    yield b"part"
    raise KeyError("the application's own")


async def parts() -> AsyncIterator[bytes]:
    burn(0.05)
    yield b"part"


async def broken_parts() -> AsyncIterator[bytes]:
    yield b"part"
    raise KeyError("the application's own")


def test_a_body_that_fails_leaves_no_request_running(make: Make) -> None:
    middleware = make(lambda request: StreamingHttpResponse(broken()))
    with pytest.raises(KeyError):
        middleware(RequestFactory().get("/", **INSTEAD))
    assert middleware.profiler._running_requests == 0


def test_an_asynchronous_body_that_fails_leaves_no_request_running(make: Make) -> None:
    async def view(request: Any) -> Any:
        return StreamingHttpResponse(broken_parts())

    async def ask() -> None:
        await middleware(AsyncRequestFactory().get("/", headers={**ASKS, "X-Profile-Answer": "folded"}))

    middleware = make(view)
    with pytest.raises(KeyError):
        asyncio.run(ask())
    assert middleware.profiler._running_requests == 0


def test_an_asynchronous_body_of_an_ordinary_view_is_in_its_profile(make: Make) -> None:
    middleware = make(lambda request: StreamingHttpResponse(parts()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Django's own, of every such body
        response = middleware(RequestFactory().get("/", **INSTEAD))
    assert b"parts" in response.content


def test_always_on_a_file_is_sent_in_the_servers_own_way(make: Make) -> None:
    """Django asks for the file itself."""
    middleware = make(lambda request: FileResponse(io.BytesIO(b"file")), always_on=True)
    response = middleware(RequestFactory().get("/"))
    assert response.file_to_stream is not None
    assert b"".join(response) == b"file"


def test_the_view_does_not_get_the_secret(make: Make) -> None:
    got: list[str] = []

    def view(request: Any) -> Any:
        got.append(f"{request.META} {request.headers}")
        return HttpResponse(b"done")

    async def asynchronous(request: Any) -> Any:
        got.append(f"{request.META} {request.headers} {request.scope}")
        return HttpResponse(b"done")

    async def ask() -> Any:
        return await make(asynchronous)(AsyncRequestFactory().get("/", headers=ASKS))

    for response in (make(view)(RequestFactory().get("/", **HEADERS)), asyncio.run(ask())):
        assert response.content == b"done"
        assert "X-Profile-Location" in response.headers
    assert len(got) == 2
    assert not any(ASKS["X-Profile-Secret"] in text for text in got)
