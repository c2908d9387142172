"""A profile that grows as a test wants it to, for the view in the terminal."""

from __future__ import annotations

from dataclasses import dataclass, field

from dtrace_profiler.collector import Collector
from dtrace_profiler.model.frame import FrameKind, StackFrame
from dtrace_profiler.model.profile import Meta


@dataclass
class Growing:
    """What stands in for a profiler."""

    running: bool = True
    collector: Collector = field(default_factory=Collector)
    losses: dict[str, int] = field(default_factory=dict)
    target: str = "./server"

    def meta(self) -> Meta:
        return Meta(
            engine="dtrace",
            frequency_hz=99,
            duration_ns=12_345_678_901,
            target=self.target,
            losses=dict(self.losses),
        )

    def sample(self, *names: str, thread: int = 1, count: int = 1, kind: FrameKind = FrameKind.PYTHON) -> None:
        node = self.collector.node([StackFrame(name, "app", kind=kind) for name in names])
        for _ in range(count):
            self.collector.add(1, 1, thread, node, 1, 10)


def server() -> Growing:
    """Three quarters in `work` (of thread 1, but for 5 of `idle` in thread 2), the rest in `wait`."""
    source = Growing()
    source.sample("main", "work", "parse", count=50)
    source.sample("main", "work", "write", count=25)
    source.sample("main", "wait", count=20)
    source.sample("helper", "idle", thread=2, count=5)
    return source
