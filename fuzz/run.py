"""One target, in a process of its own where the system can fork: with limits of memory and of CPU time an input.

A process that ends (crash, hang, limit) leaves its last input in a file; a check that fails is made small first.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import sys
import tempfile
import time
import traceback
import tracemalloc
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded

from fuzz.inputs import inputs
from fuzz.target import Target, guarded

CPU_SECONDS = 10.0
"""Of one input, which has some kilobytes: what takes longer hangs."""
MEMORY_BYTES = 2 << 30
"""That the process may grow by."""
_ROUND = 200


@dataclass(frozen=True, slots=True)
class Outcome:
    inputs: int
    failure: str
    """What went wrong, with a traceback; empty where nothing did."""
    input: bytes
    """The one that failed."""


def run(target: Target, *, seed: int = 0, examples: int = 0, seconds: float = 0.0) -> Outcome:
    """So many inputs, or for so long."""
    if not hasattr(os, "fork"):
        with tempfile.TemporaryFile() as current:
            count, failure = _loop(target, current, seed, examples, seconds)
            return _outcome(current, count, failure)
    with tempfile.TemporaryFile() as current, tempfile.TemporaryFile() as said:
        child = os.fork()
        if not child:
            _child(target, current, said, seed, examples, seconds)
        _, status = os.waitpid(child, 0)
        said.seek(0)
        text = said.read().decode(errors="replace")
        number, _, failure = text.rpartition("inputs: ")[2].partition("\n")
        if os.waitstatus_to_exitcode(status) < 0 or not number.isdigit():
            code = os.waitstatus_to_exitcode(status)
            hangs = code == -signal.SIGPROF
            how = f"no end after {CPU_SECONDS:.0f} s of CPU time" if hangs else f"the process ended: {code}"
            return _outcome(current, 0, f"{how}\n{text}")
        return _outcome(current, int(number), failure)


def _outcome(current: BinaryIO, count: int, failure: str) -> Outcome:
    current.seek(0)
    return Outcome(count, failure.strip(), current.read() if failure.strip() else b"")


def _child(target: Target, current: BinaryIO, said: BinaryIO, seed: int, examples: int, seconds: float) -> None:
    """Never returns."""
    os.dup2(said.fileno(), 2)
    try:
        _limit()
        faulthandler.enable(file=said)
        # CPU time, not the clock's: a busy machine is no hang.
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        faulthandler.register(signal.SIGPROF, file=said, chain=True)
        count, failure = _loop(target, current, seed, examples, seconds)
        said.seek(0, os.SEEK_END)
        said.write(f"inputs: {count}\n{failure}".encode(errors="replace"))
        said.flush()
        os._exit(0)
    except BaseException:
        said.write(traceback.format_exc().encode(errors="replace"))
        said.flush()
    finally:
        os._exit(3)


def _limit() -> None:
    import resource

    used = 0
    with contextlib.suppress(OSError, ValueError), open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    if used:
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_BYTES, used + MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _loop(target: Target, current: BinaryIO, seed: int, examples: int, seconds: float) -> tuple[int, str]:
    """(how many inputs, what failed)."""
    count = 0
    timer = getattr(signal, "setitimer", None)
    in_child = timer is not None and signal.getsignal(signal.SIGPROF) is not signal.SIG_IGN and hasattr(os, "fork")
    seeds = list(target.seeds())
    assert seeds, "a target without seeds tests little"
    if target.memory_a_byte:
        tracemalloc.start()

    def once(data: bytes) -> None:
        nonlocal count
        count += 1
        current.seek(0)
        current.truncate()
        current.write(data)
        current.flush()
        if in_child and timer is not None:
            timer(signal.ITIMER_PROF, CPU_SECONDS)
        guarded(target, data)

    end = time.monotonic() + seconds
    try:
        for data in seeds:
            once(data)
        while count < examples or time.monotonic() < end:
            _round(once, seeds, seed, min(_ROUND, examples - count) if examples else _ROUND)
            seed += 1
    except BaseException as error:  # pyo3's panics are no Exceptions
        return count, "".join(traceback.format_exception(error, limit=-12))
    finally:
        tracemalloc.stop()
        if in_child and timer is not None:
            timer(signal.ITIMER_PROF, 0)
    return count, ""


def _round(once: Any, seeds: list[bytes], seed: int, examples: int) -> None:
    test = given(inputs(seeds))(once)
    settings(
        max_examples=max(1, examples),
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )(seeded(seed)(test))()


def save(outcome: Outcome, name: str, folder: Path) -> Path:
    """The input that failed, where it can be looked at and tried again."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.input"
    path.write_bytes(outcome.input)
    path.with_suffix(".txt").write_text(outcome.failure + "\n", errors="replace")
    return path


def replay(target: Target, path: Path) -> None:
    """One input, here, without limits: for a debugger. Raises what it raises."""
    print(f"{target.name}: {path}", file=sys.stderr)
    guarded(target, path.read_bytes())
