"""The road run to its end, what a reader sees of it, and the promises that hold for every answer."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from tests.sample_corpus import Corpus
from tutor.answer import Request, stream
from tutor.draft import Writer
from tutor.extract import candidates
from tutor.grounding import LexicalChecker
from tutor.jsonform import answer_json
from tutor.types import Answer, Event, Finished, SentenceShown


def events(corpus: Corpus, question: str, writer: Writer | None = None, **more: object) -> list[Event]:
    return list(stream(Request(question, **more), corpus.parts(writer)))  # type: ignore[arg-type]


def final(found: Sequence[Event]) -> Answer:
    last = found[-1]
    assert isinstance(last, Finished)
    return last.answer


def seen(found: Sequence[Event]) -> str:
    """Everything that a reader of the stream, the answer or its JSON can see."""
    shown = [f"{e.text} {e.claim} {e.citations}" for e in found if isinstance(e, SentenceShown)]
    return "\n".join([*shown, json.dumps(answer_json(final(found)), ensure_ascii=False)])


def assert_grounded(corpus: Corpus, found: Sequence[Event]) -> None:
    """The promises that hold for every answer, whoever worded it."""
    answer = final(found)
    shown = [e for e in found if isinstance(e, SentenceShown)]
    checker = LexicalChecker()
    quotes = {c.marker: c.quote for c in answer.citations}
    assert [c.marker for c in answer.citations] == list(range(1, len(answer.citations) + 1))
    for citation in answer.citations:
        text = Path(citation.path).read_text(encoding="utf-8")
        assert text[citation.start : citation.end] == citation.quote
    assert [c.text for c in answer.claims] == [e.text for e in shown]
    for claim, event in zip(answer.claims, shown, strict=True):
        assert event.claim == claim
        assert claim.verdict == "supported"
        assert claim.citations == tuple(c.marker for c in event.citations)
        assert claim.citations, "a sentence without a citation is never shown"
        plain = [e.plain for e in candidates(answer.passages) if e.quote in {quotes[m] for m in claim.citations}]
        assert checker.check(claim.text, plain or [quotes[m] for m in claim.citations]).supported
    markers = {int(m) for m in re.findall(r"\[(\d+)\]", answer.answer)}
    assert markers <= set(quotes)
    if answer.abstained:
        assert (answer.claims, answer.citations) == ((), ())
        return
    bare = re.sub(r"\s?\[\d+\]", "", answer.answer)
    assert bare.split() == " ".join(c.text for c in answer.claims).split(), "nothing stands between the claims"
