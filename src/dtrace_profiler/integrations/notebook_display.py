"""How a profile is shown in a notebook: an interactive page, a picture for where no script may run, a table as text.

The HTML has the picture as an image, in which no script ever runs, and over it the page of the HTML format in a
sandboxed frame. Where a notebook isn't trusted the frame is taken out, and the picture is seen. Nothing of it needs a
server or the kernel: the saved notebook shows it. docs/decisions/0007-notebooks.md says why it is so.
"""

from __future__ import annotations

import base64
import html
import io

from dtrace_profiler.formats import html as html_format
from dtrace_profiler.formats import svg
from dtrace_profiler.formats.facts import facts, losses
from dtrace_profiler.formats.names import shown
from dtrace_profiler.formats.table import format_top
from dtrace_profiler.model.profile import Profile

PICTURE_WIDTH = 1000
PICTURE_BOXES = 1_500
"""About 300 KB."""
PAGE_HEIGHT = 620
MOST_PAGE_BYTES = 4 << 20
"""Of the interactive page: it is kept in the notebook's file with each cell that shows one."""
TOP_FUNCTIONS = 10


def as_text(profile: Profile) -> str:
    """What a terminal shows, and a notebook that shows nothing else."""
    lines = [" · ".join(facts(profile))]
    if lost := losses(profile):
        lines.append(f"lost: {', '.join(lost)}")
    lines += [f"note: {shown(note)}" for note in profile.meta.notes]
    if len(profile):
        lines += ["", format_top(profile, TOP_FUNCTIONS).rstrip()]
    return "\n".join(lines)


def as_picture(profile: Profile, *, most_boxes: int = PICTURE_BOXES) -> str:
    """The HTML of an image."""
    file = io.BytesIO()
    svg.write(profile, file, width=PICTURE_WIDTH, most_boxes=most_boxes, static=True)
    data = base64.b64encode(file.getvalue()).decode("ascii")
    about = html.escape(f"Flame graph: {' · '.join(facts(profile))}")
    return f'<img alt="{about}" style="max-width:100%" src="data:image/svg+xml;base64,{data}">'


def mime_bundle(profile: Profile, *, most_page_bytes: int = MOST_PAGE_BYTES) -> dict[str, str]:
    """MIME type → content, as a notebook keeps it."""
    return {"text/html": _interactive(profile, most_page_bytes), "text/plain": as_text(profile)}


def _interactive(profile: Profile, most_page_bytes: int) -> str:
    file = io.BytesIO()
    html_format.write(profile, file)
    size = len(file.getvalue())
    if size > most_page_bytes:
        return (
            f"<div>{as_picture(profile)}<p>The interactive flame graph has {size / 1e6:.1f} MB, too much for a"
            " notebook: <code>%%flamegraph -o FILE.html</code> writes it beside.</p></div>"
        )
    page = html.escape(file.getvalue().decode())
    # Both in one cell of the grid: the frame lies on the picture. Without scripts the frame would be empty.
    return (
        '<div style="display:grid">'
        f'<div style="grid-area:1/1;max-height:{PAGE_HEIGHT}px;overflow:auto">{as_picture(profile)}</div>'
        "<noscript><style>iframe.dtrace-profiler{display:none}</style></noscript>"
        '<iframe class="dtrace-profiler" title="Flame graph" sandbox="allow-scripts" referrerpolicy="no-referrer"'
        f' style="grid-area:1/1;width:100%;height:{PAGE_HEIGHT}px;border:0;background:Canvas" srcdoc="{page}">'
        "</iframe></div>"
    )
