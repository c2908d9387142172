"""pprof files: written for `go tool pprof`, read from Go's own profiler, and never trusted."""

from __future__ import annotations

import gzip
import io
import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from any_profiles import MAPPED, by_names, by_stack, by_thread, complaint, damaged, profiles, small_profile, written
from hypothesis import given
from hypothesis import strategies as st

from dtrace_profiler import formats
from dtrace_profiler.errors import InputError
from dtrace_profiler.formats import pprof, pprof_reader, read_profile
from dtrace_profiler.formats.protobuf import block, fields, number, packed, varint
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.model.profile import Meta, Profile
from viewers import VIEWERS, node

DATA = Path(__file__).parents[1] / "data" / "pprof"
SMALL = written(pprof, small_profile())


def read(data: bytes) -> Profile:
    return pprof.read(io.BytesIO(data))


def test_the_small_profile_is_written_as_ever(golden: Callable[[Path, bytes], None]) -> None:
    golden(DATA / "small.pb", SMALL)


def test_what_is_written_is_read_again() -> None:
    profile, again = small_profile(), read(SMALL)
    assert by_stack(again) == by_stack(profile)
    assert set(again.threads) == set(profile.threads)
    assert by_thread(again) == by_thread(profile)
    assert again.meta == profile.meta
    assert again.mapped_files == (replace(MAPPED, process_id=0),)
    assert pprof.dropped(profile) == ["the samples' times", "when samples were lost"]
    assert pprof.dropped(again) == []


@given(profiles())
def test_totals_names_and_threads_survive(profile: Profile) -> None:
    again = read(written(pprof, profile))
    assert again.total == profile.total
    assert again.meta.unit == profile.meta.unit
    assert by_thread(again) == by_thread(profile)
    assert by_names(again) == by_names(profile)
    assert dict(again.meta.losses) == dict(profile.meta.losses)
    second = read(written(pprof, again))
    assert by_names(second) == by_names(again)


@given(profiles())
def test_few_samples_of_many_threads_are_added_up_as_others_are(profile: Profile) -> None:
    with pytest.MonkeyPatch.context() as patch:
        usual = written(pprof, profile)
        patch.setattr(pprof, "_MANY_PLACES", -1 << 40)
        patch.setattr(pprof, "_MEMO_BYTES", 0)
        assert written(pprof, profile) == usual


def test_values_that_are_too_large_for_one_number() -> None:
    most = (1 << 63) - 1
    builder = ProfileBuilder()
    thread = builder.add_thread(1, 1)
    node = builder.add_stack([StackFrame("f", kind=FrameKind.NATIVE)])
    for value in (most - 5, 5):
        builder.add_sample(0, thread, node, value)
    assert read(written(pprof, builder.snapshot(Meta(frequency_hz=97)))).total == most
    builder.add_sample(0, thread, node, 1)
    with pytest.raises(InputError, match="sum of all values is too large at offset"):
        read(written(pprof, builder.snapshot(Meta(frequency_hz=97))))


def test_a_stack_of_100_000_frames() -> None:
    builder = ProfileBuilder()
    builder.add_sample(0, builder.add_thread(1, 1), builder.add_stack([StackFrame("f"), StackFrame("g")] * 50_000), 2)
    profile = builder.snapshot(Meta())
    again = read(written(pprof, profile))
    assert len(again.stack(again.node[0])) == 100_000


@given(st.binary(max_size=300))
def test_any_bytes_give_a_profile_or_one_sentence(data: bytes) -> None:
    pprof.sniff(data)
    assert complaint(pprof, data).endswith(".")


@given(damaged(SMALL))
def test_a_damaged_file_gives_a_profile_or_one_sentence(data: bytes) -> None:
    assert complaint(pprof, data).endswith(".")


def profile_file(*parts: bytes, strings: tuple[str, ...] = ("", "samples", "count")) -> bytes:
    kind = block(1, number(1, 1) + number(2, 2))
    return kind + b"".join(parts) + b"".join(block(6, text.encode()) for text in strings)


FUNCTION = block(5, number(1, 1) + number(2, 1))
LOCATION = block(4, number(1, 1) + block(4, number(1, 1)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"\x0a\x80", "number at offset 1 is cut off"),
        (b"\x0a" + b"\xff" * 10 + b"\x01", "more than 64 bits"),
        (b"\x0a\x7f\x01", "field 1 at offset 0 is longer"),
        (b"\x0b\x00", "no field of a Protocol Buffers message at offset 0"),
        (number(6, 1), "field 6 before offset 2 is not of the type"),
        (profile_file(strings=("x",)), "table of strings"),
        (block(6, b""), "no type of its values"),
        (profile_file(strings=("",)), "names string 1, and there are 1"),
        (profile_file(block(5, b"")), "function at offset 8 has no number"),
        (profile_file(FUNCTION, FUNCTION), "has the number 1 of another"),
        (profile_file(LOCATION), "names function 1, which is not there"),
        (profile_file(block(4, number(1, 1) + number(2, 9))), "names mapping 9, which is not there"),
        (profile_file(block(2, packed(1, [7]) + packed(2, [1]))), "names location 7, which is not there"),
        (profile_file(block(2, packed(2, [1, 2]))), "has 2 values, and there are 1 types"),
        (profile_file(block(2, packed(2, [-1]))), "negative"),
        (profile_file(block(2, packed(2, [1 << 62])), strings=("", "samples", "seconds")), "too large"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(data)


def test_few_bytes_can_not_mean_a_huge_tree() -> None:
    """A location of 10,000 lines, used 10,000 times."""
    location = block(4, number(1, 1) + block(4, number(1, 1)) * 10_000)
    sample = block(2, packed(1, [1] * 10_000) + packed(2, [1]))
    with pytest.raises(InputError, match="longer than a file of this size"):
        read(profile_file(FUNCTION, location, sample))


def test_a_packed_file_that_is_huge_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pprof_reader, "MAX_BYTES", 1 << 20)
    path = tmp_path / "bomb.pb.gz"
    path.write_bytes(gzip.compress(profile_file(block(15, bytes(3 << 20)))))
    with pytest.raises(InputError, match="larger than 1 MiB"):
        read_profile(path, "pprof")


@pytest.mark.parametrize(
    ("kinds", "default", "unit", "total"),
    [
        (("samples/count", "cpu/nanoseconds"), "", "nanoseconds", 20),
        (("samples/count", "cpu/nanoseconds"), "samples", "samples", 10),
        (("samples/count", "wall/milliseconds"), "nothing", "nanoseconds", 20_000_000),
        (("inuse_space/bytes",), "", "samples", 10),
    ],
)
def test_the_type_that_pprof_would_show(kinds: tuple[str, ...], default: str, unit: str, total: int) -> None:
    strings = ["", default or "-", *(part for kind in kinds for part in kind.split("/"))]
    types = b"".join(block(1, number(1, 2 + 2 * i) + number(2, 3 + 2 * i)) for i in range(len(kinds)))
    sample = block(2, packed(2, [10, 20][: len(kinds)]))
    table = b"".join(block(6, text.encode()) for text in strings)
    profile = read(types + sample + table + number(14, 1 if default else 0))
    assert (profile.meta.unit, profile.total) == (unit, total)


def test_numbers_that_are_not_packed_and_labels_that_are_numbers() -> None:
    label = block(3, number(1, 3) + number(3, 42))
    sample = block(2, number(1, 1) + number(2, 4) + label)
    profile = read(profile_file(FUNCTION, LOCATION, sample, strings=("", "samples", "count", "tid")))
    assert by_thread(profile) == {(0, 42): 4}


def test_go_s_own_profile_is_read() -> None:
    profile = read_profile(DATA / "go-cpu.pb.gz")
    assert profile.meta.unit == "nanoseconds"
    assert profile.meta.frequency_hz == 100
    names = {name for stack in by_names(profile) for name in stack}
    assert {"main.main", "main.work", "crypto/sha256.block"} <= names
    kinds = {frame.function_name: frame.kind for frame in profile.frames}
    assert kinds["main.add"] is FrameKind.INLINED
    assert profile.total % 10_000_000 == 0


def test_content_is_known_and_is_none_of_the_others() -> None:
    head = gzip.decompress((DATA / "go-cpu.pb.gz").read_bytes())
    assert pprof.sniff(head) is True
    assert pprof.sniff(SMALL) is True
    assert pprof.sniff(head[:3]) is None
    assert formats.detect(SMALL).name == "pprof"
    assert pprof.sniff(b"\n\n          a.out`f\n   1\n") is False
    assert pprof.sniff(b"main;f 3\n") is False
    assert pprof.sniff(b"\x7fELF\x02\x01\x01\0") is False


@given(st.integers(-(1 << 63), (1 << 64) - 1))
def test_numbers_of_all_sizes(value: int) -> None:
    ((field, kind, again, end),) = fields(varint(8) + varint(value), 0, 1 + len(varint(value)))
    assert (field, kind, again) == (1, 0, value & ((1 << 64) - 1))
    assert end == 1 + len(varint(value))


def go_pprof(path: Path, *options: str) -> str:
    command = ["go", "tool", "pprof", "-symbolize=none", *options, str(path)]
    return subprocess.run(command, capture_output=True, check=True, text=True, timeout=120).stdout


@pytest.mark.go
def test_go_s_pprof_shows_the_same_numbers(tmp_path: Path) -> None:
    path = tmp_path / "small.pb.gz"
    formats.write_profile(small_profile(), path)
    top = go_pprof(path, "-top")
    assert "Total samples = 6" in top
    assert re.search(r"^ +3 +50.00% +\S+ +3 +50.00% +carry \(inline\)$", top, re.MULTILINE), top
    assert re.search(r"^ +0 +0% +\S+ +5 +83.33% +_start$", top, re.MULTILINE), top
    raw = go_pprof(path, "-raw")
    assert "thread_id:[102]" in raw
    assert "thread_name:[worker]" in raw
    assert "lost: drops 3" in raw
    assert re.search(r"^\d+: 0x1000/0x2000/0x1000 /srv/a.out c0ffee01 \[FN\]", raw, re.MULTILINE), raw
    cpu = go_pprof(path, "-top", "-sample_index=cpu", "-unit=ns")
    assert f"Total samples = {6 * (1_000_000_000 // 97)}ns" in cpu


@pytest.mark.firefox
def test_npms_pprof_format_finds_the_same_stacks(tmp_path: Path) -> None:
    path = tmp_path / "small.pb.gz"
    formats.write_profile(small_profile(), path)
    command = [*node(Path(__file__).parent / "read_pprof.mjs"), str(VIEWERS / "pprof-format"), str(path)]
    found = json.loads(subprocess.run(command, capture_output=True, check=True, text=True, timeout=60).stdout)
    period_ns = 1_000_000_000 // 97
    assert found["types"] == [["samples", "count"], ["cpu", "nanoseconds"]]
    stacks: dict[tuple[str, ...], int] = {}
    for sample in found["samples"]:
        count, cpu_ns = sample["values"]
        assert cpu_ns == count * period_ns
        stacks[tuple(sample["stack"])] = stacks.get(tuple(sample["stack"]), 0) + count
    assert stacks == by_names(small_profile())
    assert {(sample["labels"]["thread_id"], sample["labels"]["thread_name"]) for sample in found["samples"]} == {
        ("101", "main"),
        ("102", "worker"),
    }


@pytest.mark.go
def test_what_was_read_from_go_is_shown_by_go_as_before(tmp_path: Path) -> None:
    path = tmp_path / "again.pb.gz"
    formats.write_profile(read_profile(DATA / "go-cpu.pb.gz"), path)
    before, after = (go_pprof(file, "-top").splitlines()[-8:] for file in (DATA / "go-cpu.pb.gz", path))
    assert before == after
