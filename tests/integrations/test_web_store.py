"""The folder where an application's workers keep profiles."""

from __future__ import annotations

import os
import subprocess
import sys
from array import array
from pathlib import Path

import pytest

from dtrace_profiler.errors import OutputError
from dtrace_profiler.integrations.web_store import ProfileStore, Worker
from dtrace_profiler.model.frame import StackFrame
from dtrace_profiler.model.profile import Meta, Profile, Thread


def profile(name: str = "work") -> Profile:
    return Profile(
        frames=(StackFrame(name),),
        parent=array("i", [-1]),
        frame=array("i", [0]),
        threads=(Thread(process_id=1, thread_id=1, labels=(("request", "r"),)),),
        timestamp_ns=array("q", [1]),
        thread=array("i", [0]),
        node=array("i", [0]),
        value=array("q", [1]),
        meta=Meta(engine="sampler", unit="samples", frequency_hz=99, start_ns=1, target="GET /<name>"),
    )


def store(folder: Path, *, max_profiles: int = 3, max_bytes: int = 1 << 20) -> ProfileStore:
    return ProfileStore(folder, max_profiles=max_profiles, max_bytes=max_bytes)


def dead_process() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_another_process_reads_what_one_has_kept(tmp_path: Path) -> None:
    one, other = store(tmp_path / "kept"), store(tmp_path / "kept")
    profile_id = one.begin()
    assert other.is_waited_for(profile_id)
    assert other.read(profile_id) is None
    one.keep(profile_id, profile())
    assert not other.is_waited_for(profile_id)
    found = other.read(profile_id)
    assert found is not None
    assert [thread.labels for thread in found.threads] == [(("request", "r"),)]
    assert [found.name for found in other.kept()] == ["GET /<name>"]
    assert (tmp_path / "kept").stat().st_mode & 0o777 == 0o700


def test_older_profiles_make_room(tmp_path: Path) -> None:
    kept = store(tmp_path / "kept")
    ids = [kept.begin() for _ in range(5)]
    for age, profile_id in enumerate(ids):
        kept.keep(profile_id, profile())
        os.utime(tmp_path / "kept" / f"{profile_id}.dtrace.gz", (age, age))
    assert [found.id for found in kept.kept()] == ids[:1:-1]
    assert len(list((tmp_path / "kept").iterdir())) == 6


def test_one_that_is_too_large_is_refused_and_leaves_the_others(tmp_path: Path) -> None:
    kept = store(tmp_path / "kept")
    first = kept.begin()
    kept.keep(first, profile())
    small = store(tmp_path / "kept", max_bytes=100)
    with pytest.raises(OutputError, match="larger than the 100 bytes"):
        small.keep(small.begin(), profile())
    assert [found.id for found in kept.kept()] == [first]


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs POSIX permissions")
def test_a_folder_that_others_can_open_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    (tmp_path / "private").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "private")
    for name in ("open", "link"):
        with pytest.raises(OutputError, match="not a folder of this user alone"):
            store(tmp_path / name).begin()


@pytest.mark.parametrize("profile_id", ["", "../../etc/passwd", "0" * 31, "0" * 33, "G" * 32, "0" * 32])
def test_an_id_that_is_none_finds_nothing(tmp_path: Path, profile_id: str) -> None:
    kept = store(tmp_path / "kept")
    assert kept.read(profile_id) is None
    assert not kept.is_waited_for(profile_id)


def test_what_a_dead_process_left_counts_for_nothing(tmp_path: Path) -> None:
    kept = store(tmp_path / "kept")
    alive, dead = Worker(os.getpid(), 1, "a=b"), Worker(dead_process(), 2, "c=d")
    kept.announce(alive)
    kept.announce(dead)
    assert kept.workers() == [alive]
    profile_id = kept.begin()
    (tmp_path / "kept" / f"{profile_id}.waiting").write_text(str(dead.process_id))
    assert not kept.is_waited_for(profile_id)
