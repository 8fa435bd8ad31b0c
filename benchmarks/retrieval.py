"""Warm retrieval on our corpus, and on 50,000 synthetic chunks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.corpus import indexed, settings
from benchmarks.result import Result
from evals import cases
from tutor import wiring
from tutor.answer import Parts
from tutor.ports import Index
from tutor.retrieve import retrieve
from tutor.types import Chunk, Filter
from tutor.understand import understand

SYNTHETIC = 50_000
ROUNDS = 5


def measure(folder: Path) -> list[Result]:
    """p95 of understand + retrieve in milliseconds, on both indexes, questions in turn."""
    indexed(folder)
    made = settings(folder)
    parts = wiring.open_parts(made, "extractive")
    store = wiring.index_store(made)
    ours = parts.index()
    chunks, vectors = _synthetic(ours, parts)
    store.write("gen-synthetic", chunks, vectors)
    large = store.open("gen-synthetic")
    small_ms: list[float] = []
    large_ms: list[float] = []
    questions = [case.question for case in cases.read(cases.QUICK)]
    for _ in range(ROUNDS):
        for question in questions:
            small_ms.append(_time(question, ours, parts))
            large_ms.append(_time(question, large, parts))
    small, big = (float(np.percentile(times[len(questions) :], 95)) for times in (small_ms, large_ms))
    detail = f"{big:.1f} ms / {small:.1f} ms"
    return [
        Result(f"warm retrieval p95 in ms, {len(ours.chunks())} chunks", small, 25, True, ""),
        Result(f"warm retrieval p95, {SYNTHETIC} chunks / ours", big / small, 2.0, True, detail),
    ]


def _time(question: str, index: Index, parts: Parts) -> float:
    started = time.perf_counter()
    query = understand(question, (), index, parts.is_word)
    retrieve(query, index, parts.embedder, 10, Filter())
    return (time.perf_counter() - started) * 1000


def _synthetic(index: Index, parts: Parts) -> tuple[list[Chunk], np.ndarray]:
    """Chunks made of sentences drawn from ours, with vectors near the chunks they were drawn from."""
    chance = np.random.default_rng(7)
    real: Sequence[Chunk] = index.chunks()
    base = np.asarray(parts.embedder.embed_documents([c.text for c in real]), dtype=np.float32)
    picks = chance.integers(0, len(real), size=(SYNTHETIC, 2))
    noise = chance.normal(0, 0.03, size=(SYNTHETIC, base.shape[1]))
    vectors = (base[picks[:, 0]] + base[picks[:, 1]]) / 2 + noise
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    chunks = []
    for at, (a, b) in enumerate(picks):
        one, other = real[a], real[b]
        text = one.text[: len(one.text) // 2] + other.text[len(other.text) // 2 :]
        note = f"synthetic/{at // 25}"
        made = replace(one, id=f"s{at}", note=note, slug=f"synthetic-{at // 25}", title=f"Synthetic {at // 25}")
        chunks.append(replace(made, text=text, aliases=(), start=0, end=len(text)))
    return chunks, vectors.astype(np.float32)
