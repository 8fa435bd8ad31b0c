"""What every index and its store do alike: in memory, in an embedded Chroma, and on a Chroma server on the loopback."""

from __future__ import annotations

import gc
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hash_kit import as_kept, chunks_of, note, vector, vectors_of
from tutor.adapters.index_chroma import PREFIX, ChromaStore
from tutor.adapters.index_memory import MemoryStore
from tutor.errors import IndexMismatch, IndexUnreachable, StorageError
from tutor.ports import Index, IndexStore
from tutor.settings import PROJECT_ROOT
from tutor.types import STEPS, Chunk, Filter, Topic

CASE = """# Visual search

Visual search embeds images.

## Evaluation

Recall@k on judged pairs is the offline metric.

## Serving architecture

The index is kept in memory on 16 shards.
"""
NOTES = [
    replace(note(CASE, "case-studies/visual-search", "case-study", "Visual search"), aliases=("image search",)),
    note("## Evaluation\n\nNormalised entropy is the metric.\n", "case-studies/ads", "case-study", "Ads"),
    note("Choose the metric first.\n", "framework/evaluation", "framework", "Evaluation"),
    note(
        "## Definition\n\nCalibration compares scores with frequencies.\n\n## Repair\n\nPlatt scaling repairs it.\n",
        "concepts/calibration",
        title="Calibration",
        steps=("evaluation", "model-development"),
        aliases=("Platt scaling", "ECE"),
    ),
    note("Words about ads, visual search and much else.\n", "mine/visual-search", "note", "My note"),
]
CHUNKS = chunks_of(NOTES)
VECTORS = vectors_of(CHUNKS)


def cosine(text: str, chunk: Chunk) -> float:
    return float(np.dot(vector(text), VECTORS[CHUNKS.index(chunk)]))


# --- the stores ------------------------------------------------------------------------------------------------------


@dataclass
class Server:
    """A running Chroma server."""

    url: str
    process: subprocess.Popen[bytes]


def start_server(folder: Path) -> Server:
    """Start `chroma run` on a free port; skips when it does not come up."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(sys.executable).parent / "chroma"
    if not program.exists():
        pytest.skip("the chroma command is not installed")
    command = [str(program), "run", "--path", str(folder), "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/api/v2/heartbeat", timeout=5).status_code == 200:
                return Server(url, process)
        except httpx.HTTPError:
            time.sleep(0.05)
    process.kill()
    process.wait()
    pytest.skip("a Chroma server did not start on the loopback")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start_server(tmp_path_factory.mktemp("server"))
    yield running
    running.process.terminate()
    running.process.wait(30)


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
    for chunk, (_, score) in zip(index.get([i for i, _ in hits]), hits, strict=True):
        assert score == pytest.approx(cosine(question, CHUNKS[[c.id for c in CHUNKS].index(chunk.id)]), abs=1e-5)


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


# --- Chroma on disk --------------------------------------------------------------------------------------------------


@pytest.fixture
def on_disk(tmp_path: Path) -> tuple[ChromaStore, Path]:
    """An embedded store with one generation, and that generation's folder."""
    store = ChromaStore(tmp_path)
    store.write("gen-1", CHUNKS, VECTORS)
    return store, tmp_path / "gen-1"


def use(store: ChromaStore) -> None:
    opened = store.open("gen-1")
    opened.dense(vector("metric"), 3, Filter())
    opened.lexical("metric", 3, Filter())


BOOK_FILES = [
    "chunks.jsonl",
    "bm25/words.json",
    "bm25/params.index.json",
    "bm25/vocab.index.json",
    "bm25/data.csc.index.npy",
    "bm25/indices.csc.index.npy",
    "bm25/indptr.csc.index.npy",
]


@pytest.mark.parametrize("name", [*BOOK_FILES, "chroma/chroma.sqlite3", "sizes.json"])
def test_a_file_that_is_gone_or_damaged_is_a_mismatch_that_names_the_fix(
    on_disk: tuple[ChromaStore, Path], name: str
) -> None:
    store, folder = on_disk
    whole = (folder / name).read_bytes()
    for at, content in enumerate((None, b"", whole[: len(whole) // 2], b"\xff" * 300, b"[" * 50_000, b"3")):
        elsewhere = folder.parent / str(at)
        damaged = shutil.copytree(folder, elsewhere / "gen-1") / name
        damaged.unlink()
        if content is not None:
            damaged.write_bytes(content)
        for _ in range(2):  # asked again, the answer is the same
            with pytest.raises(IndexMismatch) as caught:
                use(ChromaStore(elsewhere))
            assert "tutor ingest --full" in caught.value.hint
    use(store)


def test_a_book_of_fewer_chunks_than_vectors_is_a_mismatch(on_disk: tuple[ChromaStore, Path]) -> None:
    store, folder = on_disk
    shutil.rmtree(folder / "chroma")
    with pytest.raises(IndexMismatch, match="vectors are gone"):
        use(store)
    lines = (folder / "chunks.jsonl").read_text().splitlines(keepends=True)
    (folder / "chunks.jsonl").write_text("".join(lines[:-1]))
    with pytest.raises(IndexMismatch, match="damaged"):
        use(store)


def test_a_graph_file_cut_short_is_a_mismatch_and_not_a_crash(tmp_path: Path) -> None:
    """Chroma maps these files into memory without a look at their length, and ends the process."""
    store = ChromaStore(tmp_path)
    many = [replace(CHUNKS[0], id=f"id{n}") for n in range(1200)]
    rows = np.random.default_rng(0).normal(size=(len(many), 16)).astype(np.float32)
    store.write("gen-1", many, rows)
    (pickle,) = (tmp_path / "gen-1").glob("chroma/*/index_metadata.pickle")
    for file in sorted(pickle.parent.iterdir()):
        whole = file.read_bytes()
        for content in (whole[: len(whole) // 2], whole[:-1], b""):
            if content == whole:
                continue
            file.write_bytes(content)
            with pytest.raises(IndexMismatch, match="bytes"):
                store.open("gen-1")
        file.write_bytes(whole)
    assert len(store.open("gen-1").dense(rows[0], 5, Filter())) == 5


def test_half_a_generation_is_a_mismatch_and_prune_removes_it(on_disk: tuple[ChromaStore, Path]) -> None:
    store, folder = on_disk
    half = folder.with_name("gen-2")
    half.mkdir()
    shutil.copy(folder / "chunks.jsonl", half)
    with pytest.raises(IndexMismatch):
        store.open("gen-2")
    store.prune(["gen-1"])
    assert [path.name for path in folder.parent.iterdir()] == ["gen-1"]
    use(store)


def test_prune_touches_nothing_that_is_no_generation(on_disk: tuple[ChromaStore, Path]) -> None:
    store, folder = on_disk
    (folder.parent / "manifest.json").write_text("{}")
    (folder.parent / "other").mkdir()
    store.prune([])
    assert sorted(path.name for path in folder.parent.iterdir()) == ["manifest.json", "other"]
    ChromaStore(folder.parent / "nowhere").prune([])


def make_collection(folder: Path, space: str) -> None:
    import chromadb
    from chromadb.config import Settings

    client = chromadb.PersistentClient(str(folder / "chroma"), settings=Settings(anonymized_telemetry=False))
    client.delete_collection(PREFIX + "gen-1")
    collection = client.create_collection(
        PREFIX + "gen-1",
        embedding_function=None,
        configuration={"hnsw": {"space": space}},  # type: ignore[arg-type]
    )
    collection.upsert(ids=[c.id for c in CHUNKS], embeddings=VECTORS)
    client.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("space", ["l2", "ip"])
def test_another_distance_is_a_mismatch(on_disk: tuple[ChromaStore, Path], space: str) -> None:
    store, folder = on_disk
    make_collection(folder, space)
    with pytest.raises(IndexMismatch, match=f"{space} distance"):
        store.open("gen-1")
    with pytest.raises(IndexMismatch, match=f"{space} distance"):
        store.vectors("gen-1", [CHUNKS[0].id])
    make_collection(folder, "cosine")
    store.open("gen-1")


def test_a_generation_is_written_once(on_disk: tuple[ChromaStore, Path]) -> None:
    store, _ = on_disk
    with pytest.raises(StorageError):
        store.write("gen-1", CHUNKS[:1], VECTORS[:1])
    assert len(store.open("gen-1").chunks()) == len(CHUNKS)


def test_a_folder_that_cannot_be_written_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError) as caught:
        ChromaStore(tmp_path / "file").write("gen-1", CHUNKS, VECTORS)
    assert caught.value.hint


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts open files")
def test_indexes_that_nobody_holds_any_more_are_closed(tmp_path: Path) -> None:
    """A reader that follows many ingests keeps the files of one index open, not of all."""
    store = ChromaStore(tmp_path)
    counts = []
    for n in range(6):
        store.write(f"gen-{n}", CHUNKS, VECTORS)
        opened = store.open(f"gen-{n}")
        opened.dense(vector("metric"), 3, Filter())
        counts.append(len(list(Path("/proc/self/fd").iterdir())))
    assert counts[-1] < counts[0] + 10  # each open index has about ten
    again = store.open("gen-5")
    del opened
    gc.collect()
    assert again.dense(vector("metric"), 1, Filter())  # the other one still works


OPEN = """
import sys
from pathlib import Path
from tests.contract.test_index import use
from tutor.adapters.index_chroma import ChromaStore
from tutor.errors import TutorError

try:
    use(ChromaStore(Path(sys.argv[1])))
    print("used")
except TutorError as error:
    print(type(error).__name__, error.message, error.hint)
"""


@pytest.mark.parametrize(
    ("dotenv", "said"),
    [
        (
            b"IS_PERSISTENT=false\nPERSIST_DIRECTORY=/nowhere\nCHROMA_API_IMPL=chromadb.api.fastapi.FastAPI\nKEY=x\n",
            "used",
        ),
        (b"\xff\xfe=1\n", "SettingsError"),
    ],
    ids=["of another program", "not UTF-8"],
)
def test_a_dotenv_in_the_working_folder_is_not_about_us(
    on_disk: tuple[ChromaStore, Path], tmp_path: Path, dotenv: bytes, said: str
) -> None:
    """Chroma reads one, and fails when it is imported if it cannot."""
    (tmp_path / ".env").write_bytes(dotenv)
    shown = subprocess.run(
        [sys.executable, "-c", OPEN, str(on_disk[1].parent)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT)},
        check=False,
    )
    assert shown.stdout.startswith(said), shown
    assert said == "used" or ".env" in shown.stdout


# --- a server that is not there, or is something else ----------------------------------------------------------------


class _Web(BaseHTTPRequestHandler):
    """A server that is not Chroma."""

    answer = (404, b"<html>Not here</html>")
    delay = 0.0

    def do_GET(self) -> None:
        time.sleep(self.delay)
        self.send_response(self.answer[0])
        self.send_header("Content-Length", str(len(self.answer[1])))
        self.end_headers()
        self.wfile.write(self.answer[1])

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def web() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Web) as running:
        running.daemon_threads = True
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def check_unreachable(store: ChromaStore, name: str, url: str) -> None:
    calls: list[Callable[[], object]] = [
        lambda: store.open(name),
        lambda: store.vectors(name, [CHUNKS[0].id]),
        lambda: store.write(f"gen-{os.urandom(3).hex()}", CHUNKS, VECTORS),
    ]
    for call in calls:
        with pytest.raises(IndexUnreachable) as caught:
            call()
        assert url in caught.value.message
        assert len(caught.value.message) < 500
        assert "chroma run" in caught.value.hint
        assert "TUTOR_CHROMA_URL" in caught.value.hint
    store.prune([])  # never raises


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9",
        "127.0.0.1:9",
        "http://127.0.0.1:port",
        "http://127.0.0.1:99999",
        "http://",
        "https://127.0.0.1:9",
    ],
)
def test_a_server_that_does_not_answer_is_unreachable(on_disk: tuple[ChromaStore, Path], url: str) -> None:
    _, folder = on_disk
    check_unreachable(ChromaStore(folder.parent, url), "gen-1", url)


@pytest.mark.parametrize(
    "answer", [(404, b"<html>Not here</html>" * 100), (500, b"boom"), (200, b"{}"), (200, b"[1]"), (200, b"not JSON")]
)
def test_a_server_that_is_not_chroma_is_unreachable(
    on_disk: tuple[ChromaStore, Path], web: str, answer: tuple[int, bytes]
) -> None:
    _Web.answer, _Web.delay = answer, 0.0
    check_unreachable(ChromaStore(on_disk[1].parent, web), "gen-1", web)


def test_a_server_that_accepts_and_says_nothing_is_unreachable_in_the_end(
    on_disk: tuple[ChromaStore, Path], web: str
) -> None:
    _Web.delay = 1.5
    with pytest.raises(IndexUnreachable, match="timed out"):
        ChromaStore(on_disk[1].parent, web, patience_s=0.3).open("gen-1")


def test_a_server_that_dies_is_unreachable_and_its_rubbish_is_remembered(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    running = start_server(tmp_path / "server")
    try:
        store = ChromaStore(tmp_path / "index", running.url)
        store.write("gen-1", CHUNKS, VECTORS)
        opened = store.open("gen-1")
        assert opened.dense(vector("metric"), 1, Filter())
    finally:
        running.process.kill()
        running.process.wait()
    with pytest.raises(IndexUnreachable, match="127"):
        opened.dense(vector("metric"), 1, Filter())
    assert opened.lexical("metric", 1, Filter())  # the words are here
    check_unreachable(store, "gen-1", running.url)
    assert (tmp_path / "index" / "gen-1").is_dir()  # else nobody could drop its collection later


def test_a_collection_dropped_under_a_reader_is_an_error_of_ours(server: Server, tmp_path: Path) -> None:
    store, name = ChromaStore(tmp_path, server.url), f"gen-dropped-{os.urandom(3).hex()}"
    store.write(name, CHUNKS, VECTORS)
    opened = store.open(name)
    store.prune([])
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(IndexMismatch):
        opened.dense(vector("metric"), 1, Filter())


def test_prune_leaves_the_collections_of_others_on_the_server(server: Server, tmp_path: Path) -> None:
    mine, theirs = (ChromaStore(tmp_path / who, server.url) for who in ("mine", "theirs"))
    name = f"gen-theirs-{os.urandom(3).hex()}"
    theirs.write(name, CHUNKS, VECTORS)
    mine.write(f"gen-mine-{os.urandom(3).hex()}", CHUNKS, VECTORS)
    mine.prune([])
    assert len(theirs.open(name).dense(vector("metric"), 100, Filter())) == len(CHUNKS)
