"""Recognises the framework steps in headings and questions.

Pure words to steps; knows nothing of an index.
"""

from __future__ import annotations

import re

CASE_SECTIONS: dict[str, str] = {
    "problem and requirements": "clarify-requirements",
    "capacity numbers": "clarify-requirements",
    "ml framing": "frame-ml-problem",
    "data and labels": "data-preparation",
    "features": "data-preparation",
    "model choices": "model-development",
    "losses and training": "model-development",
    "evaluation": "evaluation",
    "serving architecture": "deployment-serving",
    "monitoring and failure modes": "monitoring-infrastructure",
}
"""Level-2 headings of a case study, lower-cased, and the step each teaches."""

_CUES: dict[str, str] = {
    "clarify-requirements": "clarif\\w* requirements? scope scoping capacity business_goals? functional",
    "frame-ml-problem": "fram(?:e|ed|ing) ml_objective inputs?_and_outputs? ml_problem ml_task",
    "data-preparation": "data labels? labell?(?:ed|ing) features? annotat\\w+ negatives? split(?:s|ting)? leak\\w*",
    "model-development": "models? loss(?:es)? train(?:ed|ing)? architectures? baselines? fine-?tun\\w+",
    "evaluation": "evaluat\\w+ metrics? measur\\w+ a/b ab_tests? ndcg recall precision auc experiments? success",
    "deployment-serving": "serv(?:e|ed|ing) deploy\\w* latency inference canary shadow roll-?out cach(?:e|ing)",
    "monitoring-infrastructure": "monitor\\w* drift\\w* retrain\\w* alert\\w* feedback_loops? infrastructure",
}
"""Cue words of each step, as patterns separated by spaces; ``_`` stands for a space inside a cue."""

_WEAK = re.compile(r"\b(?:data|models?|features?)\b", re.IGNORECASE)


def _pattern(cues: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(cue.replace('_', ' ') for cue in cues.split())})(?!\w)", re.IGNORECASE)


_PATTERNS = {step: _pattern(cues) for step, cues in _CUES.items()}


def detect_step(text: str) -> str | None:
    """The step whose cue words occur most often in ``text``; None when there is no cue or no clear winner.

    "Data", "model" and "feature" turn up in any sentence of the field, so each counts half.
    """
    scores: dict[str, float] = {}
    for step, pattern in _PATTERNS.items():
        cues = pattern.findall(text)
        scores[step] = sum(0.5 if _WEAK.fullmatch(cue) else 1.0 for cue in cues)
    best = max(scores, key=lambda step: scores[step])
    clear = sum(score == scores[best] for score in scores.values()) == 1
    return best if scores[best] > 0 and clear else None
