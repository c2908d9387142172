"""The small profiles of tests/model, and the profiles of tests/page, here, too."""

from __future__ import annotations

import sys
from pathlib import Path

for folder in ("model", "page"):
    sys.path.insert(0, str(Path(__file__).parents[1] / folder))
