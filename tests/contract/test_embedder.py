"""What every embedder does alike, and that the ONNX export is the model it was made from."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.embeddings import Embeddings

from tutor import catalogue, models, wiring
from tutor.adapters import embed, embed_onnx
from tutor.adapters.embed import SentenceEmbedder
from tutor.adapters.embed_export import FILES, SUMS, export, is_whole
from tutor.adapters.embed_onnx import OnnxEmbedder
from tutor.adapters.fake_embed import HashEmbedder
from tutor.errors import ModelCorrupt, StorageError
from tutor.settings import Settings

TEXTS = [
    "How do I avoid data leakage in ad click prediction?",
    "Recall@k against judged image pairs is the offline metric of visual search.",
    "",
    " ",
    "\n\t",
    ".",
    "a",
    "supercalifragilisticexpialidocious " * 40,
    "word " * 3000,
    "x" * 5000,
    "naïve Übermut – “quotes” … 规律 と العربية 🙂🙂",
    "\u200b\u00ad\ufeff",
    "a\x00b\x07c",
    "# Heading\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n$$a_i = \\sum_j b_j$$",
    "<script>alert(1)</script>",
    "[CLS] [SEP] [MASK] ##ing [UNK]",
    "ALL CAPITALS AND Some Not",
    "1 2 3.14 10,000 1e-5 @ # $ % ^ & *",
]


def folder_of_the_model() -> Path:
    return models.locate_verified(catalogue.DEFAULT_EMBEDDER, Settings())


@pytest.fixture(scope="module")
def sentence_embedder() -> SentenceEmbedder:
    return SentenceEmbedder(folder_of_the_model(), threads=2)


@pytest.fixture(scope="module")
def onnx_embedder(onnx_folder: Path) -> OnnxEmbedder:
    return OnnxEmbedder(onnx_folder, threads=2)


@pytest.fixture(
    scope="module",
    params=[
        "hash",
        pytest.param("sentence_embedder", marks=pytest.mark.models),
        pytest.param("onnx_embedder", marks=pytest.mark.models),
    ],
)
def embedder(request: pytest.FixtureRequest) -> Embeddings:
    made: Embeddings = HashEmbedder() if request.param == "hash" else request.getfixturevalue(request.param)
    return made


def rows(vectors: list[list[float]]) -> npt.NDArray[np.float64]:
    return np.asarray(vectors, dtype=np.float64)


def dims(embedder: Embeddings) -> int:
    return len(embedder.embed_query("any"))


# --- the contract ----------------------------------------------------------------------------------------------------


def test_vectors_have_length_one_whatever_the_text(embedder: Embeddings) -> None:
    vectors = rows(embedder.embed_documents(TEXTS))
    assert vectors.shape == (len(TEXTS), dims(embedder))
    assert np.isfinite(vectors).all()
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_vectors_are_plain_numbers(embedder: Embeddings) -> None:
    assert {type(x) for x in embedder.embed_query("recall")} == {float}
    assert {type(x) for row in embedder.embed_documents(["recall"]) for x in row} == {float}


def test_documents_keep_their_order_through_every_batch(embedder: Embeddings) -> None:
    texts = [f"number {n} " + "and more words " * (n * 7 % 13) for n in range(70)]
    together = rows(embedder.embed_documents(texts))
    for at in (0, 1, 31, 32, 69):
        alone = rows(embedder.embed_documents([texts[at]]))[0]
        assert together[at] @ alone > 1 - 1e-5
        assert (together @ alone).argmax() == at


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_a_question_and_a_document_of_the_same_words_have_the_same_vector(embedder: Embeddings, text: str) -> None:
    question, document = rows([embedder.embed_query(text)])[0], rows(embedder.embed_documents([text]))[0]
    assert question @ document > 1 - 1e-5


def test_no_documents_have_no_vectors(embedder: Embeddings) -> None:
    assert embedder.embed_documents([]) == []


def test_texts_that_share_their_words_are_nearer_than_others(embedder: Embeddings) -> None:
    question = rows([embedder.embed_query("how is the calibration of a model measured")])[0]
    near, far = rows(embedder.embed_documents(["The calibration of a model is measured by bins.", "Boil the onions."]))
    assert question @ near > question @ far + 0.2


def test_the_same_text_has_the_same_vector_again(embedder: Embeddings) -> None:
    assert embedder.embed_query(TEXTS[0]) == embedder.embed_query(TEXTS[0])


def test_the_fake_counts_the_documents_it_embeds() -> None:
    fake = HashEmbedder()
    fake.embed_documents(["a", "b"])
    fake.embed_query("c")
    assert fake.embedded == 2


# --- the real model --------------------------------------------------------------------------------------------------


@pytest.mark.models
def test_the_export_gives_sentence_transformers_vectors(
    sentence_embedder: SentenceEmbedder, onnx_embedder: OnnxEmbedder
) -> None:
    theirs, ours = (rows(e.embed_documents(TEXTS)) for e in (sentence_embedder, onnx_embedder))
    assert (1 - (theirs * ours).sum(axis=1)).max() < 1e-4
    for text, row in zip(TEXTS, theirs, strict=True):
        assert 1 - rows([onnx_embedder.embed_query(text)])[0] @ row < 1e-4


@pytest.mark.models
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(text=st.one_of(st.text(max_size=60), st.lists(st.sampled_from(TEXTS), max_size=4).map(" ".join)))
def test_the_export_gives_sentence_transformers_vector_of_any_text(
    sentence_embedder: SentenceEmbedder, onnx_embedder: OnnxEmbedder, text: str
) -> None:
    theirs, ours = (rows([e.embed_query(text)])[0] for e in (sentence_embedder, onnx_embedder))
    assert 1 - theirs @ ours < 1e-4


@pytest.mark.models
def test_both_read_256_word_pieces_and_no_more(
    sentence_embedder: SentenceEmbedder, onnx_embedder: OnnxEmbedder, onnx_folder: Path
) -> None:
    count: Callable[[str], int] = embed_onnx.word_piece_counter(onnx_folder / embed_onnx.TOKENIZER)
    text = "metric " * (embed.MAX_PIECES - 2)
    assert count(text) == embed.MAX_PIECES
    assert count(text + "beyond") == embed.MAX_PIECES + 1
    for embedder in (sentence_embedder, onnx_embedder):
        whole, longer, shorter = rows(embedder.embed_documents([text, text + "onions", text.removesuffix("metric ")]))
        assert whole @ longer > 1 - 1e-6
        assert whole @ shorter < 1 - 1e-9
    assert (embed.DIMS, embed.MAX_PIECES) == (384, embed_onnx.MAX_PIECES)
    assert wiring.fingerprint().dims == embed.DIMS
    assert wiring.fingerprint().limit == embed.MAX_PIECES


@pytest.mark.models
def test_the_vocabulary_knows_english_words(onnx_embedder: OnnxEmbedder) -> None:
    assert onnx_embedder.is_word("evaluation")
    assert not onnx_embedder.is_word("quantisaton")


# --- files that are gone or damaged ----------------------------------------------------------------------------------


@pytest.mark.models
@pytest.mark.parametrize("name", [embed_onnx.MODEL, embed_onnx.TOKENIZER])
@pytest.mark.parametrize("damage", ["gone", "empty", "half", "garbage", "swapped"])
def test_a_damaged_encoder_is_named_with_the_fix(onnx_folder: Path, tmp_path: Path, name: str, damage: str) -> None:
    for path in onnx_folder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    whole = (tmp_path / name).read_bytes()
    other = embed_onnx.TOKENIZER if name == embed_onnx.MODEL else embed_onnx.MODEL
    (tmp_path / name).unlink()
    if damage != "gone":
        swapped = (onnx_folder / other).read_bytes()[:1_000_000]
        content = {"empty": b"", "half": whole[: len(whole) // 2], "garbage": b"\xff\x00" * 500, "swapped": swapped}
        (tmp_path / name).write_bytes(content[damage])
    with pytest.raises(ModelCorrupt) as caught:
        OnnxEmbedder(tmp_path, threads=1)
    assert str(tmp_path) in caught.value.message
    assert "tutor ingest --full" in caught.value.hint


@pytest.mark.models
def test_a_damaged_model_is_named_with_the_fix(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(folder_of_the_model(), folder)
    (weights,) = folder.glob("*.safetensors")
    weights.chmod(0o600)
    os.truncate(weights, 1000)
    with pytest.raises(ModelCorrupt) as caught:
        SentenceEmbedder(folder, threads=1)
    assert str(folder) in caught.value.message
    assert caught.value.hint


# --- exporting -------------------------------------------------------------------------------------------------------


def before_and_after(folder: Path, work: Callable[[], None]) -> tuple[dict[str, int], dict[str, int]]:
    """When each file of the folder was written, before the work and after it."""
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    work()
    return before, {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


@pytest.mark.models
def test_an_export_that_is_whole_is_left_alone(onnx_folder: Path) -> None:
    before, after = before_and_after(onnx_folder, lambda: export(Path("/no-model"), onnx_folder, threads=1))
    assert before == after


@pytest.mark.models
@pytest.mark.parametrize("damage", ["half", "flipped", "gone"])
def test_a_damaged_export_is_known_and_made_again(onnx_folder: Path, tmp_path: Path, damage: str) -> None:
    """So that the fix which its error names does mend it."""
    target = shutil.copytree(onnx_folder, tmp_path / "encoder")
    model = target / embed_onnx.MODEL
    if damage == "half":
        os.truncate(model, model.stat().st_size // 2)
    elif damage == "flipped":
        with model.open("r+b") as file:
            file.seek(model.stat().st_size // 2)
            file.write(b"\x01\x02\x03\x04")
    else:
        model.unlink()
    assert is_whole(onnx_folder)
    assert not is_whole(target)
    with pytest.raises(ModelCorrupt):  # it tries, and does not take the damaged one for done
        export(tmp_path / "no-model", target, threads=1)
    if damage == "half":
        export(folder_of_the_model(), target, threads=2)
        assert is_whole(target)
        assert OnnxEmbedder(target, threads=1).embed_query("recall")
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.models
def test_an_export_of_no_model_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ModelCorrupt):
        export(tmp_path / "no-model", tmp_path / "encoders" / "encoder", threads=1)
    assert list((tmp_path / "encoders").iterdir()) == []


def test_an_export_to_where_nothing_can_be_written_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError) as caught:
        export(tmp_path / "no-model", tmp_path / "file" / "encoder", threads=1)
    assert caught.value.hint


@pytest.mark.models
def test_what_a_killed_export_left_is_cleared_and_one_at_work_is_not(tmp_path: Path) -> None:
    old, young, other = (tmp_path / name for name in (".export-old", ".export-young", "encoder-of-another-model"))
    for folder in (old, young, other):
        folder.mkdir()
        (folder / embed_onnx.MODEL).write_bytes(b"half")
    two_hours_ago = time.time() - 7200
    os.utime(old, (two_hours_ago, two_hours_ago))
    os.utime(other, (two_hours_ago, two_hours_ago))
    with pytest.raises(ModelCorrupt):
        export(tmp_path / "no-model", tmp_path / "encoder", threads=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".export-young", "encoder-of-another-model"]


@pytest.mark.models
def test_an_export_holds_its_files_and_no_temporary_ones(onnx_folder: Path) -> None:
    assert sorted(path.name for path in onnx_folder.iterdir()) == sorted([*FILES, SUMS])
    assert list(onnx_folder.parent.iterdir()) == [onnx_folder]
