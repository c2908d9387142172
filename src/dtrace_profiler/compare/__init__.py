"""Two profiles against each other: what changed, and which changes are more than the chance of sampling.

Pure functions of `Profile`: no file, no clock. docs/compare.md states the method and what it assumes.
"""

from __future__ import annotations

from dtrace_profiler.compare.comparability import Comparability, comparability
from dtrace_profiler.compare.comparison import Comparison, ComparisonRow, Side, compare
from dtrace_profiler.compare.groups import By, Measure
from dtrace_profiler.compare.quantities import Normalise

__all__ = [
    "By",
    "Comparability",
    "Comparison",
    "ComparisonRow",
    "Measure",
    "Normalise",
    "Side",
    "comparability",
    "compare",
]
