"""The ASGI middleware: tasks that take turns, streams, WebSockets, the lifespan, and loops that can't be followed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from web_calls import ASKS, SECRET, burn, call_asgi, functions, options, profile_at

from dtrace_profiler.integrations.asgi import ProfilerMiddleware, in_thread
from dtrace_profiler.integrations.web_profiler import ProfiledRequest, profile_of
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import StackFrame
from dtrace_profiler.model.profile import Meta

Make = Callable[..., ProfilerMiddleware]


async def first_work() -> None:
    for _ in range(5):
        burn(0.02)
        await asyncio.sleep(0)


async def second_work() -> None:
    for _ in range(5):
        burn(0.02)
        await asyncio.sleep(0)


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        for event in ("startup", "shutdown"):
            assert (await receive())["type"] == f"lifespan.{event}"
            await send({"type": f"lifespan.{event}.complete"})
        return
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        await second_work()
        await send({"type": "websocket.close"})
        return
    if scope["path"] == "/fails":
        raise KeyError("the application's own")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-own", b"1")]})
    await (second_work() if scope["path"] == "/second" else first_work())
    for part in (b"do", b"ne"):
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body"})


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[ProfilerMiddleware] = []

    def make(app: Any = application, **more: Any) -> ProfilerMiddleware:
        made.append(ProfilerMiddleware(app, **options(tmp_path, **more)))
        return made[-1]

    yield make
    for middleware in made:
        middleware.profiler.close()


@pytest.mark.parametrize("headers", [{}, {"X-Profile-Secret": SECRET[:-1] + "?"}])
def test_without_the_secret_nothing_is_different(make: Make, tmp_path: Path, headers: dict[str, str]) -> None:
    for path in ("/", "/_profile/"):
        assert asyncio.run(call_asgi(make(), path, headers)) == asyncio.run(call_asgi(application, path, headers))
    assert not (tmp_path / "kept").exists()


def test_requests_that_take_turns_have_profiles_of_their_own(make: Make) -> None:
    middleware = make()

    async def ask() -> Any:
        return await asyncio.gather(
            call_asgi(middleware, "/", ASKS), call_asgi(middleware, "/second", ASKS), call_asgi(middleware, "/second")
        )

    replies = asyncio.run(ask())
    assert [reply.body for reply in replies] == [b"done"] * 3
    assert [reply.headers["x-own"] for reply in replies] == ["1"] * 3
    first, second = (profile_at(middleware.profiler, reply) for reply in replies[:2])
    assert "first_work" in functions(first)
    assert "second_work" not in functions(first)
    assert "second_work" in functions(second)
    assert "first_work" not in functions(second)


def test_the_profile_is_the_answer_if_asked_for(make: Make) -> None:
    reply = asyncio.run(call_asgi(make(), "/", {**ASKS, "X-Profile-Answer": "folded"}))
    assert b"first_work" in reply.body
    assert "x-own" not in reply.headers


def test_what_the_application_raises_is_raised_and_ends_the_profile(make: Make) -> None:
    middleware = make(max_requests=1)
    for _ in range(2):
        with pytest.raises(KeyError):
            asyncio.run(call_asgi(middleware, "/fails", ASKS))
    assert "x-profile-location" in asyncio.run(call_asgi(middleware, "/", ASKS)).headers


def test_a_request_that_is_given_up_while_it_waits_for_dtrace_leaves_nothing_behind(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    middleware = make(max_requests=1)
    begin, go_on, begun = middleware.profiler.begin, threading.Event(), threading.Event()

    def slow(labels: dict[str, str]) -> Any:
        begun.set()
        assert go_on.wait(30)
        return begin(labels)

    monkeypatch.setattr(middleware.profiler, "begin", slow)

    async def ask() -> Any:
        task = asyncio.create_task(call_asgi(middleware, "/", ASKS))
        await asyncio.to_thread(begun.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()
        for _ in range(500):
            if (reply := await call_asgi(middleware, "/", ASKS)).headers.get("x-profile-location"):
                return reply
        raise AssertionError("the place of the request that was given up is not free")

    asyncio.run(ask())


def test_the_lifespan_begins_and_ends_what_is_always_on(make: Make) -> None:
    middleware = make(always_on=True)

    async def serve() -> list[str]:
        messages = asyncio.Queue[dict[str, str]]()
        sent: list[str] = []

        async def send(message: Any) -> None:
            sent.append(message["type"])

        messages.put_nowait({"type": "lifespan.startup"})
        served = asyncio.create_task(middleware({"type": "lifespan"}, messages.get, send))
        while not await in_thread(middleware.profiler.store.workers):
            await asyncio.sleep(0.02)
        messages.put_nowait({"type": "lifespan.shutdown"})
        await served
        return sent

    for _ in range(2):  # an application may be started again
        assert asyncio.run(serve()) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
        assert middleware.profiler.store.workers() == []


def test_a_websocket_is_served_and_always_on_named(make: Make) -> None:
    middleware = make(always_on=True, frequency_hz=999)
    sent: list[str] = []

    async def serve() -> None:
        async def send(message: Any) -> None:
            sent.append(message["type"])

        async def receive() -> Any:
            raise AssertionError

        middleware.profiler.start_soon()
        while not await in_thread(middleware.profiler.store.workers):
            await asyncio.sleep(0.02)
        headers = [(b"x-profile-secret", SECRET.encode())]
        await middleware({"type": "websocket", "path": "/talk/42", "headers": headers}, receive, send)

    asyncio.run(serve())
    assert sent == ["websocket.accept", "websocket.close"]
    profiler = middleware.profiler._profiler
    middleware.profiler.close()
    assert profiler is not None
    labels = {thread.labels for thread in profiler.profile().threads}
    assert (("method", "WEBSOCKET"), ("route", "/talk/*")) in labels


def test_on_uvloop_the_profile_is_of_all_that_ran_meanwhile_and_says_so(make: Make) -> None:
    uvloop = pytest.importorskip("uvloop", reason="needs uvloop")
    middleware = make()

    async def ask() -> Any:
        return await asyncio.gather(call_asgi(middleware, "/", ASKS), call_asgi(middleware, "/second", ASKS))

    found = profile_at(middleware.profiler, uvloop.run(ask())[0])
    assert {"first_work", "second_work"} <= functions(found)
    assert any("All that the process did" in note and "uvloop" in note for note in found.meta.notes)


def test_where_labels_can_not_be_followed_the_profile_is_of_the_time_and_says_so() -> None:
    builder = ProfileBuilder()
    for time in range(10):
        builder.add_sample(time, builder.add_thread(1, 1), builder.add_stack([StackFrame(f"f{time}")]))
    whole = builder.snapshot(Meta(start_ns=1, notes=["a note"]))
    request = ProfiledRequest("id", {"method": "GET", "route": "/"}, 3, "Tasks of this loop can't be seen.", 6)
    found = profile_of(request, whole)
    assert list(found.timestamp_ns) == [3, 4, 5]
    assert found.meta.notes[0] == "a note"
    assert "All that the process did while the request ran" in found.meta.notes[1]
    assert "Tasks of this loop" in found.meta.notes[1]


def test_on_another_loop_than_asyncios_the_application_answers_alone(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    middleware = make()

    def step(coroutine: Any) -> Any:
        try:
            while True:
                coroutine.send(None)
        except StopIteration as end:
            return end.value

    async def simple(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    middleware.app = simple
    for _ in range(2):
        assert step(call_asgi(middleware, "/", ASKS)).headers == {}
    assert [record.message for record in caplog.records if "asyncio's loop alone" in record.message] != []
    assert len(caplog.records) == 1
