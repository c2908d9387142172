"""Who may start dtrace, and how: as we are, or through sudo.

Only dtrace is elevated, never our Python and never the target. A password is asked for before anything starts, in
the foreground: dtrace itself runs in the background of the terminal, where nobody can answer.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

from dtrace_profiler.errors import PrivilegeError
from dtrace_profiler.platforms import illumos
from dtrace_profiler.platforms.base import is_superuser, system
from dtrace_profiler.record.messages import classify

ELEVATED_COMMAND = ("/bin/sh", "-c", ":")
"""What sudo is asked to allow: dtrace runs below a shell that ends it when we are gone (see session.py)."""

ANSWER_TIMEOUT_S = 30.0
"""sudo may have to ask a directory server."""

_PROMPT = "dtrace needs root. [sudo] password for %p: "


def elevation(*, interactive: bool = False, command: Sequence[str] = ELEVATED_COMMAND) -> list[str]:
    """What to put before dtrace's command line: nothing for root, else `sudo -n --`.

    `interactive`: a person is at the terminal who can type a password; it is asked for here, once. Raises
    PrivilegeError with sudo's reason where sudo is missing or refuses. Takes some 10 ms for who isn't root.
    """
    if is_superuser() is not False or (system() == "illumos" and illumos.may_use_dtrace()):
        return []
    sudo = shutil.which("sudo")
    if sudo is None:
        raise PrivilegeError(
            "dtrace needs root, and there is no sudo here to get it.",
            remedy="run the same command as root, or use the other engine: --engine sampler",
        )
    prefix = [sudo, "-n", "--"]
    refusal = _try([*prefix, *command])
    if refusal and interactive and "password" in refusal:
        # Its prompt goes to the terminal, wherever our own outputs go.
        if subprocess.run([sudo, "-p", _PROMPT, "-v"], check=False).returncode == 0:
            refusal = _try([*prefix, *command])
        else:
            refusal = "sudo: 3 incorrect password attempts"
    if refusal:
        error = classify(refusal, 1, system())
        if isinstance(error, PrivilegeError):
            raise error
        raise PrivilegeError(
            f"dtrace needs root, and sudo refused it: {refusal.strip().splitlines()[-1]}",
            remedy="run the same command as root, or use the other engine: --engine sampler",
        )
    return prefix


def _try(command: Sequence[str]) -> str:
    """Why sudo refuses the command; empty when it runs it."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=ANSWER_TIMEOUT_S,
            check=False,
            # The words of its refusals are looked for in English.
            env={**os.environ, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired:
        return "sudo did not answer"
    except OSError as error:
        return f"sudo: {error.strerror}"
    if done.returncode == 0:
        return ""
    return done.stderr.decode(errors="replace").strip() or f"exit status {done.returncode}"
