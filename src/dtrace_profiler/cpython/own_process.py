"""The layout of the CPython that we run in, from inside: the way where other processes can't be looked into.

Used on the systems without procfs. Addresses come from the interpreter's own exported names; memory is read so that
a wrong address is an error, not the end of the process.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from typing import Any

from dtrace_profiler.cpython.layout import Layout, LayoutError, read_layout
from dtrace_profiler.cpython.memory import Memory, MemoryReadError
from dtrace_profiler.cpython.runtime_file import FUNCTIONS, RuntimeSymbols

_PIPE_BYTES = 4096
"""What every system's pipe takes at once."""


class OwnMemory:
    """Our own memory, read by the kernel: `write` refuses an address that is not there, instead of a crash."""

    def __init__(self) -> None:
        self._read_end, self._write_end = os.pipe()
        self._write = ctypes.PyDLL(None, use_errno=True).write
        self._write.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
        self._write.restype = ctypes.c_ssize_t

    def read(self, address: int, size: int) -> bytes:
        if not 0 < address < 1 << 63 or size < 0:
            raise MemoryReadError(f"no address: {address:#x}")
        parts = []
        while size > 0:
            got = self._write(self._write_end, address, min(size, _PIPE_BYTES))
            if got <= 0:
                raise MemoryReadError(f"{size} bytes at {address:#x}: {os.strerror(ctypes.get_errno())}")
            parts.append(os.read(self._read_end, got))
            address, size = address + got, size - got
        return b"".join(parts)

    def close(self) -> None:
        os.close(self._read_end)
        os.close(self._write_end)


class OwnWindowsMemory:
    """Our own memory through `ReadProcessMemory`."""

    def __init__(self) -> None:
        kernel32: Any = ctypes.WinDLL("kernel32", use_last_error=True)  # type: ignore[attr-defined,unused-ignore]
        self._process = kernel32.GetCurrentProcess()
        self._read = kernel32.ReadProcessMemory

    def read(self, address: int, size: int) -> bytes:
        buffer = ctypes.create_string_buffer(size)
        got = ctypes.c_size_t()
        done = self._read(
            ctypes.c_void_p(self._process),
            ctypes.c_void_p(address),
            buffer,
            ctypes.c_size_t(size),
            ctypes.byref(got),
        )
        if not done or got.value != size:
            raise MemoryReadError(f"{size} bytes at {address:#x} can't be read")
        return buffer.raw


def own_memory(*, windows: bool) -> Memory:
    return OwnWindowsMemory() if windows else OwnMemory()


def own_layout(memory: Memory) -> Layout:
    """Raises `LayoutError`. There is one thread at least that runs: ours."""
    try:
        symbols = _own_symbols()
    except (ValueError, AttributeError, OSError) as error:
        raise LayoutError("this interpreter does not export what is needed.", "inconsistent") from error
    try:
        return read_layout(os.getpid(), memory, 0, symbols, sys.executable, slots_needed=False)
    except MemoryReadError as error:
        raise LayoutError(f"our own memory could not be read ({error}).", "inconsistent") from error


def _own_symbols() -> RuntimeSymbols:
    """What the file's symbols say of another process; here, absolute addresses."""
    return RuntimeSymbols(
        fixed=True,
        load_address=0,
        runtime=_address("_PyRuntime"),
        version=_address("Py_Version"),
        code_type=_address("PyCode_Type"),
        functions=tuple(_address(name.decode()) for name in FUNCTIONS),
        version_count=0,
        machine={"AMD64": "x86_64"}.get(platform.machine(), platform.machine()),
    )


def _address(name: str) -> int:
    return ctypes.addressof(ctypes.c_char.in_dll(ctypes.pythonapi, name))
