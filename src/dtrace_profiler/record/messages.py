"""What dtrace says on stderr, put into our errors and counts.

In: text and exit status. Out: an error with one sentence and, where known, the command that would mend it
(`classify`), what was lost (`drops`), what went wrong in a probe (`run_time_error`), or that a line is only a notice.
Pure. What is not known is never an accident: it is shown as dtrace said it, with its exit status.
"""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass

from dtrace_profiler.errors import DTraceFailed, DTraceProfilerError
from dtrace_profiler.platforms.base import System
from dtrace_profiler.record.message import REPORT, UNKNOWN_PAGE, Message
from dtrace_profiler.record.message_table import MESSAGES


@dataclass(frozen=True, slots=True)
class RunTimeError:
    """A probe whose clause failed while it ran. The sample is lost, tracing goes on."""

    probe: str
    """`profile:::profile-99`."""
    reason: str
    """Without numbers: `invalid address`, `invalid user access`."""
    address: int | None
    """The address that couldn't be read, where the reason names one."""


_DROPS = re.compile(
    r"^(?:dtrace: )?(?P<count>\d+) (?P<kind>(?:[a-z][\w()/]* )*?)"
    r"(?:drops?|speculations?|string table overflows?|errors?)"
    r"(?: on CPU \d+| with non-empty \w+ list| \([^)]*\)| in ERROR probe enabling)?$"
)
# By the start of the words before "drops"; see _dt_droptab in libdtrace's dt_handle.c for the whole list.
_KINDS = (
    ("aggregation", "aggregation_drops"),
    ("dynamic variable", "dynamic_variable_drops"),
    ("speculative", "speculative_drops"),
    ("failed", "speculative_drops"),
    ("jstack()/ustack()", "stack_string_drops"),
)

_ADDRESS = r"(?P<reason>.*?)(?: \(0x(?P<address>[0-9a-f]+)\))?"
_RUN_TIME_ERRORS = (
    # DTrace 2.0 for Linux
    re.compile(rf"^(?:dtrace: )?error in \S+ for probe ID \d+ \((?P<probe>[^)]*)\): {_ADDRESS}(?: at BPF pc \d+)?$"),
    # all others
    re.compile(
        r"^(?:dtrace: )?error on enabled probe ID \d+ \(ID \d+: (?P<probe>[^)]*)\): "
        rf"{_ADDRESS}(?: in action #\d+)?(?: at DIF offset \d+)?$"
    ),
)

_NOTICE = re.compile(
    r"^\s*$"
    r"|^(?:dtrace: )?(?:description|script) '.*' matched \d+ probes?$"
    r"|^(?:dtrace: )?(?:buf|agg|spec|dynvar|str)size (?:increased|lowered) to \S+$"
    r"|^(?:dtrace: )?(?:buffer|aggregation|dynamic variable|speculation)\b.* size lowered to \S+$"
    r"|^(?:dtrace: )?pid \d+ (?:has exited|exited with status -?\d+|terminated by \S+)$"
    r"|^(?:dtrace: )?system integrity protection is on, some features will not be available$"
    r"|^(?:dtrace: )?could not set thread priority to .*$"
    r"|^(?:dtrace: )?(?:C|c)ould not symbolicate$"
    r"|^(?:dtrace: )?(?:U|u)nable to get symbols for pid.*$"
    r"|^\s*CPU\s+ID\s+FUNCTION:NAME$"
    # what the shell around dtrace says of its end, which the exit status says too
    r"|^(?:\S+: line \d+: +\d+ )?(?:Killed|Terminated|Aborted|Segmentation fault)\b"
    # the kernel verifier's log, which DTrace for Linux prints before the message that counts
    r"|^BPF: "
)


def drops(line: str) -> tuple[str, int] | None:
    """What a line says was lost: its name in `losses` and how many since the last such line. None for other lines.

    `dtrace: 19 drops on CPU 0` is ("drops", 19).
    """
    match = _DROPS.match(line)
    if match is None:
        return None
    count = int(match["count"])
    if line.endswith(" in ERROR probe enabling"):
        return "error_probe_errors", count
    for start, kind in _KINDS:
        if match["kind"].startswith(start):
            return kind, count
    return ("drops", count) if not match["kind"] and "drop" in line else None


def run_time_error(line: str) -> RunTimeError | None:
    """The fault in a probe that a line reports; None for other lines."""
    for pattern in _RUN_TIME_ERRORS:
        if match := pattern.match(line):
            address = match["address"]
            return RunTimeError(match["probe"], match["reason"], None if address is None else int(address, 16))
    return None


def is_notice(line: str) -> bool:
    """Whether a line only tells that all is well, or repeats what another line says better."""
    return _NOTICE.match(line) is not None


def classify(text: str, status: int | None, system: System) -> DTraceProfilerError:
    """The error for a dtrace that ended by itself: all it wrote to stderr, and its exit status.

    A status below 0, or above 128 as a shell or sudo passes it on, is a signal; None is unknown. Text that is not
    known, also from a newer DTrace, is quoted as it is. Always returns an error; the caller raises it.
    """
    said = essence(text)
    found = find(said, system)
    if found is None:
        return DTraceFailed(
            _unknown(said, status), output=text, status=status, remedy=REPORT if said else "", page=UNKNOWN_PAGE
        )
    message, groups = found
    sentence = message.sentence.format_map(groups)
    remedy = message.remedy.format_map(groups)
    if issubclass(message.error, DTraceFailed):
        return message.error(sentence, output=text, status=status, remedy=remedy, page=message.page)
    return message.error(sentence, remedy=remedy, page=message.page)


def find(said: str, system: System) -> tuple[Message, dict[str, str]] | None:
    """The first row of the table that knows this text on this system, and what its pattern picked out of it."""
    for message in MESSAGES:
        if (not message.systems or system in message.systems) and (match := message.pattern.search(said)):
            return message, {name: (value or "").strip().rstrip(".") for name, value in match.groupdict().items()}
    return None


def essence(text: str) -> str:
    """The text without its notices, counts of drops and run-time errors."""
    kept = [
        line
        for line in text.splitlines()
        if not is_notice(line) and drops(line) is None and run_time_error(line) is None
    ]
    return "\n".join(kept)


_QUOTED_CHARACTERS = 600


def _unknown(said: str, status: int | None) -> str:
    signal_number = _signal_number(status)
    if signal_number is not None:
        how = f"was ended by {_signal_name(signal_number)}"
    elif status is None:
        how = "ended"
    else:
        how = f"ended with exit status {status}"
    if not said:
        return f"dtrace {how} and gave no reason." if signal_number is None else f"dtrace {how}."
    quoted = re.sub(r"^dtrace: ", "", said.strip())
    if len(quoted) > _QUOTED_CHARACTERS:
        # The end of it says what is wrong: the start repeats the whole program.
        quoted = "… " + quoted[-_QUOTED_CHARACTERS:]
    return f"dtrace {how}: {quoted}"


def _signal_number(status: int | None) -> int | None:
    if status is None or 0 <= status <= 128:
        return None
    number = -status if status < 0 else status - 128
    return number if 0 < number < 65 else None


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
