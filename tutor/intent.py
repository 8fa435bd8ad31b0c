"""What kind of answer a question wants: a definition, a reason, a comparison or advice.

Recognised by the words that people ask with, and by how the sentences that answer are built. Knows no index.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

Intent: TypeAlias = Literal["definition", "reason", "comparison", "advice"]

_ASKED: tuple[tuple[Intent, re.Pattern[str]], ...] = (
    ("comparison", re.compile(r"\bvs\b|\bversus\b|\bdifferen(?:ce|t|ces)\b|\bcompared?\b|\w+ or \w+", re.IGNORECASE)),
    ("definition", re.compile(r"^\W*what(?:'s| is| are| does)\b|\bdefin(?:e|ition)\b|\bmeaning\b", re.IGNORECASE)),
    ("reason", re.compile(r"\bwhy\b|\breasons?\b", re.IGNORECASE)),
    ("advice", re.compile(r"\bhow\b|\bwhich\b|\bshould\b|\bwhen\b", re.IGNORECASE)),
)
_IMPERATIVE = (
    "add|agree|apply|ask|avoid|begin|build|cache|check|choose|compare|compute|correct|define|exclude|favour|filter|fit|"
    "freeze|give|keep|leave|log|mask|measure|monitor|order|pick|prefer|report|reserve|run|sample|separate|serve|set|"
    "split|start|state|take|test|train|treat|use|weight"
)
_BUILT: dict[Intent, re.Pattern[str]] = {
    "definition": re.compile(r"^[\w\s()@/-]{3,60}? (?:is|are|means?) (?:an?|the|how|when|what)\b"),
    "reason": re.compile(r"\bbecause\b|\bsince\b|\bso that\b|, so\b", re.IGNORECASE),
    "comparison": re.compile(r"\bwhereas\b|\bwhile\b|; choose|\bthan\b|\bdiffers?\b|\bversus\b", re.IGNORECASE),
    "advice": re.compile(rf"^(?:{_IMPERATIVE})\b|\bshould\b|\bmust\b", re.IGNORECASE),
}


def intent_of(question: str) -> Intent | None:
    """The kind of answer that a question wants; None when its words do not tell."""
    return next((kind for kind, pattern in _ASKED if pattern.search(question)), None)


def suits(sentence: str, intent: Intent | None) -> bool:
    """True when a sentence is built like an answer of this kind."""
    return intent is not None and bool(_BUILT[intent].search(sentence))
