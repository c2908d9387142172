"""One finding, and how commands are asked for facts."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Ask = Callable[[Sequence[str]], str]
"""A command → what it printed, both outputs; empty where it isn't there or did not answer in time."""
ANSWER_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class Check:
    """One fact. `ok` None: good to know, but nothing stands or falls with it."""

    name: str
    ok: bool | None
    text: str
    remedy: str = ""
    """The command that mends it, or the words."""
    cost: str = ""
    """What is missing as long as it stays so."""
    page: str = ""
    """Where to read more: below docs/, with an anchor."""
    fix: tuple[str, ...] = ()
    """A command that `--fix` may run as root: harmless, and undone by a restart."""


@dataclass(frozen=True, slots=True)
class Assumed:
    """A row of docs/platforms.md#assumptions: whether it holds here. `holds` None: that could not be told."""

    number: int
    text: str
    holds: bool | None


def ask(command: Sequence[str]) -> str:
    """See `Ask`."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=ANSWER_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace")
