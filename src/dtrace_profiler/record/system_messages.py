"""What dtrace says of the rights it lacks, and of the system that it runs on. Rows of `message_table`."""

from __future__ import annotations

from dtrace_profiler.errors import DTraceFailed, NotDTrace, NotPermitted, PrivilegeError
from dtrace_profiler.record.message import REPORT, Message, row

PRIVILEGE: tuple[Message, ...] = (
    row(
        r"sudo: (?:a password is required|a terminal is required|no tty present|no password was provided)",
        PrivilegeError,
        "dtrace needs root, and sudo wants a password that nobody is here to type.",
        "sudo -v   (then run the same command again in this terminal)",
    ),
    row(
        r"is not in the sudoers file|is not allowed to (?:run sudo|execute)|may not run sudo",
        PrivilegeError,
        "dtrace needs root, and sudo does not let this user run it.",
        "ask the administrator, or use the other engine: --engine sampler",
    ),
    row(
        r"sudo: \d+ incorrect password attempts?|sudo: maximum \d+ incorrect",
        PrivilegeError,
        "dtrace needs root, and sudo did not accept the password.",
        "sudo -v",
    ),
    row(
        r"sudo: (?P<why>[^\n]*(?:no new privileges|must be owned by uid 0|effective uid is not 0)[^\n]*)",
        PrivilegeError,
        "dtrace needs root, and sudo can't give it here: {why}",
        "run as root, or use the other engine: --engine sampler",
    ),
    row(
        r"requires additional privileges",
        PrivilegeError,
        "dtrace needs the privileges dtrace_user and dtrace_proc (or root).",
        "usermod -K defaultpriv=basic,dtrace_user,dtrace_proc USER",
        "illumos",
        page="install/illumos.md#privileges",
    ),
    row(
        r"requires additional privileges",
        PrivilegeError,
        "dtrace needs an administrator's rights.",
        "run the same command in a terminal that was started with “Run as administrator”",
        "windows",
        page="install/windows.md#administrator",
    ),
    row(
        r"run as root for tracing|requires additional privileges",
        PrivilegeError,
        "dtrace needs root.",
        "run the same command with sudo in front",
    ),
    row(
        r"(?:failed to create BPF map|BPF program load for|Failed to enable)[^\n]*(?:locked-memory limit|:\n"
        r"\s*The kernel locked-memory limit|Operation not permitted)",
        PrivilegeError,
        "the kernel refuses BPF even to root here: a container or service without CAP_BPF, CAP_PERFMON or"
        " CAP_SYS_ADMIN, a kernel lockdown, or too low a limit of locked memory.",
        "run outside of the container, or start it with --cap-add BPF,PERFMON,SYS_ADMIN,SYS_PTRACE,SYS_RESOURCE;"
        " outside of one: ulimit -l unlimited",
        "linux",
        page="install/linux.md#containers",
    ),
)

SYSTEM: tuple[Message, ...] = (
    row(
        r"Usage \S*dtrace \[--help\]",
        NotDTrace,
        "this dtrace is not DTrace but systemtap's script of that name, which only makes header files.",
        "install DTrace, or set DTRACE_PROFILER_DTRACE to the right one",
    ),
    row(
        r"Failed to enable dtrace:::BEGIN: No such file or directory"
        r"|probe description rawtp:sched::\w+ does not match any probes",
        DTraceFailed,
        "dtrace can't enable its probes: tracefs is not mounted below /sys/kernel/debug, or refuses them.",
        "sudo mount -t debugfs nodev /sys/kernel/debug",
        "linux",
        page="install/linux.md#tracefs",
    ),
    row(
        r"BPF program load for '(?P<probe>[^']*)' failed: (?P<why>[^\n]*)",
        DTraceFailed,
        "the kernel's BPF verifier refused the program for {probe} ({why}).",
        "use a smaller --depth, such as 64; " + REPORT,
        "linux",
    ),
    row(
        r"failed to create BPF map '(?P<map>[^']*)': (?P<why>[^\n]*)",
        DTraceFailed,
        "the kernel has no room for dtrace's buffer {map!r} ({why}).",
        "use a smaller --depth, such as 64",
        "linux",
    ),
    row(
        r"Cannot open BTF file (?P<file>\S+): (?P<why>[^\n]*)|No BTF data for vmlinux",
        DTraceFailed,
        "dtrace found no type information (BTF) for this kernel.",
        "use a kernel built with CONFIG_DEBUG_INFO_BTF=y (those of the distributions are)",
        "linux",
        page="install/linux.md#btf",
    ),
    row(
        r"built-in variable '(?P<name>\w+)' not implemented|dt_cg_agg: Assertion",
        DTraceFailed,
        "dtrace did not find its own library, bpf_dlib.o.",
        "install DTrace again, or " + REPORT,
        "linux",
    ),
    row(
        r"device not available on system",
        DTraceFailed,
        "the DTrace driver is not running: it is off, Secure Boot forbids it, or Windows is older than build 18980.",
        "bcdedit /set dtrace ON   (as administrator, with Secure Boot off; then restart)",
        "windows",
        page="install/windows.md#turn-dtrace-on",
    ),
    row(
        r"device not available on system",
        DTraceFailed,
        "the kernel has no DTrace device: its modules are not loaded, or this is a jail.",
        "sudo kldload dtraceall   (in a jail: run it on the host)",
        "freebsd",
        page="install/freebsd.md#kernel-modules",
    ),
    row(
        r"device not available on system",
        DTraceFailed,
        "the kernel has no DTrace device: its modules are not loaded, or it was built without KDTRACE_HOOKS.",
        "sudo modload dtrace dtrace_profile",
        "netbsd",
        page="install/netbsd.md#netbsd",
    ),
    row(
        r"device not available on system",
        DTraceFailed,
        "the kernel has no DTrace device here.",
        "dtrace-profiler doctor   (says what is missing), or the other engine: --engine sampler",
    ),
    row(
        r"probe description \S*?(?P<probe>(?:profile|tick)-\w+) does not match any probes",
        DTraceFailed,
        "dtrace knows no probe {probe}: its driver is of another build of Windows.",
        "install the newest “DTrace on Windows” and restart",
        "windows",
        page="install/windows.md#after-an-update",
    ),
    row(
        r"probe description \S*?(?P<probe>(?:profile|tick)-\w+) does not match any probes\.?$",
        DTraceFailed,
        "dtrace knows no probe {probe}: the kernel module of its provider is not loaded.",
        "sudo kldload dtraceall",
        "freebsd",
        page="install/freebsd.md#kernel-modules",
    ),
    row(
        r"probe description \S*?(?P<probe>(?:profile|tick)-\w+) does not match any probes\.?$",
        DTraceFailed,
        "dtrace knows no probe {probe}: the kernel module of its provider is not loaded.",
        "sudo modload dtrace dtrace_profile",
        "netbsd",
        page="install/netbsd.md#netbsd",
    ),
    row(
        r"does not match any probes\.? System Integrity Protection is on",
        DTraceFailed,
        "System Integrity Protection hides the probe that was asked for.",
        "csrutil enable --without dtrace   (in the recovery system)",
        "macos",
        page="install/macos.md#system-integrity-protection",
    ),
    row(
        r"restricted entitlements|get-task-allow",
        NotPermitted,
        "macOS protects this program from being traced: it is Apple's, or signed without get-task-allow.",
        "use a Python from python.org or Homebrew, or the other engine: --engine sampler",
        "macos",
        page="install/macos.md#python-builds",
    ),
    row(
        r"cannot instrument translated processes|darwin\.d\"[^\n]*Conflicting type",
        DTraceFailed,
        "this is an Intel program under Rosetta, which DTrace can't trace.",
        "arch -arm64 dtrace-profiler …   (with a program built for arm64)",
        "macos",
        page="install/macos.md#rosetta",
    ),
    row(
        r"kernel debugger is active",
        DTraceFailed,
        "DTrace can't be used while a kernel debugger is active.",
        "restart without the kernel debugger, or use the other engine: --engine sampler",
        "macos",
    ),
    row(
        r"restricts the use of anonymous tracing",
        DTraceFailed,
        "System Integrity Protection forbids anonymous tracing.",
        "csrutil enable --without dtrace   (in the recovery system)",
        "macos",
        page="install/macos.md#system-integrity-protection",
    ),
    row(
        r"[Cc]ould not create symbolicator",
        NotPermitted,
        "macOS does not let dtrace look into this process.",
        "use a program that is not Apple's, such as a Python from python.org or Homebrew, and sudo",
    ),
    row(
        r"Service 'dtrace' \(dtrace\) failed to start",
        DTraceFailed,
        "the DTrace service of Windows did not start.",
        "run the installer as administrator, then: bcdedit /set dtrace ON, and restart",
        "windows",
        page="install/windows.md#turn-dtrace-on",
    ),
    row(
        r"dyld\[\d+\]: (?P<why>[^\n]*)",
        DTraceFailed,
        "the program could not be loaded: {why}.",
        "run it by itself first: it must start without DTrace, too",
        "macos",
    ),
)
