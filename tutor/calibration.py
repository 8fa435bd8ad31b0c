"""The fitted weights of the two decisions that are made by number: abstain, and is this sentence supported.

The numbers live in `calibration.json` beside this file and are written by the scripts in `evals/`; nothing else is in
them. Reading them is all this module does.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

PATH = Path(__file__).with_name("calibration.json")


@dataclass(frozen=True, slots=True)
class Logistic:
    """A logistic regression: P = 1 / (1 + exp(-(bias + weights . x))), and the threshold above which to say yes."""

    weights: tuple[float, ...]
    bias: float
    threshold: float

    def probability(self, x: Sequence[float]) -> float:
        """P of features ``x``, which has as many numbers as there are weights. Raises ValueError otherwise."""
        z = self.bias + sum(w * v for w, v in zip(self.weights, x, strict=True))
        return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, z))))


@dataclass(frozen=True, slots=True)
class Calibration:
    """Weights of the abstention decision and of the grounding checker."""

    abstention: Logistic
    grounding: Logistic


@lru_cache(maxsize=1)
def load() -> Calibration:
    """Read the fitted weights."""
    data = json.loads(PATH.read_text(encoding="utf-8"))
    return Calibration(*(_logistic(data[name]) for name in ("abstention", "grounding")))


def _logistic(data: dict[str, object]) -> Logistic:
    weights = data["weights"]
    assert isinstance(weights, dict)  # noqa: S101 - our own file; the shape is for the type checker
    return Logistic(tuple(float(w) for w in weights.values()), float(str(data["bias"])), float(str(data["threshold"])))
