"""Building the index: what is embedded, what is not, and that any road leads to the same index.

The store is in memory and the vectors are hashed; `test_build_failures.py` shows what happens when a build fails.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import build as build_module
from ingest.build import build
from tests.hash_kit import (
    ENCODER,
    FINGERPRINT,
    quiet,
    read,
    vector,
    write_notes,
)
from tests.unit.build_world import CHANGED, TEXTS, World, never
from tutor import manifest as manifests
from tutor.manifest import Fingerprint
from tutor.types import Filter


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


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
