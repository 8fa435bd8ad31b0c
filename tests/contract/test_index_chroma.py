"""What Chroma on disk adds to the contract of an index: damaged files, rubbish, open files, its own settings."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.contract.indexed import CHUNKS, VECTORS, use
from tests.hash_kit import vector
from tutor.adapters.index_chroma import PREFIX, ChromaStore
from tutor.errors import IndexMismatch, StorageError
from tutor.settings import PROJECT_ROOT
from tutor.types import Filter

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
from tests.contract.indexed import use
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
