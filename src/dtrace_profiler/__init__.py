"""CPU profiler on DTrace: Python, native and kernel frames in one stack, drawn as a flame graph.

from dtrace_profiler import DTraceProfiler

with DTraceProfiler() as profiler:
    work()
profiler.profile()
"""

from typing import TYPE_CHECKING

from dtrace_profiler._version import __version__
from dtrace_profiler.errors import DTraceProfilerError
from dtrace_profiler.model.frame import FrameKind, Sample, StackFrame
from dtrace_profiler.model.profile import Meta, Profile

if TYPE_CHECKING:
    from dtrace_profiler.in_program import profile, profiled
    from dtrace_profiler.labels.label import current_labels, label, with_labels
    from dtrace_profiler.profiler import DTraceProfiler

__all__ = [
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


def load_ipython_extension(ipython: object) -> None:
    """For `%load_ext dtrace_profiler`: see docs/jupyter.md."""
    from dtrace_profiler.integrations.notebook import load

    load(ipython)


def __getattr__(name: str) -> object:
    # The engine is most of the package; what only reads or draws profiles does without.
    if name == "DTraceProfiler":
        from dtrace_profiler.profiler import DTraceProfiler

        return DTraceProfiler
    if name in ("label", "current_labels", "with_labels"):
        from dtrace_profiler.labels import label

        return getattr(label, name)
    if name in ("profile", "profiled"):
        from dtrace_profiler import in_program

        return getattr(in_program, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
