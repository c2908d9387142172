"""Does this system's profiler tell the truth? A program that knows what it did, profiled in every way there is.

Out: one `Trial` a way, with what was found and what was true, and a report that has no personal paths: to be attached
when something is wrong, or to confirm a row of docs/platforms.md.
"""

from __future__ import annotations

import collections
import getpass
import json
import math
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from dtrace_profiler._version import __version__
from dtrace_profiler.doctor import truth_program
from dtrace_profiler.doctor.checks import Assumed, Check
from dtrace_profiler.doctor.truth_program import Truth
from dtrace_profiler.errors import DTraceProfilerError
from dtrace_profiler.model.frame import FrameKind
from dtrace_profiler.model.profile import Profile
from dtrace_profiler.platforms.base import System
from dtrace_profiler.platforms.systems import facts
from dtrace_profiler.profiler import DTraceProfiler

FREQUENCY_HZ = 199
SECONDS = 4.0
"""Of CPU time that each way is tried with."""
WARM_UP_SECONDS = 3.0
READY_TIMEOUT_S = 60.0
SAMPLER = "embedded sampler"
_NAMES = ("burn_most", "burn_some")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One way of sampling, against the truth."""

    way: str
    ok: bool
    text: str
    samples: int = 0
    expected_samples: float = 0.0
    """CPU time × frequency."""
    shares: dict[str, float] = field(default_factory=dict)
    true_shares: dict[str, float] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)
    """Frames by kind."""
    losses: dict[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()


Way = tuple[str, Callable[[], DTraceProfiler]]
"""Name, what makes the profiler."""


def ways(on: System, dtrace_usable: bool) -> list[Way]:
    """Of this system, from inside this process."""
    out: list[Way] = []
    if dtrace_usable:
        out.append(("DTrace, this process", lambda: DTraceProfiler(engine="dtrace")))
        if facts(on).dialect == "linux":
            out.append(("DTrace as elsewhere, this process", lambda: DTraceProfiler(engine="dtrace", classic=True)))
    out.append((SAMPLER, lambda: DTraceProfiler(engine="sampler")))
    return out


def selftest(on: System, *, dtrace_usable: bool, seconds: float = SECONDS) -> Iterator[Trial]:
    """Each way in turn, about twice `seconds` each."""
    for name, make in ways(on, dtrace_usable):
        # DTrace's first program walks few Python frames, or none: another takes over within seconds.
        warm_up = 0.0 if name == SAMPLER else WARM_UP_SECONDS
        yield _tried(name, make, partial(truth_program.burn, seconds, warm_up), python=True)
    if dtrace_usable:
        yield _another_process(on, seconds)


def _tried(way: str, make: Callable[[], DTraceProfiler], burn: Callable[[], Truth], *, python: bool) -> Trial:
    try:
        profiler = make()
        profiler.start(FREQUENCY_HZ)
        try:
            if not profiler.wait_ready(READY_TIMEOUT_S):
                return Trial(way=way, ok=False, text=f"not ready within {READY_TIMEOUT_S:g} s")
            truth = burn()
        finally:
            profiler.stop()
        return judge(way, profiler.profile(), truth, python=python)
    except DTraceProfilerError as error:
        return Trial(way=way, ok=False, text=f"{error} {error.remedy}".strip())


def _another_process(on: System, seconds: float) -> Trial:
    """A Python of its own; with Python frames where we can look into it."""
    command = [sys.executable, truth_program.__file__, str(seconds), str(WARM_UP_SECONDS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE) as child:

        def watch() -> Truth:
            told, _ = child.communicate(b"\n", timeout=60)
            return Truth(*json.loads(told)) if told else Truth({}, 0, 0)

        try:
            return _tried(
                "DTrace, another process",
                lambda: DTraceProfiler(child.pid, engine="dtrace"),
                watch,
                python=facts(on).dialect == "linux",
            )
        finally:
            child.kill()


def judge(way: str, profile: Profile, truth: Truth, *, python: bool) -> Trial:
    """A profile against what the functions really had."""
    found: collections.Counter[str] = collections.Counter()
    kinds: collections.Counter[str] = collections.Counter()
    per_sample = 1_000_000_000 // FREQUENCY_HZ
    for sample in profile.samples():
        if not truth.from_ns <= sample.timestamp_ns <= truth.until_ns:
            continue
        kinds.update({frame.kind.name.lower() for frame in sample.stack_frames})
        names = [frame.function_name for frame in sample.stack_frames if frame.kind is FrameKind.PYTHON]
        weight = sample.cpu_time_ns / per_sample if profile.meta.unit == "nanoseconds" else 1
        found[next((name for name in names if name in _NAMES), "")] += round(weight * 1000)
    counts = {name: value / 1000 for name, value in found.items()}
    named = sum(counts.get(name, 0) for name in _NAMES)
    total = sum(counts.values())
    seconds = sum(truth.spent.values())
    trial: dict[str, Any] = {
        "way": way,
        "samples": round(total),
        "expected_samples": round(seconds * FREQUENCY_HZ, 1),
        "kinds": dict(kinds),
        "losses": dict(profile.meta.losses),
        "notes": list(profile.meta.notes),
    }
    if not seconds:
        return Trial(ok=False, text="the program did not run to its end", **trial)
    trial["true_shares"] = {name: round(truth.spent[name] / seconds, 4) for name in _NAMES}
    if named:
        trial["shares"] = {name: round(counts.get(name, 0) / named, 4) for name in _NAMES}
    return Trial(**trial, **_verdict(trial, named, total, python=python))


def _verdict(trial: dict[str, Any], named: float, total: float, *, python: bool) -> dict[str, Any]:
    expected = trial["expected_samples"]
    rate = total / expected
    if total == 0:
        return {"ok": False, "text": "no sample was taken"}
    if not 0.8 <= rate <= 1.25:
        return {"ok": False, "text": f"{total:.0f} samples where {expected:.0f} were due"}
    if not python:
        return {"ok": True, "text": f"{total:.0f} of {expected:.0f} samples; no Python frames are read this way here"}
    if named < 0.95 * total:
        return {"ok": False, "text": f"only {named / total:.0%} of the samples have the Python function that ran"}
    share, true = trial["shares"]["burn_most"], trial["true_shares"]["burn_most"]
    error = math.sqrt(true * (1 - true) / named)
    text = f"{share:.1%} ± {error:.1%} found, {true:.1%} true, by {total:.0f} of {expected:.0f} samples"
    return {"ok": abs(share - true) <= 4 * error + 0.01, "text": text}


def report(checks: Sequence[Check], trials: Sequence[Trial], assumed: Sequence[Assumed] = ()) -> str:
    """JSON, without this user's name, home, host and folders."""
    uname = platform.uname()
    found = {
        "report": "dtrace-profiler selftest 1",
        "version": __version__,
        "system": f"{uname.system} {uname.release} {uname.machine}",
        "system_version": uname.version,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "checks": [asdict(check) for check in checks],
        "trials": [asdict(trial) for trial in trials],
        "assumptions": [asdict(row) for row in assumed],
    }
    return without_personal(json.dumps(found, indent=2, ensure_ascii=False)) + "\n"


def without_personal(text: str) -> str:
    """The home directory, folders of other users, the user's and the machine's name, as placeholders."""
    home = str(Path.home())
    for real in {home, home.replace("\\", "\\\\")}:
        if len(real) > 3:
            text = text.replace(real, "~")
    text = re.sub(r"(/home/|/Users/|[A-Za-z]:\\+Users\\+)[^/\\\s\"']+", r"\1USER", text)
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):
        user = ""
    for name, placeholder in ((user, "USER"), (platform.node(), "HOST"), (os.environ.get("SUDO_USER", ""), "USER")):
        # Short and usual ones (root) would only make the rest unreadable.
        if len(name) > 2 and name != "root":
            text = re.sub(rf"\b{re.escape(name)}\b", placeholder, text)
    return text
