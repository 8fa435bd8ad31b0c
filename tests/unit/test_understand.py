"""How a question is read: cleaned, mended, its topics found, and a follow-up made to stand alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sample_corpus import Corpus, is_word, open_corpus
from tutor.errors import BadQuestion
from tutor.types import Query
from tutor.understand import MAX_CHARS, clean, mend, named_topics, understand

DESIGN = "How would you design visual search?"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return open_corpus(tmp_path_factory.mktemp("understand"))


def after(corpus: Corpus, question: str, *history: str) -> Query:
    return understand(question, history, corpus.index, is_word)


# --- clean -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("question", ["", "   \n\t ", "???", "\x00\x07", "\u200b\ufeff", "—…!", "\ud800"])
def test_a_question_without_a_word_is_refused_with_an_example(question: str) -> None:
    with pytest.raises(BadQuestion) as caught:
        clean(question)
    assert "empty" in caught.value.message
    assert "tutor ask" in caught.value.hint


def test_a_question_of_100_000_characters_is_refused_and_says_the_limit() -> None:
    with pytest.raises(BadQuestion, match="100,000") as caught:
        clean("a" * 100_000)
    assert f"{MAX_CHARS:,}" in caught.value.message
    assert caught.value.hint


def test_the_longest_question_is_still_read() -> None:
    assert len(clean("word " * 799 + "words")) == MAX_CHARS


def test_surrounding_space_does_not_count_towards_the_limit() -> None:
    assert clean(" " * 50_000 + "What is recall?" + "\n" * 50_000) == "What is recall?"


def test_control_characters_become_spaces_and_lines_become_one() -> None:
    assert clean("What\x00is\x1b[31m\r\n  recall\u202e?\x7f") == "What is [31m recall ?"


def test_markup_is_text_and_stays() -> None:
    asked = "<script>alert(1)</script> **bold** [link](http://x) {{x}} $a_i$ <|im_end|>?"
    assert clean(asked) == asked


# --- mend ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("quantisaton awre training?", "quantization aware training?"),
        ("lambdamrt vs poitwise", "lambdamart vs pointwise"),
        ("What is the ofline metric?", "What is the offline metric?"),
        ("calibraton", "calibration"),
        ("CALIBRATON", "calibration"),
        ("Is (calibraton) good?", "Is (calibration) good?"),
    ],
)
def test_a_typo_becomes_the_nearest_word_of_the_notes(corpus: Corpus, typed: str, meant: str) -> None:
    assert mend(typed, corpus.index, is_word) == meant


def test_a_typo_never_becomes_a_stop_word(tmp_path: Path) -> None:
    index = open_corpus(tmp_path, {"concepts/are.md": "# Weights\n\nWeights are rounded when they are stored.\n"}).index
    assert mend("quantisaton awre training?", index, is_word) == "quantization aware training?"


@pytest.mark.parametrize(
    "text",
    [
        "How do whales cook an onion on the moon?",  # English, not in the notes, some near words that are
        "What is calibration and how is it calibrated?",  # in the notes, and another form of it
        "What should I make of their house?",
        "the cat sat",  # three letters are too few to judge
        "flurbendicious quixotry",  # near nothing
        "Platt, NDCG and 400 million",
    ],
)
def test_words_that_are_no_typos_are_never_touched(corpus: Corpus, text: str) -> None:
    assert mend(text, corpus.index, is_word) == text


def test_a_british_spelling_of_a_word_of_the_notes_is_not_a_typo(corpus: Corpus) -> None:
    assert mend("quantisation", corpus.index, is_word) == "quantisation"


@pytest.mark.parametrize("text", ["calibraton's", "x_calibraton", "calibraton9", "naïve", "2calibraton"])
def test_parts_of_names_and_codes_are_not_mended(corpus: Corpus, text: str) -> None:
    assert mend(text, corpus.index, is_word) == text


def test_a_mended_question_is_searched_and_the_words_typed_are_shown(corpus: Corpus) -> None:
    query = after(corpus, "quantisaton awre training?")
    assert query.question == query.standalone == "quantisaton awre training?"
    assert query.search_text == "quantization aware training?"
    assert [t.slug for t in query.topics] == ["quantization"]


# --- topics ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "slugs"),
    [
        ("How does Platt scaling work?", ["calibration"]),  # an alias
        ("platt-scaling", ["calibration"]),  # joined otherwise
        ("calibrations", ["calibration"]),  # another form
        ("miscalibration of species", []),  # inside other words
        ("evaluation in visual search", ["visual-search", "evaluation"]),  # the longest name first
        ("CTR prediction and ad click prediction", ["ad-click-prediction"]),  # once
        ("How do whales sleep?", []),
    ],
)
def test_topics_are_named_by_whole_words(corpus: Corpus, text: str, slugs: list[str]) -> None:
    assert [t.slug for t in named_topics(text, corpus.index)] == slugs


def test_a_name_inside_a_longer_name_does_not_count(tmp_path: Path) -> None:
    evaluation = {"concepts/offline.md": "---\nslug: offline\ntitle: Offline evaluation\n---\n\nWords about replay.\n"}
    index = open_corpus(tmp_path, evaluation).index
    assert [t.slug for t in named_topics("What is offline evaluation?", index)] == ["offline"]
    both = named_topics("Is offline evaluation a kind of evaluation?", index)
    assert both[0].slug == "offline"


def test_the_step_a_question_asks_about_is_found(corpus: Corpus) -> None:
    assert after(corpus, "Which metrics measure visual search?").step == "evaluation"
    assert after(corpus, "How is visual search deployed?").step == "deployment-serving"
    assert after(corpus, "What is visual search?").step is None


# --- follow-ups ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "wanted"),
    [
        ("and how would you evaluate it?", ["evaluate", "visual search"]),
        ("How is it served?", ["served", "visual search"]),
        ("what about calibration?", ["calibration", "visual search"]),
        ("And the latency?", ["latency", "visual search"]),
        ("why?", ["why", "visual search"]),
        ("go on", ["visual search"]),
    ],
)
def test_a_follow_up_takes_its_case_from_the_turn_before(corpus: Corpus, question: str, wanted: list[str]) -> None:
    query = after(corpus, question, DESIGN)
    assert all(part in query.standalone.lower() for part in wanted), query.standalone
    assert query.question == clean(question)
    assert "visual-search" in [t.slug for t in query.topics]


def test_a_pronoun_is_replaced_not_left_beside_its_name(corpus: Corpus) -> None:
    standalone = after(corpus, "and how would you evaluate it?", DESIGN).standalone
    assert " it" not in standalone
    assert not standalone.lower().startswith("and")


def test_a_follow_up_leans_on_the_last_case_named_not_the_first(corpus: Corpus) -> None:
    query = after(corpus, "How is it evaluated?", "How do I design ad click prediction?", DESIGN)
    assert [t.slug for t in query.topics if t.kind == "case-study"] == ["visual-search"]


def test_a_follow_up_reaches_past_a_turn_that_names_nothing(corpus: Corpus) -> None:
    query = after(corpus, "And how is it served?", DESIGN, "why?")
    assert "visual-search" in [t.slug for t in query.topics]


def test_why_asks_the_question_before_further(corpus: Corpus) -> None:
    standalone = after(corpus, "why?", "What is calibration?").standalone
    assert standalone.startswith("What is calibration?")
    assert standalone.endswith("why?")


@pytest.mark.parametrize(
    "question",
    [
        "What is Platt scaling?",
        "How does quantization-aware training change the weights of a model?",
        "Why does calibration matter for bids?",
        "How do I choose a learning rate that a large model in production can bear over time?",
    ],
)
def test_a_question_that_says_what_it_is_about_stays_as_it_is(corpus: Corpus, question: str) -> None:
    assert after(corpus, question, DESIGN).standalone == question


def test_a_question_that_may_or_may_not_lean_keeps_its_words_and_brings_the_turn_before(corpus: Corpus) -> None:
    question = "Which shards answer online queries over the memory limit?"
    query = after(corpus, question, DESIGN)
    assert query.standalone == question
    assert query.context.startswith(DESIGN)
    assert query.context.endswith(question)


def test_a_first_question_leans_on_nothing(corpus: Corpus) -> None:
    query = after(corpus, "and how would you evaluate it?")
    assert query.standalone == "and how would you evaluate it?"
    assert query.context == ""


@pytest.mark.parametrize("turn", ["", "  ", "???", "\x00"])
def test_an_empty_turn_before_is_passed_over(corpus: Corpus, turn: str) -> None:
    assert "visual search" in after(corpus, "How is it served?", DESIGN, turn).standalone.lower()


def test_a_follow_up_takes_its_concept_from_the_turn_before(corpus: Corpus) -> None:
    standalone = after(corpus, "and how would you evaluate it?", "What is calibration?").standalone
    assert "calibration" in standalone.lower()


def test_what_about_another_case_leaves_the_case_before_behind(corpus: Corpus) -> None:
    query = after(corpus, "What about ad click prediction?", DESIGN)
    assert [t.slug for t in query.topics if t.kind == "case-study"] == ["ad-click-prediction"]


def test_an_earlier_turn_that_was_too_long_does_not_spoil_the_question_now(corpus: Corpus) -> None:
    assert after(corpus, "What is calibration?", "a" * 100_000).standalone == "What is calibration?"


@given(
    question=st.text(min_size=0, max_size=200),
    history=st.lists(st.one_of(st.text(max_size=80), st.sampled_from([DESIGN, "What is calibration?"])), max_size=3),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_either_refused_or_understood(corpus: Corpus, question: str, history: list[str]) -> None:
    try:
        query = after(corpus, question, *history)
    except BadQuestion:
        with pytest.raises(BadQuestion):
            clean(question)
        return
    assert query.question == clean(question)
    assert query.standalone.strip()
    assert query.search_text.strip()
    assert after(corpus, question, *history) == query
