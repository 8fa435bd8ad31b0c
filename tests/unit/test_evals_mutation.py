"""Mutations: an engine with one fault loses on the metric that is meant to catch it, and a run goes the real road."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from evals.cases import Case
from evals.metrics import Scored, score, summary
from evals.run import run, worse
from tests.sample_corpus import Corpus, open_corpus
from tutor.answer import Request, ask
from tutor.grounding import LexicalChecker
from tutor.types import Answer, Citation, Claim

CHECKER = LexicalChecker()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return open_corpus(tmp_path_factory.mktemp("mutation"))


QUESTIONS: tuple[tuple[str, dict[str, int], list[list[str]]], ...] = (
    ("What is calibration?", {"concepts/calibration#Definition": 2}, [["agreement between predicted"]]),
    ("How is visual search served?", {"case-studies/visual-search#Serving architecture": 2}, [["16 shards"]]),
    (
        "What is the offline metric of ad click prediction?",
        {"case-studies/ad-click-prediction#Evaluation": 2},
        [["cross-entropy"]],
    ),
    ("How do whales sleep?", {}, []),
    ("Give me a recipe for onion soup", {}, []),
)
CASES = [
    Case(f"m{n}", text, (), relevant, tuple(map(tuple, facts)), bool(relevant), "concept", None, None, "plain")
    for n, (text, relevant, facts) in enumerate(QUESTIONS)
]


def honest(corpus: Corpus) -> list[Answer]:
    return [ask(Request(c.question), corpus.parts()) for c in CASES]


def measured(answers: Sequence[Answer]) -> dict[str, float]:
    return summary([score(c, a, CHECKER) for c, a in zip(CASES, answers, strict=True)])


def test_the_honest_engine_scores_full_marks_and_is_not_worse_than_itself(corpus: Corpus) -> None:
    scores = measured(honest(corpus))
    assert {name: scores[name] for name in ("recall_at_5", "answered", "refused", "faithfulness", "key_facts")} == {
        "recall_at_5": 1.0,
        "answered": 1.0,
        "refused": 1.0,
        "faithfulness": 1.0,
        "key_facts": 1.0,
    }
    assert worse(scores, scores) == {}


def invents(found: Answer) -> Answer:
    """Says something of its own and cites as before."""
    claims = tuple(replace(c, text="Boosted trees need 97 layers of Redis.") for c in found.claims)
    return replace(found, claims=claims)


def miscites(found: Answer) -> Answer:
    """Points at a passage that says something else."""
    wrong = [p for p in found.passages if p.chunk.note == "concepts/ranking-losses"]
    wrong = wrong or [p for p in found.passages if p.chunk.note == "concepts/quantization"]
    moved = tuple(
        replace(c, note=wrong[0].chunk.note, heading=wrong[0].chunk.heading, quote=wrong[0].chunk.text)
        for c in found.citations
    )
    return replace(found, citations=moved)


def refuses(found: Answer) -> Answer:
    """Never answers."""
    return replace(found, abstained=True, answer="The notes hold no answer.", claims=(), citations=())


def never_refuses(found: Answer) -> Answer:
    """Answers a foreign question with whatever passage is nearest."""
    if not found.abstained:
        return found
    best = found.passages[0].chunk
    citation = Citation(1, best.note, best.heading, best.path, best.start, best.end, best.text)
    return replace(
        found, abstained=False, answer=best.text, claims=(Claim(best.text, "supported", (1,)),), citations=(citation,)
    )


def searches_badly(found: Answer) -> Answer:
    """Finds the worst passages first."""
    return replace(found, passages=tuple(reversed(found.passages)))


def says_nothing(found: Answer) -> Answer:
    """Answers beside the point."""
    return replace(found, answer="Many things matter, and it depends.")


@pytest.mark.parametrize(
    ("mutant", "caught_by"),
    [
        (invents, {"faithfulness"}),
        (miscites, {"faithfulness", "cited_relevant"}),
        (refuses, {"answered"}),
        (never_refuses, {"refused"}),
        (searches_badly, {"recall_at_5"}),
        (says_nothing, {"key_facts"}),
    ],
)
def test_each_fault_loses_on_the_metric_meant_to_catch_it(
    corpus: Corpus, mutant: Callable[[Answer], Answer], caught_by: set[str]
) -> None:
    good = honest(corpus)
    assert caught_by <= set(worse(measured([mutant(a) for a in good]), measured(good)))


def test_a_fault_loses_nowhere_else(corpus: Corpus) -> None:
    good = honest(corpus)
    baseline = measured(good)
    for mutant, only in ((invents, "faithfulness"), (never_refuses, "refused"), (says_nothing, "key_facts")):
        assert set(worse(measured([mutant(a) for a in good]), baseline)) <= {only}


# --- the run ---------------------------------------------------------------------------------------------------------


def test_a_run_goes_the_same_road_as_a_question_and_tells_its_progress(corpus: Corpus) -> None:
    told: list[tuple[int, int]] = []
    found = list(run(CASES, corpus.parts(), lambda done, total: told.append((done, total))))
    assert [s.answer.answer for s in found] == [a.answer for a in honest(corpus)]
    assert [s.answer.id for s in found] == [c.id for c in CASES]
    assert told == [(n, len(CASES)) for n in range(1, len(CASES) + 1)]


def test_whoever_stops_a_run_keeps_what_was_scored(corpus: Corpus) -> None:
    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    kept: list[Scored] = []
    with pytest.raises(KeyboardInterrupt):
        kept.extend(run(CASES, corpus.parts(), stop))
    assert [s.case.id for s in kept] == ["m0", "m1"]


def test_a_run_uses_the_history_of_a_case(corpus: Corpus) -> None:
    follow_up = replace(CASES[0], question="And how is it served?", history=("How would you design visual search?",))
    (found,) = run([follow_up], corpus.parts(), lambda done, total: None)
    assert "visual search" in found.answer.standalone_question.lower()
