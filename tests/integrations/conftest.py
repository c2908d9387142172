"""The small profiles of tests/model, and the profiles and the browser of tests/page, here, too."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
for folder in ("model", "page"):
    sys.path.insert(0, str(TESTS / folder))

# Not by its name, which is the name of this file, too.
_spec = importlib.util.spec_from_file_location("page_conftest", TESTS / "page" / "conftest.py")
assert _spec is not None
assert _spec.loader is not None
_page = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_page)
browser = _page.browser
