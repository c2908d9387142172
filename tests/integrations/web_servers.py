"""Real servers with the applications of examples/web, each on a free port of loopback."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from web_calls import SECRET, Reply

from dtrace_profiler.platforms.dtrace_command import ENVIRONMENT_VARIABLE

NO_DTRACE = {ENVIRONMENT_VARIABLE: "/nowhere/dtrace"}
"""Engine `auto` takes the sampler, which starts and ends at once."""
EXAMPLES = Path(__file__).parents[2] / "examples" / "web"


class Server(NamedTuple):
    process: subprocess.Popen[str]
    port: int
    folder: Path
    """Of temporary files: of nobody else."""

    def ask(self, path: str, headers: dict[str, str] | None = None) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path, headers=headers or {})
            answer = connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, names, answer.read())
        finally:
            connection.close()

    def end(self) -> str:
        """As an init system does. Returns what it said."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.communicate(timeout=60)[0]


@contextlib.contextmanager
def serving(folder: Path, *command: str, **environment: str) -> Iterator[Server]:
    """`command`: of an installed module, `PORT` in it replaced. Without dtrace, unless `environment` has it again."""
    port = free_port()
    words = [word.replace("PORT", str(port)) for word in command]
    process = subprocess.Popen(
        [sys.executable, "-m", *words],
        env={**os.environ, "TMPDIR": str(folder), "DTRACE_PROFILER_SECRET": SECRET, **NO_DTRACE, **environment},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    server = Server(process, port, folder)
    try:
        end = time.monotonic() + 60
        while not listens(port):
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < end, "the server does not listen"
            time.sleep(0.05)
        yield server
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
        process.communicate()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False
