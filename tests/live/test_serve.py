"""The live view of a real profiler: from the library, and from the command line."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.cookiejar import CookieJar

import pytest

from dtrace_profiler import DTraceProfiler
from dtrace_profiler.cli.live import _is_loopback

BURN = """
import sys, time
end = time.process_time() + 0.5
while time.process_time() < end: sum(range(1000))
sys.exit(7)
"""
ADDRESS = re.compile(r"dtrace-profiler: live view: (http://127\.0\.0\.1:\d+/\?key=\S+)\n")


@pytest.fixture
def profiler() -> Iterator[DTraceProfiler]:
    profiler = DTraceProfiler(engine="sampler")
    yield profiler
    profiler.close()


def page(address: str) -> urllib.request.OpenerDirector:
    """Has the cookie that the address is good for."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    opener.open(address, timeout=30).read()
    return opener


def event(address: str, wanted: str) -> str:
    """The first that holds this text."""
    with page(address).open(urllib.parse.urljoin(address, "/events"), timeout=30) as stream:
        return next(text for line in stream if wanted in (text := line.decode()))


def is_served(address: str) -> bool:
    url = urllib.parse.urlsplit(address)
    try:
        socket.create_connection((url.hostname or "", url.port or 0), timeout=5).close()
    except OSError:
        return False
    return True


def test_from_the_first_sample_to_close(profiler: DTraceProfiler) -> None:
    address = profiler.serve()
    assert profiler.serve() == address
    profiler.start(499)
    until_sampled(profiler)
    assert event(address, '"engine":"sampler"')
    profiler.stop()
    assert event(address, '"live":"ended"')
    profiler.start(499)
    until_sampled(profiler)
    assert event(address, '"live":"running"')
    profiler.close()
    assert not is_served(address)
    again = profiler.serve()
    assert again != address
    assert is_served(again)


def until_sampled(profiler: DTraceProfiler) -> None:
    while not profiler.sample_count:
        sum(range(1000))


def test_our_own_threads_do_not_show(profiler: DTraceProfiler) -> None:
    profiler.start(997)
    address = profiler.serve(refresh_s=0.001)
    for _ in range(20):
        event(address, "snapshot")
    profiler.stop()
    ours = {thread.native_id for thread in threading.enumerate() if thread.name.startswith("dtrace-profiler")}
    assert ours, "there is something to be left out"
    assert not ours & {sample.thread_id for sample in profiler.profile().samples()}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_forked_child_does_not_serve(profiler: DTraceProfiler) -> None:
    profiler.start(99)
    address = profiler.serve()
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(write)
        os.read(read, 1)  # until the parent is done
        os._exit(0)
    os.close(read)
    assert is_served(address)
    profiler.close()
    assert not is_served(address), "the child holds no copy of the socket"
    os.close(write)
    os.waitpid(child, 0)


def test_run_shows_it_and_keeps_it_until_ctrl_c() -> None:
    options = ["run", "--live", "--no-browser", "--engine", "sampler", "-o", os.devnull, "--format", "folded"]
    command = [
        sys.executable,
        "-m",
        "dtrace_profiler",
        *options,
        "--",
        sys.executable,
        "-c",
        BURN + "\nsys.exit(7)",
        "0.5",
    ]
    with contextlib.ExitStack() as stack:
        process = stack.enter_context(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        stack.callback(process.kill)
        assert process.stderr is not None
        match = re.fullmatch(
            r"dtrace-profiler: live view: (http://127\.0\.0\.1:\d+/\?key=\S+)\n", process.stderr.readline()
        )
        assert match is not None
        assert event(match[1], '"target":')
        lines = []
        while "stays at" not in (line := process.stderr.readline()):
            assert line, lines
            lines.append(line)
        assert line == f"dtrace-profiler: the live view stays at {match[1]} until its page is closed, or Ctrl-C.\n"
        assert event(match[1], '"live":"ended"')
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 7


def test_run_that_can_not_listen_starts_nothing(tmp_path) -> None:
    said = tmp_path / "said"
    options = ["run", "--live", "--no-browser", "--engine", "sampler", "--host", "203.0.113.9"]
    command = [
        sys.executable,
        "-m",
        "dtrace_profiler",
        *options,
        "--",
        sys.executable,
        "-c",
        f"open({str(said)!r}, 'w')",
    ]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 2
    assert re.fullmatch(r"dtrace-profiler: the live view can't listen on 203\.0\.113\.9:0: .*\.\n", result.stderr)
    assert not said.exists()


def test_what_is_loopback() -> None:
    assert all(map(_is_loopback, ("127.0.0.1", "127.8.8.8", "::1", "localhost")))
    assert not any(map(_is_loopback, ("0.0.0.0", "192.0.2.1", "::", "example.org")))
