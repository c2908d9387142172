"""The recipes of docs/web.md in real frameworks, under real servers."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

import pytest
from web_calls import ASKS
from web_servers import EXAMPLES, Server, serving

from dtrace_profiler.platforms.dtrace_command import ENVIRONMENT_VARIABLE

pytestmark = pytest.mark.posix

UVICORN = ("uvicorn", "--app-dir", str(EXAMPLES), "--port", "PORT", "--loop", "asyncio")
GUNICORN = ("gunicorn", "--chdir", str(EXAMPLES), "-b", "127.0.0.1:PORT", "--no-control-socket")
WRONG = {"X-Profile-Secret": "0123456789-abcdefghijkl?"}


def profiled(server: Server, path: str) -> str:
    """A request's own profile, as folded stacks. The answer is that of one without."""
    plain = server.ask(path, WRONG)
    reply = server.ask(path, ASKS)
    assert (reply.status, reply.body) == (200, plain.body)
    assert "x-profile-location" not in plain.headers
    found = server.ask(reply.headers["x-profile-location"] + "?format=folded", ASKS)
    assert found.status == 200, found.body
    return found.body.decode()


def test_starlette_on_uvicorn(tmp_path: Path) -> None:
    pytest.importorskip("starlette")
    pytest.importorskip("uvicorn")
    with serving(tmp_path, *UVICORN, "starlette_app:app") as server:
        assert "add_up" in (on_the_loop := profiled(server, "/orders/42"))
        assert "report" not in on_the_loop
        assert "report" in profiled(server, "/report")  # in a worker thread
        assert "lines" in profiled(server, "/stream")
        page = server.ask(server.ask("/orders/1", ASKS).headers["x-profile-location"], ASKS).body.decode()
        assert "GET /orders/{number:int}" in page
        assert server.ask("/_profile/").status == 404
        said = server.end()
    assert "Application shutdown complete" in said
    assert "dtrace-profiler:" not in said
    assert ASKS["X-Profile-Secret"] not in said


@pytest.mark.skipif(sys.platform == "win32", reason="gunicorn needs POSIX")
def test_flask_on_gunicorn_with_two_workers_that_were_forked_after_loading(tmp_path: Path) -> None:
    pytest.importorskip("flask")
    pytest.importorskip("gunicorn")
    config = ("-c", str(EXAMPLES / "gunicorn.conf.py"))
    with serving(tmp_path, *GUNICORN, *config, "flask_app:app", ALWAYS_ON="1") as server:
        workers = both_workers(server)
        for path in ("/orders/42", "/stream"):
            assert "add_up" in profiled(server, path)
        # Whichever worker answers shows the page of either.
        for worker in workers * 2:
            assert b"event: snapshot" in server.ask(f"/_profile/workers/{worker}/events", ASKS).body
        labels = "".join(
            server.ask(f"/_profile/workers/{worker}/save/json", ASKS).body.decode() for worker in workers
        )
        assert "/orders/<int:number>" in labels
        said = server.end()
    assert "dtrace-profiler:" not in said
    assert list(tmp_path.rglob("*.worker")) == []
    assert list(tmp_path.rglob("*.waiting")) == []


def both_workers(server: Server) -> list[str]:
    end = time.monotonic() + 60
    while True:
        index = server.ask("/_profile/", ASKS).body.decode()
        workers = re.findall(r"workers/(\d+)/", index)
        if len(workers) == 2:
            return workers
        assert time.monotonic() < end, index
        time.sleep(0.1)


@pytest.mark.skipif(sys.platform == "win32", reason="gunicorn needs POSIX")
def test_django_on_gunicorn(tmp_path: Path) -> None:
    pytest.importorskip("django")
    pytest.importorskip("gunicorn")
    with serving(tmp_path, *GUNICORN, "django_app:application") as server:
        assert "add_up" in profiled(server, "/orders/42")
        assert "lines" in profiled(server, "/stream")
        answer = server.ask("/orders/1", {**ASKS, "X-Profile-Answer": "html"})
        assert "GET /orders/&lt;int:number&gt;" in answer.body.decode()
        assert server.ask("/_profile/").status == 404
        assert server.ask("/orders/x", ASKS).status == 404
        assert "dtrace-profiler:" not in server.end()


def test_django_on_uvicorn(tmp_path: Path) -> None:
    pytest.importorskip("django")
    pytest.importorskip("uvicorn")
    with serving(tmp_path, *UVICORN, "--lifespan", "off", "django_app:asgi_application") as server:
        assert "asynchronous" in profiled(server, "/asynchronous")
        assert "add_up" in profiled(server, "/orders/42")  # in a thread of asgiref's
        assert "lines" in profiled(server, "/asynchronous/stream")
        answer = server.ask("/orders/1", {**ASKS, "X-Profile-Answer": "folded"})
        assert b"order" in answer.body
        assert server.ask("/_profile/", ASKS).status == 200
        assert "dtrace-profiler:" not in server.end()


@pytest.mark.dtrace
def test_with_dtrace_a_request_has_native_frames_from_its_beginning(tmp_path: Path) -> None:
    pytest.importorskip("starlette")
    pytest.importorskip("uvicorn")
    with serving(tmp_path, *UVICORN, "starlette_app:app", **{ENVIRONMENT_VARIABLE: ""}) as server:
        stacks = profiled(server, "/orders/42").splitlines()
    # A native frame has its module before a backtick.
    assert [line for line in stacks if "add_up" in line and "`" in line]
