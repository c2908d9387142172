"""OTLP profiles: against the messages of opentelemetry-proto itself, and never trusted."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from any_profiles import MAPPED, by_names, by_stack, by_thread, complaint, damaged, profiles, small_profile, written
from hypothesis import given
from hypothesis import strategies as st

from dtrace_profiler.errors import InputError
from dtrace_profiler.formats import detect, otlp, pprof
from dtrace_profiler.model.profile import Profile

profiles_pb2 = pytest.importorskip("opentelemetry.proto.profiles.v1development.profiles_pb2")

DATA = Path(__file__).parents[1] / "data" / "otlp"


def read(data: bytes) -> Profile:
    return otlp.read(io.BytesIO(data))


def test_the_small_profile_is_written_as_ever(
    golden: Callable[[Path, bytes], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(otlp, "__version__", "VERSION")
    golden(DATA / "small.otlp", written(otlp, small_profile()))


def test_what_is_written_is_read_again() -> None:
    profile = small_profile()
    again = read(written(otlp, profile))
    assert by_stack(again) == by_stack(profile)
    assert again.mapped_files == (replace(MAPPED, process_id=0),)
    assert set(again.threads) == set(profile.threads)
    assert again.meta == profile.meta
    assert sorted(again.timestamp_ns) == sorted(profile.timestamp_ns)
    assert otlp.dropped(profile) == ["when samples were lost"]
    assert otlp.dropped(again) == []


def test_the_message_is_as_the_schema_asks_for() -> None:
    message = profiles_pb2.ProfilesData.FromString(written(otlp, small_profile()))
    tables = message.dictionary
    for table, empty in (
        (tables.mapping_table, profiles_pb2.Mapping()),
        (tables.location_table, profiles_pb2.Location()),
        (tables.function_table, profiles_pb2.Function()),
        (tables.link_table, profiles_pb2.Link()),
        (tables.attribute_table, profiles_pb2.KeyValueAndUnit()),
        (tables.stack_table, profiles_pb2.Stack()),
        (tables.string_table, ""),
    ):
        assert table[0] == empty
        assert all(entry != empty for entry in table[1:])
    assert len(set(tables.string_table)) == len(tables.string_table)
    (profile,) = message.resource_profiles[0].scope_profiles[0].profiles
    assert sum(sum(sample.values) for sample in profile.samples) == 6
    assert len(profile.profile_id) == 16
    sample = profile.samples[0]
    leaf = tables.location_table[tables.stack_table[sample.stack_index].location_indices[0]]
    names = [tables.string_table[tables.function_table[line.function_index].name_strindex] for line in leaf.lines]
    assert names == ["carry", "add", "work"]
    keys = [tables.string_table[tables.attribute_table[index].key_strindex] for index in sample.attribute_indices]
    assert keys == ["process.pid", "thread.id", "thread.name"]


@given(profiles())
def test_totals_times_names_and_threads_survive(profile: Profile) -> None:
    again = read(written(otlp, profile))
    assert again.total == profile.total
    assert again.meta.unit == profile.meta.unit
    assert by_thread(again) == by_thread(profile)
    assert by_names(again) == by_names(profile)
    assert sorted(filter(None, again.timestamp_ns)) == sorted(filter(None, profile.timestamp_ns))
    assert dict(again.meta.losses) == dict(profile.meta.losses)


@given(st.binary(max_size=300))
def test_any_bytes_give_a_profile_or_one_sentence(data: bytes) -> None:
    otlp.sniff(data)
    assert complaint(otlp, data).endswith(".")


@given(damaged(written(otlp, small_profile())))
def test_a_damaged_file_gives_a_profile_or_one_sentence(data: bytes) -> None:
    assert complaint(otlp, data).endswith(".")


def test_content_is_known_and_is_not_pprof() -> None:
    data = written(otlp, small_profile())
    assert otlp.sniff(data) is True
    assert otlp.sniff(data[:200]) is True
    assert pprof.sniff(data) is False
    assert otlp.sniff(written(pprof, small_profile())) is False
    assert otlp.sniff(b"main;f 3\n") is False
    assert otlp.sniff(b"\n\n      a.out`f+0x1\n      3\n") is False
    assert detect(data).name == "otlp"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m, p: p.samples[0].values.append(3), "values and"),
        (lambda m, p: setattr(p.samples[0], "stack_index", 99), "entry 99 of stack_table"),
        (lambda m, p: setattr(p.samples[0], "stack_index", -1), "entry -1 of stack_table"),
        (lambda m, p: p.samples[0].attribute_indices.append(77), "entry 77 of attribute_table"),
        (lambda m, p: p.samples[0].values.__setitem__(0, -5), "value -5"),
        (lambda m, p: p.samples[0].timestamps_unix_nano.__setitem__(0, 1 << 63), "after the year 2262"),
        (lambda m, p: m.ClearField("resource_profiles"), "no profile in it"),
    ],
)
def test_what_is_wrong_is_said(change: Callable[[object, object], object], message: str) -> None:
    whole = profiles_pb2.ProfilesData.FromString(written(otlp, small_profile()))
    change(whole, whole.resource_profiles[0].scope_profiles[0].profiles[0])
    with pytest.raises(InputError, match=message):
        read(whole.SerializeToString())


def test_times_without_values_are_one_each() -> None:
    whole = profiles_pb2.ProfilesData.FromString(written(otlp, small_profile()))
    for sample in whole.resource_profiles[0].scope_profiles[0].profiles[0].samples:
        del sample.values[:]
    assert read(whole.SerializeToString()).total == 6


def test_few_bytes_can_not_mean_a_huge_tree() -> None:
    whole = profiles_pb2.ProfilesData.FromString(written(otlp, small_profile()))
    location = whole.dictionary.location_table[1]
    for _ in range(10_000):
        location.lines.add().CopyFrom(location.lines[0])
    whole.dictionary.stack_table[1].location_indices.extend([1] * 10_000)
    with pytest.raises(InputError, match="longer than a file of this size"):
        read(whole.SerializeToString())
