"""Ranking: fusion by reciprocal rank, names that count, filters that hold."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.embeddings import Embeddings

from tests.sample_corpus import Corpus, chunk, is_word, open_corpus
from tutor.adapters.index_memory import MemoryStore
from tutor.retrieve import DEPTH, RRF_K, fuse, nearest_topics, retrieve
from tutor.types import Filter, Passage, Query, Retrieval
from tutor.understand import understand


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return open_corpus(tmp_path_factory.mktemp("retrieve"))


def search(corpus: Corpus, question: str, k: int = 10, where: Filter | None = None) -> Retrieval:
    query = understand(question, (), corpus.index, is_word)
    return retrieve(query, corpus.index, corpus.embedder, k, where or Filter())


def places(found: Retrieval) -> list[str]:
    return [f"{p.chunk.slug}#{p.chunk.heading}" for p in found.passages]


# --- fusion ----------------------------------------------------------------------------------------------------------


def test_fusion_adds_weighted_reciprocal_ranks() -> None:
    fused = fuse([(1.0, [("a", 0.9), ("b", 0.8)]), (0.5, [("b", 7.0), ("c", 6.0)])])
    assert [name for name, _ in fused] == ["b", "a", "c"]
    assert dict(fused) == pytest.approx({"a": 1 / 61, "b": 1 / 62 + 0.5 / 61, "c": 0.5 / 62})
    assert RRF_K == 60, "the constant of the published method"


def test_fusion_looks_at_ranks_and_never_at_scores() -> None:
    small = fuse([(1.0, [("a", 0.001), ("b", 0.0009)])])
    large = fuse([(1.0, [("a", 900.0), ("b", 1.0)])])
    assert small == large


def test_ties_keep_the_order_of_first_appearance() -> None:
    fused = fuse([(1.0, [("x", 1.0)]), (1.0, [("y", 1.0)]), (1.0, [("z", 1.0)])])
    assert [name for name, _ in fused] == ["x", "y", "z"]


def test_a_chunk_that_two_rankings_hold_beats_one_that_leads_a_single_one() -> None:
    fused = fuse([(1.0, [("a", 1.0), ("both", 1.0)]), (1.0, [("b", 1.0), ("both", 1.0)])], rrf_k=60)
    assert fused[0][0] == "both"


def test_no_rankings_give_nothing() -> None:
    assert fuse([]) == []
    assert fuse([(1.0, []), (0.5, [])]) == []


_RANKING = st.lists(st.sampled_from("abcdefgh"), unique=True).map(lambda names: [(n, 0.0) for n in names])


@given(st.lists(st.tuples(st.floats(0.1, 2.0), _RANKING), max_size=4))
def test_fusion_ranks_every_chunk_once_best_first(rankings: list[tuple[float, list[tuple[str, float]]]]) -> None:
    fused = fuse(rankings)
    assert sorted(name for name, _ in fused) == sorted({n for _, hits in rankings for n, _ in hits})
    scores = [score for _, score in fused]
    assert scores == sorted(scores, reverse=True)
    assert all(score <= sum(weight for weight, _ in rankings) / (RRF_K + 1) + 1e-12 for score in scores)


# --- the rankings ----------------------------------------------------------------------------------------------------


def test_passages_are_ranked_from_one_each_once_best_first(corpus: Corpus) -> None:
    passages = search(corpus, "Which offline metric follows the business goal?").passages
    assert [p.rank for p in passages] == list(range(1, len(passages) + 1))
    assert len({p.chunk.id for p in passages}) == len(passages)
    assert [p.score for p in passages] == sorted((p.score for p in passages), reverse=True)
    assert all(-1.0001 <= p.cosine <= 1.0001 for p in passages)


def test_cosines_are_those_of_the_nearest_chunks_highest_first(corpus: Corpus) -> None:
    found = search(corpus, "offline metric")
    assert list(found.cosines) == sorted(found.cosines, reverse=True)
    assert len(found.cosines) == min(DEPTH, len(corpus.index.chunks()))


def test_the_same_question_is_always_ranked_the_same(corpus: Corpus) -> None:
    assert search(corpus, "How fast is the search?") == search(corpus, "How fast is the search?")


def test_k_cuts_the_same_ranking_and_a_small_corpus_gives_what_it_has(corpus: Corpus) -> None:
    every = search(corpus, "metric", k=100)
    assert len(every.passages) == len(corpus.index.chunks())
    assert search(corpus, "metric", k=3).passages == every.passages[:3]


@pytest.mark.parametrize(
    ("question", "place"),
    [
        ("What is Platt scaling?", "calibration"),  # an alias
        ("QAT", "quantization"),
        ("quantisaton awre training?", "quantization"),
        ("lambdamrt vs poitwise", "ranking-losses"),
        ("How would you evaluate visual search?", "visual-search#Evaluation"),
        ("How is visual search served?", "visual-search#Serving architecture"),
        ("Which features carry ad click prediction?", "ad-click-prediction#Features"),
    ],
)
def test_a_question_finds_the_note_and_section_it_is_about(corpus: Corpus, question: str, place: str) -> None:
    assert places(search(corpus, question))[0].startswith(place)


def test_a_named_note_counts_even_when_its_words_do_not(corpus: Corpus) -> None:
    """ "Traffic", "halves" and "stopping" stand in another note; the name pulls its own note up."""
    query = Query("q", "q", "random halves of the traffic, stopping at the first good day")
    calibration = next(t for t, _ in corpus.index.topics() if t.slug == "calibration")
    without = retrieve(query, corpus.index, corpus.embedder, 20, Filter())
    named = retrieve(replace(query, topics=(calibration,)), corpus.index, corpus.embedder, 20, Filter())

    def best(found: Retrieval) -> int:
        return min(p.rank for p in found.passages if p.chunk.slug == "calibration")

    assert best(named) < best(without)


def test_the_turn_before_adds_a_ranking_of_its_own(corpus: Corpus) -> None:
    query = Query("q", "q", "which one is faster?")
    leaning = replace(query, context="How does LambdaMART compare to pointwise? which one is faster?")
    before = [p.chunk.slug for p in retrieve(query, corpus.index, corpus.embedder, 20, Filter()).passages]
    after = [p.chunk.slug for p in retrieve(leaning, corpus.index, corpus.embedder, 20, Filter()).passages]
    assert after.index("ranking-losses") < before.index("ranking-losses")


# --- filters ---------------------------------------------------------------------------------------------------------


def test_a_case_filter_admits_that_case_alone(corpus: Corpus) -> None:
    found = search(corpus, "What is calibration?", where=Filter(case="visual-search"))
    assert {p.chunk.slug for p in found.passages} == {"visual-search"}


def test_a_step_filter_admits_only_what_speaks_of_the_step(corpus: Corpus) -> None:
    found = search(corpus, "offline metric", where=Filter(step="evaluation"))
    assert found.passages
    assert all("evaluation" in p.chunk.steps for p in found.passages)
    assert {"visual-search", "ad-click-prediction", "evaluation"} <= {p.chunk.slug for p in found.passages}


def test_case_and_step_narrow_together_to_one_section(corpus: Corpus) -> None:
    found = search(corpus, "What matters?", where=Filter(case="ad-click-prediction", step="evaluation"))
    assert set(places(found)) == {"ad-click-prediction#Evaluation"}


def test_naming_another_note_does_not_break_a_filter(corpus: Corpus) -> None:
    found = search(corpus, "Platt scaling or LambdaMART?", where=Filter(note="concepts/quantization"))
    assert {p.chunk.note for p in found.passages} == {"concepts/quantization"}


def test_a_filter_that_admits_nothing_finds_nothing(corpus: Corpus) -> None:
    found = search(corpus, "metric", where=Filter(note="concepts/none"))
    assert found == Retrieval((), ())


# --- depth -----------------------------------------------------------------------------------------------------------


class Flat(Embeddings):
    """Sees no difference between texts."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [[1.0, 0.0] for _ in texts]

    def embed_query(self, text: str) -> list[float]:
        return [1.0, 0.0]


def test_a_chunk_that_only_words_find_has_no_cosine() -> None:
    chunks = [chunk(f"c{at:03}", "Common words." if at != 90 else "A zyzzyva here.") for at in range(100)]
    store = MemoryStore()
    store.write("g", chunks, np.tile(np.asarray([1.0, 0.0], dtype=np.float32), (100, 1)))
    found = retrieve(Query("q", "q", "zyzzyva"), store.open("g"), Flat(), 70, Filter())
    lexical = next(p for p in found.passages if p.chunk.id == "c090")
    assert math.isnan(lexical.cosine)
    assert lexical.bm25 > 0
    dense = [p for p in found.passages if p.chunk.id != "c090"]
    assert all(p.bm25 == 0 and p.cosine == pytest.approx(1) for p in dense)


# --- nearest topics --------------------------------------------------------------------------------------------------


def test_nearest_topics_are_the_notes_of_the_best_passages_each_once() -> None:
    notes = ["concepts/a", "concepts/a", "concepts/b", "concepts/c", "concepts/d"]
    passages = [Passage(n, chunk(str(n), note=note), 1 / n) for n, note in enumerate(notes, start=1)]
    assert [t.note for t in nearest_topics(passages)] == ["concepts/a", "concepts/b", "concepts/c"]
    assert [t.slug for t in nearest_topics(passages, most=1)] == ["a"]
    assert nearest_topics([]) == ()
