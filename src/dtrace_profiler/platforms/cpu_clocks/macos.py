"""CPU clocks of threads on macOS: `thread_info`. Contract: this package's docstring. Not yet run on a Mac.

The clock is (mach port, native id). The pthread functions check a thread against the library's own list before
they look at it, and answer 0 or ESRCH for one that has ended.
"""

from __future__ import annotations

from typing import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_THREAD_BASIC_INFO = 3
_WORDS = 10  # user s, us, system s, us, cpu_usage, policy, run_state, flags, suspend_count, sleep_time


def open_clocks() -> MacClocks | None:
    try:
        import ctypes

        # PyDLL: calls keep the GIL, so that nothing of the list goes away meanwhile.
        return MacClocks(ctypes, ctypes.PyDLL(None))
    except (ImportError, AttributeError, OSError):
        return None


class MacClocks:
    def __init__(self, ctypes: Any, library: Any) -> None:
        self._ctypes = ctypes
        self._port_of = library.pthread_mach_thread_np
        self._port_of.argtypes, self._port_of.restype = [ctypes.c_void_p], ctypes.c_uint32
        self._native_of = library.pthread_threadid_np
        self._native_of.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_uint64)]
        self._thread_info = library.thread_info
        self._info = (ctypes.c_int32 * _WORDS)()
        self._count = ctypes.c_uint32(_WORDS)

    def current(self, threads: Iterator[int]) -> dict[int, tuple[int, int]]:
        found: dict[int, tuple[int, int]] = {}
        for ident in list(threads):
            native = self._ctypes.c_uint64()
            port = self._port_of(ident)
            if port and not self._native_of(ident, self._ctypes.byref(native)):
                found[ident] = (port, int(native.value))
        return found

    def read(self, clock: tuple[int, int]) -> int:
        self._count.value = _WORDS
        failed = self._thread_info(
            self._ctypes.c_uint32(clock[0]), _THREAD_BASIC_INFO, self._info, self._ctypes.byref(self._count)
        )
        if failed:
            raise OSError(failed, "thread_info")
        user_s, user_us, system_s, system_us = self._info[:4]
        return int(user_s + system_s) * 1_000_000_000 + int(user_us + system_us) * 1_000

    @staticmethod
    def native_id(clock: tuple[int, int]) -> int:
        return clock[1]
