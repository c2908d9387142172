"""What a gate fails on: `PATTERN>LIMIT`, as in `app.views:*>5%`.

    rule     = pattern ">" limit
    pattern  = function | module ":" function | "(all)"
               `*` stands for any characters, also none; all else for itself. The first colon ends the module.
               Without a colon the function may be of any module. `(all)` is the whole run.
    limit    = number "%"     growth, relative to the baseline: from 4.0 to more than 4.2 is more than 5%
             | number "pp"    growth in percentage points of all samples: from 4.0 % to more than 4.5 % is more than
                              0.5pp

The last `>` begins the limit, so names of C++ need no quoting: `*:std::vector<int>::at>5%`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from dtrace_profiler.compare.groups import Group
from dtrace_profiler.errors import UsageError
from dtrace_profiler.model.wildcard import matches

ALL = Group("(all)", "")
"""The whole run, where it is not a share."""
_RULE = re.compile(r"(?P<pattern>.*\S)\s*>\s*(?P<number>\d+(?:\.\d*)?|\.\d+)\s*(?P<unit>%|pp)\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Rule:
    text: str
    """As it was written."""
    pattern: str
    limit: float
    """A part of the baseline, or of all; 0.05 for 5%."""
    relative: bool

    @property
    def wide(self) -> bool:
        """Whether it may mean many: those that are hardly there are left out then."""
        return "*" in self.pattern

    def matches(self, group: Group) -> bool:
        if group == ALL or self.pattern == ALL.name:
            return group == ALL and self.pattern == ALL.name
        module, colon, function = self.pattern.partition(":")
        if not colon:
            # By file or module there is no function: the one name is meant.
            return matches(self.pattern, group.function or group.module)
        return matches(module, group.module) and matches(function, group.function)

    def allowed(self, baseline: float) -> float:
        """The largest value that is no failure, for this one of the baseline."""
        return baseline * (1 + self.limit) if self.relative else baseline + self.limit


def parse_rule(text: str) -> Rule:
    """Raises `UsageError` with what a rule looks like."""
    match = _RULE.fullmatch(text.strip())
    if match is None:
        raise UsageError(
            f"{text!r} is no rule to fail on: write PATTERN>LIMIT, as in 'app.views:*>5%' or 'json:loads>0.5pp'."
        )
    return Rule(text.strip(), match["pattern"], float(match["number"]) / 100, match["unit"] == "%")
