"""How a frame is named in formats that have a name, a file and a line for each, and which frame such a name is.

A Python function is its qualified name; a native or kernel one ``module`function``, as dtrace writes it. Marks as in
folded stacks say what the name alone doesn't: `_[i]` inlined, `_[k]` the kernel's, `_[p]` Python.
"""

from __future__ import annotations

import re

from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.symbols.frame_text import is_kernel_module

NO_NAME = "<unknown>"
MARKS = {
    "_[k]": FrameKind.KERNEL,
    "_[i]": FrameKind.INLINED,
    "_[j]": FrameKind.NATIVE,
    "_[p]": FrameKind.PYTHON,
}
LARGEST_LINE = (1 << 31) - 1
_PYTHON_FILE = re.compile(r".*\.pyw?|<.*>", re.DOTALL)
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{1,16}")


def is_python_file(file: str) -> bool:
    return _PYTHON_FILE.fullmatch(file) is not None


def label(frame: StackFrame) -> str:
    """The name that is written; file and `place_line` stand beside it."""
    name = frame.function_name or NO_NAME
    if frame.kind is FrameKind.PYTHON:
        if frame.file:
            return name if is_python_file(frame.file) and name[-4:] not in MARKS else name + "_[p]"
        return (f"{frame.module_name}.{name}" if frame.module_name else name) + "_[p]"
    if frame.module_name:
        name = f"{frame.module_name}`{name}"
    if frame.kind is FrameKind.INLINED:
        return name + "_[i]"
    if frame.kind is FrameKind.KERNEL:
        return name if is_kernel_module(frame.module_name) and name[-4:] not in MARKS else name + "_[k]"
    return name + "_[j]" if is_python_file(frame.file) or name[-4:] in MARKS else name


def place_line(frame: StackFrame) -> int:
    return frame.first_line or frame.line


def labelled(name: str, file: str = "", line: int = 0) -> StackFrame:
    """The frame of that name. A file without a line, beside a name that has no module, is the module's."""
    if not 0 <= line <= LARGEST_LINE:
        line = 0
    kind = MARKS.get(name[-4:]) if len(name) > 4 else None
    if kind is not None:
        name = name[:-4]
    if kind is FrameKind.PYTHON or (kind is None and file and is_python_file(file)):
        return StackFrame(name or NO_NAME, file=file, line=line, first_line=line, kind=FrameKind.PYTHON)
    module, tick, function = name.partition("`")
    if not tick or not module or not function:
        module, function = "", name or NO_NAME
    if not module and file and not line:
        module, file = file.replace("\\", "/").rpartition("/")[2], ""
    address = int(function, 16) if _ADDRESS.fullmatch(function) else 0
    if kind is None:
        if is_kernel_module(module):
            kind = FrameKind.KERNEL
        elif not module and not file and (address or function == NO_NAME):
            kind = FrameKind.UNKNOWN
        else:
            kind = FrameKind.NATIVE
    return StackFrame(function, module, address, file, line, line, kind)
