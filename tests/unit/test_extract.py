"""Which sentences of the notes may be quoted, which are chosen, and in what order they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sample_corpus import Corpus, chunk, is_word, open_corpus
from tutor.extract import MAX_SENTENCES, MAX_WORDS, PASSAGES, candidates, ordered, select
from tutor.retrieve import retrieve
from tutor.types import Evidence, Filter, Passage
from tutor.understand import understand

QUESTIONS = (
    "What is calibration?",
    "How would you evaluate visual search?",
    "How is visual search served?",
    "What is the offline metric of ad click prediction?",
    "pointwise or pairwise loss?",
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return open_corpus(tmp_path_factory.mktemp("extract"))


def found(corpus: Corpus, question: str) -> tuple[Passage, ...]:
    query = understand(question, (), corpus.index, is_word)
    return retrieve(query, corpus.index, corpus.embedder, 10, Filter()).passages


def chosen(corpus: Corpus, question: str, most: int = MAX_SENTENCES, max_words: int = MAX_WORDS) -> list[Evidence]:
    query = understand(question, (), corpus.index, is_word)
    return select(query, found(corpus, question), corpus.index, corpus.embedder, most, max_words)


def quotable(text: str) -> list[str]:
    return [e.plain for e in candidates([Passage(1, chunk("c", text), 1.0)])]


# --- what may be quoted ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "Which offline metric would you choose here?",  # a question
        "The table above lists the latency of each part.",  # a pointer to what is not shown
        "The diagram below shows how the requests flow.",
        "The main failure modes are the following ones:",  # a lead-in
        "Label: value.",  # a lone label
        "Too short.",
        "## A heading of more than five words",
        "| a table | with cells | of words |\n|---|---|---|\n| one more | row of | this table |",
        "```\na block of code with more than five words\n```",
        "$$\nx = a + b + c + d + e + f\n$$",
        "One " + "very " * 60 + "long sentence.",
        "",
    ],
)
def test_what_makes_no_sense_by_itself_is_not_quotable(text: str) -> None:
    assert quotable(text) == []


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Platt scaling **fits** a [sigmoid](http://x) on `held-out` data.", "fits a sigmoid on held-out data."),
        ("- Isotonic regression fits a step function.", "Isotonic regression fits a step function."),
        ("3. Isotonic regression fits a step function.", "Isotonic regression fits a step function."),
        ("> Isotonic regression fits a step function.", "Isotonic regression fits a step function."),
        ("It holds e.g. 400 items, i.e. all of them.", "It holds e.g. 400 items, i.e. all of them."),
    ],
)
def test_a_sentence_is_quoted_as_a_reader_sees_it(text: str, plain: str) -> None:
    (only,) = quotable(text)
    assert only.endswith(plain)
    assert not re.search(r"[*`\[\]]|^[->]", only)


def test_a_sentence_that_stands_in_two_passages_is_offered_once() -> None:
    text = "Platt scaling fits a sigmoid on held-out data."
    twice = [Passage(1, chunk("a", text), 1.0), Passage(2, chunk("b", text, note="concepts/y"), 0.5)]
    assert [e.chunk_id for e in candidates(twice)] == ["a"]


def test_offsets_are_those_of_the_note(corpus: Corpus) -> None:
    for question in QUESTIONS:
        for evidence in candidates(found(corpus, question)):
            text = Path(evidence.path).read_text(encoding="utf-8")
            assert text[evidence.start : evidence.end] == evidence.quote
            assert evidence.quote.strip() == evidence.quote


_WORDS = st.lists(st.sampled_from("Recall rises as *the* `k` grows, (see it) e.g. by 0.5 – naïve".split()), max_size=14)
_SENTENCE = st.builds(lambda words, end: " ".join(words) + end, _WORDS, st.sampled_from([".", "?", "!", ":", ""]))
_BLOCK = st.builds(
    lambda mark, body, gap: mark + gap.join(body),
    st.sampled_from(["", "- ", "1. ", "> ", "# ", "    ", "| "]),
    st.lists(_SENTENCE, min_size=1, max_size=4),
    st.sampled_from([" ", "\n"]),
)


@given(st.lists(_BLOCK, max_size=6).map("\n\n".join))
@settings(max_examples=150, deadline=None)
def test_any_passage_gives_sentences_of_its_own_in_order(text: str) -> None:
    start = 0
    for evidence in candidates([Passage(1, chunk("c", text), 1.0)]):
        assert text[evidence.start : evidence.end] == evidence.quote
        assert evidence.start >= start, "in order, without overlap"
        assert evidence.plain
        assert not evidence.plain.endswith("?")
        start = evidence.end


# --- what is chosen --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "must"),
    [
        ("What is calibration?", "Calibration is the agreement between predicted probabilities"),
        ("How would you evaluate visual search?", "Recall@k against judged image pairs is the offline metric"),
        ("How is visual search served?", "kept in memory on 16 shards"),
        ("What is the offline metric of ad click prediction?", "Normalised cross-entropy is the offline metric"),
        ("pointwise or pairwise loss?", "A pointwise loss scores each document alone"),
    ],
)
def test_the_sentence_that_answers_is_chosen(corpus: Corpus, question: str, must: str) -> None:
    assert any(must in e.plain for e in chosen(corpus, question)), [e.plain for e in chosen(corpus, question)]


@pytest.mark.parametrize("question", QUESTIONS)
def test_nothing_is_said_twice_and_the_length_is_bounded(corpus: Corpus, question: str) -> None:
    evidence = chosen(corpus, question)
    assert 1 <= len(evidence) <= MAX_SENTENCES
    assert len({(e.path, e.start) for e in evidence}) == len(evidence)
    assert sum(len(e.plain.split()) for e in evidence) <= MAX_WORDS
    assert all(e.passage_rank <= PASSAGES for e in evidence)


def test_the_same_words_in_two_notes_are_chosen_once(tmp_path: Path) -> None:
    body = "Zeta pooling averages the vectors of {} before the index is built at night."
    extra = {f"concepts/z{n}.md": f"# Zeta {n}\n\n{body.format(word)}\n" for n, word in enumerate(["users", "users,"])}
    corpus = open_corpus(tmp_path, extra)
    said = [e.plain for e in chosen(corpus, "What does zeta pooling average?") if "Zeta pooling" in e.plain]
    assert len(said) == 1


def test_a_sentence_that_leans_on_the_one_before_is_not_chosen_without_need(corpus: Corpus) -> None:
    said = [e.plain for question in QUESTIONS for e in chosen(corpus, question)]
    assert not [s for s in said if s.startswith(("It ", "This "))]


def test_fewer_sentences_and_words_on_request(corpus: Corpus) -> None:
    whole = chosen(corpus, "What is calibration?")
    assert chosen(corpus, "What is calibration?", most=1) == whole[:1]
    short = chosen(corpus, "What is calibration?", max_words=15)
    assert short[0] == whole[0], "the best sentence stands even when it alone is longer"
    assert sum(len(e.plain.split()) for e in short) <= max(15, len(whole[0].plain.split()))


def test_the_best_comes_first_and_always_the_same(corpus: Corpus) -> None:
    evidence = chosen(corpus, "What is calibration?")
    assert evidence[0].score == max(e.score for e in evidence)
    assert evidence == chosen(corpus, "What is calibration?")


def test_passages_without_a_quotable_sentence_give_nothing(corpus: Corpus) -> None:
    query = understand("What is it good for?", (), corpus.index, is_word)
    only_table = Passage(1, chunk("c", "| a | b |\n|---|---|\n| 1 | 2 |"), 1.0)
    assert select(query, [only_table], corpus.index, corpus.embedder) == []
    assert select(query, [], corpus.index, corpus.embedder) == []


# --- the order -------------------------------------------------------------------------------------------------------


def at(note: str, start: int) -> Evidence:
    return Evidence(1, "c", note, "H", f"/{note}.md", start, start + 5, "words", "words")


def test_paragraphs_follow_the_best_sentences_and_sentences_the_note() -> None:
    paragraphs = ordered([at("b", 50), at("a", 90), at("b", 10), at("a", 20), at("c", 0)])
    assert [[(e.note, e.start) for e in p] for p in paragraphs] == [
        [("b", 10), ("b", 50)],
        [("a", 20), ("a", 90)],
        [("c", 0)],
    ]
    assert ordered([]) == []
