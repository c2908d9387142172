"""The WSGI middleware: the application answers as without it, and a profile is of the request that asked for it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import pytest
from web_calls import ASKS, Reply, burn, call_wsgi, functions, options, profile_at

from dtrace_profiler.errors import EngineError
from dtrace_profiler.integrations import gunicorn, web_profiler
from dtrace_profiler.integrations.wsgi import ProfilerMiddleware

pytestmark = pytest.mark.posix

Make = Callable[..., ProfilerMiddleware]


def first_work() -> None:
    burn(0.1)


def second_work() -> None:
    burn(0.1)


def application(environ: dict[str, Any], start_response: Any) -> Any:
    path = environ["PATH_INFO"]
    if path == "/fails":
        burn(0.05)
        raise KeyError("the application's own")
    if path == "/streams":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return streamed()
    (second_work if path == "/second" else first_work)()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "4")])
    return [b"done"]


def streamed() -> Iterator[bytes]:
    for _ in range(3):
        second_work()
        yield b"part"


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[ProfilerMiddleware] = []

    def make(app: Any = application, **more: Any) -> ProfilerMiddleware:
        made.append(ProfilerMiddleware(app, **options(tmp_path, **more)))
        return made[-1]

    yield make
    for middleware in made:
        middleware.profiler.close()


@pytest.mark.parametrize("headers", [{}, {"X-Profile-Secret": "0123456789-abcdefghijkl?"}])
def test_without_the_secret_nothing_is_different(make: Make, tmp_path: Path, headers: dict[str, str]) -> None:
    middleware = make()
    assert call_wsgi(middleware, "/", headers) == call_wsgi(application, "/", headers)
    assert call_wsgi(middleware, "/_profile/", headers) == call_wsgi(application, "/_profile/", headers)
    assert not (tmp_path / "kept").exists()


def test_a_middleware_without_a_secret_is_off(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    middleware = ProfilerMiddleware(application, **options(tmp_path, secret="", always_on=True))
    assert call_wsgi(middleware, "/", ASKS) == call_wsgi(application, "/", ASKS)
    assert middleware.profiler._profiler is None


def test_a_profile_is_of_its_request_alone(make: Make) -> None:
    middleware = make()
    replies: dict[str, Reply] = {}

    def ask(path: str) -> None:
        replies[path] = call_wsgi(middleware, path, ASKS)

    threads = [threading.Thread(target=ask, args=(path,)) for path in ("/", "/second")]
    threads.append(threading.Thread(target=call_wsgi, args=(middleware, "/second")))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert replies["/"].body == b"done"
    first, second = (profile_at(middleware.profiler, replies[path]) for path in ("/", "/second"))
    assert "first_work" in functions(first)
    assert "second_work" not in functions(first)
    assert "second_work" in functions(second)
    assert "first_work" not in functions(second)
    assert first.meta.target == "GET /"
    assert first.total > 0


def test_sampling_ends_with_the_last_request(make: Make) -> None:
    middleware = make()
    profile_at(middleware.profiler, call_wsgi(middleware, "/", ASKS))
    profiler = middleware.profiler._profiler
    assert profiler is not None
    assert not profiler.running
    assert "first_work" in functions(profile_at(middleware.profiler, call_wsgi(middleware, "/", ASKS)))


def test_a_streamed_body_is_whole_and_in_the_profile(make: Make) -> None:
    middleware = make(validator(application))  # that it is closed, and what it may be asked, is held to PEP 3333
    reply = call_wsgi(middleware, "/streams", ASKS)
    assert reply.body == b"part" * 3
    assert "streamed" in functions(profile_at(middleware.profiler, reply))


def test_what_the_application_raises_is_raised_and_ends_the_profile(make: Make) -> None:
    middleware = make(max_requests=1)
    for _ in range(2):
        with pytest.raises(KeyError, match="own"):
            call_wsgi(middleware, "/fails", ASKS)
    assert "x-profile-location" in call_wsgi(middleware, "/", ASKS).headers


def test_the_profile_is_the_answer_if_asked_for(make: Make) -> None:
    middleware = make()
    reply = call_wsgi(middleware, "/streams", {**ASKS, "X-Profile-Answer": "folded"})
    assert reply.status == 200
    assert b"streamed" in reply.body
    assert b"partpart" not in reply.body
    assert reply.headers["content-type"].startswith("text/plain")


def test_a_format_that_is_none_is_refused_before_the_application_runs(make: Make) -> None:
    def never(environ: Any, start_response: Any) -> Any:
        raise AssertionError

    reply = call_wsgi(make(never), "/", {**ASKS, "X-Profile-Answer": "gif"})
    assert reply.status == 400
    assert b"format 'gif' can't be written" in reply.body


def test_kept_profiles_are_for_who_has_the_secret(make: Make) -> None:
    middleware = make()
    place = call_wsgi(middleware, "/", ASKS).headers["x-profile-location"]
    assert b"first_work" in call_wsgi(middleware, f"{place}?format=folded", ASKS).body
    page = call_wsgi(middleware, place, ASKS)
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["cache-control"] == "no-store"
    assert call_wsgi(middleware, place).body == b"done"
    assert call_wsgi(middleware, place, {**ASKS, "Origin": "https://elsewhere.example"}).body == b"done"
    assert call_wsgi(middleware, f"{place}?format=gif", ASKS).status == 400
    assert call_wsgi(middleware, "/_profile/requests/" + "0" * 32, ASKS).status == 404


def test_a_browser_is_let_in_by_an_address_that_holds_no_secret(make: Make) -> None:
    middleware = make(mount="/admin/cpu", route=lambda environ: "/<script>")
    answer = call_wsgi(middleware, "/admin/cpu/open", {**ASKS, "Host": "a.example"}).body.decode()
    address = answer.splitlines()[0]
    assert address.startswith("http://a.example/admin/cpu/?key=")
    assert ASKS["X-Profile-Secret"] not in answer
    opened = call_wsgi(middleware, address.removeprefix("http://a.example"))
    assert (opened.status, opened.headers["location"]) == (303, "/admin/cpu/")
    cookie = {"Cookie": opened.headers["set-cookie"].partition(";")[0]}
    index = call_wsgi(middleware, "/admin/cpu/", cookie)
    assert b"No request has been profiled" in index.body
    assert "default-src 'none'" in index.headers["content-security-policy"]
    profile_at(middleware.profiler, call_wsgi(middleware, "/", ASKS))
    assert b" GET /&lt;script&gt;" in call_wsgi(middleware, "/admin/cpu/", cookie).body
    # A cookie shows profiles, but has none made, and lets nobody else in.
    assert "x-profile-location" not in call_wsgi(middleware, "/", cookie).headers
    assert call_wsgi(middleware, "/admin/cpu/open", cookie).status == 404


def test_more_requests_at_once_than_allowed_are_answered_without_a_profile(make: Make) -> None:
    middleware = make(max_requests=1)
    running = middleware.profiler.begin({"method": "GET", "route": "/"})
    assert running is not None
    reply = call_wsgi(middleware, "/", {**ASKS, "X-Profile-Answer": "folded"})
    assert reply.body == b"done"  # the application's: it has run, and its answer is not thrown away for nothing
    assert "not profiled" in reply.headers["x-profile-error"]
    middleware.profiler.end(running)
    middleware.profiler.end(running)
    assert "x-profile-error" not in call_wsgi(middleware, "/", ASKS).headers


def test_a_profiler_that_fails_is_told_of_once_and_disturbs_nobody(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*ignored: object) -> None:
        raise EngineError("it can't be had")

    monkeypatch.setattr(web_profiler.DTraceProfiler, "start", fail)
    monkeypatch.setattr(web_profiler, "RETRY_S", 0.0)
    middleware = make()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            reply = call_wsgi(middleware, "/", ASKS)
            assert reply.body == b"done"
            assert "x-profile-error" in reply.headers
    assert [record.message for record in caplog.records] == [
        "dtrace-profiler: a request could not be profiled: it can't be had"
    ]
    assert ASKS["X-Profile-Secret"] not in caplog.text


def test_a_folder_that_can_not_be_had_disturbs_nobody(make: Make, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("a file")
    reply = call_wsgi(make(), "/", ASKS)
    assert reply.body == b"done"
    assert "x-profile-error" in reply.headers


def test_always_on_every_request_has_its_route_and_the_live_page_is_below_the_mount(make: Make) -> None:
    middleware = make(always_on=True, frequency_hz=999, route=lambda environ: environ["PATH_INFO"] + "<rule>")
    call_wsgi(middleware, "/")
    until_announced(middleware)
    for path in ("/", "/second"):
        call_wsgi(middleware, path)
    worker = middleware.profiler.store.workers()[0]
    place = f"/_profile/workers/{worker.process_id}"
    page = call_wsgi(middleware, f"{place}/", ASKS)
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert "set-cookie" not in page.headers
    assert b'href="page.css"' in page.body
    assert call_wsgi(middleware, f"{place}/page.js", ASKS).status == 200
    events = call_wsgi(middleware, f"{place}/events", ASKS)
    assert events.headers["content-type"] == "text/event-stream"
    assert b"event: snapshot\n" in events.body
    assert events.body.endswith(b"\n\n")
    assert b"/second<rule>" in events.body
    last = events.body.rpartition(b"id: ")[2].split(b"\n")[0].decode()
    again = call_wsgi(middleware, f"{place}/events", {**ASKS, "Last-Event-ID": last})
    assert b"event: snapshot" not in again.body
    assert b"not given out" in call_wsgi(middleware, f"{place}/source?file=1", ASKS).body
    assert b"second_work" in call_wsgi(middleware, f"{place}/save/folded", ASKS).body
    assert call_wsgi(middleware, f"{place}/").body == b"done"
    assert call_wsgi(middleware, "/_profile/workers/1/", ASKS).status == 404


def test_always_on_a_request_that_asks_has_its_own_profile(make: Make) -> None:
    middleware = make(always_on=True, frequency_hz=999)
    call_wsgi(middleware, "/")
    found = profile_at(middleware.profiler, call_wsgi(middleware, "/second", ASKS))
    assert "second_work" in functions(found)
    assert "first_work" not in functions(found)
    gunicorn.worker_exit(None, None)
    assert middleware.profiler._profiler is None
    assert middleware.profiler.store.workers() == []


def until_announced(middleware: ProfilerMiddleware) -> None:
    for _ in range(500):
        if middleware.profiler.store.workers():
            return
        threading.Event().wait(0.02)
    raise AssertionError("always-on profiling has not begun")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_profiles_anew(tmp_path: Path) -> None:
    """While the parent has a request that is being profiled, and its threads."""
    code = f"""
import os, sys, warnings
sys.path.insert(0, {str(Path(__file__).parent)!r})
warnings.simplefilter("ignore", DeprecationWarning)  # the parent has threads
from pathlib import Path
from test_wsgi import application, ASKS, ProfilerMiddleware, call_wsgi, functions, options, profile_at
middleware = ProfilerMiddleware(application, **options(Path({str(tmp_path)!r})))
running = middleware.profiler.begin({{"method": "GET", "route": "/"}})
first = profile_at(middleware.profiler, call_wsgi(middleware, "/", ASKS))
child = os.fork()
if child == 0:
    found = profile_at(middleware.profiler, call_wsgi(middleware, "/second", ASKS))
    names = functions(found)
    middleware.profiler.close()
    os._exit(7 if "second_work" in names and "first_work" not in names else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
middleware.profiler.end(running)
assert "first_work" in functions(profile_at(middleware.profiler, call_wsgi(middleware, "/", ASKS)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
