"""One frame of a stack, and one sample: the public objects."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

Labels = tuple[tuple[str, str], ...]
"""What a program said of its work: keys with values, by key."""


TRACE_ID, SPAN_ID = "trace_id", "span_id"
"""Labels that name an OpenTelemetry span, in hexadecimal digits. They are other ones for each piece of work."""


class FrameKind(StrEnum):
    """What ran in a frame. The value is what files and views show."""

    PYTHON = "python"
    NATIVE = "native"
    INLINED = "inlined"
    """Native code that the compiler put into its caller; `address` is the caller's."""
    KERNEL = "kernel"
    UNKNOWN = "unknown"
    """Known to be there, but not what it is: an address without a mapping, a code object that was gone."""


class StackFrame(NamedTuple):
    """A function that was on the stack.

    A tuple, because frames are interned by value in millions of look-ups.
    """

    function_name: str
    """Python: the qualified name (`Class.method`). Native: the demangled name, or `0x…` where there is no symbol."""
    module_name: str = ""
    """Python: the dotted module. Native: the file's base name (`libc.so.6`). Kernel: `vmlinux` or the module."""
    address: int = 0
    """Native and kernel: the instruction's address in the process. Python: 0. Unknown: 0."""
    file: str = ""
    """Source file as the program knows it; empty where not known."""
    line: int = 0
    """Line being executed, from 1; 0 where not known."""
    first_line: int = 0
    """First line of the function, from 1; 0 where not known."""
    kind: FrameKind = FrameKind.UNKNOWN


class Sample(NamedTuple):
    """One sample of one thread that was on a CPU."""

    thread_id: int
    """Equal to `threading.get_native_id()` in that thread."""
    process_id: int
    timestamp_ns: int
    """Nanoseconds since the UNIX epoch, taken in the probe."""
    stack_frames: tuple[StackFrame, ...]
    """Root first; never empty."""
    cpu_time_ns: int = 0
    """CPU time this sample stands for: 1e9 / frequency from DTrace, measured by the embedded sampler."""
    labels: Labels = ()
    """What the program said of its work at that time, in our own process: see `dtrace_profiler.label`."""
