"""Chooses the notes' sentences that answer a question: the evidence for a draft, or the answer itself.

Sentences of the best passages are scored by meaning (cosine of embeddings), by the question's rare words, and by where
they stand; then chosen greedily for relevance without repetition, as in maximal marginal relevance (Carbonell and
Goldstein, SIGIR 1998), and put back into the order of the notes. Knows no language model and no screen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tutor.lexical import STOPWORDS, stem, stems, words
from tutor.markdown import PROSE, blocks, plain, sentences
from tutor.ports import Embedder, Index
from tutor.types import Evidence, Passage, Query

PASSAGES = 6
"""Passages whose sentences are read."""

MAX_SENTENCES = 6
MAX_WORDS = 160
"""An answer is at most this long; an interviewer would interrupt a longer one."""

MMR = 0.72
"""Weight of relevance against novelty."""

KEEP_SHARE = 0.62
"""A sentence is kept while its relevance is at least this share of the best one's."""

W_COSINE, W_WORDS, W_RANK, W_OPENING = 1.0, 0.35, 0.25, 0.08

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
    opens: bool
    leans: bool


def candidates(passages: Sequence[Passage]) -> Iterator[tuple[Evidence, bool]]:
    """Every quotable sentence of the passages with whether it opens its section's prose.

    A question, a pointer to a table, a lone label and a sentence of fewer than 5 or more than 60 words is not quotable.
    """
    seen: set[str] = set()
    for passage in passages:
        chunk = passage.chunk
        first = True
        for block in blocks(chunk.text):
            if block.kind not in PROSE:
                continue
            for start, end in sentences(chunk.text[block.start : block.end]):
                at, to = block.start + start, block.start + end
                text = plain(chunk.text[at:to])
                if not 5 <= len(text.split()) <= 60 or text.endswith("?") or _POINTER.search(text) or text in seen:
                    continue
                seen.add(text)
                yield _evidence(passage, at, to, text), first
                first = False


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
    titles = {p.rank: p.chunk.title for p in passages}
    texts = [f"{titles[e.passage_rank]}: {e.plain}" for e, _ in found]
    vectors = np.asarray(embedder.embed_documents([query.search_text, *texts]), dtype=np.float32)
    question, rows = vectors[0], vectors[1:]
    wanted = _wanted(query, index)
    scored = [
        _score(evidence, row, opens, float(row @ question), wanted)
        for (evidence, opens), row in zip(found, rows, strict=True)
    ]
    return _choose(scored, wanted, most, max_words)


def _wanted(query: Query, index: Index) -> dict[str, float]:
    """The question's content stems with their share of its rarity."""
    weights = {stem(w): index.idf(w) for w in words(query.search_text) if w not in STOPWORDS}
    total = sum(weights.values()) or 1.0
    return {s: w / total for s, w in weights.items()}


def _score(
    evidence: Evidence, vector: npt.NDArray[np.float32], opens: bool, cosine: float, wanted: dict[str, float]
) -> _Scored:
    own = frozenset(stems(evidence.plain))
    around = own | frozenset(stems(evidence.heading))
    hit = sum(w for s, w in wanted.items() if s in around)
    score = W_COSINE * cosine + W_WORDS * hit + W_RANK / evidence.passage_rank + W_OPENING * opens
    leans = bool(_LEANS.match(evidence.plain))
    return _Scored(replace(evidence, score=score), vector, own, opens, leans)


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
            return MMR * s.evidence.score + 0.15 * fresh - (1 - MMR) * repeats

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
    """Evidence as paragraphs: one per note, notes by their best sentence, sentences in the order of the note."""
    by_note: dict[str, list[Evidence]] = {}
    for item in evidence:
        by_note.setdefault(item.note, []).append(item)
    return [sorted(items, key=lambda e: e.start) for items in by_note.values()]
