"""The messages of dtrace that we know, on every system: one row each, the first that matches counts.

A row is: what to look for in the text (notices and drops taken out), the systems on which it means that (none: all),
the error, one sentence, and the command that would mend it. `{name}` stands for a group of the pattern.

Sources: runs of DTrace 2.0.7 on Linux 6.18; issue threads and manuals of the others (tests/record/test_messages.py
reads them all); libdtrace's table of errors, dt_error.c, which all share.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from dtrace_profiler.errors import (
    DTraceFailed,
    DTraceProfilerError,
    NoSuchProcess,
    NotDTrace,
    NotPermitted,
    PrivilegeError,
)
from dtrace_profiler.platforms.base import System


@dataclass(frozen=True, slots=True)
class Message:
    pattern: re.Pattern[str]
    error: type[DTraceProfilerError]
    sentence: str
    remedy: str = ""
    systems: tuple[System, ...] = ()


_REPORT = "please report this, with the output of: dtrace-profiler doctor"

# The program that dtrace repeats before its complaint may be long and hold colons; it ends with a brace.
_PROGRAM = r"(?:invalid probe specifier .*\}|invalid probe specifier [^\n]*?|failed to compile script [^\n]*?)"


def _row(
    pattern: str, error: type[DTraceProfilerError], sentence: str, remedy: str = "", *systems: System
) -> Message:
    return Message(re.compile(pattern, re.DOTALL), error, sentence, remedy, systems)


_PRIVILEGE = (
    _row(
        r"sudo: (?:a password is required|a terminal is required|no tty present|no password was provided)",
        PrivilegeError,
        "dtrace needs root, and sudo wants a password that nobody is here to type.",
        "sudo -v   (then run the same command again in this terminal)",
    ),
    _row(
        r"is not in the sudoers file|is not allowed to (?:run sudo|execute)|may not run sudo",
        PrivilegeError,
        "dtrace needs root, and sudo does not let this user run it.",
        "ask the administrator, or use the other engine: --engine sampler",
    ),
    _row(
        r"sudo: \d+ incorrect password attempts?|sudo: maximum \d+ incorrect",
        PrivilegeError,
        "dtrace needs root, and sudo did not accept the password.",
        "sudo -v",
    ),
    _row(
        r"sudo: (?P<why>[^\n]*(?:no new privileges|must be owned by uid 0|effective uid is not 0)[^\n]*)",
        PrivilegeError,
        "dtrace needs root, and sudo can't give it here: {why}",
        "run as root, or use the other engine: --engine sampler",
    ),
    _row(
        r"requires additional privileges",
        PrivilegeError,
        "dtrace needs the privileges dtrace_user and dtrace_proc (or root).",
        "usermod -K defaultpriv=basic,dtrace_user,dtrace_proc USER",
        "illumos",
    ),
    _row(
        r"run as root for tracing|requires additional privileges",
        PrivilegeError,
        "dtrace needs root.",
        "run the same command with sudo in front",
    ),
    _row(
        r"(?:failed to create BPF map|BPF program load for|Failed to enable)[^\n]*(?:locked-memory limit|:\n"
        r"\s*The kernel locked-memory limit|Operation not permitted)",
        PrivilegeError,
        "the kernel refuses BPF to this root: a container or service without CAP_BPF, CAP_PERFMON or CAP_SYS_ADMIN,"
        " a kernel lockdown, or too low a limit of locked memory.",
        "run outside of the container, or start it with --cap-add BPF,PERFMON,SYS_ADMIN,SYS_PTRACE,SYS_RESOURCE",
        "linux",
    ),
)

_SYSTEM = (
    _row(
        r"Usage \S*dtrace \[--help\]",
        NotDTrace,
        "this dtrace is not DTrace but systemtap's script of that name, which only makes header files.",
        "install DTrace, or set DTRACE_PROFILER_DTRACE to the right one",
    ),
    _row(
        r"Failed to enable dtrace:::BEGIN: No such file or directory"
        r"|probe description rawtp:sched::\w+ does not match any probes",
        DTraceFailed,
        "dtrace can't enable its probes: tracefs is not mounted below /sys/kernel/debug, or refuses them.",
        "sudo mount -t debugfs nodev /sys/kernel/debug",
        "linux",
    ),
    _row(
        r"BPF program load for '(?P<probe>[^']*)' failed: (?P<why>[^\n]*)",
        DTraceFailed,
        "the kernel's BPF verifier refused the program for {probe} ({why}).",
        "try a smaller one, such as --depth 64; " + _REPORT,
        "linux",
    ),
    _row(
        r"failed to create BPF map '(?P<map>[^']*)': (?P<why>[^\n]*)",
        DTraceFailed,
        "the kernel has no room for dtrace's buffer {map!r} ({why}).",
        "try a smaller one, such as --depth 64",
        "linux",
    ),
    _row(
        r"Cannot open BTF file (?P<file>\S+): (?P<why>[^\n]*)|No BTF data for vmlinux",
        DTraceFailed,
        "dtrace found no type information (BTF) for this kernel.",
        "use a kernel built with CONFIG_DEBUG_INFO_BTF=y (those of the distributions are)",
        "linux",
    ),
    _row(
        r"built-in variable '(?P<name>\w+)' not implemented|dt_cg_agg: Assertion",
        DTraceFailed,
        "dtrace did not find its own library, bpf_dlib.o.",
        "install DTrace again, or " + _REPORT,
        "linux",
    ),
    _row(
        r"device not available on system",
        DTraceFailed,
        "the DTrace driver is not running: it is off, Secure Boot forbids it, or Windows is older than build 18980.",
        "bcdedit /set dtrace ON   (as administrator, with Secure Boot off; then restart)",
        "windows",
    ),
    _row(
        r"device not available on system",
        DTraceFailed,
        "the kernel has no DTrace device: its modules are not loaded, or this is a jail or zone.",
        "sudo kldload dtraceall",
        "freebsd",
        "netbsd",
    ),
    _row(
        r"device not available on system",
        DTraceFailed,
        "the kernel has no DTrace device here.",
        "dtrace-profiler doctor   (says what is missing), or the other engine: --engine sampler",
    ),
    _row(
        r"probe description \S*?(?P<probe>(?:profile|tick)-\w+) does not match any probes",
        DTraceFailed,
        "dtrace knows no probe {probe}: its driver is of another build of Windows.",
        "install the newest “DTrace on Windows” and restart",
        "windows",
    ),
    _row(
        r"probe description \S*?(?P<probe>(?:profile|tick)-\w+) does not match any probes\.?$",
        DTraceFailed,
        "dtrace knows no probe {probe}: the kernel module of its provider is not loaded.",
        "sudo kldload dtraceall   (NetBSD: sudo modload dtrace_profile)",
        "freebsd",
        "netbsd",
    ),
    _row(
        r"does not match any probes\.? System Integrity Protection is on",
        DTraceFailed,
        "System Integrity Protection hides the probe that was asked for.",
        "csrutil enable --without dtrace   (in the recovery system)",
        "macos",
    ),
    _row(
        r"restricted entitlements|get-task-allow",
        NotPermitted,
        "macOS protects this program from being traced: it is Apple's, or signed without get-task-allow.",
        "use a Python from python.org or Homebrew, or attach by process id",
        "macos",
    ),
    _row(
        r"cannot instrument translated processes|darwin\.d\"[^\n]*Conflicting type",
        DTraceFailed,
        "this is an Intel program under Rosetta, which DTrace can't trace.",
        "arch -arm64 dtrace-profiler …   (with a program built for arm64)",
        "macos",
    ),
    _row(
        r"kernel debugger is active",
        DTraceFailed,
        "DTrace can't be used while a kernel debugger is active.",
        "restart without the kernel debugger, or use the other engine: --engine sampler",
        "macos",
    ),
    _row(
        r"restricts the use of anonymous tracing",
        DTraceFailed,
        "System Integrity Protection forbids anonymous tracing.",
        "csrutil enable --without dtrace   (in the recovery system)",
        "macos",
    ),
    _row(
        r"[Cc]ould not create symbolicator",
        NotPermitted,
        "macOS does not let dtrace look into this process.",
        "use a program that is not Apple's, such as a Python from python.org or Homebrew, and sudo",
    ),
    _row(
        r"Service 'dtrace' \(dtrace\) failed to start",
        DTraceFailed,
        "the DTrace service of Windows did not start.",
        "run the installer as administrator, then: bcdedit /set dtrace ON, and restart",
        "windows",
    ),
    _row(
        r"dyld\[\d+\]: (?P<why>[^\n]*)",
        DTraceFailed,
        "the program could not be loaded: {why}.",
        "run it by itself first: it must start without DTrace, too",
        "macos",
    ),
)

_PROCESSES = "--pid with the number of a process that runs, or start one with: dtrace-profiler run -- COMMAND"

_TARGET = (
    _row(
        r"failed to grab pid (?P<pid>\S+): (?P<why>[^\n]*[Nn]o such process[^\n]*)",
        NoSuchProcess,
        "there is no process {pid}.",
        _PROCESSES,
    ),
    _row(
        r"failed to grab pid (?P<pid>\S+): (?P<why>[^\n]*)",
        NotPermitted,
        "dtrace can't look at {pid}: {why}.",
        "run as root, with no debugger attached to the process",
    ),
    _row(
        r"failed to control pid (?P<pid>\d+): (?P<why>[^\n]*)",
        NoSuchProcess,
        "process {pid} has ended: {why}.",
        _PROCESSES,
    ),
    _row(
        r"failed to execute (?P<command>.*): (?P<why>[^\n]*)",
        DTraceFailed,
        "can't start {command}: {why}.",
        "check its path, and that it may be executed (chmod +x)",
    ),
    _row(r"(?:^|\n)dtrace: No such process", NoSuchProcess, "the process has ended, or never was.", _PROCESSES),
    _row(r"invalid pid: (?P<pid>[^\n]*)", NoSuchProcess, "{pid} is not a process id.", _PROCESSES),
)

_RUNNING = (
    _row(
        r"dtrace did not begin to sample within (?P<seconds>\S+) s",
        DTraceFailed,
        "dtrace did not begin to sample within {seconds} seconds, and was ended.",
        "try again when the machine is less busy, or look at: dtrace-profiler doctor",
    ),
    _row(
        r"(?:processing aborted|couldn't get status): Abort due to systemic unresponsiveness",
        DTraceFailed,
        "dtrace gave up because the system was too busy to read its samples in time.",
        "try a lower --frequency",
    ),
    _row(
        r"processing aborted: (?P<why>[^\n]*)",
        DTraceFailed,
        "dtrace stopped in mid-run: {why}.",
        _REPORT,
    ),
    _row(
        r"Memory allocation failure|Cannot allocate memory|Not enough space",
        DTraceFailed,
        "there is not enough memory for dtrace's buffers.",
        "try a smaller --depth",
    ),
    _row(
        r"Enabling exceeds size of buffer",
        DTraceFailed,
        "dtrace's buffer is too small for one record of this depth.",
        "try a smaller --depth",
    ),
    _row(
        r"Destructive actions not allowed",
        DTraceFailed,
        "the program holds an action that changes the system, which dtrace allows only with -w.",
        _REPORT,
    ),
    _row(
        r"failed to open output file '(?P<file>.*)': (?P<why>[^\n]*)",
        DTraceFailed,
        "dtrace can't write to {file}: {why}.",
        "check that the folder is there, and that there is room",
    ),
)

_PROGRAMS = (
    _row(
        r"failed to set -x (?P<option>(?:u?stack|max)frames): Invalid value",
        DTraceFailed,
        "the depth is beyond what this kernel allows for a stack (kernel.perf_event_max_stack).",
        "use a smaller --depth, or: sudo sysctl kernel.perf_event_max_stack=512",
        "linux",
    ),
    _row(
        r"failed to set -x (?P<option>\w+): Invalid option name",
        DTraceFailed,
        "this dtrace does not know the option {option}.",
        "install DTrace 2.0.7 or later, or " + _REPORT,
        "linux",
    ),
    _row(
        r"failed to set -(?P<option>x \w+|\w+): (?P<why>[^\n]*)",
        DTraceFailed,
        "dtrace does not accept -{option} ({why}).",
        _REPORT,
    ),
    _row(
        r"probe description \S*?(?P<probe>(?:profile|tick)-\w+) does not match any probes",
        DTraceFailed,
        "dtrace knows no probe {probe}: it samples at 1 to 4999 Hz, where the profile provider is there.",
        "dtrace -l -P profile   (as root: lists what there is)",
    ),
    _row(
        r"\"(?P<file>[^\"\n]+/(?P<name>[^/\"\n]+\.d))\", line (?P<line>\d+): (?P<why>[^\n]*)",
        DTraceFailed,
        "dtrace's own library {name} does not fit this kernel ({why}).",
        _REPORT,
    ),
    _row(
        r"failed to establish error handler: (?P<why>[^\n]*)",
        DTraceFailed,
        "dtrace could not set itself up ({why}).",
        "install DTrace again, or " + _REPORT,
    ),
    _row(
        r"failed to link script (?P<file>\S+): (?P<why>[^\n]*)",
        DTraceFailed,
        "dtrace could not link {file}: {why}.",
        _REPORT,
    ),
    _row(_PROGRAM + r": (?P<why>[^\n]*)", DTraceFailed, "dtrace refused our program: {why}.", _REPORT),
    _row(r"failed to open +(?P<file>.*): (?P<why>[^\n]*)", DTraceFailed, "dtrace can't read {file}: {why}.", _REPORT),
    _row(
        r"invalid option -- '(?P<letter>.)'|illegal option -- (?P<classic>.)",
        DTraceFailed,
        "this dtrace does not know the option -{letter}{classic}.",
        _REPORT,
    ),
    _row(
        r"option requires an argument -- '?(?P<letter>\w)'?",
        DTraceFailed,
        "dtrace was called with -{letter} and nothing behind it.",
        _REPORT,
    ),
    _row(r"no probes specified", DTraceFailed, "dtrace was given no program.", _REPORT),
    _row(
        r"could not enable tracing: (?P<why>[^\n]*)",
        DTraceFailed,
        "dtrace could not start tracing: {why}.",
        _REPORT,
    ),
    _row(
        r"failed to initialize dtrace: (?P<why>[^\n]*)",
        DTraceFailed,
        "dtrace could not start: {why}.",
        "dtrace-profiler doctor   (says what is missing), or the other engine: --engine sampler",
    ),
    _row(
        r"(?<!\S)(?P<where>\S{1,400}:\d+): \w+: Assertion `(?P<what>[^']*)' failed",
        DTraceFailed,
        "dtrace itself broke at {where} ({what}).",
        _REPORT,
    ),
)

MESSAGES: tuple[Message, ...] = (*_PRIVILEGE, *_SYSTEM, *_TARGET, *_RUNNING, *_PROGRAMS)
