"""Runs questions through the same road that answers people, and compares the scores with a baseline."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from evals.cases import Case
from evals.metrics import Scored, score
from tutor.answer import Parts, Request, ask
from tutor.errors import BadInputFile, storage_error

BASELINE = Path(__file__).parent / "baseline.json"
TOLERANCE = 0.02
"""A metric may fall this far below the baseline before it counts as worse: two machines' float noise flips a question
or two at the threshold."""


def run(cases: Sequence[Case], parts: Parts, progress: Callable[[int, int], None]) -> Iterator[Scored]:
    """Answer and score each case in order; whoever stops early keeps what was scored."""
    for done, case in enumerate(cases, start=1):
        answer = ask(Request(case.question, case.history, id=case.id), parts)
        yield score(case, answer, parts.checker)
        progress(done, len(cases))


def read_baseline(engine: str, path: Path = BASELINE) -> dict[str, float] | None:
    """The stored scores of an engine, None when there are none. Raises BadInputFile when the file is damaged."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        found = data.get(engine)
        return None if found is None else {str(name): float(value) for name, value in found.items()}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError, TypeError) as error:
        hint = "Delete it, then write it anew: tutor eval --save-baseline"
        raise BadInputFile(f"{path} cannot be read: {error}.", hint) from None


def save_baseline(engine: str, scores: Mapping[str, float], path: Path = BASELINE) -> None:
    """Make these the engine's baseline; other engines' stay. Raises StorageError."""
    data = {}
    if path.exists():
        data = json.loads(path.read_text(encoding="utf-8"))
    data[engine] = {name: round(value, 4) for name, value in scores.items()}
    try:
        path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise storage_error(error, "saving the baseline", path) from error


def worse(scores: Mapping[str, float], baseline: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """The metrics that fell below the baseline by more than the tolerance: name to (baseline, now)."""
    return {
        name: (was, scores[name])
        for name, was in baseline.items()
        if name in scores and not math.isnan(was) and not scores[name] >= was - TOLERANCE
    }
