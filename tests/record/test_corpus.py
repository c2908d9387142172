"""Each file of the corpus of real dtrace output (its MANIFEST.tsv) is used here, or listed with the reason why not.

Texts of profiles must hold as many samples as a count of a few lines finds in them, which knows nothing of our
reader; what dtrace says on stderr must be an error with its cause and what to do about it.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dtrace_profiler.formats import read_profile
from dtrace_profiler.platforms.base import System
from dtrace_profiler.record.messages import classify, drops, essence, find, is_notice, run_time_error
from dtrace_profiler.record.text import TextParser
from dtrace_profiler.symbols.perfmap import PerfMap

CORPUS = Path(__file__).parents[2].parent / "shared" / "dtrace-corpus"

Count = Callable[[bytes], int]


def _summed(pattern: bytes) -> Count:
    return lambda text: sum(int(number) for number in re.findall(pattern, text, re.MULTILINE))


def _lines(pattern: bytes) -> Count:
    return lambda text: len(re.findall(pattern, text, re.MULTILINE))


ALONE = _summed(rb"^ *(\d+) *$")
"""Numbers on lines of their own, those below no stack too."""
AFTER_BAR = _summed(rb"^\|(\d+)$")
"""What our own printa printed behind `%k`."""
AFTER_KEY = _summed(rb"^ +\d+ +(\d+)$")
"""An integer key stands before the number."""
BESIDE = _summed(rb"^ +(?:\S+`\S+|0x[0-9a-f]+) +(\d+)$")
"""Functions and addresses with a number beside them, where there are no stacks."""
HOTKERNEL = _summed(rb"^(?:0x\S+|kernel) (\d+) [\d.]+%$")
LAST = _summed(rb" (\d+)$")
"""Folded stacks."""
EXCERPT = _lines(rb"\A\s*\S+`")
"""One stack, cut out of its text without the number: one sample."""

PROFILES: dict[str, Count] = {
    "freebsd/cheribsd-profile-1ms-ustack.txt": ALONE,
    "freebsd/handbook-hotkernel-m.txt": HOTKERNEL,
    "freebsd/rust-ustack-excerpt-rust-97723.txt": EXCERPT,
    "illumos/crucible-kernel-and-user-inferno-pr328-excerpt.txt": EXCERPT,
    "illumos/flamegraph-example-dtrace-stacks.txt": ALONE,
    "illumos/inferno-flamegraph-bug-no-offset-leaf.txt": ALONE,
    "illumos/inferno-stack-and-ustack-rust.txt": ALONE,
    "illumos/inferno-synthetic-arrow-inline.txt": ALONE,
    "illumos/mysqld-ustack-slide-lisa13.txt": ALONE,
    "illumos/solaris-docs-stack-action.txt": _lines(rb"uiomove:entry $"),
    "illumos/solaris-docs-ustack-hex-without-0x.txt": _lines(rb" open:return "),
    "illumos/toolkit-crash-ustack-stack.txt": _lines(rb"^(?:User|Kernel) Stack Backtrace,$"),
    "illumos/toolkit-java-jstack-cxxfilt.txt": ALONE,
    "illumos/toolkit-java-jstack.txt": ALONE,
    "illumos/toolkit-putnexts-keyed-stack.txt": ALONE,
    "illumos/toolkit-python24-ustack-annotations.txt": ALONE,
    "linux/anon-jit-exec.txt": ALONE,
    "linux/cxx-aggsortrev-trunc5.txt": ALONE,
    "linux/cxx-keyed-execname-pid-tid-cpu-ustack.txt": ALONE,
    "linux/cxx-live-tick-printa-trunc.txt": ALONE,
    "linux/cxx-noresolve-user-and-kernel.txt": ALONE,
    "linux/cxx-noresolve.txt": ALONE,
    "linux/cxx-per-sample-printf-ustack.txt": _lines(rb"^\d+ \d{19} \d+ \S+$"),
    "linux/cxx-printa-multi-key-percent-k.txt": AFTER_BAR,
    "linux/cxx-printa-percent-k-clear.txt": AFTER_BAR,
    # The sum of the samples stands below the stacks once more, as an aggregation without a key.
    "linux/cxx-several-aggregations-quantize.txt": lambda text: ALONE(text.replace(b"  477\n", b"\n")),
    "linux/cxx-stack-and-ustack.txt": ALONE,
    "linux/cxx-stackindent-2.txt": ALONE,
    "linux/cxx-static.txt": ALONE,
    "linux/cxx-stripped.txt": ALONE,
    "linux/cxx-ustack-by-pid.txt": ALONE,
    "linux/cxx-ustack-dash-p.txt": ALONE,
    "linux/cxx-ustack-quiet.txt": ALONE,
    "linux/cxx-ustackframes-4-truncated.txt": ALONE,
    "linux/cxx-usym-ufunc-umod-uaddr.txt": BESIDE,
    "linux/dash-c-live-printa.txt": ALONE,
    "linux/dash-c.txt": ALONE,
    "linux/deleted-executable.txt": ALONE,
    "linux/deleted-shared-library.txt": ALONE,
    "linux/gentoo-less-ustack-issue96.txt": _lines(rb" fsync:return$"),
    "linux/java-17.txt": ALONE,
    "linux/kernel-stack.txt": ALONE,
    "linux/kernel-sym-func-mod.txt": BESIDE,
    "linux/memfd-jit-and-deleted-exe.txt": ALONE,
    "linux/memfd-jit.txt": ALONE,
    "linux/module-name-with-spaces.txt": ALONE,
    "linux/node-20-perf-basic-prof.txt": ALONE,
    "linux/pid-namespace-target.txt": ALONE,
    "linux/python-3.11.7.txt": ALONE,
    "linux/python-3.12.1.txt": ALONE,
    "linux/python-3.13.0-Xperf.txt": ALONE,
    "linux/python-3.13.0.txt": ALONE,
    "linux/rust-legacy-mangling.txt": ALONE,
    "linux/rust-v0-mangling.txt": ALONE,
    "linux/shared-library.txt": ALONE,
    "linux/system-wide-kernel-and-user.txt": ALONE,
    "linux/target-exited-before-print.txt": ALONE,
    "linux/target-exited-dash-p.txt": ALONE,
    # One more heading stands in the middle of a line, where the text was damaged: that stack goes on.
    "macos/cpuprofilify-node-ustack-per-sample.txt": _lines(rb"^\S+ \d+ \d+: profile-1ms:$"),
    "macos/cxx-anonymous-namespace-excerpt-icinga2-5878.txt": EXCERPT,
    "macos/inferno-hex-addresses.txt": ALONE,
    "macos/inferno-rust-legacy-mangled.txt": ALONE,
    "macos/inferno-rust-mangled-_ZN.txt": ALONE,
    "macos/inferno-scope-no-arglist.txt": ALONE,
    "macos/kernel-kext-cxx-excerpt-gist-evansus.txt": EXCERPT,
    "macos/node8-per-sample-0x-issue76.txt": _lines(rb": profile-1ms:$"),
    "windows/msdocs-profile-997hz-kernel-stack-excerpt.txt": ALONE,
    "windows/msdocs-stack-and-size-keyed.txt": AFTER_KEY,
}
"""File → how its samples are counted without our reader."""

USER_FIRST = re.compile("noresolve-user-and-kernel|multi-key-percent-k")
"""Texts that print the user's part of a stack before the kernel's."""

FOLDED = (
    "illumos/results/flamegraph-example-dtrace-stacks.folded",
    "illumos/results/flamegraph-example-dtrace-stacks.folded-with-offsets",
    "illumos/results/inferno-flamegraph-bug-no-offset-leaf.folded-with-offsets",
    "illumos/results/inferno-stack-and-ustack-rust.folded",
    "illumos/results/inferno-synthetic-arrow-inline.folded",
    "macos/results/inferno-hex-addresses.folded",
    "macos/results/inferno-rust-legacy-mangled.folded",
    "macos/results/inferno-rust-mangled-_ZN.demangled.folded",
    "macos/results/inferno-scope-no-arglist.folded",
)
"""What inferno makes of a text of the same name; compared stack by stack in tests/formats/test_dtrace_text.py."""

NO_STACKS = (
    "linux/arg0-arg1-truth.txt",
    "linux/sigint-end-clause.txt",
    "linux/sigint-end-trunc.txt",
    "linux/sigint-no-end-clause.txt",
    "linux/sigint-noquiet.txt",
    "linux/sigint-printa-clear.txt",
    "linux/sigint-printa-trunc.txt",
    "linux/sigterm-end-clause.txt",
    "macos/inferno-only-header.txt",
    "windows/msdocs-keyed-pid-execname-F.txt",
    "windows/msdocs-probemod-counts.txt",
    "windows/msdocs-tick-5s-header-and-counts.txt",
)
"""Output of dtrace that counts something else than functions or stacks: read, as nothing, and said so."""

PERF_MAPS = {
    "linux/node-20.perf.map": (r"JS:|\w+:", "linux/node-20-perf-basic-prof.txt"),
    "linux/python-3.13.0-Xperf.perf.map": (r"py::[^:]+:", ""),
}
"""Map → how its names begin, and the text whose bare addresses it names (the other map is of another run)."""

STDERR: dict[str, System] = {
    "freebsd/stderr.txt": "freebsd",
    "illumos/stderr.txt": "illumos",
    "linux/stderr.txt": "linux",
    "macos/stderr.txt": "macos",
    "windows/stderr.txt": "windows",
}

UNUSED: dict[str, str] = {}
"""File → why no test can use it."""

# Lines of the stderr texts that are neither errors of dtrace nor anything it lost, and why.
NOT_MESSAGES = {
    r"^dtrace: (Sun )?D [\d.]+$": "the answer to -V",
    r"^\s+(ID\s+PROVIDER|\d+\s+(dtrace|profile)\b)": "a list of probes, stdout",
    r"^\s*\d+\s+\d+\s+\S*:": "a probe that fired, stdout",
    r"^65535 ": "a list of probes, stdout",
    r"^\s+Referenced from|^\s+Reason:": "the rest of what dyld says",
    r"^\t\s*(\[|-|predicate|action)|^\s*$": "the rest of what dtrace says of its usage",
    r"^Usage: ": "the rest of a message of several lines",
    r"^: probe description": "cut off by who reported it; tested in whole in test_messages.py",
    r"^BPF: ": "the verifier's log",
    r"^rc=\d+$": "a note of the exit status",
}


@pytest.mark.corpus
def test_every_file_of_the_corpus_is_used_or_listed_with_the_reason_why_not() -> None:
    rows = [line.split("\t")[0] for line in (CORPUS / "MANIFEST.tsv").read_text().splitlines()[1:]]
    used = [*PROFILES, *FOLDED, *NO_STACKS, *PERF_MAPS, *STDERR]
    assert len(used) == len(set(used))
    assert sorted([*used, *UNUSED]) == sorted(rows), "each once: in a table above, or unused with a reason"
    assert all(UNUSED.values())
    there = sorted(path.relative_to(CORPUS).as_posix() for path in CORPUS.glob("*/**/*") if path.is_file())
    assert there == sorted(rows)


@pytest.mark.corpus
@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_has_the_samples_that_its_text_counts(name: str) -> None:
    text = (CORPUS / name).read_bytes()
    profile = read_profile(CORPUS / name)
    expected = PROFILES[name](text)
    assert expected > 0
    assert profile.meta.engine == "dtrace-text"
    assert profile.total + profile.meta.losses.get("empty_stacks", 0) == expected


@pytest.mark.corpus
@pytest.mark.parametrize("name", [name for name, count in PROFILES.items() if count not in (BESIDE, HOTKERNEL)])
def test_each_frame_of_a_text_is_in_one_stack_in_its_order(name: str) -> None:
    """Every line with a sign, once; what else is taken for a frame is at least a whole line of the text."""
    text = (CORPUS / name).read_bytes()
    parser = TextParser()
    blocks = parser.feed(text) + parser.close()
    found = [frame.strip() for block in blocks for part in block.parts for frame in part.frames]
    printed = [line.strip() for line in text.split(b"\n")]
    signed = [line for line in printed if re.match(rb".*`|0x[0-9a-f]+|\S+:0x[0-9a-f]+", line)]
    if parser.lines.unfinished_stacks:
        signed = signed[: len(found)]
    known = set(signed)
    ours = [frame for frame in found if frame in known]
    if USER_FIRST.search(name):  # the reader puts the kernel's part first
        ours, signed = sorted(ours), sorted(signed)
    assert ours == signed
    assert not Counter(found) - Counter(printed)


@pytest.mark.corpus
@pytest.mark.parametrize("name", FOLDED)
def test_a_folded_file_has_the_samples_that_its_lines_count(name: str) -> None:
    profile = read_profile(CORPUS / name)
    assert profile.meta.engine == "folded"
    assert profile.total == LAST((CORPUS / name).read_bytes())


@pytest.mark.corpus
@pytest.mark.parametrize("name", NO_STACKS)
def test_a_text_without_stacks_is_an_empty_profile_that_says_so(name: str) -> None:
    profile = read_profile(CORPUS / name)
    assert (profile.total, profile.meta.engine) == (0, "dtrace-text")
    assert "The text has no stacks." in profile.meta.notes


@pytest.mark.corpus
@pytest.mark.skipif(os.open not in os.supports_dir_fd, reason="perf maps are read only where folders can be walked")
@pytest.mark.parametrize("name", PERF_MAPS)
def test_a_perf_map_names_addresses_of_its_text(name: str, tmp_path: Path) -> None:
    lines = (CORPUS / name).read_bytes()
    (tmp_path / f"perf-{os.getpid()}.map").write_bytes(lines)
    perf_map = PerfMap(os.getpid(), folder=str(tmp_path))
    assert perf_map.refresh()
    assert (len(perf_map), perf_map.broken_lines) == (lines.count(b"\n"), 0)
    beginning, text = PERF_MAPS[name]
    for line in lines.decode().splitlines()[::50]:
        code = perf_map.lookup(int(line.split()[0], 16))
        assert code is not None
        assert re.match(beginning, code.name), code
    if text:
        frames = [frame for frame in read_profile(CORPUS / text).frames if not frame.module_name]
        assert any(perf_map.lookup(frame.address) for frame in frames)
    assert "holds no samples" in read_profile(CORPUS / name).meta.notes[0]


def runs(name: str) -> Iterator[tuple[str, int | None]]:
    """Each run's stderr with its exit status, as the corpus notes it down."""
    text: list[str] = []
    quiet = False
    for line in (CORPUS / name).read_text().splitlines():
        ended = re.search(r"### exit status: (\d+)$", line)
        if ended or line.startswith("#"):
            if text:
                yield "\n".join(text), int(ended[1]) if ended else None
            text, quiet = [], False
        elif line == "--- stdout:":
            quiet = True
        elif not quiet:
            text.append(re.sub(r"\bN\b", "7", line))  # templates such as "N drops on CPU N"
    if text:
        yield "\n".join(text), None


def messages(name: str) -> Iterator[tuple[str, int | None]]:
    """Those of the runs that are errors. Lists of messages, one a line, are told one by one."""
    for text, status in runs(name):
        lines = [
            line
            for line in essence(text).splitlines()
            if not any(re.search(pattern, line) for pattern in NOT_MESSAGES)
        ]
        whole = status is not None or any(line.startswith("\t") for line in lines)
        for said in lines if not whole else ["\n".join(lines)]:
            if said:
                yield said, status


@pytest.mark.corpus
@pytest.mark.parametrize("name", STDERR)
def test_what_dtrace_says_is_an_error_with_its_cause_and_what_to_do(name: str) -> None:
    system = STDERR[name]
    found = list(messages(name))
    assert len(found) >= {"linux/stderr.txt": 30}.get(name, 2)
    for said, status in found:
        assert find(said, system) is not None, f"unknown: {said}"
        error = classify(said, status, system)
        assert re.fullmatch(r"[^\n]+[^:]\.", str(error)), str(error)
        assert error.remedy, f"nothing to do: {error}"


@pytest.mark.corpus
@pytest.mark.parametrize("name", STDERR)
def test_every_line_of_what_dtrace_says_is_accounted_for(name: str) -> None:
    """As an error, a notice, a loss, a failed probe, or none of dtrace's messages, with the reason."""
    errors = "\n".join(said for said, _ in messages(name)).splitlines()
    for text, _ in runs(name):
        for line in text.splitlines():
            lost = is_notice(line) or drops(line) is not None or run_time_error(line) is not None
            other = any(re.search(pattern, line) for pattern in NOT_MESSAGES)
            assert (line in errors) + (lost or other) == 1, line
