"""The metrics, as pure functions over cases and answers.

Retrieval numbers come from ir-measures (MacAvaney et al., ECIR 2022), which wraps trec_eval. A "document" is a section
of a note, ``note#heading``: its rank is that of its first passage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evals.cases import Case
from tutor.markdown import plain
from tutor.ports import GroundingChecker
from tutor.types import Answer, Passage


@dataclass(frozen=True, slots=True)
class Scored:
    """One case with its answer and what it earned. ``nan`` where a metric has no meaning for the case."""

    case: Case
    answer: Answer
    recall_at_5: float
    key_facts: float
    faithfulness: float
    cited_relevant: float


def sections(passages: Sequence[Passage]) -> list[str]:
    """The sections of ranked passages, each once, best first."""
    return list(dict.fromkeys(f"{p.chunk.note}#{p.chunk.heading}" for p in passages))


def recall_at_5(case: Case, passages: Sequence[Passage]) -> float:
    """Share of the sections of grade 2 that are among the five best, by trec_eval."""
    import ir_measures
    from ir_measures import R

    wanted = R(rel=2) @ 5
    qrels = {case.id: dict(case.relevant)}
    run = {case.id: {section: 1.0 / rank for rank, section in enumerate(sections(passages), start=1)}}
    return float(ir_measures.calc_aggregate([wanted], qrels, run)[wanted])


def key_facts(case: Case, answer: Answer) -> float:
    """Share of the key facts of which one alternative stands in the answer, letter case aside."""
    text = " ".join(answer.answer.lower().split())
    found = [any(alternative.lower() in text for alternative in fact) for fact in case.key_facts]
    return sum(found) / len(found) if found else float("nan")


def faithfulness(answer: Answer, checker: GroundingChecker) -> float:
    """Supported claims / claims, each claim checked again against the quotes it cites.

    A marker without a citation supports nothing. Quotes are read as a reader sees them, without Markdown marks.
    """
    if not answer.claims:
        return float("nan")
    quotes = {c.marker: plain(c.quote) for c in answer.citations}
    supported = [
        checker.check(c.text, [quotes[m] for m in c.citations if m in quotes]).supported for c in answer.claims
    ]
    return sum(supported) / len(supported)


def cited_relevant(case: Case, answer: Answer) -> float:
    """Share of the citations that point into a section that somebody judged relevant."""
    if not answer.citations or not case.relevant:
        return float("nan")
    return sum(f"{c.note}#{c.heading}" in case.relevant for c in answer.citations) / len(answer.citations)


def score(case: Case, answer: Answer, checker: GroundingChecker) -> Scored:
    """All metrics of one answer."""
    nan = float("nan")
    if not case.answerable:
        return Scored(case, answer, nan, nan, faithfulness(answer, checker), nan)
    return Scored(
        case,
        answer,
        recall_at_5(case, answer.passages),
        key_facts(case, answer),
        faithfulness(answer, checker),
        cited_relevant(case, answer),
    )


def summary(scored: Sequence[Scored]) -> dict[str, float]:
    """The run in six numbers, each in [0, 1], higher is better.

    ``answered`` is the share of answerable questions that were answered, ``refused`` the share of the others that were
    not; ``faithfulness`` and ``key_facts`` are means over the answers given.
    """
    can = [s for s in scored if s.case.answerable]
    cannot = [s for s in scored if not s.case.answerable]
    answered = [s for s in can if not s.answer.abstained]
    return {
        "recall_at_5": _mean([s.recall_at_5 for s in can]),
        "answered": _mean([float(not s.answer.abstained) for s in can]),
        "refused": _mean([float(s.answer.abstained) for s in cannot]),
        "faithfulness": _mean([s.faithfulness for s in scored]),
        "key_facts": _mean([s.key_facts for s in answered]),
        "cited_relevant": _mean([s.cited_relevant for s in answered]),
    }


def _mean(values: Sequence[float]) -> float:
    known = [v for v in values if v == v]  # nan is not equal to itself
    return sum(known) / len(known) if known else float("nan")
