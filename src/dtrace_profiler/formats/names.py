"""Names as they may be shown: whatever hides, reorders or is no text becomes visible as its number."""

from __future__ import annotations

import re

LONGEST = 600

# The same characters as in assets/text.js, and those that XML 1.0 can't hold even as references.
_HIDDEN = re.compile(
    "[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
    "\ufff9-\ufffb\ufffe\uffff\ud800-\udfff]"
)


def shown(name: str) -> str:
    """A name of any characters (halves of surrogate pairs too) as at most some 600 that are safe to show."""
    text = name
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}… ({len(name):,} characters)"
    if name and not name.strip():
        return "(blank)"
    return _HIDDEN.sub(lambda match: f"\\u{{{ord(match[0]):x}}}", text)
