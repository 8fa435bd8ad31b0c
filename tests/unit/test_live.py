"""The live index: it follows the manifest, and what a reader meets when the index changes under it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hash_kit import FINGERPRINT, chunks_of, manifest, note, vectors_of
from tutor import manifest as manifests
from tutor.adapters.index_memory import MemoryStore
from tutor.errors import IndexMismatch, IndexUnreachable, NoIndex
from tutor.live import LiveIndex
from tutor.manifest import Manifest
from tutor.ports import Index


class Counting(MemoryStore):
    """A store that counts what is opened, and does something just before."""

    def __init__(self, before: Callable[[str], None] = lambda generation: None) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.before = before

    def open(self, generation: str) -> Index:
        self.opened.append(generation)
        self.before(generation)
        return super().open(generation)


def publish(store: MemoryStore, folder: Path, name: str) -> None:
    chunks = chunks_of([note(f"Words of {name}.")])
    store.write(name, chunks, vectors_of(chunks))
    manifests.publish(manifest(name), folder)


def expected(found: Manifest) -> None:
    manifests.require(found, FINGERPRINT)


def test_the_index_is_opened_once_and_again_when_another_is_published(tmp_path: Path) -> None:
    store = Counting()
    live = LiveIndex(tmp_path, store, expected)
    publish(store, tmp_path, "gen-1")
    assert [live().generation for _ in range(3)] == ["gen-1"] * 3
    publish(store, tmp_path, "gen-2")
    assert [live().generation for _ in range(3)] == ["gen-2"] * 3
    assert live().chunks()[0].text == "Words of gen-2."
    assert store.opened == ["gen-1", "gen-2"]


def test_an_index_in_hand_still_answers_after_the_next_is_published(tmp_path: Path) -> None:
    store = Counting()
    publish(store, tmp_path, "gen-1")
    live = LiveIndex(tmp_path, store, expected)
    mine = live()
    publish(store, tmp_path, "gen-2")
    assert live().generation == "gen-2"
    assert mine.get([mine.chunks()[0].id])[0].text == "Words of gen-1."


def test_a_generation_pruned_between_reading_its_name_and_opening_it_is_not_missed(tmp_path: Path) -> None:
    def ingest_ends_now(generation: str) -> None:
        if generation == "gen-1":
            publish(store, tmp_path, "gen-2")
            store.prune(["gen-2"])

    store = Counting(ingest_ends_now)
    publish(store, tmp_path, "gen-1")
    live = LiveIndex(tmp_path, store, expected)
    assert live().generation == "gen-2"
    assert store.opened == ["gen-1", "gen-2"]
    live()
    assert live().generation == "gen-2"


def test_a_generation_that_is_gone_for_good_is_an_error_and_so_is_none_at_all(tmp_path: Path) -> None:
    store = Counting()
    live = LiveIndex(tmp_path, store, expected)
    with pytest.raises(NoIndex):
        live()
    publish(store, tmp_path, "gen-1")
    store.prune([])
    with pytest.raises(IndexMismatch, match="gone"):
        live()
    publish(store, tmp_path, "gen-2")
    assert live().generation == "gen-2"
    manifests.path_in(tmp_path).unlink()
    with pytest.raises(NoIndex):
        live()


def test_an_index_of_another_making_is_refused_and_the_right_one_picked_up_later(tmp_path: Path) -> None:
    store = Counting()
    publish(store, tmp_path, "gen-1")
    other = manifests.Fingerprint("other", "1" * 64, 8, "1", 40)
    live = LiveIndex(tmp_path, store, lambda found: manifests.require(found, other))
    with pytest.raises(IndexMismatch, match="embedder"):
        live()
    assert store.opened == []
    manifests.publish(manifest("gen-1", fingerprint=other), tmp_path)
    assert live().generation == "gen-1"


def test_a_failure_to_open_is_told_and_tried_again(tmp_path: Path) -> None:
    down = [True]

    def fail(generation: str) -> None:
        if down[0]:
            raise IndexUnreachable("The server does not answer.", "Start it.")

    store = Counting(fail)
    publish(store, tmp_path, "gen-1")
    live = LiveIndex(tmp_path, store, expected)
    with pytest.raises(IndexUnreachable):
        live()
    down[0] = False
    assert live().generation == "gen-1"


def test_many_threads_share_one_opening_and_never_see_an_older_index(tmp_path: Path) -> None:
    store = Counting()
    publish(store, tmp_path, "gen-000")
    live = LiveIndex(tmp_path, store, expected)
    seen: list[list[str]] = [[] for _ in range(6)]
    stop = threading.Event()

    def read(at: int) -> None:
        while not stop.is_set():
            index = live()
            assert index.chunks()[0].text == f"Words of {index.generation}."
            seen[at].append(index.generation)

    readers = [threading.Thread(target=read, args=(at,)) for at in range(6)]
    for reader in readers:
        reader.start()
    for n in range(1, 25):
        publish(store, tmp_path, f"gen-{n:03}")
    while any(not names or names[-1] != "gen-024" for names in seen):
        assert all(reader.is_alive() for reader in readers)
    stop.set()
    for reader in readers:
        reader.join()
    assert all(names == sorted(names) for names in seen)
    assert len(store.opened) == len(set(store.opened)) <= 25
