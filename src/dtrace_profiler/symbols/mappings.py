"""What lies where in a process: `/proc/PID/maps`, read early and kept.

In: the text of a maps file. Out: mappings in address order, and for one process the mapping of an address, also
after the process has ended or has unmapped the file.
"""

from __future__ import annotations

import re
import time
from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

_DELETED = " (deleted)"
_MAX_HISTORY = 1024
"""Mappings of files kept of those that are gone: a program that loads plugins for days must not fill our memory."""


class Mapping(NamedTuple):
    """One line of `/proc/PID/maps`. Addresses are half open: `start <= address < end`."""

    start: int
    end: int
    offset: int
    """Of `start` in the file, bytes."""
    path: str
    """As the target sees it, without the kernel's ` (deleted)`; `[vdso]`, `[heap]` …; empty for anonymous memory.

    Bytes that are not UTF-8 are surrogates (`surrogateescape`), so that the path still opens.
    """
    executable: bool
    device: tuple[int, int] = (0, 0)
    """Major and minor number of the file's device."""
    inode: int = 0
    """0 where there is no file."""
    deleted: bool = False
    writable: bool = False

    @property
    def name(self) -> str:
        """The base name, fit to be shown: `libc.so.6`, `[vdso]`, `[anon]` for anonymous memory."""
        if not self.path:
            return "[anon]"
        base = self.path if self.path.startswith("[") else self.path.rstrip("/").rpartition("/")[2]
        return base.encode("utf-8", "surrogateescape").decode("utf-8", "replace")

    @property
    def is_file(self) -> bool:
        return self.inode != 0 and self.path.startswith("/")

    @property
    def dtrace_name(self) -> str:
        """The name that dtrace prints for this mapping; empty where it prints a bare address.

        DTrace for Linux reads the path with `scanf("%ms")`, which ends at the first blank, and takes the base name
        of that; names in brackets are skipped (libproc/Psymtab.c, seen with 2.0.7).
        """
        if not self.path.startswith("/"):
            return ""
        return self.path.split(None, 1)[0].rpartition("/")[2]


_LINE = re.compile(
    rb"^([0-9a-f]{1,16})-([0-9a-f]{1,16}) ([r-])([w-])([x-])[sp] ([0-9a-f]{1,16})"
    rb" ([0-9a-f]{1,8}):([0-9a-f]{1,8}) ([0-9]{1,20})[ \t]*([^\n]*)$",
    re.MULTILINE,
)


def parse_maps(text: bytes) -> list[Mapping]:
    """The mappings of a `/proc/PID/maps`, in address order. Lines that are none are left out."""
    out = []
    for match in _LINE.finditer(text):
        low, high, _, write, execute, offset, major, minor, inode, raw = match.groups()
        start, end = int(low, 16), int(high, 16)
        if start >= end:
            continue
        path, deleted = "", False
        if raw:
            # The kernel escapes a line feed in a name, and nothing else (fs/proc/task_mmu.c, seq_path with "\n").
            path = raw.replace(rb"\012", b"\n").decode("utf-8", "surrogateescape")
            if path.endswith(_DELETED) and path.startswith("/"):
                path, deleted = path[: -len(_DELETED)], True
        out.append(
            Mapping(
                start,
                end,
                int(offset, 16),
                path,
                execute == b"x",
                (int(major, 16), int(minor, 16)),
                int(inode),
                deleted,
                write == b"w",
            )
        )
    out.sort()
    return out


class AddressSpace:
    """The mappings of one process, present and past.

    `refresh` reads them anew; what is known is kept when the process has ended, when it may not be read, and when
    a file was unmapped (an address that was sampled before still has its name). `proc` is where procfs is mounted;
    tests put a folder there. Nothing is read before the first `refresh`.
    """

    def __init__(self, pid: int, *, proc: str = "/proc") -> None:
        self.pid = pid
        self.proc = proc
        self.generation = 0
        """Grows with every change of the mappings."""
        self.ended = False
        """The process is gone, or its number belongs to another one: what is known stays, nothing more is read."""
        # One object, so that a thread that looks up while another one refreshes sees one or the other.
        self._table: tuple[list[Mapping], list[int]] = ([], [])
        self._read_ns = 0
        """When the present mappings were there for sure: UNIX epoch; 0 for those of a recording."""
        self._past: dict[Mapping, int] = {}
        """Mapping → `_read_ns` when it was seen last."""
        self._text = b""
        self._start_time = _start_time(proc, pid)

    @classmethod
    def from_text(cls, pid: int, text: bytes) -> AddressSpace:
        """A process known only by a recording: `refresh` does nothing."""
        space = cls(pid, proc="")
        space.ended = True
        space._replace(text)
        return space

    @property
    def _mappings(self) -> list[Mapping]:
        return self._table[0]

    @property
    def mappings(self) -> tuple[Mapping, ...]:
        """The present ones, in address order."""
        return tuple(self._mappings)

    @property
    def text(self) -> bytes:
        """The maps file as it was last read: what a recording keeps."""
        return self._text

    def executable_mappings(self) -> list[Mapping]:
        return [mapping for mapping in self._mappings if mapping.executable]

    def refresh(self) -> bool:
        """Read the mappings again; whether anything changed. Never raises."""
        if self.ended:
            return False
        if self._start_time == 0:
            self._start_time = _start_time(self.proc, self.pid)
        read_ns = time.time_ns()
        try:
            with open(f"{self.proc}/{self.pid}/maps", "rb") as file:
                text = file.read()
        except PermissionError:
            return False
        except OSError:
            self.ended = True
            return False
        # Read after the maps: a number that was given to another process in between is noticed.
        start_time = _start_time(self.proc, self.pid)
        if self._start_time and start_time and start_time != self._start_time:
            self.ended = True
            return False
        # A process that is ending has an empty file: its memory is gone, what we know of it is not.
        if not text:
            return False
        if text == self._text:
            self._read_ns = read_ns
            return False
        return self._replace(text, read_ns)

    def _replace(self, text: bytes, read_ns: int = 0) -> bool:
        mappings = parse_maps(text)
        if not mappings:
            return False
        self._text = text
        before_ns, self._read_ns = self._read_ns, read_ns
        if mappings == self._mappings:
            return False
        present = set(mappings)
        for old in self._mappings:
            if old.executable and old.is_file and old not in present:
                self._past.pop(old, None)
                self._past[old] = before_ns
        while len(self._past) > _MAX_HISTORY:
            del self._past[next(iter(self._past))]
        self._table = (mappings, [mapping.start for mapping in mappings])
        self.generation += 1
        return True

    def find(self, address: int) -> Mapping | None:
        """The mapping that holds this address now, else the last file that was mapped there to be executed."""
        mappings, starts = self._table
        index = bisect_right(starts, address) - 1
        if index >= 0 and address < mappings[index].end:
            return mappings[index]
        for mapping in reversed(list(self._past)):
            if mapping.start <= address < mapping.end:
                return mapping
        return None

    def last_seen_ns(self, mapping: Mapping) -> int:
        """When this mapping's file was last seen mapped (UNIX epoch), which held its inode; 0 where that isn't known."""
        file = mapping.device, mapping.inode
        if any((other.device, other.inode) == file for other in self._mappings):
            return self._read_ns
        past = list(self._past.items())
        return max((seen_ns for other, seen_ns in past if (other.device, other.inode) == file), default=0)

    def is_executable(self, address: int) -> bool:
        """Whether code can be there. True where no mapping at all is known: ignorance must not cut stacks."""
        if not self._mappings:
            return True
        mapping = self.find(address)
        return mapping is not None and mapping.executable

    def absolute(self, module_basename: str, offset: int) -> int | None:
        """The address that dtrace's `-x noresolve` prints as `module_basename:0xOFFSET`.

        The offset counts from the start of the *mapping* that holds the address, not of the file and not of the
        file's first mapping (seen with 2.0.7: two executable mappings of one memfd both print `memfd:name:0xc`).
        So the text can mean several places. None where it could be different code, and where it is nowhere.
        """
        if offset < 0:
            return None
        for mappings in (self._mappings, list(reversed(list(self._past)))):
            candidates = [m for m in mappings if _could_print(m, module_basename, offset)]
            if candidates:
                return candidates[0].start + offset if _same_code(candidates) else None
        return None


def _could_print(mapping: Mapping, name: str, offset: int) -> bool:
    return mapping.executable and offset < mapping.end - mapping.start and mapping.dtrace_name == name


def _same_code(mappings: Iterable[Mapping]) -> bool:
    """One file mapped at several places: any of them gives the same name."""
    return len({(m.path, m.device, m.inode, m.offset) for m in mappings}) == 1


def _start_time(proc: str, pid: int) -> int:
    """Field 22 of `/proc/PID/stat`, clock ticks since boot: tells a process from a later one of the same number."""
    if not proc:
        return 0
    try:
        with open(f"{proc}/{pid}/stat", "rb") as file:
            # The name, in parentheses, can hold anything, also ") R 1".
            return int(file.read().rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0
