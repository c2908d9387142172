"""CPU clocks of threads on illumos and Solaris: /proc's microstate accounting. Contract: this package's docstring.
Written from proc(5), not yet run.

The clock is the number of the thread (lwp), which there is also what `pthread_self` answers. `lwpusage` holds a
`struct prusage`; its file is gone once the thread has ended.
"""

from __future__ import annotations

import os
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_USER_AND_SYSTEM = struct.Struct("qqqqqq")  # pr_utime, pr_stime, pr_ttime: seconds and nanoseconds each
_OFFSET = 2 * 4 + 4 * 16  # behind pr_lwpid, pr_count, pr_tstamp, pr_create, pr_term, pr_rtime


def open_clocks(folder: str = "/proc/self/lwp") -> IllumosClocks | None:
    # A 32-bit Python reads shorter structures; nobody builds one any more.
    return IllumosClocks(folder) if sys.maxsize > 2**32 and os.path.isdir(folder) else None


class IllumosClocks:
    def __init__(self, folder: str) -> None:
        self._folder = folder

    def current(self, threads: Iterator[int]) -> dict[int, int]:
        return {ident: ident for ident in list(threads)}

    def read(self, clock: int) -> int:
        with open(f"{self._folder}/{clock}/lwpusage", "rb", buffering=0) as file:
            data = file.read(_OFFSET + _USER_AND_SYSTEM.size) or b""
        if len(data) < _OFFSET + _USER_AND_SYSTEM.size:
            raise OSError("the thread has ended")
        user_s, user_ns, system_s, system_ns, trap_s, trap_ns = _USER_AND_SYSTEM.unpack_from(data, _OFFSET)
        return int(user_s + system_s + trap_s) * 1_000_000_000 + int(user_ns + system_ns + trap_ns)

    @staticmethod
    def native_id(clock: int) -> int:
        return clock
