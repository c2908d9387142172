"""The messages of dtrace that we know, on every system: one row each, the first that matches counts.

A row is: what to look for in the text (notices and drops taken out), the systems on which it means that (none: all),
the error, one sentence, and the command that would mend it. `{name}` stands for a group of the pattern.

Sources: runs of DTrace 2.0.7 on Linux 6.18; issue threads and manuals of the others (tests/record/test_messages.py
reads them all); libdtrace's table of errors, dt_error.c, which all share.
"""

from __future__ import annotations

from dtrace_profiler.record.message import Message
from dtrace_profiler.record.program_messages import PROGRAMS, RUNNING, TARGET
from dtrace_profiler.record.system_messages import PRIVILEGE, SYSTEM

MESSAGES: tuple[Message, ...] = (*PRIVILEGE, *SYSTEM, *TARGET, *RUNNING, *PROGRAMS)
