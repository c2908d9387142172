"""The user's browser."""

from __future__ import annotations

import webbrowser


def open_in_browser(address: str) -> bool:
    """Whether a browser was found. Its own chatter stays off our terminal."""
    try:
        return webbrowser.open(address)
    except (webbrowser.Error, OSError):
        return False
