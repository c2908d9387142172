"""A comparison as JSON, for scripts; docs/compare.md has every field.

`version` grows when a field's meaning changes or a field goes; new fields may come without that.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from dtrace_profiler._version import __version__
from dtrace_profiler.compare import Comparison, ComparisonRow, Side

FORMAT = "dtrace-profiler comparison"
VERSION = 1


def write_json(comparison: Comparison, rows: Sequence[ComparisonRow], names: tuple[str, str]) -> str:
    """ASCII. `names`: of A and B."""
    return json.dumps(comparison_document(comparison, rows, names), indent=1, allow_nan=False) + "\n"


def comparison_document(
    comparison: Comparison, rows: Sequence[ComparisonRow], names: tuple[str, str]
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "exporter": f"dtrace-profiler@{__version__}",
        "by": comparison.by,
        "measure": comparison.measure,
        "normalise": comparison.normalise,
        "quantity": comparison.quantity,
        "confidence": comparison.confidence,
        "before": _side(comparison.before, names[0]),
        "after": _side(comparison.after, names[1]),
        "warnings": list(comparison.warnings),
        "whole": None if comparison.whole is None else row_document(comparison.whole),
        "row_count": len(comparison.rows),
        "changed_count": sum(row.beyond_noise for row in comparison.rows),
        "rows": [row_document(row) for row in rows],
    }


def row_document(row: ComparisonRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "module": row.module,
        "function": row.function,
        "before": row.before,
        "after": row.after,
        "change": row.change,
        "low": row.interval.low,
        "high": row.interval.high,
        "relative": row.relative,
        "p_value": row.p_value,
        "adjusted_p_value": row.adjusted_p_value,
        "beyond_noise": row.beyond_noise,
    }


def _side(side: Side, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "samples": side.samples,
        "value": side.value,
        "unit": side.unit,
        "engine": side.engine,
        "target": side.target,
        "duration_ns": side.duration_ns,
        "frequency_hz": side.frequency_hz,
    }
