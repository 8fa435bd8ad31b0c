"""The road from a question to an answer: understand, retrieve, decide, draft, verify, show.

One straight function that yields what happens as it happens. Every sentence it shows has passed the grounding checker
and carries its citations. Knows no terminal, no browser and no concrete adapter.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tutor.citations import Citer, marked
from tutor.decide import answerable, signals
from tutor.draft import MAX_SENTENCES, SMALL_FACTS, Sentence, Writer, quoted, uncovered, within_budget, write
from tutor.errors import EndpointUnreachable, TutorError
from tutor.extract import candidates, ordered, select
from tutor.ports import Embedder, GroundingChecker, Index
from tutor.retrieve import nearest_topics, retrieve
from tutor.types import (
    Answer,
    Claim,
    Event,
    Evidence,
    Filter,
    Finished,
    Passage,
    PassagesFound,
    Query,
    SentenceShown,
    Understood,
)
from tutor.understand import IsWord, understand

SHOWN_PASSAGES = 10
MUST_COVER = 3
"""The best facts that an answer must hold, drafted or quoted."""

LARGE_PASSAGES = 8
"""Whole passages handed to a large model."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the road runs on, wired once. ``index`` gives the published generation. ``writer`` loads the language model
    when it is first needed; None means that there is no model and answers are composed of the notes' own sentences."""

    index: Callable[[], Index]
    embedder: Embedder
    is_word: IsWord
    checker: GroundingChecker
    writer: Callable[[], Writer] | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One question. ``history`` are the earlier questions, oldest first. ``strict_engine`` turns a model that cannot be
    loaded or reached into an error instead of a fallback."""

    question: str
    history: tuple[str, ...] = ()
    where: Filter = field(default_factory=Filter)
    k: int = SHOWN_PASSAGES
    strict_engine: bool = False
    id: str | None = None


@dataclass(slots=True)
class _Clock:
    started: float = field(default_factory=time.perf_counter)
    stages: dict[str, float] = field(default_factory=dict)
    _last: float = field(default_factory=time.perf_counter)

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.stages[stage] = self.stages.get(stage, 0.0) + round((now - self._last) * 1000, 2)
        self._last = now

    def total(self) -> dict[str, float]:
        return {**self.stages, "total": round((time.perf_counter() - self.started) * 1000, 2)}


def stream(request: Request, parts: Parts) -> Iterator[Event]:
    """Answer a question, yielding events; the last is Finished.

    Raises BadQuestion, index errors, and with ``strict_engine`` a model that cannot be loaded or reached. A model that
    dies while it writes raises nothing: the answer goes on in the notes' own words and says so.
    """
    clock = _Clock()
    index = parts.index()
    clock.lap("open")
    query = understand(request.question, request.history, index, parts.is_word)
    clock.lap("understand")
    yield Understood(query.standalone)
    found = retrieve(query, index, parts.embedder, max(request.k, SHOWN_PASSAGES), request.where)
    passages = found.passages
    clock.lap("retrieve")
    yield PassagesFound(passages[: request.k])
    yes, _ = answerable(signals(query, found, index))
    evidence = select(query, passages, index, parts.embedder) if yes else []
    clock.lap("select")
    if not evidence:
        yield Finished(_refusal(request, query, passages, parts, clock))
        return
    answer = _Draft(Citer())
    yield from _worded(request, query, passages, evidence, parts, answer, clock)
    if not answer.shown:  # sentences of which the checker can make nothing are no answer
        yield Finished(_refusal(request, query, passages, parts, clock))
        return
    yield Finished(_answer(request, query, passages, answer, clock))


def ask(request: Request, parts: Parts) -> Answer:
    """The answer alone, for callers that show nothing in between."""
    answer: Answer | None = None
    for event in stream(request, parts):
        if isinstance(event, Finished):
            answer = event.answer
    assert answer is not None  # noqa: S101 - stream always ends with Finished
    return answer


@dataclass(slots=True)
class _Draft:
    """An answer while it grows."""

    citer: Citer
    shown: list[Sentence] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    rejected: list[Claim] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    text: str = ""
    model: str = ""
    died: bool = False

    def show(self, sentence: Sentence, paragraph: bool = False) -> SentenceShown:
        citations = self.citer.cite(sentence.evidence)
        markers = tuple(c.marker for c in citations)
        claim = Claim(sentence.text, "supported", markers, round(sentence.check.score, 4))
        self.shown.append(sentence)
        self.claims.append(claim)
        gap = "" if not self.text else "\n\n" if paragraph else " "
        self.text += gap + marked(sentence.text, citations)
        return SentenceShown(sentence.text, claim, citations, paragraph and bool(gap))

    @property
    def drafted(self) -> bool:
        return any(s.drafted for s in self.shown)


def _worded(
    request: Request,
    query: Query,
    passages: Sequence[Passage],
    evidence: Sequence[Evidence],
    parts: Parts,
    answer: _Draft,
    clock: _Clock,
) -> Iterator[SentenceShown]:
    """The model's wording of the evidence, made whole with the notes' own sentences."""
    writer = _writer(request, parts, answer)
    clock.lap("load")
    if writer is not None:
        answer.model = writer.name
        for event in _drafted(request, query, passages, evidence, writer, parts, answer):
            if len(answer.shown) == 1:
                clock.lap("first_sentence")
            yield event
        if not answer.drafted and not answer.died:
            answer.notices.append("The notes did not support the model's draft, so the notes are quoted instead.")
    left = uncovered(evidence, answer.shown)
    if answer.drafted:
        missing = [e for e in evidence[:MUST_COVER] if e in left]
        left = missing[: max(0, MAX_SENTENCES - len(answer.shown))]
    for number, paragraph in enumerate(ordered(left)):
        for at, item in enumerate(paragraph):
            sentence = quoted(item, parts.checker)
            if sentence is not None:
                opens = at == 0 and (number > 0 or not answer.drafted)
                yield answer.show(sentence, paragraph=opens)
    clock.lap("draft")


def _writer(request: Request, parts: Parts, answer: _Draft) -> Writer | None:
    if parts.writer is None:
        return None
    try:
        return parts.writer()
    except TutorError as error:
        if request.strict_engine:
            raise
        answer.notices.append(
            f"The language model cannot be used, so the notes are quoted. {error.message} {error.hint}"
        )
        return None


def _drafted(
    request: Request,
    query: Query,
    passages: Sequence[Passage],
    evidence: Sequence[Evidence],
    writer: Writer,
    parts: Parts,
    answer: _Draft,
) -> Iterator[SentenceShown]:
    if writer.large:
        wanted = list(candidates(passages[:LARGE_PASSAGES]))
    else:
        wanted = [item for paragraph in ordered(evidence[:SMALL_FACTS]) for item in paragraph]
    try:
        facts = within_budget(query.standalone, wanted, writer)
        if len(facts) < len(wanted):
            held = f"{len(facts)} of {len(wanted)} evidence sentences"
            answer.notices.append(f"The model's context of {writer.context} tokens holds {held}.")
        for item in write(query.standalone, facts, writer, parts.checker):
            if isinstance(item, Sentence):
                yield answer.show(item)
            else:
                answer.rejected.append(item)
    except TutorError as error:
        if request.strict_engine and not answer.shown and isinstance(error, EndpointUnreachable):
            raise  # a server shows only now that it is not there
        answer.died = True
        answer.notices.append(
            f"The language model stopped, so the rest is quoted from the notes. {error.message} {error.hint}"
        )


def _answer(request: Request, query: Query, passages: Sequence[Passage], answer: _Draft, clock: _Clock) -> Answer:
    return Answer(
        question=request.question,
        standalone_question=query.standalone,
        answer=answer.text,
        abstained=False,
        engine="llama" if answer.drafted else "extractive",
        model=answer.model if answer.drafted else "",
        citations=tuple(answer.citer.citations),
        claims=tuple(answer.claims),
        passages=tuple(passages[: request.k]),
        rejected=tuple(answer.rejected),
        notices=tuple(answer.notices),
        timings_ms=clock.total(),
        id=request.id,
    )


def _refusal(request: Request, query: Query, passages: Sequence[Passage], parts: Parts, clock: _Clock) -> Answer:
    nearest = nearest_topics(passages)
    text = "The notes hold no answer to this question."
    if nearest:
        text += " The nearest topics are: " + ", ".join(t.title for t in nearest) + "."
    return Answer(
        question=request.question,
        standalone_question=query.standalone,
        answer=text,
        abstained=True,
        engine="extractive" if parts.writer is None else "llama",
        model="",
        passages=tuple(passages[: request.k]),
        nearest=nearest,
        timings_ms=clock.total(),
        id=request.id,
    )
