"""The file that holds a process's CPython: which one it is, and what its symbols say.

In: a process's mappings. Out: addresses of `_PyRuntime`, `Py_Version` and some functions. The file is opened as the
target sees it (`symbols.targetfiles`): in another mount namespace, a chroot, deleted by an upgrade.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from dtrace_profiler.symbols.elf import PT_LOAD, ElfError, ElfFile, Section
from dtrace_profiler.symbols.mappings import AddressSpace, Mapping
from dtrace_profiler.symbols.targetfiles import open_mapped_file

_ET_EXEC = 2
_MACHINES = {62: "x86_64", 183: "aarch64"}
_MAX_CACHED = 256

_SYMBOL = struct.Struct("<IBBHQQ")
_VERSION_COUNT = b"_Py_next_func_version"
FUNCTIONS = (b"PyEval_EvalCode", b"PyObject_CallObject", b"PyImport_Import", b"PyRun_StringFlags", b"PyObject_Str")
"""Exported by every build: how they begin says whether it keeps frame pointers."""
_EXPORTED = (b"_PyRuntime", b"Py_Version", b"PyCode_Type", *FUNCTIONS)


class RuntimeSymbols(NamedTuple):
    """What an ELF file says; addresses as in the file."""

    fixed: bool
    """It is mapped where it says."""
    load_address: int
    """Of the file's first byte, where it is not fixed."""
    runtime: int
    version: int
    """Of `Py_Version`; 0 where it has none (before 3.11)."""
    code_type: int
    """Of `PyCode_Type`; 0 where that is not exported."""
    functions: tuple[int, ...]
    version_count: int
    """Of CPython 3.12's count of code versions; 0 where it is not there, or the file is stripped."""
    machine: str
    """Empty for one that is not known."""

    def base(self, mapping: Mapping) -> int:
        """What to add to the file's addresses for those of the process; `mapping`: the file's first."""
        return 0 if self.fixed else mapping.start - self.load_address


_cache: dict[tuple[object, ...], RuntimeSymbols | None] = {}


def candidates(space: AddressSpace) -> Iterator[Mapping]:
    """The first mapping of each libpython, then of the executable: a shared build's program has no `_PyRuntime`."""
    first: dict[tuple[object, ...], Mapping] = {}
    for mapping in space.mappings:
        if mapping.is_file and mapping.offset == 0:
            first.setdefault((mapping.device, mapping.inode, mapping.path), mapping)
    yield from (mapping for mapping in first.values() if mapping.name.startswith("libpython"))
    try:
        executable = os.readlink(f"{space.proc}/{space.pid}/exe").removesuffix(" (deleted)")
    except OSError:
        return
    yield from (m for m in first.values() if m.path == executable and not m.name.startswith("libpython"))


def runtime_symbols(space: AddressSpace, mapping: Mapping) -> RuntimeSymbols | None:
    """None where the file holds no CPython, or can't be opened. Read once for each file."""
    source = open_mapped_file(space, mapping)
    if source is None:
        return None
    try:
        status = source.status
        key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        if key not in _cache:
            if len(_cache) >= _MAX_CACHED:
                _cache.clear()
            _cache[key] = _read(ElfFile(source))
        return _cache[key]
    except ElfError:
        return None
    finally:
        source.close()


def _read(elf: ElfFile) -> RuntimeSymbols | None:
    """`_PyRuntime` and `Py_Version` from `.dynsym` (it survives strip), else `.symtab`, else the section."""
    if not elf.is_64 or elf.order != "<":
        return None
    found: dict[bytes, int] = {}
    for section in reversed(elf.symbol_sections()):
        wanted = [name for name in (*_EXPORTED, _VERSION_COUNT) if name not in found]
        found |= _addresses(elf, section, wanted)
    runtime = found.get(b"_PyRuntime", 0)
    if not runtime:
        runtime = next((section.address for section in elf.sections if section.name == ".PyRuntime"), 0)
    if not runtime:
        return None
    return RuntimeSymbols(
        fixed=elf.type == _ET_EXEC,
        load_address=min((s.address - s.offset for s in elf.segments if s.type == PT_LOAD), default=0),
        runtime=runtime,
        version=found.get(b"Py_Version", 0),
        code_type=found.get(b"PyCode_Type", 0),
        functions=tuple(found[name] for name in FUNCTIONS if name in found),
        version_count=found.get(_VERSION_COUNT, 0),
        machine=_MACHINES.get(elf.machine, ""),
    )


def _addresses(elf: ElfFile, section: Section, names: Iterable[bytes]) -> dict[bytes, int]:
    """The symbols of these names. Looks for the bytes of each, since a table has some ten thousand others."""
    out = {}
    strings = elf.strings(section)
    table = b""
    for name in names:
        place = strings.find(b"\0" + name + b"\0") + 1
        if not place:
            continue
        table = table or elf.section_bytes(section)
        key = struct.pack("<I", place)
        at = table.find(key)
        while at >= 0:
            if at % _SYMBOL.size == 0 and at + _SYMBOL.size <= len(table):
                _, _, _, index, address, _ = _SYMBOL.unpack_from(table, at)
                if index:
                    out[name] = address
                    break
            at = table.find(key, at + 1)
    return out
