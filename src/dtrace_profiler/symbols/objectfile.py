"""What is known of one object file: its functions, lines and inlined calls, read when first asked for.

In: an open file and where its debug file might lie. Out: for an offset in the file, the functions that are there,
outermost first. Processes that map the same file share one of these.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from dtrace_profiler.model.frame import FrameKind
from dtrace_profiler.symbols.cache import SymbolCache
from dtrace_profiler.symbols.debugfiles import find_debug_file
from dtrace_profiler.symbols.demangle import demangle_names
from dtrace_profiler.symbols.elf import ElfError, ElfFile
from dtrace_profiler.symbols.extents import build_table, mini_debug_file
from dtrace_profiler.symbols.lines import MAX_DEBUG_BYTES, ChildLines, LineSource, SymbolicLines, symbolic_version
from dtrace_profiler.symbols.source import ByteSource, FileSource
from dtrace_profiler.symbols.table import SymbolTable

_FORMAT = 2
"""Of the blocks in the cache: raise it when a table built by an older version would name something differently."""
_WORTH_CACHING = 2000
"""Names in a table. Reading a smaller one takes less than a millisecond."""
_MAX_MEMO = 1 << 17


class Function(NamedTuple):
    """One function at a place of a file: a frame without its process."""

    name: str
    file: str
    line: int
    kind: FrameKind


class ObjectFile:
    """Names by offset in the file. Not an ELF file, unreadable, broken: every offset is its own number."""

    def __init__(
        self,
        source: ByteSource,
        *,
        path: str = "",
        root: str = "",
        debug_directories: Sequence[str] = (),
        cache: SymbolCache | None = None,
        arguments: bool = False,
        max_debug_bytes: int = MAX_DEBUG_BYTES,
    ) -> None:
        self.path = path
        self.problems: list[str] = []
        """Why names or lines are missing, one sentence each."""
        self._source: ByteSource | None = source
        self._root = root
        self._debug_directories = debug_directories
        self._cache = cache
        self._arguments = arguments
        self._max_debug_bytes = max_debug_bytes
        self._elf: ElfFile | None = None
        self._table: SymbolTable | None = None
        self._lines: LineSource | None = None
        self._kept: list[FileSource] = []
        self._memo: dict[int, tuple[Function, ...]] = {}
        self.closed = False
        """Given up before it was read: to be opened again."""

    @property
    def loaded(self) -> bool:
        """Its tables are in memory, its descriptor is closed."""
        return self._source is None and not self.closed

    @property
    def is_elf(self) -> bool:
        """False also before the first look-up."""
        return self._elf is not None

    @property
    def build_id(self) -> str:
        """Hexadecimal digits; empty without, and before the first look-up."""
        return self._elf.build_id.hex() if self._elf is not None else ""

    def functions(self, offset: int) -> tuple[Function, ...]:
        """The functions at this byte of the file, outermost first, inlined ones after it; at least one."""
        known = self._memo.get(offset)
        if known is None:
            if self._source is not None:
                self._load(self._source)
            if len(self._memo) >= _MAX_MEMO:
                self._memo.clear()
            known = self._memo[offset] = self._resolve(offset)
        return known

    def _resolve(self, offset: int) -> tuple[Function, ...]:
        address = self._elf.address_of(offset) if self._elf is not None else None
        if address is None:
            return (Function(f"0x{offset:x}", "", 0, FrameKind.NATIVE),)
        symbol = (self._table.lookup(address) if self._table is not None else "").partition("@@")[0]
        found = self._lines.lookup(address) if self._lines is not None else []
        if not found:
            return (Function(self._readable([symbol or f"0x{address:x}"])[0], "", 0, FrameKind.NATIVE),)
        # The symbol of the function that holds the code is the linker's name. Debug information has that only of
        # some functions and of the others a bare one (`operator()`).
        outer = symbol if symbol and not symbol.startswith("0x") else found[-1].function
        names = self._readable([outer or f"0x{address:x}", *(at.function or "?" for at in reversed(found[:-1]))])
        kinds = [FrameKind.NATIVE] + [FrameKind.INLINED] * (len(found) - 1)
        return tuple(
            Function(name, at.file, at.line, kind)
            for name, at, kind in zip(names, reversed(found), kinds, strict=True)
        )

    def _readable(self, names: Sequence[str]) -> list[str]:
        return demangle_names(names, arguments=self._arguments)

    def _load(self, source: ByteSource) -> None:
        self._source = None
        try:
            self._elf = ElfFile(source)
            self._load_tables(self._elf, source)
        except (ElfError, OSError, MemoryError) as error:
            self.problems.append(f"{self.path or 'object file'}: no symbols ({error}).")
        finally:
            if self._elf is not None:
                self._elf.forget_source()
            if isinstance(source, FileSource) and source not in self._kept:
                source.close()

    def _load_tables(self, elf: ElfFile, source: ByteSource) -> None:
        separate = find_debug_file(elf, self.path, root=self._root, directories=self._debug_directories)
        key = self._key(elf, source, separate[1] if separate else None)
        try:
            if not (key and self._load_cached(key)):
                self._build(elf, separate[0] if separate else None)
                if key:
                    self._store(key)
        finally:
            if separate and separate[1] not in self._kept:
                separate[1].close()

    def _build(self, elf: ElfFile, debug: ElfFile | None) -> None:
        mini = mini_debug_file(elf) if debug is None else None
        self._table = build_table(elf, [other for other in (debug, mini) if other is not None])
        for file in (elf, debug):
            if file is None or not (size := file.debug_info_size):
                continue
            if size > self._max_debug_bytes:
                self.problems.append(
                    f"{self.path}: no source lines ({size >> 20} MB of debug information, the limit is"
                    f" {self._max_debug_bytes >> 20} MB)."
                )
                continue
            self._lines = self._open_lines(file)
            if self._lines is not None:
                return

    def _open_lines(self, file: ElfFile) -> LineSource | None:
        source = file.source
        if symbolic_version():
            lines = SymbolicLines.from_object(source.read(0, source.size), file.load_address)
            if lines is not None:
                return lines
        if not isinstance(source, FileSource):
            return None
        child = ChildLines.for_file(source.descriptor)
        if child is None:
            self.problems.append(
                f"{self.path}: no source lines (install the extra `symbols`, addr2line or llvm-symbolizer)."
            )
        else:
            self._kept.append(source)
        return child

    def _key(self, elf: ElfFile, source: ByteSource, debug: FileSource | None) -> bytes:
        """What makes a file the same one as before. Not the build id alone: anybody can write one into a file."""
        if self._cache is None or not self._cache.enabled or not isinstance(source, FileSource):
            return b""
        parts: list[object] = [_FORMAT, symbolic_version(), elf.build_id.hex(), self._max_debug_bytes]
        for status in (source.status, debug.status if debug else None):
            if status is not None:
                parts += [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
        return repr(parts).encode()

    def _load_cached(self, key: bytes) -> bool:
        blocks = self._cache.load(key) if self._cache is not None else None
        if blocks is None or len(blocks) != 5:
            return False
        try:
            table = SymbolTable.from_bytes(*blocks[:3])
        except ValueError:
            return False
        if blocks[3]:
            self._lines = SymbolicLines.load(blocks[3], int.from_bytes(blocks[4], "little"))
            if self._lines is None:
                return False
        self._table = table
        return True

    def _store(self, key: bytes) -> None:
        table, lines = self._table, self._lines
        if self._cache is None or table is None or isinstance(lines, ChildLines):
            return
        dump, base = b"", 0
        if isinstance(lines, SymbolicLines):
            dump, base = lines.dump(), lines.load_address
        if dump or len(table) >= _WORTH_CACHING:
            self._cache.store(key, [*table.to_bytes(), dump, base.to_bytes(8, "little")])

    def close(self) -> None:
        """Release descriptors and child programs; what is in memory still answers."""
        self.closed = self.closed or not self.loaded
        if isinstance(self._lines, ChildLines):
            self._lines.close()
            self._lines = None
        for source in (self._source, *self._kept):
            if isinstance(source, FileSource):
                source.close()
        self._source = None
        self._kept.clear()
