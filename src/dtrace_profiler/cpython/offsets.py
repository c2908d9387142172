"""Where members are in CPython's structures, by version.

From 3.13 on a process says it itself: `_PyRuntime` begins with `_Py_DebugOffsets` (Include/internal/
pycore_debug_offsets.h), whose fields stand in another order in each minor version. 3.11 and 3.12 have a table here,
made from their headers. 64-bit builds.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

COOKIE = b"xdebugpy"
SUPPORTED_MINORS = range(11, 16)

# In order, one 64-bit word each, after the cookie. '+14' and '+15': only from that minor version on.
_FIELDS = """
version free_threaded
rt.size rt.finalizing rt.interp_head
is.size is.id is.next is.threads_head is.threads_main+14 is.gc is.imports_modules
is.sysdict is.builtins is.ceval_gil is.gil is.gil_enabled is.gil_locked is.gil_holder
is.code_object_generation+14 is.tlbc_generation+14
ts.size ts.prev ts.next ts.interp ts.frame ts.base_frame+15 ts.last_profiled_frame+15
ts.last_profiled_frame_seq+15 ts.thread_id ts.ntid ts.datastack_chunk ts.status
ts.holds_gil+15 ts.gil_requested+15 ts.current_exception+15 ts.exc_state+15
err.exc_value+15
fr.size fr.previous fr.code fr.instr fr.localsplus fr.owner fr.stackpointer+14 fr.tlbc_index+14
co.size co.filename co.name co.qualname co.linetable co.firstlineno co.argcount
co.localsplusnames co.localspluskinds co.code_adaptive co.tlbc+14
ob.size ob.type
type.size type.name type.repr type.flags type.basicsize+15 type.dictoffset+15
heaptype.size+15 heaptype.cached_keys+15
tuple.size tuple.item tuple.ob_size list.size list.item list.ob_size
set.size+14 set.used+14 set.table+14 set.mask+14
dict.size dict.keys dict.values float.size float.fval long.size long.lv_tag long.digit
bytes.size bytes.ob_size bytes.sval
uni.size uni.state uni.length uni.ascii_size uni.compact_size+15
""".split()

_TABLES: Mapping[int, Mapping[str, int]] = {
    11: {
        "free_threaded": 0,
        "rt.interp_head": 40,
        "rt.gil_holder": 368,
        "is.next": 0,
        "is.id": 48,
        "is.threads_head": 16,
        "is.sysdict": 904,
        "is.imports_modules": 888,
        "ts.prev": 0,
        "ts.next": 8,
        "ts.interp": 16,
        "ts.cframe": 56,
        "cframe.frame": 8,
        "ts.thread_id": 152,
        "ts.ntid": 160,
        "fr.code": 32,
        "fr.previous": 48,
        "fr.instr": 56,
        "co.filename": 112,
        "co.name": 120,
        "co.qualname": 128,
        "co.linetable": 136,
        "co.firstlineno": 72,
        "co.version": 0,
        "co.code_adaptive": 184,
        "ob.size": 16,
        "ob.type": 8,
        "type.name": 24,
        "list.item": 24,
        "list.ob_size": 16,
        "dict.keys": 32,
        "bytes.ob_size": 16,
        "bytes.sval": 32,
        "uni.length": 16,
        "uni.state": 32,
        "uni.ascii_size": 48,
    },
    12: {
        "free_threaded": 0,
        "rt.interp_head": 40,
        "is.next": 0,
        "is.id": 8,
        "is.threads_head": 72,
        "is.ceval_gil": 384,
        "gil.holder": 8,
        "is.sysdict": 352,
        "is.imports_modules": 944,
        "ts.prev": 0,
        "ts.next": 8,
        "ts.interp": 16,
        "ts.cframe": 56,
        "cframe.frame": 0,
        "ts.thread_id": 136,
        "ts.ntid": 144,
        "fr.code": 0,
        "fr.previous": 8,
        "fr.instr": 56,
        "co.filename": 112,
        "co.name": 120,
        "co.qualname": 128,
        "co.linetable": 136,
        "co.firstlineno": 68,
        "co.version": 92,
        "co.code_adaptive": 192,
        "ob.size": 16,
        "ob.type": 8,
        "type.name": 24,
        "list.item": 24,
        "list.ob_size": 16,
        "dict.keys": 32,
        "bytes.ob_size": 16,
        "bytes.sval": 32,
        "uni.length": 16,
        "uni.state": 32,
        "uni.ascii_size": 40,
    },
}

_MAX_OFFSET = 1 << 20
"""No structure is larger: _PyRuntimeState of 3.15 has 400 kB."""


def debug_offset_names(minor: int) -> list[str]:
    """The fields after the cookie, in this minor version's order."""
    names = []
    for field in _FIELDS:
        name, _, since = field.partition("+")
        if not since or minor >= int(since):
            names.append(name)
    return names


def parse_debug_offsets(data: bytes, minor: int) -> dict[str, int]:
    """The offsets from the bytes that follow the cookie. `ValueError` where one of them can't be true."""
    names = debug_offset_names(minor)
    if len(data) < 8 * len(names):
        raise ValueError(f"the table ends after {len(data)} of {8 * len(names)} bytes")
    values = struct.unpack_from(f"<{len(names)}Q", data)
    offsets = dict(zip(names, values, strict=True))
    for name, value in offsets.items():
        if name != "version" and value > _MAX_OFFSET:
            raise ValueError(f"{name} is {value:#x}")
    # Not among them, but the same distance in 3.12.1, 3.13.0, 3.14.8 and 3.15.0, free-threaded or not.
    offsets["co.version"] = offsets["co.firstlineno"] + 24
    return offsets


def table(minor: int) -> dict[str, int]:
    """The offsets of a version that doesn't say them itself."""
    return dict(_TABLES[minor])
