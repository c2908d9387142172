"""A program that answers like dtrace, or fails like it, on command.

`install(directory, ...)` writes an executable called `dtrace` there, with its behaviour baked in (no environment
needed, so that it works through sudo too) and returns its path. Point DTRACE_PROFILER_DTRACE or PATH at it.

    install(tmp_path, version="D 2.0.4")                        an old one
    install(tmp_path, version_mode="hang")                      never answers -V
    install(tmp_path, stderr="dtrace: ...\\n", status=1)         says that and ends
    install(tmp_path, stdout="...", then="wait")                prints that, waits for SIGINT or SIGTERM, ends with 0
    install(tmp_path, stdout="...", then="ignore")              the same, but signals don't end it
    install(tmp_path, delay_s=3, ...)                           is slow before it says anything
    install(tmp_path, garbage_bytes=10_000_000)                 random bytes on stdout
    install(tmp_path, stdout="...", then="kill")                ends by SIGKILL after stdout
    install(tmp_path, stdout="...", closes_stdout=True, ...)    then says no more, but lives on
    install(tmp_path, error_bytes=10_000_000)                   one long line without an end on stderr
    install(tmp_path, **SAMPLING)                               samples the process it is asked to, 100 times
                                                                a second, and tells of an exec

`calls(path)` gives what it was called with and by whom, one dictionary a call.
In what it prints, @PID@ is the first process that its program (-s FILE) names, and @NOW@ the time in nanoseconds.
"""

from __future__ import annotations

import json
import os
import random
import re
import shlex
import signal
import stat
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

SYSTEMTAP_USAGE = "Usage /usr/bin/dtrace [--help] [-h | -G] [-C [-I<Path>]] -s File.d [-o <File>]\n"


@dataclass(kw_only=True)
class Behaviour:
    version: str = "D 2.0.7"
    """What stands after `dtrace: ` in the answer to -V."""
    version_mode: Literal["answer", "hang", "garbage", "systemtap", "flood"] = "answer"
    delay_s: float = 0.0
    """Silence before anything is printed."""
    stdout: str = ""
    stderr: str = ""
    garbage_bytes: int = 0
    """Random bytes printed to stdout after `stdout`."""
    error_bytes: int = 0
    """Letters printed to stderr after `stderr`: a line that never ends."""
    closes_stdout: bool = False
    """After all of the above."""
    then: Literal["exit", "wait", "ignore", "kill"] = "exit"
    """`wait`: until SIGINT or SIGTERM, then prints `last_stdout`. `ignore`: for ever, both signals ignored."""
    each_10_ms: str = ""
    """Printed again and again while it lives or waits."""
    last_stdout: str = ""
    lives_s: float = 0.0
    """How long it lives before `then` of `exit` and `kill`."""
    status: int = 0


SAMPLING: dict[str, Any] = {
    "stdout": "B @NOW@\n",
    "each_10_ms": "S @NOW@ @PID@ @PID@ @PID@ 0 0 0 401000\n",
    "then": "wait",
    "last_stdout": "Z @NOW@\n",
}
"""As our D program prints it: see record/program.py."""


def install(directory: Path, name: str = "dtrace", **behaviour: Any) -> Path:
    """Writes an executable `directory/name` of this `Behaviour`; its path."""
    made = Behaviour(**behaviour)
    path = directory / name
    log = directory / (name + ".calls")
    path.write_text(
        "#!/bin/sh\n"
        f"exec {shlex.quote(sys.executable)} -I -S {shlex.quote(str(Path(__file__).resolve()))}"
        f' {shlex.quote(json.dumps(asdict(made)))} {shlex.quote(str(log))} "$@"\n'
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return path


def calls(path: Path) -> list[dict[str, Any]]:
    """Every call so far but -V: `{"args": [...], "pid": int, "uid": int}`."""
    log = path.with_name(path.name + ".calls")
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def main(behaviour: Behaviour, log: Path, args: list[str]) -> int:
    if args == ["-V"]:
        return answer_version(behaviour)
    signal.signal(signal.SIGINT, signal.SIG_IGN if behaviour.then == "ignore" else stop)
    signal.signal(signal.SIGTERM, signal.SIG_IGN if behaviour.then == "ignore" else stop)
    with log.open("a") as file:
        file.write(json.dumps({"args": args, "pid": os.getpid(), "uid": os.getuid()}) + "\n")
    pid = target_of(args)
    try:
        perform(behaviour, pid)
    except Stopped:
        if not behaviour.closes_stdout:
            write(1, filled(behaviour.last_stdout, pid))
    if behaviour.then == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    return behaviour.status


def target_of(args: list[str]) -> str:
    """The first process that the program names: `member[PID] = 1`."""
    if "-s" not in args:
        return "0"
    found = re.search(r"member\[(\d+)\]", Path(args[args.index("-s") + 1]).read_text())
    return found[1] if found else "0"


def filled(text: str, pid: str) -> bytes:
    return text.replace("@PID@", pid).replace("@NOW@", str(time.time_ns())).encode()


def perform(behaviour: Behaviour, pid: str) -> None:
    time.sleep(behaviour.delay_s)
    write(2, filled(behaviour.stderr, pid))
    write(1, filled(behaviour.stdout, pid))
    write(1, random.Random(7).randbytes(behaviour.garbage_bytes))
    for _ in range(0, behaviour.error_bytes, 1 << 16):
        write(2, b"x" * (1 << 16))
    if behaviour.closes_stdout:
        os.close(1)
    end = time.monotonic() + (behaviour.lives_s if behaviour.then in ("exit", "kill") else 3600)
    before = image(pid)
    while time.monotonic() < end:
        if not behaviour.closes_stdout:
            now = image(pid)
            if behaviour.each_10_ms and before and now and now != before:
                write(1, filled("X @NOW@ @PID@\n", pid))
                before = now
            write(1, filled(behaviour.each_10_ms, pid))
        time.sleep(0.01)


def image(pid: str) -> bytes:
    """Something that changes when the process executes a program."""
    try:
        return Path("/proc", pid, "cmdline").read_bytes()
    except OSError:
        return b""


def answer_version(behaviour: Behaviour) -> int:
    match behaviour.version_mode:
        case "hang":
            time.sleep(3600)
        case "garbage":
            write(1, bytes(range(256)) * 40)
        case "systemtap":
            write(2, SYSTEMTAP_USAGE.encode())
            return 1
        case "flood":
            while True:
                write(1, b"y\n" * 4096)
        case "answer":
            write(1, f"dtrace: {behaviour.version}\n".encode())
    return 0


class Stopped(Exception):
    pass


def stop(*_: object) -> None:
    raise Stopped


def write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


if __name__ == "__main__":
    sys.exit(main(Behaviour(**json.loads(sys.argv[1])), Path(sys.argv[2]), sys.argv[3:]))
