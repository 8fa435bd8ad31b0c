"""Ranks passages for a question: dense and lexical rankings fused by reciprocal rank.

Reciprocal rank fusion as in Cormack, Clarke and Büttcher (SIGIR 2009): each ranking adds ``weight / (RRF_K + rank)``.
A note that the question names, and the section of a named case that treats the asked step, are rankings of their own,
so a name counts without a threshold. Knows no model but the query embedder and decides nothing about the answer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from tutor.ports import Embedder, Hit, Index
from tutor.types import Filter, Passage, Query, Retrieval, Topic

RRF_K = 60
DEPTH = 50
"""How deep each ranking goes before fusion."""

MAX_TOPICS = 3
"""At most this many named notes get a ranking of their own."""

W_DENSE, W_LEXICAL, W_TOPIC, W_STEP, W_CONTEXT = 1.0, 0.5, 0.4, 0.4, 0.5
"""Weights of the rankings, chosen on the calibration questions."""


def retrieve(query: Query, index: Index, embedder: Embedder, k: int, where: Filter) -> Retrieval:
    """The ``k`` best passages that ``where`` admits, best first; fewer when the notes hold fewer."""
    vector = embedder.embed_query(query.search_text)
    dense = index.dense(vector, max(DEPTH, k), where)
    lexical = index.lexical(query.search_text, max(DEPTH, k), where)
    rankings: list[tuple[float, Sequence[Hit]]] = [(W_DENSE, dense), (W_LEXICAL, lexical)]
    if query.context:
        rankings.append((W_CONTEXT, index.dense(embedder.embed_query(query.context), max(DEPTH, k), where)))
    for topic in [t for t in query.topics if t.kind != "framework"][:MAX_TOPICS]:
        of_topic = dataclasses.replace(where, note=topic.note)
        if where.note not in (None, topic.note):
            continue
        hits = index.dense(vector, DEPTH, of_topic)
        rankings.append((W_TOPIC, hits))
        if topic.kind == "case-study" and query.step and where.step is None:
            rankings.append((W_STEP, index.dense(vector, DEPTH, dataclasses.replace(of_topic, step=query.step))))
    near = [hits for _, hits in rankings if hits is not lexical]
    cosines = {chunk_id: cosine for hits in reversed(near) for chunk_id, cosine in hits}
    bm25 = dict(lexical)
    fused = fuse(rankings)[:k]
    chunks = index.get([chunk_id for chunk_id, _ in fused])
    passages = [
        Passage(rank, chunk, score, cosines.get(chunk.id, float("nan")), bm25.get(chunk.id, 0.0))
        for rank, (chunk, (_, score)) in enumerate(zip(chunks, fused, strict=True), start=1)
    ]
    return Retrieval(tuple(passages), tuple(cosine for _, cosine in dense[:DEPTH]))


def fuse(rankings: Sequence[tuple[float, Sequence[Hit]]], rrf_k: int = RRF_K) -> list[Hit]:
    """Weighted reciprocal rank fusion. Ties keep the order of first appearance, so the result is deterministic."""
    scores: dict[str, float] = {}
    for weight, hits in rankings:
        for rank, (chunk_id, _) in enumerate(hits, start=1):
            scores[chunk_id] = scores.get(chunk_id, 0.0) + weight / (rrf_k + rank)
    return sorted(scores.items(), key=lambda hit: -hit[1])


def nearest_topics(passages: Sequence[Passage], most: int = 3) -> tuple[Topic, ...]:
    """The notes of the best passages, each once: what to offer when the notes hold no answer."""
    seen: dict[str, Topic] = {}
    for passage in passages:
        chunk = passage.chunk
        seen.setdefault(chunk.note, Topic(chunk.note, chunk.slug, chunk.title, chunk.kind))
    return tuple(seen.values())[:most]
