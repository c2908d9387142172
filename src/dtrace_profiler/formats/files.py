"""Files to read that can be looked at before they are read, and files to write that are whole or not there."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import secrets
from collections.abc import Iterator
from typing import BinaryIO, cast

from dtrace_profiler.errors import InputError

HEAD_BYTES = 1 << 16
"""Of a file that a format may want to see."""
LONGEST_LINE = 64 << 20
"""A stack of 100,000 frames takes a third of it."""
_PIECE_BYTES = 1 << 20
UNPACKED_ALWAYS = 256 << 20
UNPACKED_TIMES = 200
"""What a packed file may become, beyond `UNPACKED_ALWAYS`, as a multiple of its size. Texts of profiles are 5 to 60
times as large as when they are packed; the most that gzip can do is 1032."""


def rewindable(file: BinaryIO) -> io.BufferedReader:
    """The same bytes, from where the file is now, with `peek` for the first `HEAD_BYTES`; pipes too."""
    head = b""
    while len(head) < HEAD_BYTES and (data := file.read(HEAD_BYTES - len(head))):
        head += data
    return io.BufferedReader(_Rewound(head, file), max(len(head), HEAD_BYTES))


def unpacked(file: BinaryIO) -> BinaryIO:
    """What a file packed with gzip holds. Reading raises `InputError` where that is beyond what a profile can be."""
    return cast(BinaryIO, _Unpacked(file))


def read_whole(file: BinaryIO, limit: int) -> bytes:
    """All that is left of a file. Raises `InputError` for more than `limit` bytes, before there are many more.

    In pieces: asked for `limit` bytes at once, a buffered file makes room for that many, however short it is.
    """
    out = io.BytesIO()
    while data := file.read(_PIECE_BYTES):
        if out.write(data) and out.tell() > limit:
            raise InputError(f"it is larger than {limit >> 20} MiB when it is unpacked, and can only be read whole.")
    return out.getvalue()


def limit_lines(file: io.BufferedReader, longest: int) -> None:
    """Of a `rewindable` file that is to be read line by line: reading raises `InputError` where a line is longer."""
    raw = file.raw
    assert isinstance(raw, _Rewound)
    raw.longest_line = longest


class _Counted(io.RawIOBase):
    """A file, and how many of its bytes were read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.bytes = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.bytes += len(data)
        return data


class _Unpacked(io.RawIOBase):
    def __init__(self, file: BinaryIO) -> None:
        self._packed = _Counted(file)
        self._plain = gzip.GzipFile(fileobj=self._packed)
        self._bytes = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._plain.read(size)
        self._bytes += len(data)
        if self._bytes > UNPACKED_ALWAYS + UNPACKED_TIMES * self._packed.bytes:
            raise InputError(
                f"its first {self._packed.bytes:,} bytes unpack to more than {UNPACKED_TIMES} times as many, which no"
                " profile does.",
                remedy="if you trust it: gunzip it, and read what comes out",
            )
        return data


class _Rewound(io.RawIOBase):
    """Bytes that were read already, then the rest of the file. The first read gives them all."""

    def __init__(self, head: bytes, file: BinaryIO) -> None:
        self._head = head
        self._file = file
        self.longest_line = 0
        """Where it is not 0."""
        self._line_bytes = 0
        """Since the last end of a line."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._head:
            data = self._head[: len(buffer)]
            self._head = self._head[len(data) :]
        else:
            data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        if self.longest_line:
            end = data.rfind(b"\n")
            self._line_bytes = self._line_bytes + len(data) if end < 0 else len(data) - end - 1
            if self._line_bytes > self.longest_line:
                raise InputError(f"it has a line longer than {self.longest_line >> 20} MiB.")
        return len(data)


@contextlib.contextmanager
def replaced_file(path: str) -> Iterator[BinaryIO]:
    """A file to be written, which takes its place when it is whole. Raises `OSError`, and leaves nothing then.

    Devices and pipes, and files in a folder where we may make no others, are written in place.
    """
    path = os.path.realpath(path)
    new = not os.path.lexists(path)
    folder = os.path.dirname(path)
    if not (new or os.path.isfile(path)) or not os.access(folder, os.W_OK):
        with open(path, "wb") as file:
            yield file
        return
    partial = os.path.join(folder, f".{os.path.basename(path)[:100]}.{secrets.token_hex(6)}")
    with open(partial, "xb") as file:
        try:
            yield file
            file.close()
            if not new:
                with contextlib.suppress(OSError):
                    os.chmod(partial, os.stat(path).st_mode & 0o7777)
            os.replace(partial, path)
        except BaseException:
            file.close()
            with contextlib.suppress(OSError):
                os.unlink(partial)
            raise
