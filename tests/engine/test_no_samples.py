"""Why there are no samples: each reason that can be told, the likeliest first."""

from __future__ import annotations

import pytest

from dtrace_profiler.no_samples import Observed, why_no_samples, why_single_frames

IDLE = Observed(system="linux", ended=False, stopped=False, used_cpu_s=0.0, losses={})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, "It is idle, or it is the wrong process."),
        ({"used_cpu_s": None}, "It is idle, or it is the wrong process."),
        ({"ended": True}, "the target ended"),
        ({"stopped": True}, "the target is stopped"),
        ({"used_cpu_s": 2.0}, "although the target used 2.0 s of CPU time: something is wrong. Please report it"),
        ({"losses": {"drops": 9}, "used_cpu_s": 2.0}, "dtrace dropped all of them"),
        ({"losses": {"unprinted_samples": 9}, "ended": True}, "dtrace dropped all of them"),
        ({"losses": {"probe_faults": 9}}, "memory of the target that it could not read"),
        ({"losses": {"probe_faults": 9}, "system": "macos"}, "System Integrity Protection"),
    ],
)
def test_the_reason(changes: dict[str, object], reason: str) -> None:
    facts = {name: getattr(IDLE, name) for name in IDLE.__slots__} | changes
    said = why_no_samples(Observed(**facts))  # type: ignore[arg-type]
    assert said.startswith("No sample")
    assert reason in said


def test_stacks_without_callers() -> None:
    assert why_single_frames("freebsd", 19, 19) == "", "too few to tell"
    assert why_single_frames("freebsd", 100, 89) == ""
    assert "frame pointers" in why_single_frames("freebsd", 100, 90)
