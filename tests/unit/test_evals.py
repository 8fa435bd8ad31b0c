"""The evaluation: its questions are read strictly, its metrics mean what they say, its baseline is kept."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from evals import cases as questions
from evals.cases import Case
from evals.metrics import Scored, cited_relevant, faithfulness, key_facts, recall_at_5, sections, summary
from evals.run import TOLERANCE, read_baseline, save_baseline, worse
from ingest.chunk import chunk_note
from ingest.notes import read_notes
from tests.sample_corpus import chunk, count_words
from tutor.errors import BadInputFile, StorageError
from tutor.grounding import LexicalChecker
from tutor.settings import PROJECT_ROOT, Settings
from tutor.types import Answer, Citation, Claim, Passage

CHECKER = LexicalChecker()
GOOD = {"id": "q1", "question": "What is recall?", "answerable": True, "relevant": {"a#H": 2}, "key_facts": [["x"]]}


def case(relevant: dict[str, int] | None = None, facts: Sequence[Sequence[str]] = (), answerable: bool = True) -> Case:
    return Case(
        "q", "What?", (), relevant or {}, tuple(tuple(f) for f in facts), answerable, "concept", None, None, "plain"
    )


def passages(*places: str) -> tuple[Passage, ...]:
    """Ranked passages, each named ``note#heading``."""
    named = [place.split("#") for place in places]
    return tuple(
        Passage(n, chunk(f"c{n}", note=note, heading=heading), 1 / n)
        for n, (note, heading) in enumerate(named, start=1)
    )


def answer(text: str = "", abstained: bool = False, **more: object) -> Answer:
    return Answer("What?", "What?", text, abstained, "extractive", "", **more)  # type: ignore[arg-type]


# --- the questions ---------------------------------------------------------------------------------------------------


def lines(path: Path, *objects: object) -> Path:
    path.write_text("\n".join(o if isinstance(o, str) else json.dumps(o) for o in objects), encoding="utf-8")
    return path


def test_questions_are_read_in_order_and_empty_lines_passed_over(tmp_path: Path) -> None:
    found = questions.read(lines(tmp_path / "q.jsonl", GOOD, "", {**GOOD, "id": "q2", "history": ["Before?"]}, ""))
    assert [c.id for c in found] == ["q1", "q2"]
    assert found[0].relevant == {"a#H": 2}
    assert found[0].key_facts == (("x",),)
    assert found[1].history == ("Before?",)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{not json", "line"),
        ('"a string"', "line"),
        ({**GOOD, "answerable": "perhaps"}, "answerable"),
        ({"id": "q2", "question": "What?"}, "answerable"),
        ({**GOOD, "relevant": {"a#H": "high"}}, "relevant.a#H"),
        ({**GOOD, "surprise": 1}, "surprise"),
        ({**GOOD, "history": "Before?"}, "history"),
    ],
)
def test_a_bad_line_is_named_with_its_number_and_field(tmp_path: Path, line: object, said: str) -> None:
    path = lines(tmp_path / "q.jsonl", GOOD, "", line)
    with pytest.raises(BadInputFile) as caught:
        questions.read(path)
    assert f"{path}:3:" in caught.value.message
    assert said in caught.value.message
    assert "README" in caught.value.hint


def test_an_id_twice_an_empty_file_and_no_file_are_named(tmp_path: Path) -> None:
    for path, said in (
        (lines(tmp_path / "twice.jsonl", GOOD, GOOD), "'q1' stands twice"),
        (lines(tmp_path / "empty.jsonl", "", " "), "no question"),
        (tmp_path / "none.jsonl", "cannot be read"),
        (tmp_path, "cannot be read"),
    ):
        with pytest.raises(BadInputFile, match=said):
            questions.read(path)


def test_a_file_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_bytes(b"\xff\xfe{}")
    with pytest.raises(BadInputFile, match="cannot be read"):
        questions.read(tmp_path / "q.jsonl")


@pytest.fixture(scope="module")
def our_sections(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    folder = tmp_path_factory.mktemp("corpus")
    notes, _ = read_notes([PROJECT_ROOT / "corpus"], Settings(home=folder), folder / "extracted")
    return {f"{c.note}#{c.heading}" for note in notes for c in chunk_note(note, count_words, 150)[0]}


@pytest.mark.parametrize("path", [questions.QUICK, questions.CALIBRATION], ids=lambda p: p.stem)
def test_our_questions_point_at_sections_that_exist(path: Path, our_sections: set[str]) -> None:
    for found in questions.read(path):
        assert set(found.relevant) <= our_sections, found.id
        assert set(found.relevant.values()) <= {1, 2}, found.id
        assert (2 in found.relevant.values()) == found.answerable, f"{found.id}: recall needs a section of grade 2"
        assert bool(found.key_facts) == found.answerable, found.id
        assert all(fact for fact in found.key_facts), found.id
        assert bool(found.history) == (found.style == "follow-up"), found.id


def test_the_quick_set_is_held_out_and_as_large_as_promised() -> None:
    quick, fitted = questions.read(questions.QUICK), questions.read(questions.CALIBRATION)
    assert len(quick) == 60
    assert sum(not c.answerable for c in quick) == 12
    assert not {c.question.lower() for c in quick if not c.history} & {c.question.lower() for c in fitted}


# --- the metrics -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("relevant", "ranked", "expected"),
    [
        ({"a#1": 2}, ["a#1", "b#1"], 1.0),
        ({"a#1": 2, "a#2": 2}, ["a#1", "b#1"], 0.5),
        ({"a#1": 2, "a#2": 2, "a#3": 2}, ["x#1", "a#1", "x#2", "x#3", "a#3", "a#2"], 2 / 3),
        ({"a#1": 2}, ["b#1", "b#2", "b#3", "b#4", "b#5", "a#1"], 0.0),  # the sixth is too late
        ({"a#1": 2}, ["b#1", "b#1", "b#1", "b#1", "b#1", "a#1"], 1.0),  # a section counts once, so this is the second
        ({"a#1": 2, "a#2": 1}, ["a#1"], 1.0),  # grade 1 helps but is not wanted
        ({"a#1": 2, "a#2": 1}, ["a#2"], 0.0),
        ({"a#1": 2}, ["a#1 > deeper"], 0.0),  # another section
    ],
)
def test_recall_at_5_is_the_share_of_wanted_sections_among_five(
    relevant: dict[str, int], ranked: list[str], expected: float
) -> None:
    found = passages(*ranked)
    wanted = {section for section, grade in relevant.items() if grade == 2}
    assert len(wanted & set(sections(found)[:5])) / len(wanted) == pytest.approx(expected), "by hand"
    assert recall_at_5(case(relevant), found) == pytest.approx(expected), "by trec_eval"


def test_no_passages_recall_nothing() -> None:
    assert recall_at_5(case({"a#1": 2}), ()) == 0.0


def test_sections_keep_the_order_of_their_first_passage() -> None:
    assert sections(passages("b#1", "a#1", "b#1", "b#2")) == ["b#1", "a#1", "b#2"]


def test_key_facts_count_alternatives_once_letter_case_and_line_breaks_aside() -> None:
    facts = [["split by time", "temporal split"], ["label leakage"], ["never there"]]
    text = "Make a Temporal\nSplit and split by time; watch LABEL leakage."
    assert key_facts(case(facts=facts), answer(text)) == pytest.approx(2 / 3)
    assert math.isnan(key_facts(case(), answer(text)))


def cited(*quotes: str, note: str = "a", heading: str = "1") -> tuple[Citation, ...]:
    return tuple(Citation(n, note, heading, "/a.md", n, n + 1, q) for n, q in enumerate(quotes, start=1))


def test_faithfulness_checks_each_claim_against_its_own_citations() -> None:
    fits, step = "Platt scaling fits a sigmoid on held-out data.", "Isotonic regression fits a step function."
    quotes = cited("**Platt scaling** fits a [sigmoid](http://x) on held-out data.", step)

    def of(*claims: Claim) -> float:
        return faithfulness(answer(claims=claims, citations=quotes), CHECKER)

    assert of(Claim(fits, "supported", (1,)), Claim(step, "supported", (2,))) == 1.0
    assert of(Claim(fits, "supported", (1,)), Claim(step, "supported", (1,))) == 0.5, "the wrong citation"
    assert of(Claim(fits, "supported", ())) == 0.0, "no citation"
    assert of(Claim(fits, "supported", (9,))) == 0.0, "a marker that points at nothing"
    assert math.isnan(of())


def test_cited_relevant_is_the_share_of_citations_in_judged_sections() -> None:
    citations = cited("x", "y") + cited("z", heading="2")
    assert cited_relevant(case({"a#1": 1}), answer(citations=citations)) == pytest.approx(2 / 3)
    assert math.isnan(cited_relevant(case({"a#1": 2}), answer()))
    assert math.isnan(cited_relevant(case(), answer(citations=citations)))


def scored(answerable: bool, abstained: bool, recall: float = 1.0, facts: float = 1.0) -> Scored:
    nan = float("nan")
    if not answerable:
        return Scored(case(answerable=False), answer(abstained=abstained), nan, nan, nan, nan)
    return Scored(case(), answer(abstained=abstained), recall, facts, 1.0, 0.5)


def test_the_summary_counts_each_question_where_it_belongs() -> None:
    found = summary(
        [
            scored(True, False, recall=1.0, facts=1.0),
            scored(True, False, recall=0.5, facts=0.0),
            scored(True, True, recall=0.0, facts=0.0),  # its key facts do not count: nothing was said
            scored(False, True),
            scored(False, True),
            scored(False, False),
        ]
    )
    assert found["recall_at_5"] == pytest.approx(0.5)
    assert found["answered"] == pytest.approx(2 / 3)
    assert found["refused"] == pytest.approx(2 / 3)
    assert found["key_facts"] == pytest.approx(0.5)
    assert found["faithfulness"] == 1.0
    assert found["cited_relevant"] == 0.5


def test_the_summary_of_nothing_is_not_a_number() -> None:
    assert all(math.isnan(value) for value in summary([]).values())


# --- the baseline ----------------------------------------------------------------------------------------------------


def test_a_baseline_comes_back_and_leaves_other_engines_alone(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    assert read_baseline("llama", path) is None
    save_baseline("llama", {"answered": 0.91234}, path)
    save_baseline("extractive", {"answered": 0.8}, path)
    assert read_baseline("llama", path) == {"answered": 0.9123}
    assert read_baseline("extractive", path) == {"answered": 0.8}
    assert read_baseline("auto", path) is None


@pytest.mark.parametrize("text", ["{", "[]", '{"llama": 3}', '{"llama": {"answered": "high"}}', "\udcff"])
def test_a_damaged_baseline_is_an_error_with_a_way_out(tmp_path: Path, text: str) -> None:
    path = tmp_path / "baseline.json"
    path.write_bytes(text.encode("utf-8", errors="surrogateescape"))
    with pytest.raises(BadInputFile, match="cannot be read") as caught:
        read_baseline("llama", path)
    assert "--save-baseline" in caught.value.hint


def test_a_baseline_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        save_baseline("llama", {"answered": 1.0}, tmp_path / "none" / "baseline.json")


def test_only_a_fall_beyond_the_tolerance_is_worse() -> None:
    baseline = {"answered": 0.9, "refused": 0.8, "recall_at_5": 0.7, "gone": 1.0}
    just = {"answered": 0.9 - TOLERANCE + 1e-9, "refused": 1.0, "recall_at_5": 0.7 - TOLERANCE - 1e-6}
    assert worse(just, baseline) == {"recall_at_5": (0.7, just["recall_at_5"])}
    assert worse(baseline, baseline) == {}


def test_a_metric_that_has_become_no_number_is_worse_and_one_that_was_none_is_not() -> None:
    nan = float("nan")
    assert list(worse({"a": nan, "b": 0.1}, {"a": 0.5, "b": nan})) == ["a"]
