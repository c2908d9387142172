"""Files that are valid, with the largest numbers that they can have, and files that are cut off, for every reader.

What is read keeps the promises of the data model, so that every writer and view can count on them; what would not
keep them is refused.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from any_profiles import small_profile

from dtrace_profiler.errors import InputError, UsageError
from dtrace_profiler.formats import FORMATS, read_profile, write_profile
from dtrace_profiler.formats.protobuf import block, number, packed
from dtrace_profiler.model.profile import Profile
from dtrace_profiler.model.top import top_functions
from dtrace_profiler.model.tree import CallTree
from fuzz.format_targets import TARGETS, sample_profile
from fuzz.model_promises import broken_promises
from fuzz.target import assert_one_sentence

MOST = (1 << 63) - 1
UNSIGNED = (1 << 64) - 1
READ = [item.name for item in FORMATS if item.reads]
WRITTEN = [item.name for item in FORMATS if item.writes]


def written(name: str) -> bytes:
    file = io.BytesIO()
    try:
        write_profile(small_profile(), file, name)
    except UsageError as error:
        pytest.skip(str(error))
    return file.getvalue()


def pprof(*values: int, line: int = 0, address: int = 0, about: bytes = b"") -> bytes:
    function = block(5, number(1, 1) + number(2, 3) + number(5, line))
    location = block(4, number(1, 1) + number(3, address) + block(4, number(1, 1) + number(2, line)))
    samples = b"".join(block(2, packed(1, [1]) + packed(2, [value])) for value in values)
    texts = b"".join(block(6, text) for text in (b"", b"cpu", b"nanoseconds", b"f"))
    return block(1, number(1, 1) + number(2, 2)) + samples + function + location + texts + about


def otlp(change: Callable[[Any, Any], object]) -> bytes:
    module = pytest.importorskip("opentelemetry.proto.profiles.v1development.profiles_pb2")
    whole = module.ProfilesData.FromString(written("otlp"))
    change(whole, whole.resource_profiles[0].scope_profiles[0].profiles[0])
    data: bytes = whole.SerializeToString()
    return data


def otlp_values(_: Any, profile: Any) -> None:
    for sample in profile.samples:
        sample.values[:] = [MOST] * len(sample.timestamps_unix_nano)


def otlp_lines(whole: Any, _: Any) -> None:
    for location in whole.dictionary.location_table:
        location.address = UNSIGNED
        for line in location.lines:
            line.line = MOST


def otlp_attributes(whole: Any, _: Any) -> None:
    for attribute in whole.dictionary.attribute_table:
        attribute.value.int_value = -MOST


def parquet(column: str, value: int, row: str, kind: str = "int64") -> bytes:
    """Our file, with this value in a column of all rows of a kind."""
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = pq.read_table(io.BytesIO(written("parquet")))
    rows = table.column("row").to_pylist()
    values = [value if what == row else None for what in rows]
    table = table.set_column(table.schema.get_field_index(column), column, pa.array(values, getattr(pa, kind)()))
    file = io.BytesIO()
    pq.write_table(table, file)
    return file.getvalue()


def recording(value: int) -> bytes:
    lines = [b"# dtrace-profiler recording 1\n", b'# {"frame": [0, "f", "", "", 0, 0, "native", 0]}\n']
    lines += [b'# {"stack": [["0", "0", "0", "0", "0"], [0]]}\n']
    lines += [b'# {"sample": [1700000000000000000, 1, 1, 0, %d]}\n' % value] * 2
    return b"".join(lines)


def speedscope(weight: int, line: int) -> bytes:
    one = {"type": "sampled", "name": "p", "unit": "none", "startValue": 0, "endValue": 9}
    shared = {"frames": [{"name": "f", "file": "f.c", "line": line}]}
    document = {"shared": shared, "profiles": [{**one, "samples": [[0]], "weights": [weight]}]}
    return json.dumps({"$schema": "https://www.speedscope.app/file-format-schema.json", **document}).encode()


def trace(begin: float, length: float) -> bytes:
    event = {"ph": "X", "pid": MOST, "tid": -1, "ts": begin, "dur": length, "name": "f (a.py:999999999)"}
    return json.dumps({"traceEvents": [event]}).encode()


ENDS = b"\n a.out`f+0x1\n %d\n\n a.out`f+0x1\n %d\n"
KEPT: list[tuple[str, Callable[[], bytes]]] = [
    ("dtrace", lambda: recording(MOST)),
    ("pprof", lambda: pprof(MOST, line=MOST, address=UNSIGNED)),
    ("pprof", lambda: pprof(1, about=number(9, UNSIGNED) + number(10, UNSIGNED) + number(12, MOST))),
    ("pprof", lambda: pprof(1, about=block(3, number(1, 1) + number(2, UNSIGNED - 1) + number(3, UNSIGNED)))),
    ("otlp", lambda: otlp(otlp_lines)),
    ("otlp", lambda: otlp(otlp_attributes)),
    ("otlp", lambda: otlp(lambda _, profile: setattr(profile, "time_unix_nano", UNSIGNED))),
    ("otlp", lambda: otlp(lambda _, profile: setattr(profile, "period", MOST))),
    ("parquet", lambda: parquet("line", MOST, "node")),
    ("parquet", lambda: parquet("first_line", -1, "node")),
    ("parquet", lambda: parquet("address", UNSIGNED, "node", "uint64")),
    ("parquet", lambda: parquet("pid", MOST, "sample")),
    ("parquet", lambda: parquet("ts_ns", -1, "sample")),
    ("speedscope", lambda: speedscope(MOST, MOST)),
    ("trace", lambda: trace(-9e15, 9e15)),
    ("folded", lambda: b"tid:99999999999999999999;a.py:f:99999999999999 %d\n" % MOST),
    ("austin", lambda: b"P1;T0:1;/a.py:f:1 %d\n" % (MOST // 1000)),
    ("perf", lambda: b"p 1/2 9223372036.0: %d cpu-clock: \n\tffffffffffffffff f (m)\n\n" % MOST),
    ("dtrace-text", lambda: ENDS % (MOST - 3, 3)),
]
REFUSED: list[tuple[str, Callable[[], bytes], str]] = [
    ("pprof", lambda: pprof(MOST, 1), "sum of all values is too large at offset 24"),
    ("otlp", lambda: otlp(otlp_values), "sum of all values is too large at a sample"),
    ("parquet", lambda: parquet("value", MOST, "sample"), "sum of the column value is too large"),
    ("parquet", lambda: parquet("ts_ns", UNSIGNED, "sample", "uint64"), "in the column ts_ns, which is too large"),
    ("parquet", lambda: parquet("pid", UNSIGNED, "sample", "uint64"), "in the column pid, which is too large"),
]


@pytest.mark.parametrize(("name", "made"), KEPT, ids=[f"{name}-{row}" for row, (name, _) in enumerate(KEPT)])
def test_the_largest_numbers_are_read_and_every_view_can_show_them(name: str, made: Callable[[], bytes]) -> None:
    profile = read_profile(io.BytesIO(made()), name)
    assert broken_promises(profile) == []
    assert CallTree.from_profile(profile).total[0] == profile.total
    assert top_functions(profile, limit=1)[0].total <= profile.total
    for format_ in WRITTEN:
        write_profile(profile, io.BytesIO(), format_)


@pytest.mark.parametrize(("name", "made", "message"), REFUSED)
def test_numbers_that_no_profile_can_hold_are_refused(name: str, made: Callable[[], bytes], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_profile(io.BytesIO(made()), name)


def test_a_recordings_sample_that_makes_the_sum_too_large_is_an_unreadable_line() -> None:
    profile = read_profile(io.BytesIO(recording(MOST)), "dtrace")
    assert (profile.total, profile.meta.losses["unreadable_lines"]) == (MOST, 1)


def whole_files(name: str) -> list[tuple[bytes, Profile]]:
    """The shortest of those that the fuzzer begins with, as far as they have samples."""
    (target,) = (target for target in TARGETS if target.name == f"format-{name}")
    out = []
    for data in sorted(target.seeds(), key=len)[:4]:
        try:
            out.append((data, read_profile(io.BytesIO(data), name)))
        except InputError:
            continue
    return out


CAN_NOT_TELL = ("folded", "austin", "perf", "dtrace-text")
"""Cut between two stacks, or within the last number, such a text is a whole one."""


@pytest.mark.parametrize("name", READ)
def test_a_file_that_is_cut_off_never_has_more_in_it_and_says_what_it_lacks(name: str) -> None:
    files = whole_files(name)
    assert files
    for data, whole in files:
        for end in (*range(0, len(data), max(1, len(data) // 47)), *range(max(0, len(data) - 30), len(data))):
            try:
                profile = read_profile(io.BytesIO(data[:end]), name)
            except InputError as error:
                assert_one_sentence(error)
                continue
            assert broken_promises(profile) == []
            assert profile.total <= whole.total
            told = profile.meta.notes != whole.meta.notes or profile.meta.losses != whole.meta.losses
            assert told or profile.total == whole.total or name in CAN_NOT_TELL, end


def test_perfs_text_that_ends_within_a_stack_says_so() -> None:
    text = b"p 1/2 1.0: 1 cycles: \n\tff f (m)\n\tfe main (m)\n"
    note = "The text ends within a stack: that of the last sample may lack its callers."
    assert note in read_profile(io.BytesIO(text), "perf").meta.notes
    assert note not in read_profile(io.BytesIO(text + b"\n"), "perf").meta.notes


@pytest.mark.parametrize("promise", ["Profile.value", "Profile.parent", "Meta.losses", "StackFrame", "Thread"])
def test_a_promise_that_is_broken_is_noticed(promise: str) -> None:
    profile = sample_profile()
    assert broken_promises(profile) == []
    if promise == "Profile.value":
        profile.value[0] = profile.value[1] = MOST
    elif promise == "Profile.parent":
        profile.parent[0] = 0
    elif promise == "Meta.losses":
        profile = replace(profile, meta=replace(profile.meta, losses={"drops": -1}))
    elif promise == "StackFrame":
        profile = replace(profile, frames=(profile.frames[0]._replace(line=MOST), *profile.frames[1:]))
    else:
        profile = replace(profile, threads=(replace(profile.threads[0], process_id=-1), *profile.threads[1:]))
    assert any(text.startswith(promise) for text in broken_promises(profile))
