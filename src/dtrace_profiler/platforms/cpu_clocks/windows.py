"""CPU clocks of threads on Windows: `GetThreadTimes`. Contract: this package's docstring. Not yet run on Windows.

The clock is the thread id, which there is also the thread's identifier. Times come in steps of 15.6 ms, the
system's tick: right in sum, coarse for each sample.
"""

from __future__ import annotations

from typing import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_QUERY_LIMITED_INFORMATION = 0x0800
_STILL_ACTIVE = 259


def open_clocks() -> WindowsClocks | None:
    try:
        import ctypes

        return WindowsClocks(ctypes, ctypes.PyDLL("kernel32"))
    except (ImportError, AttributeError, OSError):
        return None


class WindowsClocks:
    def __init__(self, ctypes: Any, library: Any) -> None:
        self._open = library.OpenThread
        self._open.argtypes, self._open.restype = [ctypes.c_uint32, ctypes.c_int, ctypes.c_uint32], ctypes.c_void_p
        self._times = library.GetThreadTimes
        self._times.argtypes = [ctypes.c_void_p] + [ctypes.POINTER(ctypes.c_uint64)] * 4
        self._exit_code = library.GetExitCodeThread
        self._exit_code.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_uint32)]
        self._close = library.CloseHandle
        self._close.argtypes = [ctypes.c_void_p]
        self._out = [ctypes.c_uint64() for _ in range(4)]
        self._pointers = [ctypes.byref(value) for value in self._out]
        self._code = ctypes.c_uint32()
        self._code_pointer = ctypes.byref(self._code)

    def current(self, threads: Iterator[int]) -> dict[int, int]:
        return {ident: ident for ident in list(threads)}

    def read(self, clock: int) -> int:
        handle = self._open(_QUERY_LIMITED_INFORMATION, 0, clock)
        if not handle:
            raise OSError("the thread has ended")
        try:
            if not self._times(handle, *self._pointers):
                raise OSError("GetThreadTimes failed")
            if self._exit_code(handle, self._code_pointer) and self._code.value != _STILL_ACTIVE:
                raise OSError("the thread has ended")
        finally:
            self._close(handle)
        return int(self._out[2].value + self._out[3].value) * 100  # kernel and user, in 100 ns

    @staticmethod
    def native_id(clock: int) -> int:
        return clock
