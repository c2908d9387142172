"""Names of kernel addresses, from `/proc/kallsyms`.

dtrace prints kernel frames with their names already; this is for those that come as bare addresses, and for other
sources of addresses. Only root sees the addresses (`kernel.kptr_restrict`): others get an empty table.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable

from dtrace_profiler.model.frame import FrameKind, StackFrame

CORE_MODULE = "vmlinux"
"""What dtrace calls the kernel itself."""
_TEXT = frozenset(b"tTwW")


class KernelSymbols:
    """Sorted addresses of all symbols; a code symbol holds up to the next symbol of any kind."""

    def __init__(self, lines: Iterable[bytes] = ()) -> None:
        found: list[tuple[int, int, str, str]] = []
        for line in lines:
            parts = line.split()
            if len(parts) < 3 or len(parts[1]) != 1:
                continue
            try:
                address = int(parts[0], 16)
            except ValueError:
                continue
            if not 0 < address < 1 << 64:
                continue
            module = parts[3].strip(b"[]").decode("utf-8", "replace") if len(parts) > 3 else CORE_MODULE
            is_code = parts[1][0] in _TEXT
            # Of several names for one address: code before data, global before local.
            rank = 0 if parts[1] == b"T" else 1 if is_code else 2
            found.append((address, rank, parts[2].decode("utf-8", "replace") if is_code else "", module))
        found.sort()
        self._addresses = array("Q")
        self._names: list[tuple[str, str]] = []
        for address, _, name, module in found:
            if not self._addresses or self._addresses[-1] != address:
                self._addresses.append(address)
                self._names.append((name, module))

    @classmethod
    def load(cls, path: str = "/proc/kallsyms") -> KernelSymbols:
        """Never raises; empty where the file can't be read or hides the addresses."""
        try:
            with open(path, "rb") as file:
                return cls(file)
        except OSError:
            return cls()

    def __len__(self) -> int:
        return len(self._addresses)

    def frame(self, address: int, *, is_return_address: bool = False) -> StackFrame:
        """The function at a kernel address; `0x…` of module `vmlinux` where there is no name."""
        index = bisect_right(self._addresses, address - is_return_address) - 1
        name, module = self._names[index] if index >= 0 else ("", CORE_MODULE)
        if not name:
            name, module = f"0x{address:x}", CORE_MODULE
        return StackFrame(name, module, address, kind=FrameKind.KERNEL)
