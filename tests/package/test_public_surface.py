"""What users may rely on: these names and no others. A change here is a change for them: say it in CHANGELOG.md."""

from __future__ import annotations

import inspect

import pytest

import dtrace_profiler
from dtrace_profiler import DTraceProfiler, Sample, StackFrame, errors

PUBLIC_NAMES = [
    "DTraceProfiler",
    "DTraceProfilerError",
    "FrameKind",
    "Meta",
    "Profile",
    "Sample",
    "StackFrame",
    "__version__",
    "current_labels",
    "label",
    "profile",
    "profiled",
    "with_labels",
]

EXIT_STATUS = {
    "UsageError": 2,
    "TargetError": 3,
    "EngineError": 4,
    "InputError": 5,
    "OutputError": 6,
}
"""As in docs/errors.md."""


def test_the_public_names_are_these() -> None:
    assert dtrace_profiler.__all__ == PUBLIC_NAMES
    assert sorted(PUBLIC_NAMES) == PUBLIC_NAMES


@pytest.mark.parametrize("name", [name for name in PUBLIC_NAMES if name != "__version__"])
def test_a_public_name_is_described(name: str) -> None:
    text = getattr(dtrace_profiler, name).__doc__
    # Data classes without a docstring get their signature as one.
    assert text
    assert not text.startswith(f"{name}(")


@pytest.mark.parametrize("name", [name for name in vars(DTraceProfiler) if not name.startswith("_")])
def test_a_method_of_the_profiler_is_described(name: str) -> None:
    assert inspect.getdoc(getattr(DTraceProfiler, name))


def test_the_profiler_has_what_was_promised() -> None:
    promised = {"start", "stop", "take_samples", "profile", "wait_ready", "engine", "running", "losses"}
    assert promised <= set(dir(DTraceProfiler))
    assert {"__enter__", "__exit__"} <= set(dir(DTraceProfiler))


def test_samples_and_frames_keep_their_fields() -> None:
    assert Sample._fields[:4] == ("thread_id", "process_id", "timestamp_ns", "stack_frames")
    assert {"function_name", "module_name", "address", "file", "line", "kind"} <= set(StackFrame._fields)


@pytest.mark.parametrize(("name", "status"), EXIT_STATUS.items())
def test_exit_statuses_stay(name: str, status: int) -> None:
    assert getattr(errors, name).exit_status == status


def test_every_error_is_in_the_drawn_tree() -> None:
    classes = [value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, Exception)]
    assert classes
    for value in classes:
        assert issubclass(value, errors.DTraceProfilerError)
        assert value.__name__ in (errors.__doc__ or "")
