"""Answers and passages as plain JSON values: the shapes that `--json` prints and `docs/json.md` documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from tutor.types import Answer, Chunk, Passage


def answer_json(answer: Answer) -> dict[str, Any]:
    """The object that `tutor ask --json` prints. ``id`` is there only when the question had one."""
    return {
        **({"id": answer.id} if answer.id is not None else {}),
        "question": answer.question,
        "standalone_question": answer.standalone_question,
        "answer": answer.answer,
        "abstained": answer.abstained,
        "engine": answer.engine,
        "model": answer.model,
        "citations": [asdict(c) for c in answer.citations],
        "claims": [
            {"text": c.text, "verdict": c.verdict, "citations": list(c.citations), "score": c.score}
            for c in answer.claims
        ],
        "passages": passages_json(answer.passages),
        "nearest": [{"note": t.note, "title": t.title} for t in answer.nearest],
        "notices": list(answer.notices),
        "timings_ms": dict(answer.timings_ms),
    }


def passages_json(passages: Sequence[Passage]) -> list[dict[str, Any]]:
    """Ranked passages, as in an answer and as `tutor search --json` prints them."""
    return [
        {
            "rank": p.rank,
            "note": p.chunk.note,
            "heading": p.chunk.heading,
            "path": p.chunk.path,
            "start": p.chunk.start,
            "end": p.chunk.end,
            "text": p.chunk.text,
            "score": round(p.score, 6),
        }
        for p in passages
    ]


def line_of(chunk: Chunk) -> str:
    """Note and heading on one line, the way sources are named everywhere."""
    return f"{chunk.title} › {chunk.heading}" if chunk.heading != chunk.title else chunk.title
