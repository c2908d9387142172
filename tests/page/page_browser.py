"""Waiting for a page whose policy forbids what Playwright's own `wait_for_function` does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page


def wait_for(page: Page, expression: str, timeout_s: float = 30) -> None:
    """Until a JavaScript expression is true."""
    deadline = time.monotonic() + timeout_s
    while not page.evaluate(f"Boolean({expression})"):
        assert time.monotonic() < deadline, f"{expression} did not come true within {timeout_s} s"
        time.sleep(0.02)
