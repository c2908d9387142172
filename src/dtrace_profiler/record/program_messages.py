"""What dtrace says of processes, of its run, and of the program that it was given. Rows of `message_table`."""

from __future__ import annotations

from dtrace_profiler.errors import DTraceFailed, NoSuchProcess, NotPermitted, PrivilegeError
from dtrace_profiler.record.message import REPORT, Message, row

# The program that dtrace repeats before its complaint may be long and hold colons; it ends with a brace.
_PROGRAM = r"(?:invalid probe specifier .*\}|invalid probe specifier [^\n]*?|failed to compile script [^\n]*?)"

_PROCESSES = "dtrace-profiler attach PID   (of a process that runs), or start one: dtrace-profiler run -- COMMAND"

TARGET: tuple[Message, ...] = (
    row(
        r"failed to grab pid (?P<pid>\S+): (?P<why>[^\n]*[Nn]o such process[^\n]*)",
        NoSuchProcess,
        "there is no process {pid}.",
        _PROCESSES,
    ),
    row(
        r"failed to grab pid (?P<pid>\S+): (?P<why>[^\n]*)",
        NotPermitted,
        "dtrace can't look at {pid}: {why}.",
        "run as root, with no debugger attached to the process",
    ),
    row(
        r"failed to control pid (?P<pid>\d+): (?P<why>[^\n]*)",
        NoSuchProcess,
        "process {pid} has ended: {why}.",
        _PROCESSES,
    ),
    row(
        r"failed to execute (?P<command>.*): (?P<why>[^\n]*)",
        DTraceFailed,
        "can't start {command}: {why}.",
        "check its path, and that it may be executed (chmod +x)",
    ),
    row(r"(?:^|\n)dtrace: No such process", NoSuchProcess, "there is no such process, or no longer.", _PROCESSES),
    row(r"invalid pid: (?P<pid>[^\n]*)", NoSuchProcess, "{pid} is not a process id.", _PROCESSES),
)

RUNNING: tuple[Message, ...] = (
    row(
        r"dtrace did not begin to sample within (?P<seconds>\S+) s",
        DTraceFailed,
        "dtrace did not begin to sample within {seconds} seconds, and was ended.",
        "wait until the machine is less busy, or look at: dtrace-profiler doctor",
    ),
    row(
        r"(?:processing aborted|couldn't get status): Abort due to systemic unresponsiveness",
        DTraceFailed,
        "dtrace gave up: the system was too busy to read its samples in time, or this DTrace is older than 2022 and"
        " hung when the program ended.",
        "install the newest “DTrace on Windows”; where it is installed, use a lower --frequency",
        "windows",
        page="install/windows.md#after-an-update",
    ),
    row(
        r"(?:processing aborted|couldn't get status): Abort due to systemic unresponsiveness",
        DTraceFailed,
        "dtrace gave up because the system was too busy to read its samples in time.",
        "use a lower --frequency",
    ),
    row(
        r"processing aborted: Success$",
        DTraceFailed,
        "dtrace stopped in mid-run because its buffer was full, as DTrace for Linux before 2.0.0-1.13 does.",
        "install DTrace 2.0.7 or later, or use a lower --frequency",
        "linux",
    ),
    row(
        r"processing aborted: (?P<why>[^\n]*)",
        DTraceFailed,
        "dtrace stopped in mid-run: {why}.",
        REPORT,
    ),
    row(
        r"failed to enable '(?P<file>[^'\n]*)': Permission denied",
        PrivilegeError,
        "Windows' policy for scripts of DTrace forbids programs without a signature, and ours has none.",
        "set DTRACE_EXECUTION_POLICY=RemoteSigned   (a group policy goes before it: ask the administrator)",
        "windows",
        page="install/windows.md#signed-scripts",
    ),
    row(
        r"exceeds maximum program size",
        DTraceFailed,
        "the kernel takes no D program of this size.",
        "use --no-python, or --engine sampler; " + REPORT,
        page="platforms.md#limits",
    ),
    row(
        r"Memory allocation failure|Cannot allocate memory|Not enough space",
        DTraceFailed,
        "there is not enough memory for dtrace's buffers.",
        "use a smaller --depth",
    ),
    row(
        r"Enabling exceeds size of buffer",
        DTraceFailed,
        "dtrace's buffer is too small for one record of this depth.",
        "use a smaller --depth",
    ),
    row(
        r"Destructive actions not allowed",
        DTraceFailed,
        "the program holds an action that changes the system, which dtrace allows only with -w.",
        REPORT,
    ),
    row(
        r"failed to open output file '(?P<file>.*)': (?P<why>[^\n]*)",
        DTraceFailed,
        "dtrace can't write to {file}: {why}.",
        "check that the folder is there, and that there is room",
    ),
)

PROGRAMS: tuple[Message, ...] = (
    row(
        r"failed to set -x (?P<option>(?:u?stack|max)frames): Invalid value",
        DTraceFailed,
        "the depth is beyond what this kernel allows for a stack (kernel.perf_event_max_stack).",
        "use a smaller --depth, or: sudo sysctl kernel.perf_event_max_stack=512",
        "linux",
        page="install/linux.md#perf_event_max_stack",
    ),
    row(
        r"failed to set -x (?P<option>\w+): Invalid option name",
        DTraceFailed,
        "this dtrace does not know the option {option}.",
        "install DTrace 2.0.7 or later; where it is installed, " + REPORT,
        "linux",
    ),
    row(
        r"failed to set -(?P<option>x \w+|\w+): (?P<why>[^\n]*)",
        DTraceFailed,
        "dtrace does not accept -{option} ({why}).",
        REPORT,
    ),
    row(
        r"probe description \S*?(?P<probe>(?:profile|tick)-\w+) does not match any probes",
        DTraceFailed,
        "dtrace knows no probe {probe}. Frequencies from 1 to 4999 Hz have one, if the profile provider is there.",
        "dtrace -l -P profile   (as root: lists what there is)",
    ),
    row(
        r"\"(?P<file>[^\"\n]+/(?P<name>[^/\"\n]+\.d))\", line (?P<line>\d+): (?P<why>[^\n]*)",
        DTraceFailed,
        "dtrace's own library {name} does not fit this kernel ({why}).",
        "look at what is said of kernels without type information; if that is not it, " + REPORT,
        "freebsd",
        page="install/freebsd.md#kernel-modules",
    ),
    row(
        r"\"(?P<file>[^\"\n]+/(?P<name>[^/\"\n]+\.d))\", line (?P<line>\d+): (?P<why>[^\n]*)",
        DTraceFailed,
        "dtrace's own library {name} does not fit this kernel ({why}).",
        REPORT,
    ),
    row(
        r"failed to establish error handler: (?P<why>[^\n]*)",
        DTraceFailed,
        "dtrace could not set itself up ({why}).",
        "install DTrace again; if that does not help, " + REPORT,
    ),
    row(
        r"failed to link script (?P<file>\S+): (?P<why>[^\n]*)",
        DTraceFailed,
        "dtrace could not link {file}: {why}.",
        REPORT,
    ),
    row(_PROGRAM + r": (?P<why>[^\n]*)", DTraceFailed, "dtrace refused our program: {why}.", REPORT),
    row(r"failed to open +(?P<file>.*): (?P<why>[^\n]*)", DTraceFailed, "dtrace can't read {file}: {why}.", REPORT),
    row(
        r"invalid option -- '(?P<letter>.)'|illegal option -- (?P<classic>.)",
        DTraceFailed,
        "this dtrace does not know the option -{letter}{classic}.",
        REPORT,
    ),
    row(
        r"option requires an argument -- '?(?P<letter>\w)'?",
        DTraceFailed,
        "dtrace was called with -{letter} and nothing behind it.",
        REPORT,
    ),
    row(r"no probes specified", DTraceFailed, "dtrace was given no program.", REPORT),
    row(
        r"could not enable tracing: (?P<why>[^\n]*)",
        DTraceFailed,
        "dtrace could not start tracing: {why}.",
        REPORT,
    ),
    row(
        r"failed to initialize dtrace: (?P<why>[^\n]*)",
        DTraceFailed,
        "dtrace could not start: {why}.",
        "dtrace-profiler doctor   (says what is missing), or the other engine: --engine sampler",
    ),
    row(
        r"(?<!\S)(?P<where>\S{1,400}:\d+): \w+: Assertion `(?P<what>[^']*)' failed",
        DTraceFailed,
        "dtrace itself broke at {where} ({what}).",
        REPORT,
    ),
)
