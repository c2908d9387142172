"""The lines of `perf script`'s text, one at a time: what begins a sample, what is a frame, what was lost."""

from __future__ import annotations

import re
from typing import NamedTuple

from dtrace_profiler.model.frame import FrameKind, StackFrame


class Head(NamedTuple):
    """What the first line of a sample says."""

    command: str
    process_id: int
    thread_id: int
    time_ns: int
    period: int
    """0 where it isn't said."""
    event: str
    frame: str | None
    """The only frame, where it stands on the same line."""


_WHO = r"[ ]*(\S.{0,200}?)[ ]{1,40}(-?\d{1,19})(?:/(-?\d{1,19}))?[ ]{1,40}(?:\[(\d{1,9})\][ ]{1,40})?"
_FLAGS = r"(?:(?=\S*[.a-zA-Z])[^\s:]{1,8}[ ]{1,40})?"
"""Of interrupts and the like, as tracing has them: `d..1.`"""
_WHAT = r"([a-zA-Z{]\S{0,200}?):(?:[ ](.*))?"
_TIMED = re.compile(
    _WHO + _FLAGS + r"(\d{1,12})\.(\d{1,9}):[ ]{1,40}(?:(\d{1,20})[ ]{1,40})?" + _WHAT,
    re.DOTALL,
)
_UNTIMED = re.compile(_WHO + _WHAT, re.DOTALL)
_FRAME = re.compile(r"([0-9a-f]{1,16}) +(\S.*)", re.DOTALL)
_OFFSET = re.compile(r"\+0x[0-9a-f]{1,16}$")
_PLACE = re.compile(r"(\S.*):(\d{1,9})(?: \(discriminator \d+\))?", re.DOTALL)
_NO_PLACE = re.compile(r"\S.*\[[0-9a-f]{1,16}\]|.*\+0x[0-9a-f]{1,16}|\S.*:(?:\?|0)", re.DOTALL)
_LOST = re.compile(r"PERF_RECORD_LOST(?:_SAMPLES)?\b.{0,80}?\blost\W{0,2}(\d{1,18})")
_RECORD = re.compile(r"\bPERF_RECORD_[A-Z]")
_FACT = re.compile(r"# ([a-z][a-z ]{0,40}?) *: (.*)")
_TRAMPOLINE = re.compile(r"py::(.+?):(\S.*)", re.DOTALL)
_LINES = 200
_LOOKED_AT = 400
"""So many lines, and characters of each, say what a file is."""
_KERNEL_FROM = 0xFFFF_8000_0000_0000
_DELETED = " (deleted)"


def sniff(head_bytes: bytes) -> bool | None:
    """Whether one of the first lines begins a sample of perf's."""
    if b"\0" in head_bytes or head_bytes.lstrip()[:1] in (b"{", b"["):
        return False
    if head_bytes.startswith(b"# ========\n# captured on"):
        return True
    lines = [line[:_LOOKED_AT].decode("utf-8", "replace").rstrip("\r") for line in head_bytes.split(b"\n", _LINES)]
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        found = head(line) if line[:1] not in "#\t" else None
        if found is not None and (found.time_ns or (below[:1] == "\t" and frame(below) is not None)):
            return True
    return False


def head(text: str) -> Head | None:
    match = _TIMED.fullmatch(text)
    if match is not None:
        command, process, thread, _, seconds, fraction, period, event, rest = match.groups()
        time = int(seconds) * 1_000_000_000 + int(fraction.ljust(9, "0"))
    else:
        match = _UNTIMED.fullmatch(text)
        if match is None:
            return None
        command, process, thread, _, event, rest = match.groups()
        time, period = 0, None
    return Head(
        command,
        max(0, int(process)) if thread else 0,  # one number only is the thread's
        max(0, int(thread or process)),
        time,
        int(period or 0),
        event,
        rest if rest and frame(rest) is not None else None,
    )


def fact(text: str) -> tuple[str, str] | None:
    """A line of the header (`--header`): name and value."""
    match = _FACT.fullmatch(text)
    return (match[1], match[2].strip()) if match else None


def lost(text: str) -> int | None:
    match = _LOST.search(text)
    return int(match[1]) if match else None


def is_record(text: str) -> bool:
    """A line about something else than a sample (`--show-mmap-events` and the like)."""
    return _RECORD.search(text) is not None


def source_line(text: str) -> tuple[str, int] | None:
    """The line below a frame with `-F +srcline`: file and line, 0 where perf doesn't know it."""
    match = _PLACE.fullmatch(text.strip())
    if match is not None:
        return match[1], min(int(match[2]), (1 << 31) - 1)
    return ("", 0) if _NO_PLACE.fullmatch(text.strip()) else None


def frame(text: str) -> StackFrame | None:
    """`address symbol+0xoffset (module)`, the offset and the module as far as they are printed."""
    match = _FRAME.fullmatch(text.strip())
    if match is None:
        return None
    address = int(match[1], 16)
    symbol, module = _divided(match[2])
    symbol = _OFFSET.sub("", symbol) or symbol
    if module == "inlined":
        return StackFrame(symbol, address=address, kind=FrameKind.INLINED)
    if python := _TRAMPOLINE.fullmatch(symbol):  # CPython's -X perf
        return StackFrame(python[1], file=python[2], kind=FrameKind.PYTHON)
    kernel = module.startswith(("[kernel", "[guest.kernel")) or address >= _KERNEL_FROM
    name = _module_name(module)
    if symbol == "[unknown]":
        kind = FrameKind.KERNEL if kernel else FrameKind.NATIVE if name else FrameKind.UNKNOWN
        return StackFrame(f"0x{address:x}", name, address, kind=kind)
    return StackFrame(symbol, name, address, kind=FrameKind.KERNEL if kernel else FrameKind.NATIVE)


def _divided(text: str) -> tuple[str, str]:
    """Symbol and module. Both may hold parentheses; a module ends in one only for `(deleted)`."""
    if not text.endswith(")"):
        return text, ""
    inner = text[:-1].removesuffix(_DELETED)
    symbol, _, module = inner.rpartition(" (")
    return (symbol, module) if symbol else (text, "")


def _module_name(module: str) -> str:
    if module.startswith(("[kernel", "[guest.kernel")):
        return "vmlinux"
    if module == "[unknown]":
        return ""
    if module.startswith("[") and module.endswith("]"):
        return module if module in ("[vdso]", "[vsyscall]", "[heap]", "[stack]") else module[1:-1]
    return module.rpartition("/")[2] or module
