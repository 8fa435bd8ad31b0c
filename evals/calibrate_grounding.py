"""Fits the lexical grounding checker on planted errors and writes its weights to `tutor/calibration.json`.

Run: python -m evals.calibrate_grounding (or make calibrate), with an index of our corpus. Half of the notes are fitted
on, the other half measured. The threshold is as strict as it can be while 75 % of the fitted half's rewordings and 99 %
of its verbatim sentences pass: a faithful sentence that is refused costs nothing but the model's wording, since the
notes' own sentence takes its place.
"""

from __future__ import annotations

import json
import math
import sys
from collections import defaultdict
from dataclasses import astuple, fields
from typing import Any

import numpy as np

from evals.planted import Planted, plant
from tutor import calibration, settings, wiring
from tutor.extract import candidates
from tutor.grounding import Features, features
from tutor.types import Passage

SEED = 20
FALSE_ALARMS = 0.3
NOTHING_SHARED = Features(1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0)


def sections() -> dict[str, list[list[str]]]:
    """The quotable sentences of every section of every indexed note."""
    found: dict[str, list[list[str]]] = defaultdict(list)
    for chunk in wiring.published_index(settings.load()).chunks():
        sentences = [e.plain for e in candidates([Passage(1, chunk, 0.0)])]
        if sentences:
            found[chunk.note].append(sentences)
    return found


def fit(train: list[Planted], test: list[Planted]) -> dict[str, Any]:
    """Weights, threshold and what was measured on the other half."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    x, y = _matrix(train), np.array([p.supported for p in train])
    model = LogisticRegression(C=3, max_iter=5000, class_weight="balanced")
    model.fit(x, y)
    fitted = model.predict_proba(x)[:, 1]
    verbatim = np.array([p.kind == "ok:verbatim" for p in train])
    reworded = y & ~verbatim
    threshold = min(float(np.quantile(fitted[verbatim], 0.01)), float(np.quantile(fitted[reworded], FALSE_ALARMS)))
    held_out = model.predict_proba(_matrix(test))[:, 1]
    truth = np.array([p.supported for p in test])
    return {
        "weights": {f.name: round(float(w), 4) for f, w in zip(fields(Features), model.coef_[0], strict=True)},
        "bias": round(float(model.intercept_[0]), 4),
        "threshold": math.floor(threshold * 1000) / 1000,  # rounded up, it would refuse what it must just pass
        "measured": {
            "auroc": round(float(roc_auc_score(truth, held_out)), 3),
            "claims": len(test),
            **{f"passed {kind}": share for kind, share in _passed(test, held_out >= threshold).items()},
        },
    }


def _matrix(claims: list[Planted]) -> Any:
    return np.array([astuple(features(p.claim, p.evidence) or NOTHING_SHARED) for p in claims])


def _passed(claims: list[Planted], supported: Any) -> dict[str, float]:
    by_kind: dict[str, list[bool]] = defaultdict(list)
    for claim, yes in zip(claims, supported, strict=True):
        by_kind[claim.kind].append(bool(yes))
    return {kind: round(sum(verdicts) / len(verdicts), 3) for kind, verdicts in sorted(by_kind.items())}


def main() -> None:
    """Fit and write."""
    wiring.go_offline()
    notes = sections()
    names = sorted(notes)
    half = {note: at % 2 == 0 for at, note in enumerate(names)}
    train = list(plant([s for note in names if half[note] for s in notes[note]], SEED))
    test = list(plant([s for note in names if not half[note] for s in notes[note]], SEED + 1))
    data = json.loads(calibration.PATH.read_text(encoding="utf-8"))
    data["grounding"] = fit(train, test)
    calibration.PATH.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps(data["grounding"], indent=1) + "\n")


if __name__ == "__main__":
    main()
