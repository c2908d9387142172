"""Whether the live view opens by itself, and how long it stays."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from dtrace_profiler.cli import live
from dtrace_profiler.cli.browser import browser_at_hand
from dtrace_profiler.cli.live import live_request
from dtrace_profiler.errors import UsageError

pty = pytest.importorskip("pty", reason="not on Windows")
pytestmark = pytest.mark.posix

VALUES: dict[str, Any] = {
    "live": None,
    "live_only": False,
    "tui": False,
    "quiet": False,
    "no_browser": False,
    "outputs": (),
    "format_name": None,
    "host": "127.0.0.1",
    "port": 0,
    "refresh_s": 0.1,
}


@pytest.mark.parametrize(
    ("given", "at_hand", "shown", "asked"),
    [
        ({}, True, True, False),
        ({}, False, False, False),
        ({"live": True}, False, True, True),
        ({"live_only": True}, False, True, True),
        ({"live": False}, True, False, False),
        ({"tui": True}, True, False, False),
        ({"tui": True, "live": True}, True, True, True),
        ({"quiet": True}, True, False, False),
        ({"quiet": True, "live": True}, True, True, True),
        ({"outputs": ("-",)}, True, False, False),
        ({"outputs": ("x.svg",)}, True, True, False),
        ({"no_browser": True}, True, False, False),
    ],
)
def test_the_view_is_shown_where_somebody_sees_it(
    given: dict[str, Any], at_hand: bool, shown: bool, asked: bool
) -> None:
    request = live_request({**VALUES, **given}, at_hand=lambda: at_hand)
    assert (request is not None) == shown
    assert request is None or request.asked == asked


@pytest.mark.parametrize("given", [{"live_only": True, "live": False}, {"live_only": True, "outputs": ("a.svg",)}])
def test_options_that_contradict_each_other(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        live_request({**VALUES, **given})


@pytest.mark.parametrize(
    ("environ", "name", "root_for", "expected"),
    [
        ({}, "linux", "", False),
        ({"BROWSER": "/usr/bin/firefox"}, "linux", "", True),
        ({"BROWSER": "/usr/bin/firefox", "SSH_TTY": "/dev/pts/1"}, "linux", "", True),
        ({"BROWSER": "/usr/bin/w3m -o x"}, "linux", "", False),
        ({"BROWSER": "lynx:firefox"}, "linux", "", False),
        ({"BROWSER": "/usr/bin/firefox"}, "linux", "ada", False),
        ({}, "macos", "", True),
        ({"SSH_CONNECTION": "::1 1 ::1 2"}, "macos", "", False),
        ({}, "windows", "", True),
    ],
)
def test_which_browser_is_at_hand(environ: dict[str, str], name: str, root_for: str, expected: bool) -> None:
    assert browser_at_hand(environ, system_name=name, as_root_for=root_for) == expected


def run_on_a_terminal(tmp_path: Path, *options: str, browser: str) -> tuple[int, str]:
    """Exit status, and what the terminal showed. `browser`: a script."""
    script = tmp_path / "browser"
    script.write_text(f"#!{sys.executable}\n{browser}")
    script.chmod(0o755)
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "dtrace_profiler", "run", "--engine", "sampler", *options, "--"]
    burn = "import time\nend = time.time() + 0.5\nwhile time.time() < end: sum(range(1000))\nraise SystemExit(5)"
    process = subprocess.Popen(
        [*command, sys.executable, "-c", burn],
        stdin=follower, stdout=follower, stderr=follower, start_new_session=True, cwd=tmp_path,
        preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),
        env={**os.environ, "BROWSER": str(script)},
    )  # fmt: skip
    os.close(follower)
    said = b""
    deadline = time.monotonic() + 60
    try:
        while time.monotonic() < deadline:
            try:
                data = os.read(leader, 65536)
            except OSError:
                break
            if not data:
                break
            said += data
        status = process.wait(30)
    finally:
        process.kill()
        os.close(leader)
    return status, said.decode(errors="replace").replace("\r\n", "\n")


LOOKS = """
import os, sys, time, urllib.request, http.cookiejar
jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
opener = urllib.request.build_opener(jar)
opener.open(sys.argv[1]).read()
stream = opener.open(sys.argv[1].split("/?")[0] + "/events")
text = b""
while b'"live":"ended"' not in text:
    text += stream.readline()
open("seen", "w").write("yes")
"""


def test_it_opens_by_itself_and_stays_until_the_page_is_closed(tmp_path: Path) -> None:
    status, said = run_on_a_terminal(tmp_path, browser=LOOKS)
    assert status == 5
    assert re.search(r"live view: http://127\.0\.0\.1:\d+/\?key=\S+\n", said)
    assert "until its page is closed, or Ctrl-C." in said
    assert (tmp_path / "seen").read_text() == "yes"
    assert list(tmp_path.glob("*.html")), "the file is written as well"


def test_the_live_view_only(tmp_path: Path) -> None:
    status, said = run_on_a_terminal(tmp_path, "--live-only", browser=LOOKS)
    assert status == 5
    assert "live view: " in said
    assert not list(tmp_path.glob("*.html"))


@pytest.mark.parametrize("options", [["--no-live"], ["-q"]])
def test_it_stays_away(tmp_path: Path, options: list[str]) -> None:
    status, said = run_on_a_terminal(tmp_path, *options, browser=LOOKS)
    assert status == 5
    assert "live view" not in said
    assert not (tmp_path / "seen").exists()


def test_a_page_that_is_never_fetched_keeps_nobody_waiting(monkeypatch) -> None:
    class Server:
        viewers, was_viewed, address = 0, False, "http://127.0.0.1:1/"

    class Interrupts:
        count, waited = 0, 0.0

        def alone(self) -> None: ...

        def wait(self, seconds: float) -> None:
            self.waited += seconds

    clock = Interrupts()
    monkeypatch.setattr(live.time, "monotonic", lambda: clock.waited)
    live._keep(Server(), clock, waits=False, opened=False)  # type: ignore[arg-type]
    assert clock.waited == 0
    live._keep(Server(), clock, waits=False, opened=True)  # type: ignore[arg-type]
    assert 0 < clock.waited < 60
