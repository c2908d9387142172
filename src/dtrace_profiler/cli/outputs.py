"""Where profiles are written: looked at before anything runs, written as a whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass

from dtrace_profiler.errors import OutputError, UsageError
from dtrace_profiler.formats import format_of, write_profile
from dtrace_profiler.model.profile import Profile
from dtrace_profiler.platforms.ownership import give_to_invoking_user

STDOUT = "-"
RECORDING = "dtrace"
"""The format's name: written while sampling, as dtrace says it, where it isn't compressed."""
_STDOUT_FORMAT = "folded"


@dataclass(frozen=True, slots=True)
class Output:
    path: str
    """`-` is stdout."""
    format: str

    @property
    def name(self) -> str:
        return "stdout" if self.path == STDOUT else self.path


@dataclass(frozen=True, slots=True)
class Outputs:
    """All that one run writes."""

    profiles: tuple[Output, ...]
    recording: str | None

    def check(self) -> None:
        """Raises OutputError for what surely can't be written; nothing is created or changed."""
        for path in [output.path for output in self.profiles] + ([self.recording] if self.recording else []):
            if path != STDOUT:
                _check_writable(path)

    def write(self, profile: Profile) -> None:
        """Writes all. What can't be is written to a new file in the folder for temporary files, and told last."""
        failed: OutputError | None = None
        for output in self.profiles:
            try:
                write(profile, output)
            except OutputError as error:
                rescued = _rescue(profile, output)
                failed = failed or OutputError(
                    f"{error}" + (f" The profile is in {rescued} instead." if rescued else ""), remedy=error.remedy
                )
        if failed is not None:
            raise failed

    def files(self) -> Outputs:
        """Those that aren't stdout."""
        return Outputs(tuple(output for output in self.profiles if output.path != STDOUT), self.recording)

    def stdout(self) -> Outputs:
        return Outputs(tuple(output for output in self.profiles if output.path == STDOUT), None)

    def hand_over_recording(self) -> None:
        if self.recording is not None:
            give_to_invoking_user(self.recording)


def plan(
    files: Sequence[str], format_name: str | None, record: str | None, default_stem: str, *, none: bool = False
) -> Outputs:
    """The outputs that the options ask for; without any, an HTML page in the current folder, or with `none`, none.

    Raises UsageError for a format that isn't known or can't be told.
    """
    outputs = [Output(path, choose_format(path, format_name)) for path in files]
    recorded = [output for output in outputs if output.format == RECORDING and not output.path.endswith(".gz")]
    recordings = ([record] if record else []) + [output.path for output in recorded]
    if len(set(recordings)) > 1:
        raise UsageError("one recording is made at a time: name one .dtrace file.")
    if STDOUT in recordings:
        raise UsageError("the recording can't go to stdout: name a file, as in --record run.dtrace.")
    profiles = tuple(output for output in outputs if output not in recorded)
    if not outputs and not record and not none:
        name = f"{default_stem}-{time.strftime('%Y%m%d-%H%M%S')}"
        suffix = format_name or "html"
        profiles = (Output(f"{name}.{suffix}", choose_format(f"{name}.{suffix}", format_name)),)
    return Outputs(profiles, recordings[0] if recordings else None)


def choose_format(path: str, format_name: str | None) -> str:
    """The format's name, by `--format`, else by the suffix; stdout's is folded."""
    if path == STDOUT and format_name is None:
        return _STDOUT_FORMAT
    return format_of(path, format_name)


def write(profile: Profile, output: Output) -> None:
    """Writes one output. Raises OutputError; a file that was there before is then as it was."""
    try:
        if output.path == STDOUT:
            _write_stdout(profile, output.format)
        else:
            _write_file(profile, output)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"{output.name} can't be written: {error.strerror or error}.") from error


def _write_file(profile: Profile, output: Output) -> None:
    path = os.path.realpath(output.path)
    new = not os.path.lexists(path)
    folder = os.path.dirname(path)
    if not (new or os.path.isfile(path)) or not os.access(folder, os.W_OK):
        write_profile(profile, path, output.format)  # a device, a pipe, or the only file that we may write here
        return
    # First beside it: a full disk or a Ctrl-C leaves no half file, and no file of before is lost.
    suffix = ".gz" if output.path.endswith(".gz") else ""  # which is compressed
    descriptor, partial = tempfile.mkstemp(suffix, f".{os.path.basename(path)[:100]}.", folder)
    os.close(descriptor)
    try:
        write_profile(profile, partial, output.format)
        os.chmod(partial, _ordinary_mode() if new else os.stat(path).st_mode & 0o777)
        if new:
            give_to_invoking_user(partial)
        else:
            _keep_owner(path, partial)
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise


def _write_stdout(profile: Profile, format_name: str) -> None:
    with tempfile.TemporaryDirectory(prefix="dtrace-profiler-") as folder:
        path = os.path.join(folder, "profile")
        write_profile(profile, path, format_name)
        sys.stdout.flush()
        with open(path, "rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()


def _rescue(profile: Profile, output: Output) -> str:
    """Another place for a profile that could not be written where it should be; empty where there is none."""
    if output.path == STDOUT:
        return ""
    descriptor, path = tempfile.mkstemp(prefix="dtrace-profiler-", suffix=os.path.splitext(output.path)[1])
    os.close(descriptor)
    try:
        write_profile(profile, path, output.format)
    except (OSError, OutputError):
        with contextlib.suppress(OSError):
            os.unlink(path)
        return ""
    give_to_invoking_user(path)
    return path


def _check_writable(path: str) -> None:
    folder = os.path.dirname(os.path.realpath(path))
    if os.path.isdir(path):
        raise OutputError(f"{path} can't be written: it is a folder.")
    if os.path.exists(path):
        if not os.access(path, os.W_OK):
            raise OutputError(f"{path} can't be written: permission denied.")
    elif not os.path.isdir(folder):
        raise OutputError(f"{path} can't be written: there is no folder {folder}.", remedy=f"mkdir -p {folder}")
    elif not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"{path} can't be written: permission denied in {folder}.", remedy="-o with another folder")


def _ordinary_mode() -> int:
    """Of a new file. `mkstemp` makes them readable for us alone."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _keep_owner(path: str, partial: str) -> None:
    chown = getattr(os, "chown", None)
    if chown is not None:
        facts = os.stat(path)
        with contextlib.suppress(OSError):
            chown(partial, facts.st_uid, facts.st_gid)
