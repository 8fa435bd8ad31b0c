"""Chooses the notes' sentences that answer a question: the evidence for a draft, or the answer itself.

Sentences of the best passages are scored by meaning (cosine of embeddings), by the question's rare words, and by where
they stand; then chosen greedily for relevance without repetition, as in maximal marginal relevance (Carbonell and
Goldstein, SIGIR 1998), and put back into the order of the notes. Knows no language model and no screen.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tutor.intent import intent_of, suits
from tutor.lexical import STOPWORDS, stem, stems, words
from tutor.markdown import PROSE, blocks, plain, sentences
from tutor.ports import Embedder, Index
from tutor.types import Evidence, Passage, Query

PASSAGES = 6
"""Passages whose sentences are read."""

MAX_SENTENCES = 7
MAX_WORDS = 180
"""An answer is at most this long; an interviewer would interrupt a longer one."""

MMR = 0.85
"""Weight of relevance against novelty."""

KEEP_SHARE = 0.64
"""A sentence is kept while its relevance is at least this share of the best one's."""

W_COSINE, W_WORDS, W_PASSAGE, W_RANK, W_FRESH, W_INTENT = 1.0, 0.2, 0.3, 0.25, 0.15, 0.12
"""Weights of a sentence's cosine, its share of the question's rare words, its passage's cosine and rank, of rare words
that no chosen sentence has yet, and of being built like the kind of answer that is wanted; chosen on the calibration
questions for key facts and relevant sections."""

ARITHMETIC_COST = 0.1
"""What a sentence of worked numbers loses when the question asks for no number."""

_ARITHMETIC = re.compile(r"\d\s*[*/^+]\s*\d|=|≈|\bAssum")
_ASKS_NUMBER = re.compile(
    r"\d|\bhow (?:many|much|big|large|long|often|fast)|number|capacity|cost|estimate|size|bytes|memory", re.IGNORECASE
)
_LEANS = re.compile(
    r"^(?:it|its|this|that|these|those|they|their|he|she|such|both|here|there|then|so|but|and|or|yet|also|however|"
    r"therefore|thus|hence|otherwise|instead|similarly|likewise|conversely|for example|for instance|in contrast|"
    r"the (?:former|latter|same|other|second|third|result|answer|reason|first))\b",
    re.IGNORECASE,
)
_POINTER = re.compile(
    r"\b(?:table|diagram|figure|list|section|questions?|steps?|note|formula|checklist)\b.{0,40}"
    r"\b(?:below|above|following|compares?|shows?|lists?|gives?|summari[sz]es?)\b|:$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Scored:
    evidence: Evidence
    vector: npt.NDArray[np.float32]
    stems: frozenset[str]
    leans: bool


def candidates(passages: Sequence[Passage]) -> Iterator[Evidence]:
    """Every quotable sentence of the passages, in their order.

    A question, a pointer to a table, a bold label, a quoted saying and a sentence of fewer than 5 or more than 60 words
    is not quotable: alone it would not say what the note says.
    """
    seen: set[str] = set()
    for passage in passages:
        chunk = passage.chunk
        for block in blocks(chunk.text):
            if block.kind not in PROSE:
                continue
            for start, end in sentences(chunk.text[block.start : block.end]):
                at, to = block.start + start, block.start + end
                text = plain(chunk.text[at:to])
                if text in seen or not _quotable(chunk.text[at:to], text):
                    continue
                seen.add(text)
                yield _evidence(passage, at, to, text)


def _quotable(raw: str, text: str) -> bool:
    if not 5 <= len(text.split()) <= 60 or text.endswith(("?", ":")) or _POINTER.search(text):
        return False
    label = raw.lstrip("-*+ 0123456789.").startswith("**") or bool(re.fullmatch(r"\*\*.+\*\*[.:]?", raw, re.DOTALL))
    saying = text[0] in "\"“‘'" and text.rstrip(".")[-1] in "\"”’'"
    return not (saying or (label and raw.rstrip(".: ").endswith("**")))


def _evidence(passage: Passage, start: int, end: int, text: str) -> Evidence:
    chunk = passage.chunk
    return Evidence(
        passage_rank=passage.rank,
        chunk_id=chunk.id,
        note=chunk.note,
        heading=chunk.heading,
        path=chunk.path,
        start=chunk.start + start,
        end=chunk.start + end,
        quote=chunk.text[start:end],
        plain=text,
    )


def select(
    query: Query,
    passages: Sequence[Passage],
    index: Index,
    embedder: Embedder,
    most: int = MAX_SENTENCES,
    max_words: int = MAX_WORDS,
) -> list[Evidence]:
    """The evidence for an answer, most relevant first. Empty when the passages hold no quotable sentence."""
    found = list(candidates(passages[:PASSAGES]))
    if not found:
        return []
    by_rank = {p.rank: p for p in passages}
    texts = [f"{by_rank[e.passage_rank].chunk.title}: {e.plain}" for e in found]
    vectors = np.asarray(embedder.embed_documents([query.search_text, *texts]), dtype=np.float32)
    question, rows = vectors[0], vectors[1:]
    wanted = _wanted(query, index)
    intent = intent_of(query.search_text)
    wants_number = bool(_ASKS_NUMBER.search(query.search_text))
    scored = []
    for evidence, row in zip(found, rows, strict=True):
        score = W_COSINE * float(row @ question) + _standing(evidence, by_rank[evidence.passage_rank], wanted)
        score += W_INTENT * suits(evidence.plain, intent)
        if not wants_number and _ARITHMETIC.search(evidence.plain):
            score -= ARITHMETIC_COST
        own = frozenset(stems(evidence.plain))
        scored.append(_Scored(replace(evidence, score=score), row, own, bool(_LEANS.match(evidence.plain))))
    return _choose(scored, wanted, most, max_words)


def _wanted(query: Query, index: Index) -> dict[str, float]:
    """The question's content stems with their share of its rarity."""
    weights = {stem(w): index.idf(w) for w in words(query.search_text) if w not in STOPWORDS}
    total = sum(weights.values()) or 1.0
    return {s: w / total for s, w in weights.items()}


def _standing(evidence: Evidence, passage: Passage, wanted: dict[str, float]) -> float:
    """What a sentence gets for its words and its heading's, and for the passage it stands in."""
    around = frozenset(stems(f"{evidence.heading} {evidence.plain}"))
    hit = sum(weight for word, weight in wanted.items() if word in around)
    cosine = 0.0 if math.isnan(passage.cosine) else passage.cosine
    return W_WORDS * hit + W_PASSAGE * cosine + W_RANK / evidence.passage_rank


def _choose(scored: Sequence[_Scored], wanted: dict[str, float], most: int, max_words: int) -> list[Evidence]:
    free = [s for s in scored if not s.leans] or list(scored)
    best = max(s.evidence.score for s in free)
    chosen: list[_Scored] = []
    total = 0
    while free and len(chosen) < most:
        held = frozenset().union(*(c.stems for c in chosen))
        unmet = {s: w for s, w in wanted.items() if s not in held}

        def value(s: _Scored, unmet: dict[str, float] = unmet) -> float:
            repeats = max((_similarity(s, c) for c in chosen), default=0.0)
            fresh = sum(w for word, w in unmet.items() if word in s.stems)
            return MMR * s.evidence.score + W_FRESH * fresh - (1 - MMR) * repeats

        pick = max(free, key=value)
        free.remove(pick)
        length = len(pick.evidence.plain.split())
        if pick.evidence.score < KEEP_SHARE * best:
            continue
        if any(_similarity(pick, c) > 0.9 for c in chosen) or (chosen and total + length > max_words):
            continue
        chosen.append(pick)
        total += length
    return [c.evidence for c in chosen]


def _similarity(a: _Scored, b: _Scored) -> float:
    return float(a.vector @ b.vector)


def ordered(evidence: Sequence[Evidence]) -> list[list[Evidence]]:
    """Evidence as paragraphs, one per note: notes and their sections by their best sentence, a section's sentences in
    its own order."""
    notes: dict[str, dict[str, list[Evidence]]] = {}
    for item in sorted(evidence, key=lambda e: -e.score):
        notes.setdefault(item.note, {}).setdefault(item.heading, []).append(item)
    return [
        [item for section in sections.values() for item in sorted(section, key=lambda e: e.start)]
        for sections in notes.values()
    ]
