"""Bytes at offsets: the one interface through which object files are read.

Nothing is mapped: a file that another process cuts short while we look at it gives fewer bytes, not a SIGBUS.
"""

from __future__ import annotations

import os
from typing import Protocol


class ByteSource(Protocol):
    @property
    def size(self) -> int: ...

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes; fewer (or none) beyond the end. Raises OSError where the file can't be read."""
        ...


class BytesSource:
    """Bytes in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def size(self) -> int:
        return len(self._data)

    def read(self, offset: int, size: int) -> bytes:
        if offset < 0 or size <= 0:
            return b""
        return self._data[offset : offset + size]


class FileSource:
    """An open regular file. Owns the descriptor."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.status = os.fstat(descriptor)

    @property
    def size(self) -> int:
        return self.status.st_size

    def read(self, offset: int, size: int) -> bytes:
        size = min(size, self.size - offset)
        if offset < 0 or size <= 0:
            return b""
        if hasattr(os, "pread"):
            chunks = []
            while size > 0:
                chunk = os.pread(self.descriptor, min(size, 1 << 30), offset)
                if not chunk:
                    break
                chunks.append(chunk)
                offset += len(chunk)
                size -= len(chunk)
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)
        with open(self.descriptor, "rb", closefd=False) as file:  # Windows has no pread
            file.seek(offset)
            return file.read(size)

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __del__(self) -> None:
        try:
            self.close()
        except OSError:
            pass
