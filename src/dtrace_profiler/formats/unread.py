"""Files that people have and that can't be read here, by their first bytes: what each is, and what to do with it."""

from __future__ import annotations

_BEGINNINGS = (
    (b"PERFILE2", "perf's own data", "perf script --header -i FILE > FILE.perf"),
    (b"MOJ", "Austin's binary form", "mojo2austin FILE FILE.austin, of the package austin-python"),
    (b"\x04\x22\x4d\x18", "packed with lz4, as memray's own data is", "memray transform speedscope FILE"),
    (b"\x1f\x8b", "packed twice with gzip", "gunzip it once"),
    (b"\x28\xb5\x2f\xfd", "packed with zstd", "unzstd FILE"),
    (b"BZh", "packed with bzip2", "bunzip2 FILE"),
    (b"\xfd7zXZ\0", "packed with xz", "unxz FILE"),
    (b"PK\x03\x04", "a zip archive", "unzip FILE, and name one of the files that were in it"),
    (b"\xff\xfe", "text in UTF-16", "iconv -f UTF-16 -t UTF-8 FILE, or in PowerShell: Set-Content -Encoding utf8"),
    (b"\xfe\xff", "text in UTF-16", "iconv -f UTF-16 -t UTF-8 FILE, or in PowerShell: Set-Content -Encoding utf8"),
    (b"\x7fELF", "a program", "dtrace-profiler run FILE"),
)
_PAGE = "the recording that it was made from, if there is one"
_TEXTS = (
    (b"<!doctype html", "a page for a browser", _PAGE),
    (b"<html", "a page for a browser", _PAGE),
    (b"<svg", "a picture", _PAGE),
    (b"<?xml", "a picture or other XML", _PAGE),
)
_KEYS = (
    (b'"preprocessedProfileVersion"', "a profile for the Firefox Profiler", "profiler.firefox.com opens it"),
    (b'"dtrace-profiler summary"', "a summary, which has no stacks", _PAGE),
)


def known(head: bytes) -> tuple[str, str] | None:
    """What a file is that begins like this, and a remedy; None where it isn't known."""
    for beginning, what, remedy in _BEGINNINGS:
        if head.startswith(beginning):
            return what, remedy
    text = head.lstrip().lower()
    for beginning, what, remedy in _TEXTS:
        if text.startswith(beginning):
            return what, remedy
    if text.startswith(b"{"):
        for key, what, remedy in _KEYS:
            if key in head:
                return what, remedy
    return None
