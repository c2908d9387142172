"""What a gate decided as JSON, for scripts; docs/gate.md has every field.

`version` grows when a field's meaning changes or a field goes; new fields may come without that.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from dtrace_profiler._version import __version__
from dtrace_profiler.compare.calibration import Calibration
from dtrace_profiler.compare.gate import GateResult
from dtrace_profiler.compare.rules import Rule
from dtrace_profiler.compare.runs import Run, Runs

FORMAT = "dtrace-profiler gate"
CALIBRATION_FORMAT = "dtrace-profiler gate calibration"
VERSION = 1


def gate_json(result: GateResult, runs: Runs, rules: Sequence[Rule]) -> str:
    """ASCII. All judgements."""
    return _text(
        {
            **_about(FORMAT, runs, rules),
            "verdict": str(result.verdict),
            "reason": result.reason,
            "level": result.level,
            "smallest_p_value": result.smallest_p,
            "arrangements": result.ways,
            "exact": result.exact,
            "least_share": result.least_share,
            "left_out": result.left_out,
            "prove": result.prove,
            "judgements": [
                {
                    "rule": item.rule.text,
                    "name": item.group.name,
                    "module": item.group.module,
                    "function": item.group.function,
                    "baseline": list(item.baseline),
                    "candidate": list(item.candidate),
                    "change": item.change,
                    "relative": item.relative,
                    "p_value": item.p_value,
                    "adjusted_p_value": item.adjusted_p_value,
                    "p_less": item.p_less,
                    "failed": item.failed,
                }
                for item in result.judgements
            ],
        }
    )


def calibration_json(found: Calibration, runs: Runs, rules: Sequence[Rule]) -> str:
    """ASCII."""
    return _text(
        {
            **_about(CALIBRATION_FORMAT, runs, rules),
            "verdict": str(found.verdict),
            "reason": found.reason,
            "level": found.level,
            "sides": list(found.sides),
            "judged": found.judged,
            "divisions": found.divisions,
            "exact": found.exact,
            "false_alarms": found.false_alarms,
            "false_alarm_rate": found.rate,
            "drift": list(found.drift),
            "detectable": [
                {
                    "rule": item.rule.text,
                    "name": item.group.name,
                    "share": item.share,
                    "growth": item.growth,
                }
                for item in found.detectable
            ],
        }
    )


def _about(format: str, runs: Runs, rules: Sequence[Rule]) -> dict[str, Any]:
    return {
        "format": format,
        "version": VERSION,
        "exporter": f"dtrace-profiler@{__version__}",
        "by": runs.by,
        "measure": runs.measure,
        "normalise": runs.normalise,
        "quantity": runs.quantity,
        "rules": [rule.text for rule in rules],
        "baseline": [_run(run) for run in runs.baseline],
        "candidate": [_run(run) for run in runs.candidate],
        "warnings": list(runs.warnings),
    }


def _run(run: Run) -> dict[str, Any]:
    return {"name": run.name, "samples": run.samples, "whole": run.whole}


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1, allow_nan=False) + "\n"
