"""Words, stems and BM25: what the lexical side of the index calls the same word, and what it ranks first."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tutor import lexical
from tutor.lexical import stem, stems, words


@pytest.mark.parametrize(
    "pair",
    """analyse/analyze analysing/analyzing artefact/artifact behaviour/behavior behavioural/behavioral catalogue/catalog
    centred/centered centre/center colour/color defence/defense dialled/dialed favourable/favorable fibre/fiber
    fuelled/fueled generalisation/generalization generalisability/generalizability grey/gray labelled/labeled
    labelling/labeling licence/license metres/meters modelling/modeling neighbour/neighbor neighbourhood/neighborhood
    normalised/normalized optimise/optimize optimiser/optimizer organisational/organizational programme/program
    quantisation/quantization signalling/signaling tokenisers/tokenizers travelled/traveled""".split(),
)
def test_british_and_american_spellings_have_one_stem(pair: str) -> None:
    british, american = pair.split("/")
    assert stem(british) == stem(american)


@pytest.mark.parametrize("word", "call roll scroll install pull fill poll label model train rank cache query".split())
def test_the_forms_of_a_word_have_one_stem(word: str) -> None:
    base = word.removesuffix("e")
    forms = [word, f"{word}s" if not word.endswith("y") else "queries", f"{base}ing" if word != "query" else "querying"]
    assert {stem(form) for form in forms} == {stem(word)}


@pytest.mark.parametrize(
    ("one", "other"),
    [("rolling", "role"), ("filled", "file"), ("polling", "pole"), ("hour", "hor"), ("four", "for"), ("wise", "wize")],
)
def test_different_words_keep_different_stems(one: str, other: str) -> None:
    assert stem(one) != stem(other)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Two-tower models", ["two", "tower", "twotower", "models"]),
        ("an A/B test", ["an", "a", "b", "ab", "test"]),
        ("C++ and C", ["c++", "and", "c"]),
        ("recall@10", ["recall", "10", "recall10"]),
        ("version 1.2.3 of 0.95", ["version", "1.2.3", "of", "0.95"]),
        ("the model's, the models’", ["the", "model", "the", "models"]),
        ("don’t", ["don", "t", "dont"]),
        ("snake_case_name", ["snake", "case", "name"]),
        ("naïve 规律 Ωmega", ["naïve", "规律", "ωmega"]),
        ("-- ... (!) ''", []),
        ("", []),
    ],
)
def test_words_are_lower_cased_and_compounds_give_their_parts(text: str, found: list[str]) -> None:
    assert words(text) == found


def test_stop_words_have_no_stem() -> None:
    assert stems("How would you evaluate the ranking of ads?") == [stem("evaluate"), stem("ranking"), stem("ads")]


def test_a_compound_is_found_by_any_spelling() -> None:
    lexicon = lexical.build(["A two-tower model embeds both sides.", "A decision tree splits the data."])
    for query in ("two-tower", "two tower", "twotower", "Two‑tower tower"):
        assert lexicon.scores(query)[0] > 0, query
        assert lexicon.scores(query)[1] == 0, query


def test_rare_words_weigh_more_and_long_texts_less() -> None:
    lexicon = lexical.build(
        [
            "calibration of a model",
            "training of a model",
            "serving of a model",
            "calibration of a model " + "with many other words about nothing much at length " * 5,
        ]
    )
    scores = lexicon.scores("calibration")
    assert scores[0] > scores[3] > 0
    assert scores[1] == scores[2] == 0
    assert lexicon.scores("calibration model").argmax() == 0
    assert lexicon.scores("calibrated models").argmax() == 0


def test_bm25_is_robertsons() -> None:
    """The score of one word in one text, computed by hand."""
    texts = ["recall recall precision", "precision metric", "metric loss label split"]
    lexicon = lexical.build(texts)
    lengths, tf, df = [3, 2, 4], 2, 1
    idf = math.log(1 + (3 - df + 0.5) / (df + 0.5))
    norm = lexical.K1 * (1 - lexical.B + lexical.B * lengths[0] / (sum(lengths) / 3))
    expected = [idf * tf / (tf + norm), idf * tf * (lexical.K1 + 1) / (tf + norm)]  # the two usual forms
    assert any(lexicon.scores("recall")[0] == pytest.approx(e, rel=1e-5) for e in expected)
    assert lexicon.idf("recall") == pytest.approx(idf)


def test_idf_is_highest_for_a_word_never_seen() -> None:
    lexicon = lexical.build(["recall and metric", "precision and metric"])
    assert lexicon.idf("unheard") > lexicon.idf("recall") > lexicon.idf("metric") > 0
    assert lexicon.idf("metrics") == lexicon.idf("metric")


@pytest.mark.parametrize("query", ["", "the of and", "unheard words", "!?"])
def test_a_question_without_known_words_scores_nothing(query: str) -> None:
    assert lexical.build(["recall", "precision"]).scores(query).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("texts", [[], [""], ["the of and", ""]])
def test_texts_without_content_words_make_an_empty_lexicon(texts: list[str], tmp_path: Path) -> None:
    lexical.save(lexical.build(texts), tmp_path / "bm25")
    for lexicon in (lexical.build(texts), lexical.load(tmp_path / "bm25")):
        assert lexicon.scores("recall").tolist() == [0.0] * len(texts)
        assert lexicon.idf("recall") > 0


def test_a_lexicon_read_back_is_the_one_that_was_written(tmp_path: Path) -> None:
    lexicon = lexical.build(["Recall of naïve models", "规律 and two-tower models", "", "the of"])
    lexical.save(lexicon, tmp_path / "bm25")
    again = lexical.load(tmp_path / "bm25")
    assert (again.size, again.df, again.surface) == (lexicon.size, lexicon.df, lexicon.surface)
    for query in ("recall", "models", "two-tower", "规律", "naïve", "nothing"):
        assert again.scores(query).tolist() == lexicon.scores(query).tolist()


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text(max_size=40), max_size=6), st.text(max_size=60))
def test_any_texts_and_any_question_score(texts: list[str], query: str) -> None:
    scores = lexical.build(texts).scores(query)
    assert scores.shape == (len(texts),)
    assert (scores >= 0).all()
    for text, score in zip(texts, scores, strict=True):
        assert (score > 0) == bool(set(stems(text)) & set(stems(query)))
