"""Whether the notes hold an answer: what is measured, and how it is weighed."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sample_corpus import Corpus, chunk, is_word, open_corpus
from tutor import calibration
from tutor.calibration import Logistic
from tutor.decide import TOP, Signals, answerable, signals
from tutor.grounding import Features
from tutor.retrieve import retrieve
from tutor.types import Filter, Passage, Query, Retrieval
from tutor.understand import understand

GOOD = Signals(top_cosine=0.7, depth_cosine=0.35, coverage=1.0, unknown_words=0.0, unknown_names=0.0)
FOREIGN = Signals(top_cosine=0.1, depth_cosine=0.02, coverage=0.0, unknown_words=0.8, unknown_names=1.0)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return open_corpus(tmp_path_factory.mktemp("decide"))


def measured(corpus: Corpus, question: str) -> Signals:
    query = understand(question, (), corpus.index, is_word)
    return signals(query, retrieve(query, corpus.index, corpus.embedder, 10, Filter()), corpus.index)


def by_hand(corpus: Corpus, text: str, texts: list[str], cosines: tuple[float, ...] = (0.5,)) -> Signals:
    """The signals of a question over passages with these texts, under a heading and title that say nothing."""
    passages = tuple(Passage(n, chunk(str(n), t, heading="-"), 1 / n) for n, t in enumerate(texts, start=1))
    return signals(Query(text, text, text), Retrieval(passages, cosines), corpus.index)


# --- signals ---------------------------------------------------------------------------------------------------------


def test_cosines_are_the_first_and_the_mean(corpus: Corpus) -> None:
    found = by_hand(corpus, "calibration", [], cosines=(0.8, 0.4, 0.3))
    assert found.top_cosine == 0.8
    assert found.depth_cosine == pytest.approx(0.5)


def test_without_any_chunk_the_cosines_are_zero(corpus: Corpus) -> None:
    found = signals(Query("recall", "recall", "recall"), Retrieval((), ()), corpus.index)
    assert (found.top_cosine, found.depth_cosine, found.coverage) == (0.0, 0.0, 0.0)


def test_coverage_weighs_the_held_words_by_rarity(corpus: Corpus) -> None:
    sigmoid, scores = corpus.index.idf("sigmoid"), corpus.index.idf("scores")
    found = by_hand(corpus, "sigmoid scores", ["It has a sigmoid."])
    assert found.coverage == pytest.approx(sigmoid / (sigmoid + scores))


def test_coverage_knows_other_forms_of_a_word(corpus: Corpus) -> None:
    assert by_hand(corpus, "calibrating sigmoids", ["Calibration by a sigmoid."]).coverage == pytest.approx(1.0)


def test_only_the_best_passages_count(corpus: Corpus) -> None:
    below = ["Nothing."] * TOP + ["It has a sigmoid."]
    assert by_hand(corpus, "sigmoid", below).coverage == 0.0
    assert by_hand(corpus, "sigmoid", below[1:]).coverage == 1.0


def test_how_a_question_is_asked_is_not_what_it_is_about(corpus: Corpus) -> None:
    plain = by_hand(corpus, "sigmoid", ["It has a sigmoid."])
    polite = by_hand(corpus, "please explain what the best approach to a sigmoid is", ["It has a sigmoid."])
    assert polite == plain


def test_a_question_without_any_content_has_nothing_covered_and_nothing_unknown(corpus: Corpus) -> None:
    found = by_hand(corpus, "what is it?", ["It has a sigmoid."])
    assert (found.coverage, found.unknown_words) == (0.0, 0.0)


def test_words_and_names_that_the_notes_never_hold_are_seen(corpus: Corpus) -> None:
    found = by_hand(corpus, "zyzzyva sigmoid", ["sigmoid"])
    assert found.unknown_words == pytest.approx(0.5)
    assert found.unknown_names == 0.0
    assert by_hand(corpus, "Is XGBoost sigmoid?", ["sigmoid"]).unknown_names == 1.0
    assert by_hand(corpus, "Is NDCG sigmoid?", ["sigmoid"]).unknown_names == 0.0, "the notes speak of NDCG"


# --- the decision ----------------------------------------------------------------------------------------------------


def test_the_probability_is_the_logistic_of_the_weighted_signals() -> None:
    weights = Logistic((1.0, 2.0, 3.0, -4.0, -5.0), -1.0, 0.5)
    _, probability = answerable(Signals(0.5, 0.25, 1.0, 0.5, 0.0), weights)
    assert probability == pytest.approx(1 / (1 + 2.718281828459045 ** -(-1 + 0.5 + 0.5 + 3 - 2)))


def test_the_threshold_itself_is_a_yes() -> None:
    even = Signals(0.0, 0.0, 0.0, 0.0, 0.0)
    assert answerable(even, Logistic((0.0,) * 5, 0.0, 0.5)) == (True, 0.5)
    assert answerable(even, Logistic((0.0,) * 5, 0.0, 0.51)) == (False, 0.5)


def test_extreme_sums_do_not_overflow() -> None:
    assert Logistic((1e300,), 0.0, 0.5).probability([1e5]) == pytest.approx(1.0)
    assert Logistic((-1e300,), 0.0, 0.5).probability([1e5]) == pytest.approx(0.0, abs=1e-20)


def test_as_many_signals_as_weights() -> None:
    with pytest.raises(ValueError, match=r"shorter|longer"):
        Logistic((1.0, 2.0), 0.0, 0.5).probability([1.0])


def test_the_fitted_weights_answer_good_questions_and_refuse_foreign_ones() -> None:
    yes, high = answerable(GOOD)
    no, low = answerable(FOREIGN)
    assert yes
    assert not no
    assert high > 0.8
    assert low < 0.2


@given(st.floats(0, 1), st.floats(0, 1))
def test_nearer_passages_never_lower_the_probability(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert answerable(replace(GOOD, top_cosine=low))[1] <= answerable(replace(GOOD, top_cosine=high))[1]


@given(st.floats(0, 1), st.floats(0, 1))
def test_words_that_the_notes_lack_never_raise_it(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert answerable(replace(GOOD, unknown_words=high))[1] <= answerable(replace(GOOD, unknown_words=low))[1]


def test_the_stored_weights_stand_in_the_order_of_what_they_weigh() -> None:
    """They are read by position, so another order in the file would weigh the wrong thing."""
    stored = json.loads(calibration.PATH.read_text(encoding="utf-8"))
    assert list(stored["abstention"]["weights"]) == [f.name for f in fields(Signals)]
    assert list(stored["grounding"]["weights"]) == [f.name for f in fields(Features)]
    for decision in stored.values():
        assert 0 < decision["threshold"] < 1


# --- both together ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "question",
    ["What is calibration?", "What is the offline metric of visual search?", "How does Platt scaling fit a sigmoid?"],
)
def test_a_question_that_the_notes_answer_is_answered(corpus: Corpus, question: str) -> None:
    assert answerable(measured(corpus, question))[0], asdict(measured(corpus, question))


@pytest.mark.parametrize(
    "question", ["How do whales sleep?", "Give me a recipe for onion soup", "Who won the FIFA world cup in Qatar?"]
)
def test_a_foreign_question_is_refused(corpus: Corpus, question: str) -> None:
    assert not answerable(measured(corpus, question))[0], asdict(measured(corpus, question))
