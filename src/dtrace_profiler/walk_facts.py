"""A CPython's layout → the numbers that the D program needs to walk its frames."""

from __future__ import annotations

from collections.abc import Mapping

from dtrace_profiler.cpython.layout import Layout
from dtrace_profiler.record.python_walk import PythonProcess


def facts_for_walk(layout: Layout, *, leaf_only: bool) -> PythonProcess:
    """`leaf_only`: its native code keeps no frame pointers."""
    offsets = layout.offsets
    return PythonProcess(
        pid=layout.pid,
        slot=layout.slot,
        current_slot=layout.current_slot,
        frame=offsets["ts.cframe"] if "ts.cframe" in offsets else offsets["ts.frame"],
        cframe=offsets.get("cframe.frame"),
        old_frames=layout.minor == 11,
        generation=layout.generation_address,
        leaf_only=leaf_only,
        code_type=layout.code_type,
        code_shape=_code_shape(offsets),
        holder=layout.holder,
        owner=offsets["ts.ntid"],
    )


def _code_shape(offsets: Mapping[str, int]) -> int:
    """See `PythonProcess.code_shape`; 0 where an offset does not fit a byte."""
    parts = [
        offsets[name]
        for name in ("co.qualname", "co.filename", "co.firstlineno", "uni.ascii_size", "uni.state", "ob.type")
    ]
    return int.from_bytes(bytes(parts), "little") if max(parts) < 256 else 0
