"""A reduced copy of the kernel's type data (BTF), for dtrace to read instead of the whole.

`curthread` makes DTrace for Linux convert all of the kernel's types, some hundred thousand: 0.9 s of CPU at every
start and 6.5 s at every end (seen with DTrace 2.0.7 on Linux 6.18). A file with only the structure members that our
program names costs nothing, and `-x btfpath=DIRECTORY` makes dtrace read `DIRECTORY/vmlinux`.

In: the kernel's BTF (`/sys/kernel/btf/vmlinux`). Out: a BTF with `task_struct` and what we use of it, each member
at the kernel's own offset. Format: Documentation/bpf/btf.rst of the kernel.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

_HEADER = struct.Struct("<HBBIIIII")
_TYPE = struct.Struct("<III")
_MAGIC = 0xEB9F
_INT, _PTR, _ARRAY, _STRUCT, _UNION, _ENUM, _FUNC_PROTO, _VAR = 1, 2, 3, 4, 5, 6, 13, 14
_DATASEC, _DECL_TAG, _ENUM64 = 15, 17, 19
_MEMBER_BYTES = {_STRUCT: 12, _UNION: 12, _ENUM: 8, _FUNC_PROTO: 8, _DATASEC: 12, _ENUM64: 12}
_FIXED_BYTES = {_INT: 4, _ARRAY: 12, _VAR: 4, _DECL_TAG: 4}


_MAX_DEPTH = 4
_MAX_MEMBERS = 1 << 16
"""Looked at. task_struct of Linux 6.18 has some 300."""
_MAX_STRUCTURE = 1 << 16
"""Bytes; task_struct has 10,000."""


class BtfError(ValueError):
    """Not a BTF, or one without what is needed."""


@dataclass(frozen=True, slots=True)
class KernelOffsets:
    """Byte offsets of the members that our D programs name."""

    task_size: int
    task: Mapping[str, int]
    """Members of `struct task_struct`."""
    fsbase: int | None
    """Of `task_struct.thread.fsbase`, from the start of `thread`; None off x86-64."""
    tp_value: int | None
    """Of `task_struct.thread.uw.tp_value` from the start of `thread`; None off aarch64."""
    pid_level: int
    pid_numbers: int
    upid_size: int


class Btf:
    """A reader of as much of BTF as finding structure members needs."""

    def __init__(self, data: bytes) -> None:
        try:
            magic, _, _, header, type_at, type_length, string_at, string_length = _HEADER.unpack_from(data)
        except struct.error as error:
            raise BtfError("too short for a BTF header") from error
        if magic != _MAGIC:
            raise BtfError("not a little-endian BTF file")
        self._types = data[header + type_at : header + type_at + type_length]
        self._strings = data[header + string_at : header + string_at + string_length]
        self._at = list(self._offsets())
        self._members_left = _MAX_MEMBERS

    def _offsets(self) -> Iterator[int]:
        """Where each type starts; type 0 is void."""
        yield -1
        at, end, unpack = 0, len(self._types), _TYPE.unpack_from
        while at + 12 <= end:
            yield at
            _, info, _ = unpack(self._types, at)
            kind, count = info >> 24 & 31, info & 0xFFFF
            at += 12 + _FIXED_BYTES.get(kind, 0) + _MEMBER_BYTES.get(kind, 0) * count

    def _name(self, at: int) -> str:
        return self._strings[at : self._strings.find(b"\0", at)].decode("utf-8", "replace")

    def struct(self, name: str) -> int:
        """The id of a named structure."""
        wanted = self._strings.find(b"\0" + name.encode() + b"\0") + 1
        if not wanted:
            raise BtfError(f"no structure {name}")
        for index, at in enumerate(self._at):
            if at >= 0:
                name_at, info, _ = _TYPE.unpack_from(self._types, at)
                if name_at == wanted and info >> 24 & 31 == _STRUCT:
                    return index
        raise BtfError(f"no structure {name}")

    def size(self, index: int) -> int:
        return int(_TYPE.unpack_from(self._types, self._place(index))[2])

    def _place(self, index: int) -> int:
        """Where a type starts that has bytes: void has none."""
        if index == 0:
            raise BtfError("unexpected kernel types: void has no members")
        return self._at[index]

    def members(self, index: int, base: int = 0, depth: int = 0) -> Iterator[tuple[str, int, int]]:
        """(name, type id, byte offset) of each member, those of nameless structures and unions included."""
        at = self._place(index)
        _, info, _ = _TYPE.unpack_from(self._types, at)
        if info >> 24 & 31 not in (_STRUCT, _UNION) or depth > _MAX_DEPTH:
            return
        for number in range(info & 0xFFFF):
            # A nameless structure that holds itself would have more members than anybody can count.
            self._members_left -= 1
            if self._members_left < 0:
                raise BtfError("unexpected kernel types: more members than a kernel has")
            name_at, kind, bits = _TYPE.unpack_from(self._types, at + 12 + 12 * number)
            offset = base + ((bits & 0xFFFFFF) if info >> 31 else bits) // 8
            if name_at:
                yield self._name(name_at), kind, offset
            else:
                yield from self.members(kind, offset, depth + 1)


_TASK_MEMBERS = ("pid", "tgid", "thread_pid", "thread")


def kernel_offsets(data: bytes) -> KernelOffsets:
    """What our programs need of a kernel's BTF. About 0.1 s for a whole kernel. Raises `BtfError`."""
    btf = Btf(data)
    try:
        task = btf.struct("task_struct")
        members = {name: (kind, offset) for name, kind, offset in btf.members(task)}
        thread = {name: (kind, offset) for name, kind, offset in btf.members(members["thread"][0])}
        pid = {name: offset for name, _, offset in btf.members(btf.struct("pid"))}
        tp_value = None
        if "uw" in thread:
            uw = {name: offset for name, _, offset in btf.members(thread["uw"][0])}
            if "tp_value" in uw:
                tp_value = thread["uw"][1] + uw["tp_value"]
        offsets = KernelOffsets(
            task_size=btf.size(task),
            task={name: members[name][1] for name in _TASK_MEMBERS},
            fsbase=thread["fsbase"][1] if "fsbase" in thread else None,
            tp_value=tp_value,
            pid_level=pid["level"],
            pid_numbers=pid["numbers"],
            upid_size=btf.size(btf.struct("upid")),
        )
    except (KeyError, IndexError, struct.error) as error:
        raise BtfError(f"unexpected kernel types: {error}") from error
    _check_sizes(offsets)
    return offsets


def _check_sizes(offsets: KernelOffsets) -> None:
    """Members lie inside of their structures, and these have the size of structures."""
    room = offsets.task_size - offsets.task["thread"]
    inside = [
        0 < offsets.task_size <= _MAX_STRUCTURE,
        *(0 <= at <= offsets.task_size - 4 for at in offsets.task.values()),
        *(0 <= at <= room - 8 for at in (offsets.fsbase, offsets.tp_value) if at is not None),
        0 <= offsets.pid_level <= _MAX_STRUCTURE,
        0 <= offsets.pid_numbers <= _MAX_STRUCTURE,
        4 <= offsets.upid_size <= _MAX_STRUCTURE,
    ]
    if not all(inside):
        raise BtfError("unexpected kernel types: sizes that can't be true")


@dataclass(slots=True)
class _Writer:
    types: bytearray = field(default_factory=bytearray)
    strings: bytearray = field(default_factory=lambda: bytearray(b"\0"))
    count: int = 0

    def string(self, text: str) -> int:
        if not text:
            return 0
        at = len(self.strings)
        self.strings += text.encode() + b"\0"
        return at

    def add(self, name: str, kind: int, count: int, size_or_type: int, rest: bytes = b"") -> int:
        self.types += _TYPE.pack(self.string(name), kind << 24 | count, size_or_type) + rest
        self.count += 1
        return self.count

    def integer(self, name: str, size: int, *, signed: bool = False) -> int:
        return self.add(name, _INT, 0, size, struct.pack("<I", int(signed) << 24 | size * 8))

    def structure(self, name: str, size: int, members: Sequence[tuple[str, int, int]]) -> int:
        # libctf puts the first member of a structure at offset 0 whatever it is told: let one stand there.
        members = [("_first", self.byte, 0), *members]
        packed = b"".join(_TYPE.pack(self.string(n), kind, at * 8) for n, kind, at in members)
        return self.add(name, _STRUCT, len(members), size, packed)

    byte: int = 0

    def data(self) -> bytes:
        strings = bytes(self.strings) + b"\0" * (-len(self.strings) % 4)
        header = _HEADER.pack(_MAGIC, 1, 0, _HEADER.size, 0, len(self.types), len(self.types), len(strings))
        return header + bytes(self.types) + strings


def reduced_btf(offsets: KernelOffsets) -> bytes:
    """A BTF file with `struct task_struct` as far as our programs need it."""
    out = _Writer()
    out.byte = out.integer("char", 1, signed=True)
    word = out.integer("long unsigned int", 8)
    number = out.integer("int", 4, signed=True)
    unsigned = out.integer("unsigned int", 4)
    upid = out.structure("upid", offsets.upid_size, [("nr", number, 0)])
    # A kernel nests pid namespaces 32 deep at most (MAX_PID_NS_LEVEL).
    numbers = out.add("", _ARRAY, 0, 0, struct.pack("<III", upid, unsigned, 33))
    pid = out.structure(
        "pid",
        offsets.pid_numbers + 33 * offsets.upid_size,
        [("level", unsigned, offsets.pid_level), ("numbers", numbers, offsets.pid_numbers)],
    )
    pid_pointer = out.add("", _PTR, 0, pid)
    room = offsets.task_size - offsets.task["thread"]
    if offsets.fsbase is not None:
        thread = out.structure("thread_struct", room, [("fsbase", word, offsets.fsbase)])
    elif offsets.tp_value is not None:
        uw = out.structure("thread_uw", room, [("tp_value", word, offsets.tp_value)])
        thread = out.structure("thread_struct", room, [("uw", uw, 0)])
    else:
        thread = out.structure("thread_struct", room, [])
    kinds = {"pid": number, "tgid": number, "thread_pid": pid_pointer, "thread": thread}
    members = [(name, kinds[name], at) for name, at in sorted(offsets.task.items(), key=lambda item: item[1])]
    task = out.structure("task_struct", offsets.task_size, members)
    out.add("", _PTR, 0, task)  # the type of curthread, looked up as such
    return out.data()
