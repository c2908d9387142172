"""Reading another process's memory without stopping it."""

from __future__ import annotations

import ctypes
import functools
import os
import struct
from collections.abc import Callable
from typing import Any, Protocol


class MemoryReadError(OSError):
    """Some of the bytes asked for are not there, or not ours to read."""


class Memory(Protocol):
    """Bytes by address. Tests feed a dictionary."""

    def read(self, address: int, size: int) -> bytes:
        """Exactly `size` bytes; `MemoryReadError` where any of them can't be read."""
        ...


class ProcessMemory:
    """`/proc/PID/mem`: works for root, and for an own process where ptrace_scope allows it. Stops nothing.

    The descriptor belongs to the image that ran when it was opened: after an exec it reads nothing, so what comes
    is never of another program than was asked for.
    """

    def __init__(self, pid: int, *, proc: str = "/proc") -> None:
        self.pid = pid
        try:
            self._file = open(f"{proc}/{pid}/mem", "rb", buffering=0)  # noqa: SIM115 - closed by close
        except OSError as error:
            raise MemoryReadError(error.errno, error.strerror) from error

    def read(self, address: int, size: int) -> bytes:
        if not 0 < address < 1 << 63 or size < 0:
            raise MemoryReadError(f"no address: {address:#x}")
        buffer = ctypes.create_string_buffer(size)
        try:
            got = _pread()(self._file.fileno(), buffer, size, address)
        except ValueError as error:
            raise MemoryReadError("closed") from error
        if got != size:
            reason = f"{got} of {size} bytes" if got >= 0 else os.strerror(ctypes.get_errno())
            raise MemoryReadError(f"{size} bytes at {address:#x}: {reason}")
        return buffer.raw

    def close(self) -> None:
        self._file.close()

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()


@functools.cache
def _pread() -> Callable[[int, Any, int, int], int]:
    """`pread` that keeps the interpreter's lock. A read takes a microsecond, and a stack's code objects need dozens:
    with `os.pread` each gives the lock to a thread that computes, which keeps it for 5 ms."""
    function = ctypes.PyDLL(None, use_errno=True).pread
    function.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64]
    function.restype = ctypes.c_ssize_t
    result: Callable[[int, Any, int, int], int] = function
    return result


_WORD = struct.Struct("<Q")


def word(memory: Memory, address: int) -> int:
    """The 64-bit word at an address."""
    return int(_WORD.unpack(memory.read(address, 8))[0])


def readable_part(memory: Memory, low: int, high: int) -> tuple[int, bytes]:
    """(start, bytes) of the readable run that ends at or holds `high`, as far down as `low`; pages of 4096 bytes."""
    parts: list[bytes] = []
    end = high
    while end > low:
        start = max(low, (end - 1) & ~0xFFF)
        try:
            parts.append(memory.read(start, end - start))
        except MemoryReadError:
            if parts:
                break
            # The top page may be missing: thread memory need not fill it.
            end = start
            continue
        end = start
    parts.reverse()
    data = b"".join(parts)
    return end, data
