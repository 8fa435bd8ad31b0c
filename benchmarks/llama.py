"""The first shown sentence of a llama answer, against llama.cpp alone on the same prompt."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.corpus import indexed, settings
from benchmarks.result import Result, interleaved
from evals import cases
from tutor import catalogue, models, prompts, wiring
from tutor.answer import Parts
from tutor.draft import ANSWER_TOKENS, SMALL_FACTS, split_stream, write
from tutor.extract import ordered, select
from tutor.retrieve import retrieve
from tutor.types import Evidence, Filter
from tutor.understand import understand

QUESTIONS = 9


def measure(folder: Path) -> list[Result]:
    """Medians over questions of the time until the first sentence is finished: ours checked and cited, theirs raw."""
    indexed(folder)
    made = settings(folder)
    parts = wiring.open_parts(made, "llama")
    from llama_cpp import Llama

    path = models.locate_verified(catalogue.DEFAULT_CHAT, made)
    raw = Llama(
        str(path),
        n_ctx=made.max_context,
        n_threads=made.writer_threads,
        n_threads_batch=made.writer_threads,
        verbose=False,
    )
    pairs = []
    for case in [c for c in cases.read(cases.QUICK) if c.answerable][:QUESTIONS]:
        facts = _facts(case.question, parts)
        pairs.append(interleaved(lambda f=facts: _ours(f, parts), lambda f=facts: _theirs(f, raw), 3))  # type: ignore[misc]
    ours, theirs = sum(p[0] for p in pairs), sum(p[1] for p in pairs)
    detail = f"{ours / len(pairs) * 1000:.0f} ms / {theirs / len(pairs) * 1000:.0f} ms"
    return [Result("first sentence: overhead over raw llama.cpp", ours / theirs - 1, 0.15, True, detail)]


def _facts(question: str, parts: Parts) -> list[Evidence]:
    index = parts.index()
    query = understand(question, (), index, parts.is_word)
    passages = retrieve(query, index, parts.embedder, 10, Filter()).passages
    evidence = select(query, passages, index, parts.embedder)
    return [item for paragraph in ordered(evidence[:SMALL_FACTS]) for item in paragraph]


def _ours(facts: list[Evidence], parts: Parts) -> float:
    assert parts.writer is not None
    writer = parts.writer()
    started = time.perf_counter()
    next(write("", facts, writer, parts.checker), None)  # its first sentence, shown or rejected
    return time.perf_counter() - started


def _theirs(facts: list[Evidence], raw: object) -> float:
    messages = [{"role": role, "content": text} for role, text in prompts.fuse([f.plain for f in facts])]
    started = time.perf_counter()

    def pieces() -> Iterator[str]:
        stream = raw.create_chat_completion(  # type: ignore[attr-defined]
            messages, stream=True, temperature=0.0, max_tokens=ANSWER_TOKENS
        )
        for part in stream:
            yield part["choices"][0]["delta"].get("content") or ""

    next(iter(split_stream(pieces())), None)
    return time.perf_counter() - started
