"""Facts of a Linux system that decide whether and how DTrace can sample. Read from /proc and /sys, never changed.

Every function takes `root`, the folder that holds `proc` and `sys`, so that it can be tested on any system with a few
files. A fact that can't be read is None or empty: never an error.
"""

from __future__ import annotations

from pathlib import Path

from dtrace_profiler.platforms.facts import SystemFacts

FACTS = SystemFacts(
    system="linux",
    title="Linux",
    # An ordinary user's PATH often lacks the sbin directories.
    directories=("/usr/sbin", "/usr/local/sbin", "/sbin", "/usr/bin", "/usr/local/bin"),
    install="sudo apt install dtrace   (Debian 14, Ubuntu 26.04; Oracle Linux: sudo dnf install dtrace)",
    # Stacks can be kept in variables and printed with %k from 2.0.4 on, and 2.0.5 mends both (its NEWS).
    minimum_version=(2, 0, 5),
    # Earlier ones have CVE-2026-21991, CVE-2026-21996 or CVE-2026-35233.
    safe_version=(2, 0, 7),
    dialect="linux",
    tick_everywhere=True,
    # For `--classic`. progenyof() wants type information that is not there without the D libraries (2.0.7).
    is_descendant=" || ".join(f"curthread{'->real_parent' * step}->tgid == {{pid}}" for step in range(1, 5)),
    thread_pointers={"x86_64": "curthread->thread.fsbase", "aarch64": "curthread->thread.uw.tp_value"},
    page="install/linux.md",
)

ROOT = Path("/")

DEFAULT_MAX_STACK = 127
"""kernel.perf_event_max_stack of a kernel that nobody has changed."""

CAPABILITIES = {"CAP_SYS_PTRACE": 19, "CAP_SYS_ADMIN": 21, "CAP_PERFMON": 38, "CAP_BPF": 39}
"""Bits of the rights that DTrace needs of root (linux/capability.h). CAP_SYS_ADMIN includes the last two: without it
and one of them dtrace 2.0.7 fails, without it alone not."""


_TRACEFS_MOUNTS = (("/sys/kernel/debug", "debugfs"), ("/sys/kernel/debug/tracing", "tracefs"))
MOUNT_TRACEFS = ("mount", "-t", "debugfs", "nodev", "/sys/kernel/debug")
"""What brings it."""


def perf_event_max_stack(root: Path = ROOT) -> int:
    """Frames that the kernel walks at most: the upper limit of dtrace's `ustackframes` and `maxframes`."""
    return _number(root / "proc/sys/kernel/perf_event_max_stack", DEFAULT_MAX_STACK)


def ptrace_scope(root: Path = ROOT) -> int:
    """Whose memory an ordinary user may read: 0 own processes, 1 own children, 2 nobody's; 3: nor may root."""
    return _number(root / "proc/sys/kernel/yama/ptrace_scope", 0)


def tracefs_mounted(root: Path = ROOT) -> bool:
    """Whether tracefs is where dtrace looks for it: below debugfs, where the kernel mounts it when somebody looks.
    DTrace 2.0.7 enables its probes through it and fails without, whether or not /sys/kernel/tracing is there."""
    for line in _text(root / "proc/self/mounts").splitlines():
        fields = line.split()
        if len(fields) > 2 and (fields[1], fields[2]) in _TRACEFS_MOUNTS:
            return True
    return False


def has_type_information(root: Path = ROOT) -> bool:
    """Whether the kernel describes its types (BTF), without which dtrace knows neither `curthread` nor `pid`."""
    return (root / "sys/kernel/btf/vmlinux").exists()


def lockdown(root: Path = ROOT) -> str:
    """`none`, `integrity` or `confidentiality`, which forbids BPF to read memory; empty for a kernel without it."""
    text = _text(root / "sys/kernel/security/lockdown")
    start = text.find("[")
    return text[start + 1 : text.find("]", start)] if start >= 0 else ""


def missing_capabilities(root: Path = ROOT) -> list[str]:
    """The capabilities that keep this root from using DTrace: a root in a container often lacks some."""
    for line in _text(root / "proc/self/status").splitlines():
        if line.startswith("CapEff:"):
            held = int(line.split()[1], 16)
            missing = {name for name, bit in CAPABILITIES.items() if not held >> bit & 1}
            if "CAP_SYS_ADMIN" not in missing:
                missing -= {"CAP_PERFMON", "CAP_BPF"}
            elif not missing & {"CAP_PERFMON", "CAP_BPF"}:
                missing.discard("CAP_SYS_ADMIN")
            return sorted(missing)
    return []


def kernel_release(root: Path = ROOT) -> str:
    """As `uname -r` has it."""
    return _text(root / "proc/sys/kernel/osrelease").strip()


def in_container(root: Path = ROOT) -> str:
    """What kind of container this seems to be; empty outside of one."""
    if (root / ".dockerenv").exists():
        return "a Docker container"
    if (root / "run/.containerenv").exists():
        return "a Podman container"
    if (root / "var/run/secrets/kubernetes.io").exists():
        return "a Kubernetes pod"
    named = [word for word in _text(root / "proc/1/environ").split("\0") if word.startswith("container=")]
    return f"a container ({named[0].partition('=')[2]})" if named else ""


def process_state(pid: int, root: Path = ROOT) -> str:
    """The letter of its state: `R` running, `S` sleeping, `T` stopped, `Z` ended …; empty: no such process."""
    text = _text(root / f"proc/{pid}/stat")
    # The name in brackets may hold blanks and brackets itself.
    return text[text.rfind(")") + 2 :][:1]


def process_user(pid: int, root: Path = ROOT) -> int | None:
    """User id of a process, its effective one. None: no such process."""
    for line in _text(root / f"proc/{pid}/status").splitlines():
        if line.startswith("Uid:"):
            return int(line.split()[2])
    return None


def thread_group(pid: int, root: Path = ROOT) -> int | None:
    """The process that a thread belongs to. None: no such thread."""
    for line in _text(root / f"proc/{pid}/status").splitlines():
        if line.startswith("Tgid:"):
            return int(line.split()[1])
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _number(path: Path, default: int) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return default
