"""Parquet files: read again as they were, asked by SQL alone and together, and never trusted."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from any_profiles import START_NS, by_stack, by_thread, complaint, damaged, profiles, small_profile, written
from hypothesis import given, settings
from hypothesis import strategies as st

from dtrace_profiler.errors import InputError
from dtrace_profiler.formats import detect, parquet, write_profile
from dtrace_profiler.model.builder import ProfileBuilder
from dtrace_profiler.model.frame import StackFrame
from dtrace_profiler.model.profile import Meta, Profile
from dtrace_profiler.model.tree import CallTree

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

ROOT = Path(__file__).parents[2]


def read(data: bytes) -> Profile:
    return parquet.read(io.BytesIO(data))


def table_of(profile: Profile) -> Any:
    return pq.read_table(io.BytesIO(written(parquet, profile)))


def test_the_columns_and_ids_are_as_ever() -> None:
    """Ids are compared over years and hosts: a change of how they are made is a change of the format."""
    rows = table_of(small_profile()).to_pylist()
    nodes = {row["name"]: row["node_id"] for row in rows if row["row"] == "node"}
    assert nodes["_start"] == -7005713429635135429
    assert nodes["carry"] == 2920223461787435333
    assert (
        list(rows[0])
        == (
            "row stack_id ts_ns pid tid thread labels value nodes"
            " node_id parent_id name module file kind line first_line address"
        ).split()
    )


def test_what_is_written_is_read_again() -> None:
    profile = small_profile()
    again = read(written(parquet, profile))
    assert by_stack(again) == by_stack(profile)
    assert again.threads == profile.threads
    assert again.meta == profile.meta
    assert list(again.timestamp_ns) == list(profile.timestamp_ns)
    assert parquet.dropped(profile) == ["when samples were lost"]


@settings(max_examples=40)
@given(profiles())
def test_all_samples_survive(profile: Profile) -> None:
    again = read(written(parquet, profile))
    assert again.value == profile.value
    assert again.timestamp_ns == profile.timestamp_ns
    assert again.meta.unit == profile.meta.unit
    assert by_thread(again) == by_thread(profile)
    assert by_stack(again) == by_stack(profile)


@given(st.binary(max_size=300))
def test_any_bytes_give_one_sentence(data: bytes) -> None:
    assert complaint(parquet, data).endswith(".")
    assert complaint(parquet, b"PAR1" + data + b"PAR1").endswith(".")


@settings(max_examples=60)
@given(damaged(written(parquet, small_profile())))
def test_a_damaged_file_gives_a_profile_or_one_sentence(data: bytes) -> None:
    assert complaint(parquet, data).endswith(".")


def test_content_is_known() -> None:
    data = written(parquet, small_profile())
    assert detect(data[:100]).name == "parquet"
    assert parquet.sniff(b"PA") is None
    assert parquet.sniff(b"PAX1") is False


def changed(column: str, value: object, where: str) -> bytes:
    """The small profile's file with one cell of the first such row changed."""
    table = table_of(small_profile())
    rows = table.to_pylist()
    next(row for row in rows if row["row"] == where)[column] = value
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("column", "value", "where", "message"),
    [
        ("stack_id", 5, "sample", "node_id 5 is named and not there"),
        ("stack_id", None, "sample", "no stack_id"),
        ("value", -1, "sample", "value -1"),
        ("node_id", None, "node", "no node_id"),
        ("parent_id", 99, "node", "node_id 99 is named and not there"),
    ],
)
def test_what_is_wrong_is_said(column: str, value: object, where: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(changed(column, value, where))


def test_a_circle_of_callers_is_refused() -> None:
    rows = table_of(small_profile()).to_pylist()
    leaf = next(row["node_id"] for row in rows if row["name"] == "carry")
    with pytest.raises(InputError, match="its own caller"):
        read(changed("parent_id", leaf, "node"))


def test_other_parquet_files_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO()
    pq.write_table(pa.table({"a": [1]}), file)
    with pytest.raises(InputError, match="no column row"):
        read(file.getvalue())
    monkeypatch.setattr(parquet, "MAX_ROWS", 3)
    with pytest.raises(InputError, match="more than 3"):
        read(written(parquet, small_profile()))


def test_rows_that_take_no_space_are_refused_before_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "FEW_ROWS", 10)
    monkeypatch.setattr(parquet, "ROWS_A_BYTE", 2)
    table = table_of(small_profile())
    file = io.BytesIO()
    pq.write_table(table.take([0] * 100_000), file, compression="zstd")
    with pytest.raises(InputError, match=f"has 100,000 rows, more than {10 + 2 * len(file.getvalue()):,}"):
        read(file.getvalue())


def test_a_text_that_unpacks_to_a_multiple_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "UNPACKED_ALWAYS", 1 << 16)
    rows = table_of(small_profile()).to_pylist()
    for row in rows:
        row["name"] = row["name"] and "x" * 10_000_000
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=table_of(small_profile()).schema), file, compression="zstd")
    with pytest.raises(InputError, match="unpack to more than 200 times as many"):
        read(file.getvalue())


def sql(folder: Path, name: str) -> str:
    """A query of docs/formats.md, by the comment that it begins with."""
    text = (ROOT / "docs" / "formats.md").read_text()
    return text.split(f"-- {name}\n")[1].split("```")[0].replace("runs/*.parquet", f"{folder}/*.parquet")


@pytest.fixture
def hosts(tmp_path: Path) -> tuple[Path, list[Profile]]:
    """Two files that share most of their stacks."""
    builder = ProfileBuilder()
    thread = builder.add_thread(7, 7)
    for row in range(5):
        builder.add_sample(
            START_NS + row, thread, builder.add_stack([StackFrame("_start"), StackFrame(f"f{row}")]), 3
        )
    other = builder.snapshot(Meta(frequency_hz=97))
    found = [small_profile(), small_profile(), other]
    for number, profile in enumerate(found):
        write_profile(profile, tmp_path / f"host{number}.parquet")
    return tmp_path, found


def test_sql_finds_the_same_flame_graph(hosts: tuple[Path, list[Profile]]) -> None:
    duckdb = pytest.importorskip("duckdb")
    folder, found = hosts
    database = duckdb.connect()
    database.execute(sql(folder, "the tables"))
    rows = database.execute(
        sql(folder, "a flame graph").replace("$from", "0").replace("$until", str(1 << 62))
    ).fetchall()
    total = sum(profile.total for profile in found)
    assert sum(row[-1] for row in rows if row[1] is None) == total
    assert database.execute("SELECT sum(value) FROM samples").fetchone() == (total,)
    expected: dict[str, int] = {}
    for profile in found:
        tree = CallTree.from_profile(profile, by="address")
        for node in range(1, len(tree)):
            name = tree.frames[tree.frame[node]].function_name
            expected[name] = expected.get(name, 0) + tree.total[node]
    totals: dict[str, int] = {}
    for _, _, name, _, value in rows:
        totals[name] = totals.get(name, 0) + value
    assert totals == expected


def test_sql_takes_a_range_of_time(hosts: tuple[Path, list[Profile]]) -> None:
    duckdb = pytest.importorskip("duckdb")
    folder, found = hosts
    database = duckdb.connect()
    database.execute(sql(folder, "the tables"))
    start, until = START_NS + 50, START_NS + 250_000_000
    query = sql(folder, "a flame graph").replace("$from", str(start)).replace("$until", str(until))
    rows = database.execute(query).fetchall()
    expected = sum(
        value
        for profile in found
        for time, value in zip(profile.timestamp_ns, profile.value, strict=True)
        if start <= time < until
    )
    assert sum(row[-1] for row in rows if row[1] is None) == expected == 4


def test_files_copied_together_are_one_profile(hosts: tuple[Path, list[Profile]]) -> None:
    folder, found = hosts
    tables = [pq.read_table(path) for path in sorted(folder.glob("*.parquet"))]
    file = io.BytesIO()
    pq.write_table(pa.concat_tables(tables), file)
    again = read(file.getvalue())
    assert again.total == sum(profile.total for profile in found)
    assert len(again.parent) == len(found[0].parent) + len(found[2].parent)
