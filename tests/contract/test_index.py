"""What every index and its store do alike: in memory, in an embedded Chroma, and on a Chroma server on the loopback."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.indexed import CHUNKS, NOTES, VECTORS
from tests.hash_kit import as_kept, vector, vectors_of
from tutor.adapters.index_chroma import ChromaStore
from tutor.adapters.index_memory import MemoryStore
from tutor.errors import IndexMismatch
from tutor.ports import Index, IndexStore
from tutor.types import STEPS, Filter, Topic

# --- the stores ------------------------------------------------------------------------------------------------------


STORES = ["memory", "embedded", "server"]
MakeStore = Callable[[], IndexStore]


@pytest.fixture(scope="module", params=STORES)
def make_store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> MakeStore:
    """A function that makes an empty store."""

    def make() -> IndexStore:
        if request.param == "memory":
            return MemoryStore()
        folder = tmp_path_factory.mktemp("index")
        url = request.getfixturevalue("server").url if request.param == "server" else ""
        return ChromaStore(folder, url)

    return make


@pytest.fixture(scope="module")
def filled(make_store: MakeStore) -> tuple[IndexStore, str]:
    """A store that holds the notes, and the name of their generation; tests only read it."""
    store, name = make_store(), f"gen-filled-{os.urandom(3).hex()}"
    store.write(name, CHUNKS, VECTORS)
    return store, name


@pytest.fixture(scope="module")
def index(filled: tuple[IndexStore, str]) -> Index:
    store, name = filled
    return store.open(name)


# --- dense -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("question", ["offline metric of visual search", "platt scaling", "shards", "", "unheard"])
def test_dense_gives_all_chunks_by_falling_cosine(index: Index, question: str) -> None:
    hits = index.dense(vector(question), len(CHUNKS), Filter())
    assert sorted(i for i, _ in hits) == sorted(c.id for c in CHUNKS)
    assert all(one >= other - 1e-6 for (_, one), (_, other) in pairwise(hits))
    exact = dict(zip([c.id for c in CHUNKS], VECTORS @ vector(question), strict=True))
    assert dict(hits) == pytest.approx(exact, abs=1e-5)


def test_dense_finds_each_chunk_by_its_own_vector_with_cosine_one(index: Index) -> None:
    for chunk, own in zip(CHUNKS, VECTORS, strict=True):
        ((best, score),) = index.dense(own, 1, Filter())
        assert best == chunk.id
        assert 1 - 1e-5 < score <= 1


def test_dense_reaches_down_to_minus_one(index: Index) -> None:
    against = [-x for x in VECTORS[0]]
    hits = dict(index.dense(against, len(CHUNKS), Filter()))
    assert -1 <= hits[CHUNKS[0].id] < -1 + 1e-5


@pytest.mark.parametrize("k", [0, 1, 3, 1000])
def test_dense_and_lexical_give_at_most_k(index: Index, k: int) -> None:
    assert len(index.dense(vector("metric"), k, Filter())) == min(k, len(CHUNKS))
    matching = sum("metric" in c.text for c in CHUNKS)
    assert len(index.lexical("metric", k, Filter())) == min(k, matching)


@pytest.mark.parametrize("as_type", [list, tuple, np.asarray, lambda v: np.asarray(v, dtype=np.float64)])
def test_dense_takes_any_sequence_of_numbers(index: Index, as_type: Callable[[list[float]], list[float]]) -> None:
    ((best, _),) = index.dense(as_type(vector("platt scaling repairs")), 1, Filter())
    assert index.get([best])[0].heading == "Repair"


# --- filters ---------------------------------------------------------------------------------------------------------

FILTERS = [
    Filter(),
    Filter(case="visual-search"),
    Filter(case="ads"),
    Filter(case="calibration"),  # a note, and no case
    Filter(step="evaluation"),
    Filter(step="model-development"),
    Filter(step="monitoring-infrastructure"),
    Filter(step="no-such-step"),
    Filter(note="mine/visual-search"),
    Filter(note="concepts/calibration"),
    Filter(note="concepts/nowhere"),
    Filter(case="visual-search", step="evaluation"),
    Filter(case="ads", step="deployment-serving"),
    Filter(case="visual-search", note="case-studies/visual-search"),
    Filter(case="visual-search", note="mine/visual-search"),
    Filter(note="concepts/calibration", step="model-development"),
    Filter(case="visual-search", note="case-studies/visual-search", step="deployment-serving"),
    Filter(case="", step="", note=""),
]


@pytest.mark.parametrize("where", FILTERS, ids=lambda f: "-".join(filter(None, (f.case, f.step, f.note))) or "none")
def test_a_filter_admits_the_same_chunks_to_both_rankings(index: Index, where: Filter) -> None:
    admitted = {c.id for c in CHUNKS if where.admits(c)}
    assert {i for i, _ in index.dense(vector("metric of visual search"), 100, where)} == admitted
    everything = " ".join(c.text for c in CHUNKS)
    assert {i for i, _ in index.lexical(everything, 100, where)} == admitted


def test_a_filtered_ranking_is_the_ranking_without_the_others(index: Index) -> None:
    where = Filter(step="evaluation")
    question = "metric of calibration and recall"
    admitted = {c.id for c in CHUNKS if where.admits(c)}
    for ranked, some in (
        (index.dense(vector(question), 100, Filter()), index.dense(vector(question), 100, where)),
        (index.lexical(question, 100, Filter()), index.lexical(question, 100, where)),
    ):
        assert [i for i, _ in some] == [i for i, _ in ranked if i in admitted]
        assert dict(some) == pytest.approx({i: s for i, s in ranked if i in admitted}, abs=1e-6)


# --- lexical ---------------------------------------------------------------------------------------------------------


def test_lexical_ranks_by_rare_words_and_titles(index: Index) -> None:
    def best(text: str) -> tuple[str, str]:
        chunk = index.get([index.lexical(text, 1, Filter())[0][0]])[0]
        return chunk.note, chunk.heading

    assert best("how many shards") == ("case-studies/visual-search", "Serving architecture")
    assert best("normalized entropy") == ("case-studies/ads", "Evaluation")
    assert best("calibration definition") == ("concepts/calibration", "Definition")
    assert best("ece")[0] == "concepts/calibration"


def test_lexical_scores_are_positive_and_falling(index: Index) -> None:
    hits = index.lexical("the metric of visual search", 100, Filter())
    assert hits
    assert all(score > 0 for _, score in hits)
    assert [s for _, s in hits] == sorted((s for _, s in hits), reverse=True)


@pytest.mark.parametrize("text", ["", "the of and", "unheard-of utterances", "¡!", "规律"])
def test_lexical_finds_nothing_for_words_it_does_not_hold(index: Index, text: str) -> None:
    assert index.lexical(text, 10, Filter()) == []


# --- looking up ------------------------------------------------------------------------------------------------------


def test_chunks_come_back_whole_and_in_the_order_of_the_notes(index: Index) -> None:
    assert [as_kept(c) for c in index.chunks()] == [as_kept(c) for c in CHUNKS]
    assert [(c.note, c.start) for c in index.chunks()] == sorted((c.note, c.start) for c in CHUNKS)


def test_get_keeps_the_order_asked_for(index: Index) -> None:
    ids = [c.id for c in reversed(CHUNKS)]
    assert [c.id for c in index.get(ids)] == ids
    assert [c.id for c in index.get([ids[2], ids[0], ids[2]])] == [ids[2], ids[0], ids[2]]
    assert index.get([]) == []


def test_get_of_an_unknown_id_is_a_key_error(index: Index) -> None:
    with pytest.raises(KeyError):
        index.get([CHUNKS[0].id, "nowhere"])


def test_topics_are_the_notes_with_all_their_names(index: Index) -> None:
    topics = dict(index.topics())
    assert len(topics) == len(NOTES)
    assert topics[Topic("case-studies/visual-search", "visual-search", "Visual search", "case-study")] == (
        "visual search",
        "image search",
    )
    calibration = Topic("concepts/calibration", "calibration", "Calibration", "concept")
    assert topics[calibration] == ("calibration", "platt scaling", "ece")


def test_vocabulary_holds_the_surface_words(index: Index) -> None:
    words = set(index.vocabulary())
    assert {"recall", "shards", "embeds", "normalised", "calibration", "ece", "16"} <= words
    assert all(word == word.lower() for word in words)
    assert "nowhere" not in words


def test_idf_is_high_for_rare_words_and_highest_for_unknown_ones(index: Index) -> None:
    assert index.idf("unheard") > index.idf("shards") > index.idf("metric") > 0
    assert index.idf("normalized") == index.idf("normalised")


# --- the store -------------------------------------------------------------------------------------------------------


def test_vectors_come_back_as_they_were_written(filled: tuple[IndexStore, str]) -> None:
    store, name = filled
    order = [3, 0, 2, 1, 3]
    found = store.vectors(name, [CHUNKS[i].id for i in order])
    assert (str(found.dtype), found.shape) == ("float32", (5, VECTORS.shape[1]))
    assert np.allclose(found, VECTORS[order], atol=1e-6)
    with pytest.raises(KeyError):
        store.vectors(name, [CHUNKS[0].id, "nowhere"])


def test_a_generation_that_is_not_there_is_a_mismatch_that_names_the_fix(make_store: MakeStore) -> None:
    store = make_store()
    for call in (lambda: store.open("gen-none"), lambda: store.vectors("gen-none", ["x"])):
        with pytest.raises(IndexMismatch) as caught:
            call()
        assert "tutor ingest --full" in caught.value.hint


def test_an_empty_generation_finds_nothing(make_store: MakeStore) -> None:
    store = make_store()
    name = f"gen-empty-{os.urandom(3).hex()}"
    store.write(name, [], vectors_of([]))
    opened = store.open(name)
    assert opened.dense(vector("metric"), 5, Filter()) == []
    assert opened.lexical("metric", 5, Filter()) == []
    assert (list(opened.chunks()), list(opened.topics()), list(opened.vocabulary())) == ([], [], [])


def test_prune_keeps_what_it_is_told_and_removes_the_rest(make_store: MakeStore) -> None:
    store = make_store()
    names = [f"gen-{n}-{os.urandom(3).hex()}" for n in range(4)]
    for name in names:
        store.write(name, CHUNKS[:2], VECTORS[:2])
    in_hand = store.open(names[1])
    store.prune([names[1], names[3], "gen-unknown"])
    for name in (names[0], names[2]):
        with pytest.raises(IndexMismatch):
            store.open(name)
    for name in (names[1], names[3]):
        assert [c.id for c in store.open(name).chunks()] == [c.id for c in CHUNKS[:2]]
    assert len(in_hand.dense(vector("metric"), 5, Filter())) == 2
    store.prune([])
    store.prune([])
    with pytest.raises(IndexMismatch):
        store.open(names[1])


def test_generations_do_not_see_each_other(make_store: MakeStore) -> None:
    store = make_store()
    one, other = (f"gen-{n}-{os.urandom(3).hex()}" for n in "ab")
    store.write(one, CHUNKS[:3], VECTORS[:3])
    store.write(other, CHUNKS[3:], VECTORS[3:])
    first, second = store.open(one), store.open(other)
    assert {i for i, _ in first.dense(vector("metric"), 100, Filter())} == {c.id for c in CHUNKS[:3]}
    assert {i for i, _ in second.dense(vector("metric"), 100, Filter())} == {c.id for c in CHUNKS[3:]}
    assert (first.generation, second.generation) == (one, other)


def test_more_chunks_than_one_batch_are_all_there(make_store: MakeStore) -> None:
    """Past 1,000 Chroma turns from a plain search to a graph, which is read from other files."""
    many = [
        replace(CHUNKS[0], id=f"id{n}", note=f"notes/{n // 10}", text=f"Words of number{n}.", embed_text=f"number{n}")
        for n in range(2300)
    ]
    rows = np.random.default_rng(0).normal(size=(len(many), 16)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    store, name = make_store(), f"gen-many-{os.urandom(3).hex()}"
    store.write(name, many, rows)
    opened = store.open(name)
    assert [c.id for c in opened.chunks()] == [c.id for c in many]
    for at in (0, 999, 1000, 2299):
        assert opened.dense(rows[at], 1, Filter())[0][0] == f"id{at}"
        assert opened.dense(rows[at], 1, Filter(note=f"notes/{at // 10}"))[0][0] == f"id{at}"
        assert opened.lexical(f"number{at}", 1, Filter())[0][0] == f"id{at}"
    exact = set(np.argsort(-(rows @ rows[7]))[:50])
    near = {int(i.removeprefix("id")) for i, _ in opened.dense(rows[7], 50, Filter())}
    assert len(exact & near) >= 45  # the graph is approximate
    assert np.allclose(store.vectors(name, [c.id for c in many]), rows, atol=1e-6)
    store.prune([])


def test_an_index_may_be_read_from_several_threads(index: Index) -> None:
    expected = index.dense(vector("metric"), 5, Filter()), index.lexical("metric", 5, Filter())
    results: list[object] = []

    def read() -> None:
        results.extend(
            (index.dense(vector("metric"), 5, Filter()), index.lexical("metric", 5, Filter())) for _ in range(20)
        )

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 80


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=60), k=st.integers(1, 10), step=st.sampled_from([None, *STEPS]))
def test_any_question_has_an_answer_from_both_rankings(index: Index, text: str, k: int, step: str | None) -> None:
    where = Filter(step=step)
    for hits in (index.dense(vector(text), k, where), index.lexical(text, k, where)):
        assert len(hits) <= k
        assert all(where.admits(chunk) for chunk in index.get([i for i, _ in hits]))
