"""All targets by name."""

from __future__ import annotations

from collections.abc import Mapping

from fuzz import binary_targets, format_targets, output_targets, process_targets
from fuzz.target import Target

TARGETS: Mapping[str, Target] = {
    target.name: target
    for module in (output_targets, format_targets, binary_targets, process_targets)
    for target in module.TARGETS
}
