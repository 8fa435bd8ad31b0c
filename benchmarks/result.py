"""One measured target."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Result:
    """``value`` against ``target``; ``at_most`` says which side is good. ``detail`` gives the raw numbers."""

    name: str
    value: float
    target: float
    at_most: bool
    detail: str

    @property
    def met(self) -> bool:
        """True when the target is met."""
        return self.value <= self.target if self.at_most else self.value >= self.target

    def line(self) -> str:
        """The result as one line of the table."""
        target = f"{'≤' if self.at_most else '≥'} {self.target:g}"
        return f"{'met' if self.met else 'MISSED':<7} {self.name:<62} {self.value:8.3f}  {target:<8} {self.detail}"


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def interleaved(ours: Callable[[], float], theirs: Callable[[], float], rounds: int) -> tuple[float, float]:
    """Medians of two measurements taken in turn, so that other load on the machine falls on both."""
    pairs = [(ours(), theirs()) for _ in range(rounds)]
    return statistics.median(p[0] for p in pairs), statistics.median(p[1] for p in pairs)
