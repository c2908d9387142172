"""What docs/formats.md promises of every profile ("The data model"), whatever file it was read from."""

from __future__ import annotations

from collections.abc import Iterator

from dtrace_profiler.model.frame import FrameKind, Labels, StackFrame
from dtrace_profiler.model.profile import Profile

WORD = 1 << 63
LINES = 1 << 31


def broken_promises(profile: Profile) -> list[str]:
    """One text for each field that breaks one; empty where all is as promised."""
    return [*_stacks(profile), *_samples(profile), *_threads(profile), *_facts(profile)]


def _stacks(profile: Profile) -> Iterator[str]:
    nodes = range(len(profile.parent))
    if len(profile.frame) != len(nodes):
        yield "Profile.frame: not one entry a node"
    if not all(-1 <= parent < node for node, parent in zip(nodes, profile.parent, strict=True)):
        yield "Profile.parent: not before the node"
    if not all(0 <= frame < len(profile.frames) for frame in profile.frame):
        yield "Profile.frame: no frame"
    if len(set(zip(profile.parent, profile.frame, strict=False))) != len(nodes):
        yield "Profile.parent: a pair of parent and frame stands twice"
    if len(set(profile.frames)) != len(profile.frames):
        yield "Profile.frames: a frame stands twice"
    for frame in profile.frames:
        if not _is_frame(frame):
            yield f"StackFrame: {frame!r}"


def _is_frame(frame: StackFrame) -> bool:
    texts = frame.function_name, frame.module_name, frame.file
    return (
        all(isinstance(text, str) for text in texts)
        and isinstance(frame.kind, FrameKind)
        and 0 <= frame.address < 1 << 64
        and 0 <= frame.line < LINES
        and 0 <= frame.first_line < LINES
    )


def _samples(profile: Profile) -> Iterator[str]:
    columns = ("timestamp_ns", "thread", "node", "value")
    if len({len(getattr(profile, name)) for name in columns}) != 1:
        yield "Profile: columns of samples differ in length"
    if not all(0 <= node < len(profile.parent) for node in profile.node):
        yield "Profile.node: no node"
    if not all(0 <= thread < len(profile.threads) for thread in profile.thread):
        yield "Profile.thread: no thread"
    if not all(time >= 0 for time in profile.timestamp_ns):
        yield "Profile.timestamp_ns: negative"
    if not all(value >= 0 for value in profile.value):
        yield "Profile.value: negative"
    if profile.total >= WORD:
        yield "Profile.value: the sum is too large"


def _threads(profile: Profile) -> Iterator[str]:
    known = {(thread.process_id, thread.thread_id, thread.labels) for thread in profile.threads}
    if len(known) != len(profile.threads):
        yield "Profile.threads: a thread stands twice with the same labels"
    names: dict[tuple[int, int], str] = {}
    for thread in profile.threads:
        if not (0 <= thread.process_id < WORD and 0 <= thread.thread_id < WORD and _are_labels(thread.labels)):
            yield f"Thread: {thread!r}"
        if names.setdefault((thread.process_id, thread.thread_id), thread.name) != thread.name:
            yield f"Thread.name: {thread!r} has another name with other labels"


def _are_labels(labels: Labels) -> bool:
    keys = [key for key, _ in labels]
    return keys == sorted(set(keys)) and all(isinstance(text, str) for pair in labels for text in pair)


def _facts(profile: Profile) -> Iterator[str]:
    meta = profile.meta
    if meta.unit not in ("samples", "nanoseconds"):
        yield f"Meta.unit: {meta.unit!r}"
    for name in ("frequency_hz", "start_ns", "duration_ns"):
        if not 0 <= getattr(meta, name) < WORD:
            yield f"Meta.{name}: {getattr(meta, name)}"
    if not all(type(count) is int and 0 <= count < WORD for count in meta.losses.values()):
        yield f"Meta.losses: {dict(meta.losses)}"
    texts = [meta.engine, meta.target, meta.system, *meta.losses, *meta.notes]
    texts += [*meta.versions, *meta.versions.values()]
    if not all(isinstance(text, str) for text in texts) or not meta.engine:
        yield "Meta: what should be a text is none"
    if not all(0 <= time < WORD and time % 1_000_000_000 == 0 and count > 0 for time, count in profile.lost):
        yield f"Profile.lost: {profile.lost!r}"
    for file in profile.mapped_files:
        if not (0 <= file.process_id < WORD and 0 <= file.start < file.end <= 1 << 64 and 0 <= file.offset < WORD):
            yield f"MappedFile: {file!r}"
    if len(set(profile.mapped_files)) != len(profile.mapped_files):
        yield "Profile.mapped_files: a file stands twice"
