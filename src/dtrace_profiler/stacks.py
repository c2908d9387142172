"""What dtrace printed of a stack → frames, root first.

In: the lines of a native and a kernel stack, leaf first. Out: `StackFrame`s. The reversal happens here and nowhere
else. Asks `AddressSpace` and `Symboliser` for what an address is.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.symbols.demangle import demangle_names
from dtrace_profiler.symbols.frame_text import dtrace_frames, readable
from dtrace_profiler.symbols.mappings import AddressSpace
from dtrace_profiler.symbols.native import Symboliser

UNKNOWN = StackFrame("<unknown>", kind=FrameKind.UNKNOWN)
TRUNCATED = StackFrame("<truncated>", kind=FrameKind.UNKNOWN)
"""Stands at the root of a stack that was deeper than what was asked for."""

_REFRESH_INTERVAL_S = 0.02
"""An address outside all known mappings makes us read them again, but a target full of such addresses (code without
frame pointers) not more often than this."""


@dataclass(frozen=True, slots=True)
class NativeFrames:
    """`addresses`: leaf first, absolute, cut where the unwinding had left the code. `frames`: root first."""

    addresses: tuple[int, ...]
    frames: tuple[StackFrame, ...]
    truncated: bool
    broken: bool
    """The unwinder met what is no return address: the code keeps no frame pointers."""


class NativeProcess:
    """One process whose native stacks are to be named."""

    def __init__(self, pid: int, symboliser: Symboliser) -> None:
        self.space = AddressSpace(pid)
        self._symboliser = symboliser
        self._refreshed = 0.0
        self.refresh()

    def refresh(self) -> None:
        """Read the mappings again: at the start, after an exec, and when an address is nowhere. Any thread."""
        self._refreshed = time.monotonic()
        self.space.refresh()

    def retire(self) -> None:
        """The process has executed another program: what is known of this one is all there will be."""
        self._refreshed = float("inf")

    def prepare(self) -> None:
        """Open the files that are mapped, while they are there."""
        self._symboliser.prepare(self.space)

    def _executable(self, address: int) -> bool:
        if self.space.is_executable(address):
            return True
        if time.monotonic() - self._refreshed < _REFRESH_INTERVAL_S:
            return False
        self.refresh()
        return self.space.is_executable(address)

    def is_mapped(self, address: int) -> bool:
        """Whether there is code of the process at an address; false where its mappings can't be had."""
        return bool(self.space.mappings) and self._executable(address)

    def symbols(self, address: int, *, is_return_address: bool) -> tuple[StackFrame, ...]:
        """The functions at an address that `is_mapped`, outermost first."""
        return self._symboliser.frames(self.space, address, is_return_address=is_return_address)

    def stack(self, lines: Sequence[bytes], *, limit: int) -> NativeFrames:
        """The frames of a native stack, printed as bare addresses. `limit`: the depth at which dtrace cut."""
        addresses: list[int] = []
        frames: list[tuple[StackFrame, ...]] = []
        broken = False
        for line in lines:
            address = _hexadecimal(line)
            is_leaf = not addresses
            if address is None or (not self._executable(address) and not is_leaf):
                broken = True
                break
            addresses.append(address)
            frames.append(self._symboliser.frames(self.space, address, is_return_address=not is_leaf))
        frames.reverse()
        return NativeFrames(
            tuple(addresses),
            tuple(frame for group in frames for frame in group),
            truncated=len(lines) >= limit and not broken,
            broken=broken,
        )

    def leaf(self, pc: int) -> NativeFrames:
        """Only the interrupted instruction is known."""
        if not pc:
            return NativeFrames((), (), truncated=False, broken=False)
        self._executable(pc)
        frames = self._symboliser.frames(self.space, pc, is_return_address=False)
        return NativeFrames((pc,), frames, truncated=False, broken=False)


_NAMES: dict[bytes, tuple[tuple[StackFrame, ...], int]] = {}
_MAX_NAMES = 1 << 16
_LOWEST_ADDRESS, _HIGHEST_ADDRESS = 1 << 12, 1 << 48


def named_stack(process: NativeProcess, lines: Sequence[bytes], *, limit: int, leaf_only: bool) -> NativeFrames:
    """The frames of a native stack, printed with names by a dtrace that knows them.

    `leaf_only`: the process's code keeps no frame pointers, so that only the leaf is true. Where dtrace had no name,
    and we know the process's mappings, we look for one.
    """
    frames: list[tuple[StackFrame, ...]] = []
    broken = leaf_only and len(lines) > 1
    for index, line in enumerate(lines[:1] if leaf_only else lines):
        found, address = _named(line)
        if address and process.is_mapped(address):
            found = process.symbols(address, is_return_address=index > 0)
        elif address and index and (process.space.mappings or not _LOWEST_ADDRESS <= address < _HIGHEST_ADDRESS):
            broken = True  # what the unwinder takes for a return address where there is none
            break
        frames.append(found)
    frames.reverse()
    return NativeFrames(
        (),
        tuple(frame for group in frames for frame in group),
        truncated=len(lines) >= limit and not broken,
        broken=broken,
    )


def _named(line: bytes) -> tuple[tuple[StackFrame, ...], int]:
    """(frames root first, the address where dtrace knew no name for it, else 0)."""
    known = _NAMES.get(line)
    if known is None:
        frames = dtrace_frames(line.decode("utf-8", "replace"), kernel=False)
        names = readable([frame.function_name for frame in frames], demangle_names)
        address = frames[0].address if frames[0].function_name.startswith("0x") else 0
        found = tuple(
            frame._replace(function_name=name, address=0) for frame, name in zip(frames, names, strict=True)
        )
        if len(_NAMES) >= _MAX_NAMES:
            _NAMES.clear()
        known = _NAMES[line] = found, address
    return known


def kernel_frames(lines: Sequence[bytes]) -> tuple[StackFrame, ...]:
    """The frames of a kernel stack, which dtrace names itself: module`symbol+0xOFFSET. Root first."""
    out: list[StackFrame] = []
    for line in lines:
        text = line.decode("utf-8", "replace")
        module, tick, symbol = text.partition("`")
        if not tick:
            module, symbol = "", text
        name = symbol.rpartition("+0x")[0] or symbol
        out.append(StackFrame(name, module, kind=FrameKind.KERNEL))
    out.reverse()
    return tuple(out)


def _hexadecimal(text: bytes) -> int | None:
    try:
        return int(text, 16)
    except ValueError:
        return None
