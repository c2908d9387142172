"""Names that a JIT compiler writes down for its code: `/tmp/perf-PID.map`.

One line an entry: start and size in hexadecimal, then the name, which may hold blanks. Anybody can write to /tmp, so
a file counts only if it is a regular one, not a link, and owned by the target's user or by root. It is looked for
in the target's own /tmp first, under the number that the target knows itself by.
"""

from __future__ import annotations

import os
import stat
from bisect import bisect_right
from heapq import heappop, heappush
from typing import NamedTuple

from dtrace_profiler.symbols.source import FileSource

MAX_BYTES = 256 << 20
"""What follows in a longer file is not read."""
_MERGE_AFTER = 256
"""New entries that are searched one by one before they are sorted in with the rest."""
_MAX_NAME_BYTES = 4096
_MAX_LINE_BYTES = 1 << 16
_MAX_ADDRESS = (1 << 64) - 1


class JitCode(NamedTuple):
    start: int
    end: int
    name: str


class PerfMap:
    """The entries of one process's map, read as far as it has grown. Of overlapping entries the last one wins."""

    def __init__(self, pid: int, *, proc: str = "/proc", folder: str = "/tmp") -> None:
        self.pid = pid
        self.broken_lines = 0
        """Lines that are no entry."""
        self.refused = ""
        """Why a file that is there was not read; empty otherwise."""
        self.generation = 0
        """Grows when entries were added or dropped."""
        self._proc = proc
        self._folder = folder
        self._owners, self._inner_pid = _who(proc, pid)
        self._identity: tuple[int, int] | None = None
        self._position = 0
        self._size = -1
        self._entries: list[JitCode] = []
        self._merged = 0
        self._starts: list[int] = []
        self._cover: list[JitCode | None] = []

    def __len__(self) -> int:
        return len(self._entries)

    def lookup(self, address: int) -> JitCode | None:
        """The code at this address as far as the file was read."""
        # Newest first: what came since the last merge lies over everything older.
        for entry in reversed(self._entries[self._merged :]):
            if entry.start <= address < entry.end:
                return entry
        index = bisect_right(self._starts, address) - 1
        return self._cover[index] if index >= 0 else None

    def refresh(self) -> bool:
        """Read what was added; whether anything was. Never raises."""
        try:
            source = self._open()
        except OSError:
            return False
        if source is None:
            return False
        try:
            return self._read(source)
        except OSError:
            return False
        finally:
            source.close()

    def _open(self) -> FileSource | None:
        inner = self._inner_pid or self.pid
        for base, number in ((f"{self._proc}/{self.pid}/root", inner), ("", self.pid)):
            descriptor = self._open_in(base, f"perf-{number}.map")
            if descriptor is not None:
                return FileSource(descriptor)
        return None

    def _open_in(self, base: str, name: str) -> int | None:
        """Step by step, without following links: in a container /tmp could be one to our /etc."""
        no_follow = getattr(os, "O_NOFOLLOW", 0)
        walk = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
        read = os.O_RDONLY | no_follow | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
        if os.open not in os.supports_dir_fd:
            return None
        folder = -1
        try:
            folder = os.open(f"{base}/", walk)
            for part in filter(None, self._folder.split("/")):
                inner = os.open(part, walk | no_follow, dir_fd=folder)
                os.close(folder)
                folder = inner
            before = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if not stat.S_ISREG(before.st_mode):
                self.refused = f"{name} is not a regular file"
                return None
            return os.open(name, read, dir_fd=folder)
        except (OSError, ValueError):
            return None
        finally:
            if folder >= 0:
                os.close(folder)

    def _read(self, source: FileSource) -> bool:
        status = source.status
        if not stat.S_ISREG(status.st_mode) or status.st_uid not in self._owners:
            self.refused = f"perf-{self.pid}.map belongs to neither the process's user nor root"
            return False
        self.refused = ""
        identity = (status.st_dev, status.st_ino)
        if identity != self._identity or status.st_size < self._position:
            self._forget()
            self._identity = identity
        if status.st_size == self._size:
            return False
        self._size = status.st_size
        before = len(self._entries), self.broken_lines
        end = min(status.st_size, MAX_BYTES)
        while self._position < end:
            chunk = source.read(self._position, min(1 << 22, end - self._position))
            complete = chunk.rfind(b"\n") + 1
            if not complete:
                if len(chunk) <= _MAX_LINE_BYTES:
                    break  # the writer is in the middle of it
                complete = len(chunk)
            self._parse(chunk[:complete])
            self._position += complete
        if len(self._entries) - self._merged > max(_MERGE_AFTER, len(self._entries) // 8):
            self._merge()
        changed = (len(self._entries), self.broken_lines) != before
        self.generation += changed
        return changed

    def _forget(self) -> None:
        if self._entries:
            self.generation += 1
        self._position, self._size, self._merged, self.broken_lines = 0, -1, 0, 0
        self._entries, self._starts, self._cover = [], [], []

    def _parse(self, text: bytes) -> None:
        for line in text.split(b"\n"):
            if not line:
                continue
            parts = line.split(None, 2)
            try:
                # int() takes signs and underscores, of which a file of addresses has none.
                if len(parts) < 3 or not (parts[0] + parts[1]).isalnum():
                    raise ValueError
                start, size = int(parts[0], 16), int(parts[1], 16)
            except ValueError:
                self.broken_lines += 1
                continue
            if not 0 < size <= _MAX_ADDRESS - start:
                self.broken_lines += 1
                continue
            name = parts[2][:_MAX_NAME_BYTES].decode("utf-8", "replace").strip()
            self._entries.append(JitCode(start, start + size, name))

    def _merge(self) -> None:
        """One sorted column of starts, each with the entry that holds until the next."""
        order = sorted(range(len(self._entries)), key=lambda index: self._entries[index].start)
        positions = sorted({edge for entry in self._entries for edge in (entry.start, entry.end)})
        cover: list[JitCode | None] = []
        open_entries: list[int] = []  # heap of negative indices: the latest on top
        following = 0
        for position in positions:
            while following < len(order) and self._entries[order[following]].start <= position:
                heappush(open_entries, -order[following])
                following += 1
            while open_entries and self._entries[-open_entries[0]].end <= position:
                heappop(open_entries)
            cover.append(self._entries[-open_entries[0]] if open_entries else None)
        self._starts, self._cover, self._merged = positions, cover, len(self._entries)


def _who(proc: str, pid: int) -> tuple[frozenset[int], int]:
    """The users whose files count, root included, and the pid inside the target's own namespace (0: not known)."""
    owners, inner = {0}, 0
    try:
        with open(f"{proc}/{pid}/status", "rb") as file:
            for line in file:
                key, _, values = line.partition(b":")
                if key == b"Uid":
                    owners.update(int(value) for value in values.split()[:2])  # real and effective
                elif key == b"NSpid":
                    inner = int(values.split()[-1])
    except (OSError, ValueError, IndexError):
        pass
    return frozenset(owners), inner
