"""Every error that a user can cause or meet.

    DTraceProfilerError                 exit status, one sentence, what to do
    ├── UsageError              2       an option or argument is out of its range
    ├── TargetError             3       the process to be profiled
    │   ├── NoSuchProcess
    │   ├── NotPermitted                a process that this user may not look at
    │   └── CommandNotStarted   126/127 as a shell would answer
    ├── EngineError             4       DTrace can't be used, or ended in mid-run
    │   ├── DTraceNotFound
    │   ├── NotDTrace                   another program of that name (systemtap's)
    │   ├── DTraceTooOld
    │   ├── PrivilegeError
    │   └── DTraceFailed                whatever dtrace itself said; carries its text
    ├── InputError              5       a file that can't be read as a profile
    │   └── NotComparable               two profiles whose numbers don't mean the same
    └── OutputError             6       a file that can't be written

The text of each is one sentence for a person: what is wrong and what to do. `remedy`, where known, is the
one command that would mend it; `page` is where to read more, below docs/, with an anchor.
"""

from __future__ import annotations


class DTraceProfilerError(Exception):
    """The root. `exit_status` is what the command line ends with; see docs/errors.md."""

    exit_status = 1

    def __init__(self, message: str, *, remedy: str = "", page: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy
        self.page = page or f"errors.md#{type(self).__name__.lower()}"


class UsageError(DTraceProfilerError, ValueError):
    exit_status = 2


class TargetError(DTraceProfilerError):
    exit_status = 3


class NoSuchProcess(TargetError):
    pass


class NotPermitted(TargetError):
    pass


class CommandNotStarted(TargetError):
    """`exit_status` is 127 (not found) or 126 (found, but can't be executed)."""

    def __init__(self, message: str, *, exit_status: int, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.exit_status = exit_status


class EngineError(DTraceProfilerError):
    exit_status = 4


class DTraceNotFound(EngineError):
    pass


class NotDTrace(EngineError):
    pass


class DTraceTooOld(EngineError):
    pass


class PrivilegeError(EngineError):
    pass


class DTraceFailed(EngineError):
    """`output` is dtrace's own text, verbatim; `status` its exit status (negative: a signal), None if unknown."""

    def __init__(
        self, message: str, *, output: str = "", status: int | None = None, remedy: str = "", page: str = ""
    ) -> None:
        super().__init__(message, remedy=remedy, page=page)
        self.output = output
        self.status = status


class InputError(DTraceProfilerError):
    exit_status = 5


class NotComparable(InputError):
    pass


class OutputError(DTraceProfilerError):
    exit_status = 6
