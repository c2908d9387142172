"""What could break an application, or leave sampling on for ever: faults of bodies, threads, loops and forks."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from web_calls import ASKS, burn, call_asgi, call_wsgi, options

from dtrace_profiler.engines import check_threads
from dtrace_profiler.errors import EngineError
from dtrace_profiler.integrations import asgi, wsgi
from dtrace_profiler.integrations.asgi import in_thread
from dtrace_profiler.integrations.web_routes import MOST_ROUTES, RouteNames
from dtrace_profiler.labels.label import current_labels

Make = Callable[..., Any]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Any] = []

    def make(kind: Any, app: Any, **more: Any) -> Any:
        made.append(kind(app, **options(tmp_path, **more)))
        return made[-1]

    yield make
    for middleware in made:
        middleware.profiler.close()


def simple(environ: dict[str, Any], start_response: Any) -> Any:
    burn(0.05)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"done"]


async def asgi_simple(scope: Any, receive: Any, send: Any) -> None:
    burn(0.05)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})


def test_an_application_that_returns_no_body_leaves_no_request_running(make: Make) -> None:
    def broken(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])

    middleware = make(wsgi.ProfilerMiddleware, broken)
    with pytest.raises(TypeError):
        middleware({"PATH_INFO": "/", "HTTP_X_PROFILE_SECRET": ASKS["X-Profile-Secret"]}, lambda *head: None)
    assert middleware.profiler._running_requests == 0


def test_an_origin_that_is_no_address_gets_the_application(make: Make) -> None:
    middleware = make(wsgi.ProfilerMiddleware, simple)
    assert call_wsgi(middleware, "/_profile/", {"Origin": "http://["}).body == b"done"


def test_where_no_thread_can_be_started_the_application_answers(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    always, asked = (make(wsgi.ProfilerMiddleware, simple, always_on=on) for on in (True, False))
    monkeypatch.setattr(threading.Thread, "start", full)
    assert call_wsgi(always, "/").body == b"done"
    assert call_wsgi(asked, "/", ASKS).body == b"done"
    on_a_loop = make(asgi.ProfilerMiddleware, asgi_simple)
    assert asyncio.run(call_asgi(on_a_loop, "/", ASKS)).body == b"done"
    monkeypatch.undo()
    always.profiler._retry_at = 0.0
    call_wsgi(always, "/")
    assert always.profiler._starting or always.profiler._profiler is not None


def test_work_that_was_done_when_nobody_waits_any_more_is_told() -> None:
    """The task is cancelled when it has its result, but has not been woken up for it."""
    lost: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        post = loop.call_soon_threadsafe

        def post_and_cancel(*args: Any) -> Any:
            # In one step of the loop, and so before the task is woken up.
            return post(lambda: (args[0](*args[1:]), task.cancel()))

        loop.call_soon_threadsafe = post_and_cancel  # type: ignore[method-assign]
        task = asyncio.create_task(in_thread(lambda: "done", lost=lost.append))
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert lost == ["done"]


def test_a_browser_may_send_its_cookies_in_several_headers(make: Make) -> None:
    access = make(asgi.ProfilerMiddleware, asgi_simple).profiler.access
    ours = access.cookie("/", secure=False).partition(";")[0].encode()
    for cookies in ([b"a=1", ours], [ours, b"a=1"]):
        scope = {"method": "GET", "path": "/", "headers": [(b"cookie", cookie) for cookie in cookies]}
        assert access.holds_cookie(asgi.page_request(scope).headers)


def test_the_secret_stands_in_no_text_of_a_request() -> None:
    """Tools that report errors take the text of each frame's variables."""
    scope = {"method": "GET", "path": "/", "headers": [(b"x-profile-secret", ASKS["X-Profile-Secret"].encode())]}
    assert ASKS["X-Profile-Secret"] not in repr(asgi.page_request(scope))


def test_always_on_a_request_has_no_ids_of_spans_unless_it_is_profiled(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They differ with each request, and a profile has no room for so many: routes would soon be lost."""
    span = types.SimpleNamespace(is_valid=True, trace_id=1, span_id=7, get_span_context=lambda: span)
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", types.SimpleNamespace(get_current_span=lambda: span))
    seen: list[set[str]] = []

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        seen.append(set(current_labels()))
        return simple(environ, start_response)

    middleware = make(wsgi.ProfilerMiddleware, app, always_on=True)
    call_wsgi(middleware, "/")
    call_wsgi(middleware, "/", ASKS)
    assert seen == [{"method", "route"}, {"method", "route", "request", "trace_id", "span_id"}]


def test_a_path_in_another_script_is_told_as_it_is_read(make: Make) -> None:
    environ = {"PATH_INFO": "/заказы".encode().decode("latin-1")}
    assert wsgi.page_request(environ).path == "/заказы"


def test_a_child_forked_by_a_request_does_not_end_it_twice(make: Make) -> None:
    middleware = make(wsgi.ProfilerMiddleware, simple)
    request = middleware.profiler.begin({"method": "GET", "route": "/"})
    parents = middleware.profiler._profiler
    middleware.profiler.after_fork()  # as in the child
    request.process_id += 1
    middleware.profiler.end(request)
    assert middleware.profiler._running_requests == 0
    assert middleware.profiler.store.is_waited_for(request.id)
    parents.close()


def test_what_starts_while_it_is_closed_is_not_left_running(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    profiler = make(wsgi.ProfilerMiddleware, simple, always_on=True).profiler
    begun: list[Any] = []
    monkeypatch.setattr(profiler, "_in_background", lambda work, name: begun.append(work))
    profiler.start_soon()
    profiler.close()
    [start] = begun
    start()
    assert profiler._profiler is None
    assert profiler.begin({}) is None


def test_who_asks_for_what_is_not_there_takes_no_names_from_routes() -> None:
    names = RouteNames()
    for count in range(2 * MOST_ROUTES):
        names.name(None, f"/{chr(97 + count % 26) * (1 + count // 26)}")
    assert names.name("/orders/<id>", "/orders/1") == "/orders/<id>"


def test_the_application_does_not_get_the_secret(make: Make) -> None:
    """It may log headers, and so may what reports its errors."""
    got: list[Any] = []

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        got.append(dict(environ))
        return simple(environ, start_response)

    async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
        got.append(dict(scope))
        await asgi_simple(scope, receive, send)

    wrong = ASKS["X-Profile-Secret"][:-1] + "?"
    for asks in (ASKS, {"X-Profile-Secret": wrong}):
        call_wsgi(make(wsgi.ProfilerMiddleware, app), "/", asks)
        asyncio.run(call_asgi(make(asgi.ProfilerMiddleware, asgi_app), "/", asks))
    assert not any(ASKS["X-Profile-Secret"] in repr(request) for request in got)
    assert all(wrong in repr(request) for request in got[2:])  # as any header


def test_an_application_below_a_path_in_another_script_is_profiled(make: Make) -> None:
    """What stands in a header has to be quoted."""
    app = make(asgi.ProfilerMiddleware, asgi_simple)

    async def below(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "root_path": "/магазин"}, receive, send)

    reply = asyncio.run(call_asgi(below, "/", ASKS))
    assert reply.body == b"done"
    assert reply.headers["x-profile-location"].startswith(f"{quote('/магазин')}/_profile/requests/")


GEVENT = """
from gevent import monkey
monkey.patch_all()
import sys
sys.path.insert(0, {folder!r})
from web_calls import ASKS, call_wsgi, options
from test_web_faults import simple
from dtrace_profiler.integrations.wsgi import ProfilerMiddleware
from pathlib import Path
middleware = ProfilerMiddleware(simple, **{{**options(Path({kept!r})), "engine": "auto"}})
reply = call_wsgi(middleware, "/", ASKS)
print(reply.body, reply.headers.get("x-profile-error"))
"""


def test_where_threads_are_greenlets_the_application_answers_and_the_log_says_what_to_do(tmp_path: Path) -> None:
    """A thread of ours that waits for dtrace would hold up all greenlets."""
    pytest.importorskip("gevent", reason="needs gevent")
    code = GEVENT.format(folder=str(Path(__file__).parent), kept=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("b'done' not profiled"), done.stderr
    assert "gevent has made the threads of this process greenlets" in done.stderr
    assert "dtrace-profiler attach" in done.stderr


def test_a_debuggers_own_way_to_start_threads_is_no_hindrance(monkeypatch: pytest.MonkeyPatch) -> None:
    def traced(*args: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr(threading, "_start_new_thread", traced, raising=False)
    check_threads()
    traced.__module__ = "gevent.thread"
    with pytest.raises(EngineError, match="gevent"):
        check_threads()
