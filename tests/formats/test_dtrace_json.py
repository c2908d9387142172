"""Made by hand after FreeBSD's dtrace(1): there is no FreeBSD here to make a real file."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from held_profiles import damaged, read_or_refused, written
from hypothesis import given
from hypothesis import strategies as st

from dtrace_profiler.errors import InputError
from dtrace_profiler.formats import detect, dtrace_json, folded
from dtrace_profiler.model.profile import Profile
from dtrace_profiler.model.tree import CallTree

USTACK = {
    "ustack-frames": [
        {"symbol": "libc.so.7`ioctl+0xa", "module": "libc.so.7", "name": "ioctl", "offset": "0xa"},
        {"symbol": "a.out`_ZN1a1fEv", "module": "a.out", "name": "_ZN1a1fEv"},
        {"symbol": "0x2034", "offset": "0x2034"},
    ]
}
STACK = {
    "stack-frames": [
        {"symbol": "dtrace.ko`dtrace_ioctl+0x81c", "module": "dtrace.ko", "name": "dtrace_ioctl", "offset": "0x81c"},
        {"symbol": "kernel`amd64_syscall+0x10", "module": "kernel", "name": "amd64_syscall", "offset": "0x10"},
    ]
}


def probe(*output: object, **facts: object) -> dict[str, Any]:
    about = {"timestamp": 1, "cpu": 0, "id": 3, "provider": "profile", "module": "", "function": "", "name": "END"}
    return {**about, **facts, "output": list(output)}


def aggregation(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"aggregation-data": list(entries), "aggregation-name": "a"}


def document(*probes: dict[str, Any]) -> bytes:
    return json.dumps({"dtrace": {"probes": list(probes)}}).encode()


def read(*probes: dict[str, Any]) -> Profile:
    return dtrace_json.read(io.BytesIO(document(*probes)))


DROP = {
    "cpu": -1,
    "id": -1,
    "provider": "dtrace",
    "module": "INTERNAL",
    "function": "INTERNAL",
    "name": "DROP",
    "timestamp": 5,
    "count": 4,
    "total": 4,
    "kind": 2,
}


def test_aggregations_stacks_alone_and_both_stacks_together() -> None:
    profile = read(
        probe(aggregation({"keys": [USTACK], "count": 5}, {"keys": [STACK, USTACK], "count": 2})),
        probe(STACK, USTACK, {"value": 7}),
        probe({"message": "x"}),
    )
    assert written(folded, profile).decode() == (
        "0x2034;a.out`a::f;libc.so.7`ioctl 5\n"
        "0x2034;a.out`a::f;libc.so.7`ioctl;kernel`amd64_syscall;dtrace.ko`dtrace_ioctl 3\n"
    )


def test_keys_name_threads() -> None:
    profile = read(
        probe(
            aggregation(
                {"keys": [{"value": "bash"}, {"value": 77}, USTACK], "count": 5}, {"keys": [USTACK], "sum": 1}
            )
        )
    )
    assert [thread.name for thread in profile.threads] == ["bash 77", ""]


def test_what_is_left_out_is_told() -> None:
    profile = read(
        probe(
            aggregation(
                {"keys": [USTACK], "buckets": [{"value": 1, "count": 2}]},
                {"keys": [USTACK], "avg": 4},
                {"keys": [{"value": 3}], "count": 9},
            )
        ),
        {**DROP, "msg": "4 dynamic variable drops\n"},
        {**DROP, "msg": "something new"},
    )
    assert not profile.total
    assert profile.meta.losses == {"skipped_histograms": 1, "dynamic_variable_drops": 4, "drops": 4}
    assert profile.meta.notes == ("Left out, being no counts: aggregations by avg.", "The file has no stacks.")


@pytest.mark.parametrize(
    ("probes", "message"),
    [
        ([3], r"dtrace\.probes\[0\] is not an object"),
        ([probe(3)], r"dtrace\.probes\[0\]\.output\[0\] is not an object"),
        ([probe(aggregation({"count": 1}))], r"aggregation-data\[0\]\.keys is missing"),
        ([probe(aggregation({"keys": [USTACK], "count": -1}))], r"aggregation-data\[0\]\.count is negative"),
        ([probe(aggregation({"keys": [USTACK], "count": 1 << 70}))], r"\.count is too large"),
        ([probe({"ustack-frames": [{}]})], r"output\[0\]\.ustack-frames\[0\] has no symbol"),
        ([probe({"ustack-frames": [{"symbol": 3}]})], r"ustack-frames\[0\]\.symbol is not a text"),
        ([{**DROP, "count": "x"}], r"probes\[0\]\.count is not a number"),
    ],
)
def test_what_is_wrong_is_said_with_its_field(probes: list[Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(*probes)


@given(
    st.one_of(
        st.binary(max_size=80), damaged(document(probe(STACK, aggregation({"keys": [USTACK], "sum": 2})), DROP))
    )
)
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    read_or_refused(dtrace_json, data)


def test_a_stack_of_100_000_frames() -> None:
    frames = [{"symbol": f"a`f{at % 2}"} for at in range(100_000)]
    profile = read(probe(aggregation({"keys": [{"ustack-frames": frames}], "count": 2})))
    assert CallTree.from_profile(profile).max_depth == 100_000
    with pytest.raises(InputError, match="nested too deeply"):
        dtrace_json.read(io.BytesIO(b'{"dtrace":' * 100_000))


def test_content_tells() -> None:
    assert detect(document(probe()), "x.folded").name == "dtrace-json"
    assert detect(b'{\n  "dtrace": {\n    "probes": [\n').name == "dtrace-json"
    assert dtrace_json.sniff(b'{"dtrace"') is None
    assert dtrace_json.sniff(b'{"traceEvents": [{"ph": "X"}]}') is False
