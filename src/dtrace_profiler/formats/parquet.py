"""Profiles as Parquet, for SQL over many of them: one file with three kinds of rows, needs the extra `parquet`.

`sample`, `stack` and `node` rows stand in row groups of their own, so that an engine reads only those it asks for.
Ids are hashes of what they name: equal stacks have the same id in every file, and files merge by being read together.
One file rather than a folder of three, because it is whole or not there, goes through pipes, and `*.parquet` names
many. See docs/formats.md for the columns and queries.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from array import array
from dataclasses import asdict
from typing import Any, BinaryIO

from dtrace_profiler.errors import InputError, UsageError
from dtrace_profiler.formats.files import UNPACKED_ALWAYS, UNPACKED_TIMES, read_whole
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import FrameKind, Labels, StackFrame
from dtrace_profiler.model.profile import Meta, Profile

MAX_BYTES = 2 << 30
MAX_ROWS = 200_000_000
FEW_ROWS = 4_000_000
ROWS_A_BYTE = 64
"""A row takes nothing in the file where it repeats the one before, but 28 bytes of memory. So beyond `FEW_ROWS` a
file may have so many for each of its bytes; samples with times of their own take some bytes each."""
ABOUT = b"dtrace_profiler"
"""The key of the file's metadata under which `Meta` stands, as JSON."""
_ROWS_A_GROUP = 1 << 20
_NODE_TEXTS = ("name", "module", "file", "kind")
_TEXTS = ("row", "thread", "labels", *_NODE_TEXTS)
_KINDS = {str(kind): kind for kind in FrameKind}
_WORD = 1 << 63
_LINES = 1 << 31
"""Lines from this on are none."""


def _libraries() -> tuple[Any, Any]:
    """pyarrow and pyarrow.parquet. Raises `UsageError` where they are not installed."""
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise UsageError(
            "Parquet files need pyarrow, which is not installed.", remedy="pip install 'dtrace-profiler[parquet]'"
        ) from error


def require() -> None:
    """Raises `UsageError` where pyarrow is not installed."""
    _libraries()


def _schema(pa: Any) -> Any:
    columns = [("row", pa.dictionary(pa.int32(), pa.string())), ("stack_id", pa.int64())]
    columns += [(name, pa.int64()) for name in ("ts_ns", "pid", "tid")]
    columns += [
        ("thread", pa.string()),
        ("labels", pa.string()),
        ("value", pa.int64()),
        ("nodes", pa.list_(pa.int64())),
    ]
    columns += [("node_id", pa.int64()), ("parent_id", pa.int64())]
    columns += [(name, pa.string()) for name in _NODE_TEXTS]
    columns += [("line", pa.int32()), ("first_line", pa.int32()), ("address", pa.uint64())]
    return pa.schema(columns)


def dropped(profile: Profile) -> list[str]:
    """What of this profile the format can't hold."""
    return ["when samples were lost"] if profile.lost else []


def sniff(head: bytes) -> bool | None:
    """Whether it is Parquet; None: more bytes are needed."""
    return head.startswith(b"PAR1") if len(head) >= 4 else None if b"PAR1".startswith(head) else False


def write(profile: Profile, file: BinaryIO) -> None:
    """Raises `UsageError` where pyarrow is not installed."""
    pa, pq = _libraries()
    schema = _schema(pa).with_metadata({ABOUT: json.dumps(_about(profile.meta))})
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        for name, columns, count in _rows(profile, pa, schema):
            for start in range(0, count, _ROWS_A_GROUP):
                writer.write_table(_table(pa, schema, name, columns, start, min(_ROWS_A_GROUP, count - start)))
    file.write(sink.getvalue())


def _about(meta: Meta) -> dict[str, Any]:
    return {**asdict(meta), "versions": dict(meta.versions), "losses": dict(meta.losses), "notes": list(meta.notes)}


def _rows(profile: Profile, pa: Any, schema: Any) -> list[tuple[str, dict[str, Any], int]]:
    """The three kinds of rows: what `row` says, the columns that are not null, how many."""
    ids = _node_ids(profile)
    leaves = sorted(set(profile.node))
    needed = bytearray(len(ids))
    for leaf in leaves:
        node = leaf
        while node >= 0 and not needed[node]:
            needed[node] = 1
            node = profile.parent[node]
    nodes = [node for node in range(len(ids)) if needed[node]]
    frames = [profile.frames[profile.frame[node]] for node in nodes]
    threads = profile.threads
    thread = _numbers(pa, profile.thread, pa.int32())
    times = _numbers(pa, profile.timestamp_ns, pa.int64())
    sample = {
        "stack_id": _numbers(pa, ids, pa.int64()).take(_numbers(pa, profile.node, pa.int32())),
        "ts_ns": times,
        "pid": pa.array([who.process_id for who in threads], pa.int64()).take(thread),
        "tid": pa.array([who.thread_id for who in threads], pa.int64()).take(thread),
        "thread": pa.array([_clean(who.name) for who in threads], pa.string()).take(thread),
        "labels": pa.array([_label_text(who.labels) for who in threads], pa.string()).take(thread),
        "value": _numbers(pa, profile.value, pa.int64()),
    }
    stack = {"stack_id": [ids[leaf] for leaf in leaves], "nodes": [_path(profile, ids, leaf) for leaf in leaves]}
    node_rows = {
        "node_id": [ids[node] for node in nodes],
        "parent_id": [ids[profile.parent[node]] if profile.parent[node] >= 0 else None for node in nodes],
        "name": [_clean(frame.function_name) for frame in frames],
        "module": [_clean(frame.module_name) for frame in frames],
        "file": [_clean(frame.file) for frame in frames],
        "kind": [str(frame.kind) for frame in frames],
        "line": [frame.line for frame in frames],
        "first_line": [frame.first_line for frame in frames],
        "address": [frame.address for frame in frames],
    }
    rows = (("sample", sample, len(profile)), ("stack", stack, len(leaves)), ("node", node_rows, len(nodes)))
    return [
        (name, {key: pa.array(column, schema.field(key).type) for key, column in columns.items()}, count)
        for name, columns, count in rows
    ]


def _table(pa: Any, schema: Any, name: str, columns: dict[str, Any], start: int, count: int) -> Any:
    """Some rows of one kind, as a row group. A group at a time, as columns of nulls take as much memory as others."""
    out = []
    for field in schema:
        if field.name == "row":
            out.append(pa.DictionaryArray.from_arrays(_numbers(pa, array("i", bytes(4 * count)), pa.int32()), [name]))
        elif field.name in columns:
            out.append(columns[field.name].slice(start, count))
        else:
            out.append(pa.nulls(count, field.type))
    return pa.Table.from_arrays(out, schema=schema)


def _numbers(pa: Any, column: array[int], kind: Any) -> Any:
    return pa.Array.from_buffers(kind, len(column), [None, pa.py_buffer(column)])


def _node_ids(profile: Profile) -> array[int]:
    """A hash of each node's frame and of all above it. Never 0, which no stack has."""
    digests = [hashlib.blake2b(json.dumps(frame).encode(), digest_size=16).digest() for frame in profile.frames]
    ids = array("q")
    for parent, frame in zip(profile.parent, profile.frame, strict=True):
        above = ids[parent] if parent >= 0 else 0
        digest = hashlib.blake2b(above.to_bytes(8, "little", signed=True) + digests[frame], digest_size=8).digest()
        ids.append(int.from_bytes(digest, "little", signed=True) or 1)
    return ids


def _path(profile: Profile, ids: array[int], node: int) -> list[int]:
    out = []
    while node >= 0:
        out.append(ids[node])
        node = profile.parent[node]
    out.reverse()
    return out


def _label_text(labels: Labels) -> str | None:
    return json.dumps(dict(labels)) if labels else None


def _clean(text: str) -> str:
    """Halves of surrogate pairs are no text there."""
    return text.encode("utf-8", "replace").decode()


def read(file: BinaryIO) -> Profile:
    """One file, or what an engine copied together of many. Raises `InputError` with the column of what is wrong."""
    data = read_whole(file, MAX_BYTES)
    pa, pq = _libraries()
    try:
        names = set(pq.read_schema(pa.BufferReader(data)).names)
        if missing := [name for name in _schema(pa).names if name not in names]:
            raise InputError(f"this Parquet file holds no profile of ours: it has no column {missing[0]}.")
        opened = pq.ParquetFile(pa.BufferReader(data), read_dictionary=list(_TEXTS))
        _refuse_bombs(opened.metadata, len(data))
        reader = _Reader(opened.schema_arrow.metadata or {})
        wanted = [name for name in _schema(pa).names if name != "nodes"]
        for batch in opened.iter_batches(columns=wanted):
            reader.take({name: _values(pa, batch.column(name)) for name in wanted})
    except (pa.ArrowException, OSError, ValueError, TypeError, OverflowError, KeyError, IndexError) as error:
        if isinstance(error, UsageError):
            raise
        said = str(error).splitlines()[0][:200].rstrip(".") if str(error) else type(error).__name__
        raise InputError(f"this Parquet file can't be read: {said}.") from error
    return reader.profile()


def _refuse_bombs(metadata: Any, size: int) -> None:
    """Before any of it is unpacked: what the file says of itself is more than a profile can be."""
    most = min(MAX_ROWS, FEW_ROWS + ROWS_A_BYTE * size)
    if metadata.num_rows > most:
        raise InputError(f"the file says that it has {metadata.num_rows:,} rows, more than {most:,}.")
    groups = (metadata.row_group(place).total_byte_size for place in range(metadata.num_row_groups))
    if sum(groups) > UNPACKED_ALWAYS + UNPACKED_TIMES * size:
        raise InputError(
            f"its {size:,} bytes unpack to more than {UNPACKED_TIMES} times as many, which no profile does."
        )


def _values(pa: Any, column: Any) -> list[Any]:
    """Texts by their place in the dictionary, so that a long one is there once however often it is repeated."""
    if pa.types.is_dictionary(column.type):
        texts = column.dictionary.to_pylist()
        return [None if place is None else texts[place] for place in column.indices.to_pylist()]
    if not (pa.types.is_integer(column.type) or pa.types.is_null(column.type)):
        raise InputError(f"a column has the type {column.type}, and should have whole numbers.")
    values: list[Any] = column.to_pylist()
    return values


class _Reader:
    def __init__(self, metadata: dict[bytes, bytes]) -> None:
        self._metadata = metadata
        self._builder = ProfileBuilder(max_samples=_WORD)
        self._labels: dict[str, Labels] = {}
        self._nodes: dict[int, tuple[int | None, int]] = {}
        """A node's id → its parent's, and its frame. Files of many hosts say the same ones again."""
        self._stacks: dict[int, int] = {}
        """Ids → their order of appearance: the builder's nodes until all are known."""
        self._total = 0

    def take(self, columns: dict[str, list[Any]]) -> None:
        samples = ("ts_ns", "pid", "tid", "thread", "stack_id", "value", "labels")
        nodes = ("node_id", "parent_id", "name", "module", "address", "file", "line", "first_line", "kind")
        for row, what in enumerate(columns["row"]):
            if what == "sample":
                self._sample(*(columns[name][row] for name in samples))
            elif what == "node":
                self._node(*(columns[name][row] for name in nodes))

    def _sample(self, time: Any, process: Any, thread: Any, name: Any, stack: Any, value: Any, said: Any) -> None:
        if stack is None or value is None:
            raise InputError("a sample has no stack_id or no value.")
        if value < 0:
            raise InputError(f"a sample has the value {value}, and none can be negative.")
        self._total += value
        if self._total >= _WORD:
            raise InputError(f"the sum of the column value is too large at a sample with {value}.")
        place = self._stacks.setdefault(stack, len(self._stacks))
        of = self._builder.add_thread(
            _at_least_0(process, "pid"), _at_least_0(thread, "tid"), name or "", self._labels_of(said)
        )
        self._builder.add_sample(_at_least_0(time, "ts_ns"), of, place, value)

    def _labels_of(self, text: Any) -> Labels:
        if not text:
            return ()
        known = self._labels.get(text)
        if known is None:
            try:
                said = json.loads(text)
                known = tuple(sorted((str(key), str(value)) for key, value in said.items()))
            except (ValueError, AttributeError, RecursionError) as error:
                raise InputError("a sample's labels are no JSON object.") from error
            self._labels[text] = known
        return known

    def _node(self, node: Any, parent: Any, name: Any, module: Any, address: Any, file: Any, *rest: Any) -> None:
        line, first_line, kind = rest
        if node is None:
            raise InputError("a node has no node_id.")
        frame = StackFrame(
            name or "",
            module or "",
            max(0, address or 0),
            file or "",
            _line(line),
            _line(first_line),
            _KINDS.get(kind, FrameKind.UNKNOWN),
        )
        self._nodes[node] = (parent, self._builder.add_frame(frame))

    def profile(self) -> Profile:
        known: dict[int | None, int] = {None: -1}
        places = array("i", [self._place(stack, known) for stack in self._stacks])
        column = self._builder.node
        for row, stack in enumerate(column):
            column[row] = places[stack]
        return self._builder.snapshot(self._meta())

    def _place(self, stack: int, known: dict[int | None, int]) -> int:
        """The builder's node of this id, made with all above it where they are new."""
        path: dict[int, None] = {}
        node: int | None = stack
        while node not in known:
            if node is None or node not in self._nodes:
                raise InputError(f"the node_id {node} is named and not there.")
            if node in path:
                raise InputError(f"the node_id {node} is its own caller.")
            path[node] = None
            node = self._nodes[node][0]
        place = known[node]
        for below in reversed(path):
            place = known[below] = self._builder.add_node(place, self._nodes[below][1])
        return place

    def _meta(self) -> Meta:
        try:
            said = json.loads(self._metadata.get(ABOUT, b"{}"))
        except (ValueError, RecursionError) as error:
            raise InputError(f"the file's metadata {ABOUT.decode()} is no JSON.") from error
        said = said if isinstance(said, dict) else {}
        versions, losses = (
            value if isinstance(value, dict) else {} for value in (said.get("versions"), said.get("losses"))
        )
        notes = said.get("notes")
        return Meta(
            engine=str(said.get("engine") or "parquet"),
            unit="nanoseconds" if said.get("unit") == "nanoseconds" else "samples",
            frequency_hz=_number(said.get("frequency_hz")),
            start_ns=_number(said.get("start_ns")),
            duration_ns=_number(said.get("duration_ns")),
            target=str(said.get("target", "")),
            system=str(said.get("system", "")),
            versions={str(key): str(text) for key, text in versions.items()},
            losses={str(key): count for key, count in losses.items() if _number(count)},
            notes=[str(note) for note in notes] if isinstance(notes, list) else [],
        )


def _at_least_0(value: int | None, column: str) -> int:
    """0 where it is null or negative. Raises `InputError` where it does not fit, as unsigned numbers may."""
    if value is not None and value >= _WORD:
        raise InputError(f"a sample has {value} in the column {column}, which is too large a number.")
    return max(0, value or 0)


def _line(value: int | None) -> int:
    return value if value is not None and 0 <= value < _LINES else 0


def _number(value: object) -> int:
    return value if type(value) is int and 0 <= value < _WORD else 0
