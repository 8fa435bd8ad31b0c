"""The manifest: read back as written, replaced in one step, and clear about what is wrong with it."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.hash_kit import FINGERPRINT, manifest
from tutor import manifest as manifests
from tutor.errors import IndexMismatch, NoIndex, StorageError, TutorError
from tutor.manifest import NoteEntry


def damage(folder: Path, text: str | bytes) -> None:
    manifests.path_in(folder).write_bytes(text if isinstance(text, bytes) else text.encode())


def valid() -> dict[str, Any]:
    full = replace(manifest("gen-1"), notes={"a": NoteEntry("/a.md", "0", 2)})
    loaded: dict[str, Any] = json.loads(json.dumps(asdict(full)))
    return loaded


def test_a_manifest_is_read_as_it_was_published(tmp_path: Path) -> None:
    written = replace(
        manifest("gen-1", url="http://localhost:8000"),
        roots=("/notes/naïve", "/b"),
        notes={"concepts/规律": NoteEntry("/规律.md", "a" * 64, 7), "b": NoteEntry("/b.md", "b" * 64, 0)},
    )
    manifests.publish(written, tmp_path)
    assert manifests.read(tmp_path) == written


def test_no_manifest_is_no_index_yet(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(NoIndex) as caught:
            manifests.read(folder)
        assert "tutor ingest" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        json.dumps(valid())[:-20],
        b"\xff\xfe{}",
        "null",
        "[]",
        '"words"',
        "3",
        "[" * 100_000,
        *[
            json.dumps({k: v for k, v in valid().items() if k != gone})
            for gone in ("generation", "notes", "fingerprint")
        ],
        *[json.dumps({**valid(), name: 5}) for name in ("generation", "notes", "fingerprint", "roots", "encoder")],
        json.dumps({**valid(), "notes": {"a": {"path": "/a.md"}}}),
        json.dumps({**valid(), "notes": {"a": {"path": "/a.md", "sha256": "0", "chunks": "many"}}}),
        json.dumps({**valid(), "fingerprint": {**asdict(FINGERPRINT), "dims": None}}),
    ],
    ids=lambda text: str(text[:12]),
)
def test_a_damaged_manifest_says_so_and_names_the_fix(tmp_path: Path, text: str | bytes) -> None:
    damage(tmp_path, text)
    with pytest.raises(IndexMismatch) as caught:
        manifests.read(tmp_path)
    assert "damaged" in caught.value.message
    assert str(tmp_path) in caught.value.message
    assert "tutor ingest --full" in caught.value.hint


@pytest.mark.parametrize("version", [0, 2, 99, "1", None])
def test_another_format_is_named(tmp_path: Path, version: object) -> None:
    damage(tmp_path, json.dumps({"format": version, "what": "a later program writes"}))
    with pytest.raises(IndexMismatch) as caught:
        manifests.read(tmp_path)
    assert f"format {version}" in caught.value.message
    assert f"format {manifests.FORMAT}" in caught.value.message


@settings(deadline=None, max_examples=150)
@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
        max_leaves=6,
    ),
    st.sampled_from(sorted(set(valid()) - {"format"})),
)
def test_whatever_stands_in_a_field_is_a_value_or_an_error_of_ours(
    tmp_path_factory: pytest.TempPathFactory, value: object, name: str
) -> None:
    folder = tmp_path_factory.mktemp("any")
    damage(folder, json.dumps({**valid(), name: value}))
    try:
        found = manifests.read(folder)
    except IndexMismatch:
        return
    manifests.publish(found, folder)
    assert manifests.read(folder) == found


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("embedder", "other-model", "embedder other-model"),
        ("embedder_sha256", "f" * 64, "embedder sha256 ffffffffffffffff"),
        ("dims", 7, "dims 7"),
        ("chunker", "0", "chunker 0"),
        ("limit", 128, "limit 128"),
    ],
)
def test_an_index_of_another_making_is_refused_by_name(field: str, value: str | int, words: str) -> None:
    built = {**asdict(FINGERPRINT), field: value}
    with pytest.raises(IndexMismatch) as caught:
        manifests.require(manifest("gen-1", fingerprint=manifests.Fingerprint(**built)), FINGERPRINT)
    assert words in caught.value.message
    assert "tutor ingest --full" in caught.value.hint
    manifests.require(manifest("gen-1"), FINGERPRINT)


def test_whoever_reads_while_another_publishes_sees_a_whole_manifest(tmp_path: Path) -> None:
    """Every manifest has notes of its own, and enough of them that half of one would show."""
    made = [
        replace(manifest(f"gen-{n}"), notes={f"{n}-{i}": NoteEntry("/p" * 50, "0" * 64, n) for i in range(200)})
        for n in range(2)
    ]
    manifests.publish(made[0], tmp_path)
    stop = threading.Event()
    wrong: list[object] = []
    seen: set[str] = set()

    def watch() -> None:
        while not stop.is_set():
            try:
                found = manifests.read(tmp_path)
                seen.add(found.generation)
                if found not in made:
                    wrong.append(found)
            except TutorError as error:
                wrong.append(error)

    watchers = [threading.Thread(target=watch) for _ in range(2)]
    for watcher in watchers:
        watcher.start()
    for n in range(60):
        manifests.publish(made[n % 2], tmp_path)
    stop.set()
    for watcher in watchers:
        watcher.join()
    assert wrong == []
    assert seen == {"gen-0", "gen-1"}


def test_publishing_leaves_no_other_file_even_after_one_that_was_killed(tmp_path: Path) -> None:
    manifests.path_in(tmp_path).with_suffix(".tmp").write_text("half of a mani")
    manifests.publish(manifest("gen-1"), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_a_manifest_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    folder.mkdir()
    manifests.publish(manifest("gen-1"), folder)
    manifests.path_in(folder).with_suffix(".tmp").mkdir()  # stands in for a disk that refuses
    with pytest.raises(StorageError) as caught:
        manifests.publish(manifest("gen-2"), folder)
    assert caught.value.hint
    assert manifests.read(folder).generation == "gen-1"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_an_error_of_ours(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="permission"):
        manifests.publish(manifest("gen-1"), tmp_path)
