"""Decides whether the notes hold an answer at all, before anything is drafted.

A logistic regression over how near the best passages are and how much of the question's meaning-bearing words they
hold. Cosine is good at this (and bad at checking support). The weights are fitted by `evals/calibrate_abstention.py`
on questions that are not in any test set. Knows no model and writes no text.
"""

from __future__ import annotations

import re
from dataclasses import astuple, dataclass

from tutor import calibration
from tutor.lexical import STOPWORDS, stem, words
from tutor.ports import Index
from tutor.types import Query, Retrieval

TOP = 5
"""Passages that are looked at."""

_NAME = re.compile(r"\b[A-Za-z]*[A-Z][A-Za-z]*[A-Z][A-Za-z]*\b")

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
    """What the decision rests on, each relative to the notes at hand, so that it holds for anybody's notes."""

    top_cosine: float
    """Cosine of question and nearest chunk."""
    depth_cosine: float
    """Mean cosine of the 50 nearest chunks: is the question about the field at all."""
    coverage: float
    """Share of the question's content words, weighted by rarity, that the best passages or their headings hold."""
    unknown_words: float
    """Share of the question's content words that occur nowhere in the notes."""
    unknown_names: float
    """1 when the question has a name or abbreviation (two capitals or more) that occurs nowhere in the notes."""


def signals(query: Query, found: Retrieval, index: Index) -> Signals:
    """Measure the question against what was found for it."""
    # only the question's own words: those of earlier turns are in the notes, whatever is asked next
    worded = [w for w in words(query.own_text or query.search_text) if w not in STOPWORDS]
    content = [w for w in worded if stem(w) not in ASKING] or worded
    held: set[str] = set()
    for passage in found.passages[:TOP]:
        chunk = passage.chunk
        held.update(stem(w) for w in words(" ".join((chunk.title, chunk.heading, chunk.text, *chunk.aliases))))
    total = sum(index.idf(w) for w in content)
    covered = sum(index.idf(w) for w in content if stem(w) in held)
    cosines = found.cosines or (0.0,)
    return Signals(
        top_cosine=cosines[0],
        depth_cosine=sum(cosines) / len(cosines),
        coverage=covered / total if total else 0.0,
        unknown_words=sum(not index.knows(w) for w in content) / len(content) if content else 0.0,
        unknown_names=float(any(not index.knows(name.lower()) for name in _NAME.findall(query.question))),
    )


def answerable(found: Signals, weights: calibration.Logistic | None = None) -> tuple[bool, float]:
    """Whether to answer, and the probability that the notes hold an answer."""
    weights = weights or calibration.load().abstention
    probability = weights.probability(astuple(found))
    return probability >= weights.threshold, probability
