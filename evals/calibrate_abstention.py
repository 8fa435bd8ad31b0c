"""Fits the abstention decision on `cases/calibration.jsonl` and writes its weights to `tutor/calibration.json`.

Run: python -m evals.calibrate_abstention (or make calibrate), with an index of our corpus. The threshold is where both
error rates are equal under ten-fold cross-validation: refusing a good question is as bad as answering a foreign one.
The quick set is not touched.
"""

from __future__ import annotations

import json
import sys
from dataclasses import astuple, fields
from typing import Any

import numpy as np

from evals import cases
from tutor import calibration, settings, wiring
from tutor.decide import Signals, signals
from tutor.retrieve import retrieve
from tutor.types import Filter
from tutor.understand import understand

FOLDS = 10


def measure() -> tuple[list[Signals], list[bool]]:
    """The signals of every calibration question, and whether it is answerable."""
    parts = wiring.open_parts(settings.load(), "extractive")
    index = parts.index()
    found: list[Signals] = []
    questions = cases.read(cases.CALIBRATION)
    for case in questions:
        query = understand(case.question, case.history, index, parts.is_word)
        found.append(signals(query, retrieve(query, index, parts.embedder, 10, Filter()), index))
    return found, [case.answerable for case in questions]


def fit(found: list[Signals], answerable: list[bool]) -> dict[str, Any]:
    """The weights and threshold as they stand in calibration.json, with what cross-validation measured."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import cross_val_predict

    x, y = np.array([astuple(s) for s in found]), np.array(answerable)
    model = LogisticRegression(C=10, max_iter=5000)
    held_out = cross_val_predict(model, x, y, cv=FOLDS, method="predict_proba")[:, 1]
    model.fit(x, y)
    thresholds = np.linspace(0.2, 0.8, 61)
    apart = [abs((held_out[y] >= t).mean() - (held_out[~y] < t).mean()) for t in thresholds]
    threshold = float(thresholds[int(np.argmin(apart))])
    names = [f.name for f in fields(Signals)]
    return {
        "weights": {name: round(float(w), 4) for name, w in zip(names, model.coef_[0], strict=True)},
        "bias": round(float(model.intercept_[0]), 4),
        "threshold": round(threshold, 2),
        "measured": {
            "auroc": round(float(roc_auc_score(y, held_out)), 3),
            "answered": round(float((held_out[y] >= threshold).mean()), 3),
            "refused": round(float((held_out[~y] < threshold).mean()), 3),
            "questions": len(answerable),
        },
    }


def main() -> None:
    """Fit and write."""
    wiring.go_offline()
    data = json.loads(calibration.PATH.read_text(encoding="utf-8"))
    data["abstention"] = fit(*measure())
    calibration.PATH.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps(data["abstention"], indent=1) + "\n")


if __name__ == "__main__":
    main()
