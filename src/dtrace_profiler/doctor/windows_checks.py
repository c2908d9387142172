"""Windows: DTrace must be on at boot; Secure Boot, virtualization-based security, the policy for scripts."""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Iterator

from dtrace_profiler.doctor.checks import Ask, Check
from dtrace_profiler.platforms import windows

_PAGE = windows.FACTS.page
_SECURE_BOOT = r"HKLM\SYSTEM\CurrentControlSet\Control\SecureBoot\State"
_DEVICE_GUARD = r"HKLM\SYSTEM\CurrentControlSet\Control\DeviceGuard"
_POLICIES = ("bypass", "unrestricted", "remotesigned")
"""Under which a local file without a signature runs; so does a program on the command line."""
_POLICY_PLACES = (
    ("the machine's group policy", "HKLM", r"Software\Policies\OpenDTrace\Dtrace"),
    ("the user's group policy", "HKCU", r"Software\Policies\OpenDTrace\Dtrace"),
    ("DTRACE_EXECUTION_POLICY", "", "DTRACE_EXECUTION_POLICY"),
    ("the user's registry", "HKCU", r"Software\OpenDTrace\Dtrace"),
    ("the machine's registry", "HKLM", r"Software\OpenDTrace\Dtrace"),
)
"""Name, root and key in the registry; no root: a variable of the environment."""


def checks(ask: Ask) -> Iterator[Check]:
    if not is_administrator():
        yield Check(
            "administrator",
            False,
            "this is no administrator's session",
            "start the terminal with “Run as administrator”",
            "dtrace may not open its device",
            f"{_PAGE}#administrator",
        )
    on = windows.switched_on(ask(["bcdedit", "/enum", "{current}"]))
    if on is None:
        yield Check(
            "boot option", None, "bcdedit says nothing to who is no administrator", page=f"{_PAGE}#turn-dtrace-on"
        )
    elif on:
        yield Check("boot option", True, "dtrace is on at boot")
    else:
        yield Check(
            "boot option",
            False,
            "dtrace is not on at boot",
            "bcdedit /set dtrace ON   (as administrator; then restart)",
            "there is no DTrace device",
            f"{_PAGE}#turn-dtrace-on",
        )
    if _flag(ask(["reg", "query", _SECURE_BOOT, "/v", "UEFISecureBootEnabled"])):
        yield Check(
            "Secure Boot",
            None,
            "on: the boot option can't be set while it is",
            "switch it off in the firmware, set the option, switch it on again if your Windows lets you",
            "dtrace stays off" if not on else "",
            f"{_PAGE}#secure-boot",
        )
    vbs = _flag(ask(["reg", "query", _DEVICE_GUARD, "/v", "EnableVirtualizationBasedSecurity"]))
    yield Check(
        "VBS",
        None,
        "virtualization-based security is " + ("on" if vbs else "off: only probes of kernel functions (fbt) need it"),
        page=f"{_PAGE}#secure-boot",
    )
    yield _policy(ask)


def _policy(ask: Ask) -> Check:
    """The first of five places that says anything counts (dt_security.c)."""
    page = f"{_PAGE}#signed-scripts"
    for place, root, key in _POLICY_PLACES:
        policy = _registry(ask, root, key) if root else os.environ.get(key, "")
        if policy and policy.lower() in _POLICIES:
            return Check("policy", True, f"{policy}, by {place}: programs need no signature")
        if policy:
            group = "group" in place
            return Check(
                "policy",
                None,
                f"{policy}, by {place}: programs must be signed",
                "ask the administrator of the domain" if group else "set DTRACE_EXECUTION_POLICY=RemoteSigned",
                "dtrace refuses our programs, which have no signature",
                page,
            )
    return Check(
        "policy",
        None,
        "nothing says whether programs must be signed; should dtrace refuse ours:"
        " set DTRACE_EXECUTION_POLICY=RemoteSigned",
        page=page,
    )


def _registry(ask: Ask, root: str, key: str) -> str:
    answer = ask(["reg", "query", rf"{root}\{key}", "/v", "ExecutionPolicy"])
    found = re.search(r"ExecutionPolicy\s+REG_SZ\s+(\S+)", answer)
    return "" if found is None else found[1]


def is_administrator() -> bool:
    """False also where it can't be told."""
    try:
        return bool(ctypes.WinDLL("shell32").IsUserAnAdmin())  # type: ignore[attr-defined,unused-ignore]
    except (AttributeError, OSError):
        return False


def _flag(reg_query: str) -> bool:
    found = re.search(r"REG_DWORD\s+0x([0-9a-fA-F]+)", reg_query)
    return found is not None and int(found[1], 16) != 0
