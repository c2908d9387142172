"""Linux: rights, file systems and options of the kernel that DTrace needs."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

from dtrace_profiler.doctor.checks import Ask, Check
from dtrace_profiler.platforms import linux
from dtrace_profiler.platforms.base import is_superuser

_PAGE = linux.FACTS.page
OPTIONS = ("BPF_SYSCALL", "BPF_EVENTS", "PERF_EVENTS", "UPROBE_EVENTS", "FTRACE_SYSCALLS", "DEBUG_INFO_BTF")
"""Of the kernel's configuration, without CONFIG_."""
_CONTAINER = "docker run --privileged --pid=host -v /sys/kernel/debug:/sys/kernel/debug IMAGE"
_KUBERNETES = "securityContext: {privileged: true} and hostPID: true"


def checks(ask: Ask) -> Iterator[Check]:
    """All of them, in the order in which they are worth mending."""
    missing = linux.missing_capabilities() if is_superuser() else []
    container = linux.in_container()
    if missing:
        yield Check(
            "capabilities",
            False,
            f"this root lacks {', '.join(missing)}, as in a container",
            "start the container with --cap-add " + ",".join(name.removeprefix("CAP_") for name in missing),
            "the kernel refuses dtrace's programs",
            f"{_PAGE}#containers",
        )
    if container:
        yield Check(
            "container",
            None,
            f"{container}: DTrace sees the whole machine's processes, by the machine's numbers",
            f"{_CONTAINER}   (Kubernetes: {_KUBERNETES})" if missing else "",
            page=f"{_PAGE}#containers",
        )
    yield (
        Check("tracefs", True, "mounted")
        if linux.tracefs_mounted()
        else Check(
            "tracefs",
            False,
            "not mounted below /sys/kernel/debug, where dtrace looks for it",
            "sudo " + " ".join(linux.MOUNT_TRACEFS),
            "dtrace can't enable its probes",
            f"{_PAGE}#tracefs",
            fix=linux.MOUNT_TRACEFS,
        )
    )
    yield (
        Check("BTF", True, "the kernel describes its types")
        if linux.has_type_information()
        else Check(
            "BTF",
            False,
            "the kernel does not describe its types",
            "a kernel with CONFIG_DEBUG_INFO_BTF=y",
            "no D program can be compiled",
            f"{_PAGE}#btf",
        )
    )
    yield from kernel_options(kernel_configuration())
    lockdown = linux.lockdown()
    if lockdown == "confidentiality":
        yield Check(
            "lockdown",
            False,
            "confidentiality: BPF may not read memory",
            "boot with lockdown=integrity",
            "stacks can't be read",
            f"{_PAGE}#lockdown",
        )
    elif lockdown:
        yield Check("lockdown", True, lockdown)
    frames = linux.perf_event_max_stack()
    yield Check(
        "stack depth",
        None,
        f"{frames} native frames (kernel.perf_event_max_stack)",
        "sudo sysctl kernel.perf_event_max_stack=127" if frames < linux.DEFAULT_MAX_STACK else "",
        "deeper native stacks are cut" if frames < linux.DEFAULT_MAX_STACK else "",
        f"{_PAGE}#perf_event_max_stack",
    )
    if not is_superuser() and (scope := linux.ptrace_scope()) > 1:
        yield Check(
            "ptrace_scope",
            None,
            f"{scope}: without root no process's memory may be read",
            "sudo sysctl kernel.yama.ptrace_scope=1",
            "Python frames will be missing",
            f"{_PAGE}#ptrace_scope",
        )


def kernel_options(text: str) -> Iterator[Check]:
    if not text:
        return
    lacking = [name for name in OPTIONS if not re.search(rf"^CONFIG_{name}=[ym]", text, re.MULTILINE)]
    if lacking:
        yield Check(
            "kernel",
            None,
            "built without " + ", ".join(f"CONFIG_{name}" for name in lacking),
            "a kernel with these options; those of the distributions have them",
            "dtrace may not begin",
            f"{_PAGE}#kernel-options",
        )
    else:
        yield Check("kernel", True, "has the options that DTrace needs")


def kernel_configuration(root: Path = linux.ROOT) -> str:
    """Empty where it can't be read."""
    release = linux.kernel_release(root)
    for path in (root / "proc/config.gz", root / f"boot/config-{release}", root / f"lib/modules/{release}/config"):
        try:
            data = path.read_bytes()
            return (gzip.decompress(data) if path.suffix == ".gz" else data).decode(errors="replace")
        except (OSError, EOFError, gzip.BadGzipFile):
            continue
    return ""
