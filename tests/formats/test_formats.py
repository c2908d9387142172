"""The table of formats: what a file is, and files that are whole or not there."""

from __future__ import annotations

import gzip
import io
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtrace_profiler import formats
from dtrace_profiler.errors import InputError, UsageError
from dtrace_profiler.formats import FORMATS, detect, format_of, read_profile, write_profile
from dtrace_profiler.formats.files import HEAD_BYTES, replaced_file, rewindable
from dtrace_profiler.model.profile import Profile

FOLDED = b"main;f 3\nmain;g 4\n"
DTRACE = b"\n\n              a.out`f+0x1\n              a.out`main\n                3\n"


@pytest.fixture
def profile() -> Profile:
    return read_profile(io.BytesIO(FOLDED))


@pytest.mark.parametrize(
    ("head", "path", "name"),
    [
        (FOLDED, "", "folded"),
        (FOLDED, "x.txt", "folded"),
        (b"main 3\nf 4\n", "", "folded"),
        (b"main;f 3", "", "folded"),
        (DTRACE, "", "dtrace-text"),
        (DTRACE, "x.folded", "dtrace-text"),
        (b"\n\n", "", "dtrace-text"),
        (b"CPU     ID                    FUNCTION:NAME\n", "", "dtrace-text"),
        (b"dtrace: description 'profile-97' matched 1 probe\n", "", "dtrace-text"),
        (b"# dtrace-profiler recording 1\n", "", "dtrace"),
        (b"words that nobody knows\n", "x.txt", "dtrace-text"),
        (b"# dtrace-prof", "x.dtrace", "dtrace"),
    ],
)
def test_content_says_what_a_file_is_then_its_name(head: bytes, path: str, name: str) -> None:
    assert detect(head, path).name == name


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (b"", "is empty"),
        (b"\x7fEL?\x02\x01\x01\0\0", r"binary \(a zero byte at offset 7\)"),
        (b"It was a dark and stormy night.\n", "no profile that can be read"),
        (b'{"a": 1}\n', "no profile that can be read"),
    ],
)
def test_what_is_no_profile_is_refused(head: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        detect(head)


@pytest.mark.parametrize("item", FORMATS, ids=lambda item: item.name)
def test_every_format_has_what_its_row_promises(item: formats.Format) -> None:
    assert hasattr(item.code, "write") or not item.writes
    assert (hasattr(item.code, "read") and hasattr(item.code, "sniff")) or not item.reads
    assert item.reads or item.writes


@given(st.binary(max_size=80))
def test_sniffing_any_bytes_answers(head: bytes) -> None:
    for item in FORMATS:
        if item.reads:
            assert item.code.sniff(head) in (True, False, None)


def test_suffixes_and_names_choose_what_is_written() -> None:
    assert format_of("x.SVG") == "svg"
    assert format_of("x.folded.gz") == "folded"
    assert format_of("x", "html") == "html"
    with pytest.raises(UsageError, match=r"suffix of x\.doc"):
        format_of("x.doc")
    with pytest.raises(UsageError, match="'dtrace-text' can't be written"):
        format_of("x", "dtrace-text")


@pytest.mark.parametrize("name", [item.name for item in FORMATS if item.writes and item.name != "dtrace"])
def test_each_format_is_written_to_files_plain_and_compressed(tmp_path: Path, profile: Profile, name: str) -> None:
    write_profile(profile, tmp_path / "plain", name)
    write_profile(profile, tmp_path / "packed.gz", name)
    file = io.BytesIO()
    write_profile(profile, file, name)
    content = (tmp_path / "plain").read_bytes()
    assert content
    assert gzip.decompress((tmp_path / "packed.gz").read_bytes()) == content == file.getvalue()


def test_compressed_files_are_read_and_cut_ones_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.folded.gz"
    path.write_bytes(gzip.compress(FOLDED))
    assert read_profile(path).total == 7
    path.write_bytes(gzip.compress(FOLDED * 10_000)[:-20])
    with pytest.raises(InputError, match="not a whole gzip file"):
        read_profile(path)
    path.write_bytes(b"\x1f\x8b\x08\0rubbish" * 20)
    with pytest.raises(InputError, match="not a whole gzip file"):
        read_profile(path)


def test_errors_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.folded"
    path.write_bytes(b"a;b 1\na;b\n")
    with pytest.raises(InputError, match=r"x\.folded: line 2 is no folded stack"):
        read_profile(path)
    with pytest.raises(UsageError, match="'svg' can't be read"):
        read_profile(path, "svg")


def test_pipes_are_read_and_stdout_is_written() -> None:
    code = "from dtrace_profiler.formats import *; write_profile(read_profile('-'), '-')"
    for text in (FOLDED, DTRACE, gzip.compress(FOLDED), FOLDED * 20_000):
        done = subprocess.run([sys.executable, "-c", code], input=text, capture_output=True, check=True)
        assert done.stdout in (FOLDED, b"a.out`main;a.out`f 3\n", b"main;f 60000\nmain;g 80000\n")
        assert not done.stderr


@given(st.integers(0, 3), st.integers(-2, 2), st.lists(st.integers(1, 50_000), max_size=6))
def test_a_rewindable_file_is_the_file(heads: int, more: int, sizes: list[int]) -> None:
    content = bytes(max(0, heads * HEAD_BYTES + more))
    file = rewindable(io.BytesIO(content))
    assert file.peek(HEAD_BYTES)[:HEAD_BYTES] == content[:HEAD_BYTES]
    read = b"".join(file.read(size) for size in sizes)
    assert read + file.read() == content


def test_a_file_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "x.svg"
    path.write_text("before")
    path.chmod(0o640)

    def fail(target: Path) -> None:
        with replaced_file(str(target)) as file:
            file.write(b"half")
            raise OSError(28, "No space left on device")

    for target in (path, tmp_path / "new.svg"):
        with pytest.raises(OSError, match="No space"):
            fail(target)
    assert os.listdir(tmp_path) == ["x.svg"]
    assert path.read_text() == "before"
    with replaced_file(str(path)) as file:
        file.write(b"after")
    assert path.read_text() == "after"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_is_an_os_error(profile: Profile) -> None:
    with pytest.raises(OSError, match="No space left"):
        write_profile(profile, "/dev/full", "folded")


def test_a_link_stays_a_link(tmp_path: Path, profile: Profile) -> None:
    (tmp_path / "real.folded").write_text("")
    (tmp_path / "link.folded").symlink_to("real.folded")
    write_profile(profile, tmp_path / "link.folded")
    assert (tmp_path / "link.folded").is_symlink()
    assert (tmp_path / "real.folded").read_bytes() == FOLDED
