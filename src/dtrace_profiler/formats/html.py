"""The flame graph as one HTML file that needs nothing else: the page of assets/ with its data, opened from a disk.

Names in a profile are anybody's: they stand in the file only as JSON in a data block, with `<` and everything beyond
ASCII escaped, and the page shows them as text. The policy in the file's head forbids every script and style but the
two of the page (by their hashes), and every request.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from typing import Any, BinaryIO

from dtrace_profiler.formats.assets import bundle, read_asset
from dtrace_profiler.formats.contents import present
from dtrace_profiler.formats.names import shown
from dtrace_profiler.formats.page_data import page_data
from dtrace_profiler.model.profile import Profile

_STYLE_TAG = '<link rel="stylesheet" href="page.css">\n'
_SCRIPT_TAG = '<script type="module" src="page.js"></script>\n'


def dropped(profile: Profile) -> list[str]:
    return present(profile, "addresses")


def write(profile: Profile, file: BinaryIO, *, title: str | None = None) -> None:
    """Writes UTF-8. `title`: what the page is called instead of the target."""
    write_page(page_data(profile, title=title), title or profile.meta.target or "CPU profile", file)


def write_page(page: dict[str, Any], title: str, file: BinaryIO) -> None:
    """The page with data of the form of `page_data`."""
    head, style, script, tail = _page_parts()
    name = shown(title)
    head = head.replace("<title>Flame graph</title>", f"<title>{html.escape(name)} · flame graph</title>")
    data = json.dumps(page, separators=(",", ":"), ensure_ascii=True)
    file.write(head.encode())
    file.write(_policy(style, script).encode())
    file.write(f"<style>{style}</style>\n".encode())
    file.write(b'<script type="application/json" id="profile-data">')
    # "<" can only be inside a JSON string; escaped, no text can end this element or open a comment.
    file.write(data.replace("<", "\\u003c").encode("ascii"))
    file.write(b"</script>\n")
    file.write(f'<script type="module">{script}</script>\n'.encode())
    file.write(tail.encode())


def _page_parts() -> tuple[str, str, str, str]:
    """The page before its style, the style, the script, and the page after them."""
    page = read_asset("page.html")
    head, _, rest = page.partition(_STYLE_TAG)
    between, _, tail = rest.partition(_SCRIPT_TAG)
    if between or not tail:
        raise ValueError("page.html has not its style and its script, one after the other")
    style, script = read_asset("page.css"), bundle("page.js")
    if "</" in style or "</script" in script.lower() or "<!--" in script:
        raise ValueError("the page's style or script would end its element")
    return head, style, script, tail


def _policy(style: str, script: str) -> str:
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )
    return f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
