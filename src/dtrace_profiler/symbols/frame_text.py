"""What a frame's text in other people's files says: module, function, address; and names as a person reads them.

In: text such as ``libc.so.6`malloc+0x1f``. Out: `StackFrame`s, and names without what compilers and printers added.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.record import text_lines

Demangle = Callable[[Sequence[str]], list[str]]

KERNEL_MODULES = frozenset(name.decode() for name in text_lines.KERNEL_MODULES)

_OFFSET = re.compile(r"\+0x[0-9a-fA-F]+$")
_ADDRESS = re.compile(r"0x([0-9a-fA-F]{1,16})(?: +(\S.*))?", re.DOTALL)
_BARE_ADDRESS = re.compile(r"[0-9][0-9a-f]{3,15}")
_NO_RESOLVE = re.compile(r"([^`]+):(0x[0-9a-f]+)", re.DOTALL)
_ANNOTATION = re.compile(r"\[ (.+):(\d+) \((.*)\) \]", re.DOTALL)
_PYTHON_FILE = re.compile(r".*\.pyw?|<.*>", re.DOTALL)

_APPENDED = re.compile(r" \(\.llvm\.\d+\)$|\.llvm\.\d+$| \[clone [^\]]*\]$")
_RUST_HASH = re.compile(r"::h[0-9a-f]{16}$")
_RUST_ESCAPE = re.compile(r"\$(?:(LT|GT|SP|BP|RF|LP|RP|C)|u([0-9a-f]{1,6}))\$")
_RUST_SIGNS = {"LT": "<", "GT": ">", "SP": "@", "BP": "*", "RF": "&", "LP": "(", "RP": ")", "C": ","}
_BEHIND_ARGUMENTS = re.compile(r"\)(?: const| volatile| &{1,2}| noexcept)*$")
_ARROW = re.compile(r"->(?=[\w$])")


def is_kernel_module(name: str) -> bool:
    return name in KERNEL_MODULES or name.startswith("kernel.")


def dtrace_frames(text: str, *, kernel: bool) -> list[StackFrame]:
    """Root first: one frame, or several where functions were inlined (`outer->inner`, as some JVMs say).

    `kernel`: the stack's part is the kernel's. The name is as it stands there: see `readable`.
    """
    kind = FrameKind.KERNEL if kernel else FrameKind.NATIVE
    annotation = _ANNOTATION.fullmatch(text)
    if annotation:
        return [_annotated(*annotation.groups())]
    module, tick, name = text.partition("`")
    if not tick:
        module, name = "", text
        unknown = _unnamed(text, FrameKind.KERNEL if kernel else FrameKind.UNKNOWN)
        if unknown is not None:
            return [unknown]
    address = _ADDRESS.fullmatch(name)
    if address:
        return [StackFrame(name, module, int(address[1], 16), kind=kind)]
    name = _OFFSET.sub("", name) or name
    if "->" not in name or any(sign in name for sign in "(<~ ") or "operator" in name:
        return [StackFrame(name, module, kind=kind)]
    outer, *inlined = _ARROW.split(name)
    return [
        StackFrame(outer, module, kind=kind),
        *(StackFrame(inner, kind=FrameKind.INLINED) for inner in inlined),
    ]


def _unnamed(text: str, kind: FrameKind) -> StackFrame | None:
    """An address, `file:0xOFFSET` (`-x noresolve`), or an address that somebody has named since."""
    address = _ADDRESS.fullmatch(text)
    if address:
        number = int(address[1], 16)
        if address[2]:
            return StackFrame(address[2], address=number, kind=FrameKind.NATIVE)
        return StackFrame(text, address=number, kind=kind)
    if _BARE_ADDRESS.fullmatch(text):  # Solaris, long ago
        return StackFrame("0x" + text, address=int(text, 16), kind=kind)
    offset = _NO_RESOLVE.fullmatch(text)
    if offset:
        return StackFrame("+" + offset[2], offset[1], kind=FrameKind.NATIVE)
    return None


def _annotated(file: str, line: str, function: str) -> StackFrame:
    """What an interpreter's helper said of the frame above: the function of the interpreted program."""
    kind = FrameKind.PYTHON if _PYTHON_FILE.fullmatch(file) else FrameKind.UNKNOWN
    name = "<module>" if function in ("?", "") else function
    return StackFrame(name, file=file, line=int(line) if len(line) < 10 else 0, kind=kind)


def readable(names: Sequence[str], demangle: Demangle) -> list[str]:
    """Names demangled, and without hashes, copies' suffixes and C++ argument lists."""
    return [_tidy(name) for name in demangle([_APPENDED.sub("", name) for name in names])]


def _tidy(name: str) -> str:
    """What is left to do for names that dtrace had demangled, wholly or by half (Rust on macOS and illumos)."""
    if "$" in name and _RUST_ESCAPE.search(name):
        name = _RUST_ESCAPE.sub(lambda match: _RUST_SIGNS.get(match[1]) or _character(match[2]), name)
        name = re.sub(r"(^|::)_(?=[<{])", r"\1", name.replace("..", "::"))
    name = _RUST_HASH.sub("", name) or name
    return _without_arguments(name) if name.endswith((")", " const", " volatile", "&", "noexcept")) else name


def _character(digits: str) -> str:
    code = int(digits, 16)
    return chr(code) if 32 <= code < 0xD800 or 0xDFFF < code < 0x110000 else "?"


def _without_arguments(name: str) -> str:
    """`a::f(int) const` → `a::f`. What has no scope may be no C++ at all, such as `StubRoutines (1)`, and stays."""
    end = _BEHIND_ARGUMENTS.search(name)
    if end is None:
        return name
    depth = 0
    for place in range(end.start(), -1, -1):
        if name[place] == ")":
            depth += 1
        elif name[place] == "(":
            depth -= 1
            if not depth:
                break
    else:
        return name
    before = name[:place]
    inside = name[place + 1 : end.start()]
    if "::" not in before or before.endswith(("::", "operator", " ")) or inside == "anonymous namespace":
        return name
    return before
