"""A process's layout and memory: from outside where the system has procfs, else only of the process we are."""

from __future__ import annotations

import os

from dtrace_profiler.cpython.layout import Layout, LayoutError, find_layout
from dtrace_profiler.cpython.memory import Memory, MemoryReadError, ProcessMemory
from dtrace_profiler.cpython.own_process import own_layout, own_memory
from dtrace_profiler.platforms.base import System


def look_into(pid: int, on: System) -> tuple[Layout, Memory]:
    """Looks once. Raises `LayoutError`."""
    if on == "linux":
        layout = find_layout(pid)
        try:
            return layout, ProcessMemory(pid)
        except MemoryReadError as error:
            raise LayoutError("it has ended.", "ended") from error
    if pid != os.getpid():
        raise LayoutError("on this system only a program that profiles itself can be looked into.", "no_permission")
    memory = own_memory(windows=on == "windows")
    return own_layout(memory), memory
