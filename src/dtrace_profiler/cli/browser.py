"""The user's browser: whether there is one at hand, and opening it."""

from __future__ import annotations

import os
import threading
import webbrowser
from collections.abc import Mapping

from dtrace_profiler.platforms.base import system, user_id

_TEXT_MODE = frozenset({"www-browser", "links", "links2", "elinks", "lynx", "w3m", "browsh", "carbonyl", "edbrowse"})
"""They would draw over the program's terminal."""
_REMOTE = ("SSH_CONNECTION", "SSH_TTY", "SSH_CLIENT")


def browser_at_hand(environ: Mapping[str, str], *, system_name: str, as_root_for: str = "") -> bool:
    """Whether a window would open before the user's eyes. `as_root_for`: the user whose sudo made us root."""
    if as_root_for:
        return False  # it would run as root, or not at all
    if chosen := environ.get("BROWSER", "").split(os.pathsep)[0]:
        return not _is_text_mode(chosen)
    if system_name in ("macos", "windows"):
        return not any(environ.get(name) for name in _REMOTE)
    return bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")) and _finds_a_window()


def browser_here() -> bool:
    """`browser_at_hand` for this process."""
    root_for = os.environ.get("SUDO_USER", "") if user_id() == 0 else ""
    return browser_at_hand(os.environ, system_name=system(), as_root_for=root_for)


def open_in_browser(address: str, *, wait: bool = True) -> bool:
    """Whether a browser was found. Some return when they are closed: `wait` for that."""
    try:
        if wait:
            return webbrowser.open(address)
        browser = webbrowser.get()
    except (webbrowser.Error, OSError):
        return False
    threading.Thread(target=_open, args=(browser, address), name="dtrace-profiler-browser", daemon=True).start()
    return True


def _open(browser: webbrowser.BaseBrowser, address: str) -> None:
    try:
        browser.open(address)
    except (webbrowser.Error, OSError):
        pass  # the address has been printed


def _finds_a_window() -> bool:
    try:
        return not _is_text_mode(getattr(webbrowser.get(), "name", ""))
    except webbrowser.Error:
        return False


def _is_text_mode(command: str) -> bool:
    name = command.split()[0] if command.split() else ""
    return os.path.basename(name) in _TEXT_MODE
