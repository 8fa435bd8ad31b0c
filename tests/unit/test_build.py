"""Building the index: what is embedded and what is not, and that whatever fails leaves the index that was there.

The store is in memory and the vectors are hashed; what Chroma and a kill make of it is shown in `tests/e2e`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import build as build_module
from ingest.build import Kit, Report, build, lock
from tests.hash_kit import (
    ENCODER,
    FINGERPRINT,
    as_kept,
    chunks_of,
    count_words,
    kit,
    quiet,
    read,
    vector,
    vectors_of,
    write_notes,
)
from tutor import manifest as manifests
from tutor.adapters.fake_embed import HashEmbedder
from tutor.adapters.index_memory import MemoryStore
from tutor.errors import BadInputFile, IndexBusy, IndexMismatch, ModelFailed, StorageError
from tutor.manifest import Fingerprint
from tutor.ports import Embedder, Index
from tutor.settings import PROJECT_ROOT
from tutor.types import Chunk, Filter

TEXTS = {
    "recall": "# Recall\n\nRecall is a share.\n\n## Definition\n\nOf the relevant items, those found.\n",
    "precision": "# Precision\n\nPrecision is another share.\n\n## Definition\n\nOf the found items, those relevant.\n",
    "drift": "# Drift\n\nDrift is a change of the data.\n",
}
CHANGED = {**TEXTS, "recall": TEXTS["recall"].replace("those found", "those retrieved")}


class Recording(MemoryStore):
    """A store that knows which generations were written and are still kept."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[str] = []

    def write(self, generation: str, chunks: Sequence[Chunk], vectors: npt.NDArray[np.float32]) -> None:
        super().write(generation, chunks, vectors)
        self.written.append(generation)

    @property
    def kept(self) -> list[str]:
        """The generations that have not been pruned."""
        return [name for name in self.written if self._holds(name)]

    def _holds(self, name: str) -> bool:
        try:
            self.open(name)
        except IndexMismatch:
            return False
        return True


@dataclass
class World:
    """A folder of notes, an index folder, and the store and embedder that builds use."""

    folder: Path
    store: Recording = field(default_factory=Recording)
    embedder: HashEmbedder = field(default_factory=HashEmbedder)

    @property
    def index_dir(self) -> Path:
        return self.folder / "index"

    @property
    def notes_dir(self) -> Path:
        return self.folder / "notes"

    def kit(self, **changes: Any) -> Kit:
        return replace(kit(self.index_dir, self.store, lambda: self.embedder), **changes)

    def build(self, texts: dict[str, str], full: bool = False, url: str = "", **changes: Any) -> Report:
        write_notes(self.notes_dir, texts)
        self.index_dir.mkdir(exist_ok=True)
        return build(read(self.notes_dir), [self.notes_dir], self.kit(**changes), quiet, full, url)

    def published(self) -> Index:
        return self.store.open(manifests.read(self.index_dir).generation)

    def contents(self) -> tuple[object, ...]:
        """What a reader finds, whatever its name: notes, chunks and vectors of the published generation."""
        found = manifests.read(self.index_dir)
        chunks = tuple(as_kept(c) for c in self.published().chunks())
        vectors = self.store.vectors(found.generation, [c.id for c in chunks])
        return found.notes, chunks, vectors.tobytes()

    def state(self) -> tuple[object, ...]:
        """All that a reader can see."""
        return manifests.read(self.index_dir), *self.contents()

    def check(self, texts: dict[str, str]) -> None:
        """The published index is exactly that of these texts, however it came to be."""
        write_notes(self.notes_dir, texts)
        notes = read(self.notes_dir)
        expected = chunks_of(notes)
        index = self.published()
        assert [as_kept(c) for c in index.chunks()] == [as_kept(c) for c in expected]
        stored = self.store.vectors(index.generation, [c.id for c in expected])
        assert np.array_equal(stored, vectors_of(expected))
        entries = manifests.read(self.index_dir).notes
        assert {(i, e.path, e.sha256) for i, e in entries.items()} == {(n.id, n.path, n.sha256) for n in notes}
        assert {i: e.chunks for i, e in entries.items()} == {n.id: sum(c.note == n.id for c in expected) for n in notes}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def never() -> Embedder:
    raise AssertionError("the embedder was loaded for nothing")


# --- what is embedded ------------------------------------------------------------------------------------------------


def test_a_first_build_embeds_everything_and_publishes_it(world: World) -> None:
    report = world.build(TEXTS)
    assert report.plan.added == ("drift", "precision", "recall")
    assert (report.chunks, report.embedded, report.reason) == (5, 5, "")
    world.check(TEXTS)
    found = manifests.read(world.index_dir)
    assert (found.generation, found.encoder, found.chroma_url) == (report.generation, ENCODER, "")
    assert (found.fingerprint, found.roots) == (FINGERPRINT, (str(world.notes_dir),))
    ((best, _),) = world.published().dense(vector("change of data drift"), 1, Filter())
    assert world.published().get([best])[0].note == "drift"


def test_nothing_changed_is_nothing_done(world: World) -> None:
    first = world.build(TEXTS)
    before = world.state()
    again = world.build(TEXTS, embedder=never)
    assert again.plan.nothing_to_do
    assert (again.generation, again.chunks, again.embedded) == (first.generation, 5, 0)
    assert world.state() == before
    assert world.store.written == [first.generation]


def test_one_changed_note_embeds_that_note_alone(world: World) -> None:
    world.build(TEXTS)
    world.embedder.embedded = 0
    report = world.build(CHANGED)
    assert (report.plan.changed, report.embedded, world.embedder.embedded) == (("recall",), 2, 2)
    world.check(CHANGED)


def test_an_added_note_embeds_that_note_alone(world: World) -> None:
    world.build(TEXTS)
    world.embedder.embedded = 0
    report = world.build({**TEXTS, "auc": "# AUC\n\nAn area.\n"})
    assert (report.plan.added, report.embedded, world.embedder.embedded) == (("auc",), 1, 1)
    world.check({**TEXTS, "auc": "# AUC\n\nAn area.\n"})


def test_a_removed_note_is_found_no_more_and_nothing_is_embedded(world: World) -> None:
    world.build(TEXTS)
    fewer = {name: text for name, text in TEXTS.items() if name != "drift"}
    report = world.build(fewer, embedder=never)
    assert (report.plan.removed, report.embedded) == (("drift",), 0)
    world.check(fewer)
    assert world.published().lexical("drift", 5, Filter()) == []


def test_a_moved_folder_keeps_the_vectors_and_gets_the_new_paths(world: World) -> None:
    world.build(TEXTS)
    world.notes_dir.rename(world.folder / "elsewhere")
    notes = read(world.folder / "elsewhere")
    report = build(notes, [world.folder / "elsewhere"], world.kit(embedder=never), quiet)
    assert (report.plan.moved, report.embedded) == (("drift", "precision", "recall"), 0)
    for chunk in world.published().chunks():
        assert Path(chunk.path).parent == world.folder / "elsewhere"
        assert Path(chunk.path).read_text()[chunk.start : chunk.end] == chunk.text


def test_full_embeds_everything_again(world: World) -> None:
    first = world.build(TEXTS)
    again = world.build(TEXTS, full=True)
    assert (again.embedded, again.reason) == (5, "--full was given")
    assert again.generation != first.generation
    world.check(TEXTS)


@pytest.mark.parametrize(
    ("fingerprint", "said"),
    [
        (replace(FINGERPRINT, embedder="other"), "embedder hash, this program uses other"),
        (replace(FINGERPRINT, embedder_sha256="1" * 64), "embedder sha256 0000000000000000"),
        (replace(FINGERPRINT, chunker="next"), "chunker"),
        (replace(FINGERPRINT, limit=30), "limit 40, this program uses 30"),
    ],
)
def test_another_embedder_or_chunker_embeds_everything_and_says_why(
    world: World, fingerprint: Fingerprint, said: str
) -> None:
    world.build(TEXTS)
    report = world.build(TEXTS, fingerprint=fingerprint)
    assert report.embedded == report.chunks == 5
    assert said in report.reason
    assert report.reason[0].islower()
    assert report.reason[-1] != "."  # it stands inside a sentence of the screen's
    assert manifests.read(world.index_dir).fingerprint == fingerprint
    world.check(TEXTS)


@pytest.mark.parametrize("content", ["{", '{"format": 99}', '{"format": 1}'])
def test_an_unreadable_manifest_is_replaced_and_the_reason_given(world: World, content: str) -> None:
    world.build(TEXTS)
    manifests.path_in(world.index_dir).write_text(content)
    report = world.build(TEXTS)
    assert (report.embedded, bool(report.reason)) == (5, True)
    world.check(TEXTS)
    assert world.store.kept == [report.generation]


@pytest.mark.parametrize("texts", [TEXTS, CHANGED])
def test_an_index_whose_data_is_gone_is_built_again(world: World, texts: dict[str, str]) -> None:
    world.build(TEXTS)
    world.store.prune([])
    report = world.build(texts)
    assert (report.embedded, report.reason) == (5, "the old index could not be read")
    world.check(texts)


def test_another_place_or_another_encoder_is_written_down_without_embedding(world: World) -> None:
    world.build(TEXTS)
    world.build(TEXTS, url="http://localhost:8000", embedder=never)
    assert manifests.read(world.index_dir).chroma_url == "http://localhost:8000"
    world.build(TEXTS, url="http://localhost:8000", embedder=never, export=lambda: "newer-encoder")
    assert manifests.read(world.index_dir).encoder == "newer-encoder"
    world.check(TEXTS)


def test_only_this_generation_and_the_one_before_are_kept(world: World) -> None:
    made = [world.build({**TEXTS, "drift": f"# Drift\n\nWords {n}.\n"}).generation for n in range(4)]
    assert world.store.kept == made[-2:]


def test_a_block_too_large_for_the_embedder_is_named_with_its_file(world: World) -> None:
    table = "| a | b |\n|---|---|\n" + "| c | d |\n" * 40
    report = world.build({**TEXTS, "table": f"# Table\n\n{table}"})
    ((path, block),) = report.oversize
    assert (Path(path).name, block.line, block.kind) == ("table.md", 3, "table")
    assert world.build({**TEXTS, "table": f"# Table\n\n{table}", "drift": "# Drift\n\nOther.\n"}).oversize == ()


def test_notes_without_a_chunk_make_an_index_that_finds_nothing(world: World) -> None:
    report = world.build({"empty": "# Only a heading\n"})
    assert (report.chunks, report.embedded) == (0, 0)
    assert world.published().dense(vector("heading"), 5, Filter()) == []
    assert world.published().lexical("heading", 5, Filter()) == []
    assert world.build({"empty": "# Only a heading\n"}, embedder=never).plan.nothing_to_do


def test_the_same_bytes_under_another_suffix_are_read_anew(world: World) -> None:
    text = "---\ntitle: Shares\n---\n# Recall\n\nRecall is a share.\n"
    world.build({"recall.txt": text})
    report = world.build({"recall.md": text})
    assert report.embedded == report.chunks
    world.check({"recall.md": text})


def test_a_slug_that_makes_room_for_another_note_does_so_in_the_index(world: World) -> None:
    world.build({"a b": "# One\n\nWords of one.\n"})
    both = {"a b": "# One\n\nWords of one.\n", "a-b": "# Two\n\nWords of two.\n"}
    assert world.build(both).embedded == 1
    world.check(both)
    assert len({topic.slug for topic, _ in world.published().topics()}) == 2


def test_a_root_that_is_not_utf8_is_written_down_all_the_same(world: World) -> None:
    write_notes(world.notes_dir, TEXTS)
    world.index_dir.mkdir()
    build(read(world.notes_dir), [Path(os.fsdecode(b"/caf\xe9"))], world.kit(), quiet)
    assert manifests.read(world.index_dir).roots == ("/caf\ufffd",)


def test_progress_counts_each_stage_to_its_end(world: World) -> None:
    told: list[tuple[str, int, int]] = []
    write_notes(world.notes_dir, {f"n{i}": f"# N{i}\n\n" + "Many words here. " * 60 for i in range(30)})
    world.index_dir.mkdir()
    report = build(read(world.notes_dir), [], world.kit(), lambda *args: told.append(args))
    assert report.embedded > 2 * build_module.EMBED_BATCH // 2
    for stage, total in (("chunk", 30), ("embed", report.embedded), ("write", 1)):
        counts = [done for name, done, of in told if name == stage and of == total]
        assert counts == sorted(counts)
        assert counts[-1] == total
    assert list(dict.fromkeys(name for name, _, _ in told)) == ["chunk", "embed", "write"]


NAMES = st.sampled_from(["recall", "drift", "a b", "a-b", "auc"])
BODY = st.sampled_from(["# T\n\nOne share.\n", "# T\n\nOne share.\n\n## H\n\nTwo shares.\n", "Words alone.\n", "# T\n"])


@settings(deadline=None, max_examples=40)
@given(st.lists(st.dictionaries(NAMES, BODY, min_size=1), min_size=2, max_size=4))
def test_any_road_leads_to_the_index_of_a_full_build(
    tmp_path_factory: pytest.TempPathFactory, versions: list[dict[str, str]]
) -> None:
    world = World(tmp_path_factory.mktemp("road"))
    for texts in versions:
        world.build(texts)
        world.check(texts)


# --- what fails ------------------------------------------------------------------------------------------------------


def test_no_notes_is_an_error_that_names_the_folders(world: World) -> None:
    world.build(TEXTS)
    before = world.state()
    with pytest.raises(BadInputFile, match="nowhere") as caught:
        build([], [Path("/nowhere")], world.kit(), quiet)
    assert "tutor ingest PATH" in caught.value.hint
    assert world.state() == before


class Failing(HashEmbedder):
    """Embeds one batch and then fails."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        if self.embedded:
            raise ModelFailed("The model stopped.", "Try again.")
        return super().embed_documents(texts)


def test_a_failing_embedder_leaves_the_old_index(world: World) -> None:
    world.build(TEXTS)
    before = world.state()
    many = {**TEXTS, "long": "\n\n".join(f"# H{i}\n\nWords {i}." for i in range(build_module.EMBED_BATCH + 1))}
    with pytest.raises(ModelFailed):
        world.build(many, embedder=Failing)
    assert world.state() == before
    assert world.build(many).embedded == build_module.EMBED_BATCH + 1
    world.check(many)


class FullDisk(Recording):
    """Writes a generation and then finds that it did not."""

    full = False

    def write(self, generation: str, chunks: Sequence[Chunk], vectors: npt.NDArray[np.float32]) -> None:
        super().write(generation, chunks, vectors)
        if self.full:
            raise StorageError("The disk is full.", "Free some space.")


def test_a_full_disk_leaves_the_old_index_and_no_half_of_a_new_one(tmp_path: Path) -> None:
    store = FullDisk()
    world = World(tmp_path, store)
    first = world.build(TEXTS)
    before = world.state()
    store.full = True
    with pytest.raises(StorageError):
        world.build(CHANGED)
    assert world.state() == before
    assert store.kept == [first.generation]


def test_a_first_build_that_fails_leaves_no_index(tmp_path: Path) -> None:
    store = FullDisk()
    store.full = True
    world = World(tmp_path, store)
    with pytest.raises(StorageError):
        world.build(TEXTS)
    assert store.kept == []
    assert not manifests.path_in(world.index_dir).exists()


def test_a_manifest_that_cannot_be_written_leaves_the_old_index(world: World) -> None:
    first = world.build(TEXTS)
    before = world.state()
    manifests.path_in(world.index_dir).with_suffix(".tmp").mkdir()  # stands in for a disk that refuses
    with pytest.raises(StorageError):
        world.build(CHANGED)
    assert world.state() == before
    assert world.store.kept == [first.generation]


# --- Ctrl-C ----------------------------------------------------------------------------------------------------------


def interrupted_at(moment: int, work: Callable[[], object]) -> bool:
    """Do the work as if Ctrl-C came at the n-th moment in build.py or manifest.py; False if it ended first.

    A moment is a line, and within `build` and `publish`, where the old index gives way to the new, an instruction.
    """
    files = {build_module.__file__, manifests.__file__}
    left = [moment]

    def trace(frame: FrameType, event: str, arg: object) -> Any:
        if frame.f_code.co_filename not in files:
            return None
        closely = frame.f_code in (build.__code__, manifests.publish.__code__)
        frame.f_trace_opcodes = closely
        if event == ("opcode" if closely else "line"):
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a `with` left before its exit ran
def test_an_interrupt_at_any_moment_leaves_the_old_index_or_the_new(memory_folder: Path) -> None:
    """Every moment of a whole build in turn, so also those just before and just after the manifest is replaced."""
    world = World(memory_folder)
    wholes = {}
    for name, texts in (("new", CHANGED), ("old", TEXTS)):
        world.build(texts)
        wholes[name] = world.contents()
    write_notes(world.notes_dir, CHANGED)
    notes, outcomes = read(world.notes_dir), set()
    for moment in count(1):
        work = partial(build, notes, [world.notes_dir], world.kit(), quiet)
        if not interrupted_at(moment, work):
            break
        (outcome,) = [name for name, whole in wholes.items() if world.contents() == whole]
        outcomes.add(outcome)
        if outcome == "new":
            world.build(TEXTS)
            write_notes(world.notes_dir, CHANGED)
    assert moment > 300
    assert outcomes == {"old", "new"}
    assert world.contents() == wholes["new"]


@pytest.mark.parametrize("at", ["chunk", "embed", "write"])
def test_an_interrupt_from_the_progress_bar_lets_the_next_ingest_in(world: World, at: str) -> None:
    world.build(TEXTS)
    before = world.state()

    def interrupt(stage: str, done: int, total: int) -> None:
        if stage == at:
            raise KeyboardInterrupt

    write_notes(world.notes_dir, CHANGED)
    with pytest.raises(KeyboardInterrupt), lock(world.index_dir):
        build(read(world.notes_dir), [world.notes_dir], world.kit(), interrupt)
    assert world.state() == before
    with lock(world.index_dir):
        world.build(CHANGED)
    world.check(CHANGED)


# --- the lock --------------------------------------------------------------------------------------------------------

HOLDER = """
import sys
from pathlib import Path
from ingest.build import lock

with lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_while_another_process_ingests_ours_is_told_to_wait(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "index")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=PROJECT_ROOT
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        for _ in range(2):
            with pytest.raises(IndexBusy) as caught, lock(tmp_path / "index"):
                pass
        assert caught.value.hint
        holder.kill()  # the lock dies with its holder
    with lock(tmp_path / "index"):
        pass


def test_the_lock_is_free_after_each_use_and_busy_inside(tmp_path: Path) -> None:
    for _ in range(2):
        with lock(tmp_path / "new" / "index"), pytest.raises(IndexBusy), lock(tmp_path / "new" / "index"):
            pass


def test_an_index_folder_that_cannot_be_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "index"):
        with pytest.raises(StorageError), lock(folder):
            pass


def test_words_stand_for_word_pieces() -> None:
    """The counter of these tests counts as the embedder's does: more text is never fewer pieces."""
    assert count_words("") == 2
    assert count_words("a b") == 4
