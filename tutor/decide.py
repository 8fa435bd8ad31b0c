"""Decides whether the notes hold an answer at all, before anything is drafted.

A logistic regression over how near the best passages are and how much of the question's meaning-bearing words they
hold. Cosine is good at this (and bad at checking support). The weights are fitted by `evals/calibrate_abstention.py`
on questions that are not in any test set. Knows no model and writes no text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass

from tutor import calibration
from tutor.lexical import STOPWORDS, stem, words
from tutor.ports import Index
from tutor.types import Passage, Query

TOP = 5
"""Passages that are looked at."""

ASKING = frozenset(
    stem(w)
    for w in """design system interview interviewer explain describe difference differ compare question answer example
    good bad best way choose pick decide use handle avoid deal work mean help important matter problem step start
    consider approach better worse tell talk mention ask think know list kind type define definition machine learning
    candidate basically actually really exactly quick short brief please thank""".split()
)
"""Stems that say how a question is asked, not what about: whether the passages hold them means nothing."""


@dataclass(frozen=True, slots=True)
class Signals:
    """What the decision rests on. All are roughly in [0, 1]."""

    top_cosine: float
    """Cosine of question and nearest passage."""
    mean_cosine: float
    """Mean cosine of the five nearest passages."""
    coverage: float
    """Share of the question's content words, weighted by rarity, that one of the best passages or its headings hold."""
    named: float
    """1 when the question names a note by title or alias."""


def signals(query: Query, passages: Sequence[Passage], index: Index) -> Signals:
    """Measure the question against its best passages."""
    cosines = sorted((p.cosine for p in passages if not math.isnan(p.cosine)), reverse=True)[:TOP] or [0.0]
    content = {w for w in words(query.search_text) if w not in STOPWORDS and stem(w) not in ASKING}
    held: set[str] = set()
    for passage in passages[:TOP]:
        chunk = passage.chunk
        text = " ".join((chunk.title, chunk.heading, chunk.text, *chunk.aliases))
        held.update(stem(w) for w in words(text))
    weight = {w: index.idf(w) for w in content}
    total = sum(weight.values())
    covered = sum(value for word, value in weight.items() if stem(word) in held)
    coverage = covered / total if total else 0.0
    return Signals(cosines[0], sum(cosines) / len(cosines), coverage, float(bool(query.topics)))


def answerable(found: Signals, weights: calibration.Logistic | None = None) -> tuple[bool, float]:
    """Whether to answer, and the probability that the notes hold an answer."""
    weights = weights or calibration.load().abstention
    probability = weights.probability(astuple(found))
    return probability >= weights.threshold, probability
