"""Settings from the environment: what each bad value is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tutor import settings
from tutor.errors import SettingsError


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("TUTOR_"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("TUTOR_ENGINE", "gpt", "'auto', 'llama' or 'extractive'"),
        ("TUTOR_THREADS", "many", "integer"),
        ("TUTOR_THREADS", "-1", "greater than or equal to 0"),
        ("TUTOR_THREADS", "100000", "less than or equal to 256"),
        ("TUTOR_THREADS", "1.5", "integer"),
        ("TUTOR_MAX_CONTEXT", "100", "greater than or equal to 512"),
        ("TUTOR_MAX_NOTE_MB", "0", "greater than 0"),
        ("TUTOR_MAX_NOTE_MB", "-3", "greater than 0"),
        ("TUTOR_MAX_NOTE_MB", "big", "number"),
        ("TUTOR_MAX_NOTE_MB", "inf", "less than or equal to 1000"),
        ("TUTOR_MAX_NOTE_MB", "nan", "than"),
        ("TUTOR_HOME", "~no-such-user-here/tutor", "~no-such-user-here"),
        ("TUTOR_CORPUS", f"/notes{os.pathsep}~no-such-user-here/notes", "~no-such-user-here"),
        ("TUTOR_CORPUS", os.pathsep, "no folder"),
    ],
)
def test_a_bad_value_names_its_variable_and_what_it_must_be(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        settings.load()
    assert caught.value.message.startswith(f"{name} cannot be used: ")
    assert said in caught.value.message
    assert name in caught.value.hint
    assert caught.value.exit_code == 2


def test_without_variables_there_are_defaults() -> None:
    loaded = settings.load()
    assert loaded.engine == "auto"
    assert loaded.home.is_absolute()
    assert [root.name for root in loaded.corpus_roots] == ["corpus"]
    assert loaded.cpu_threads >= 1
    assert loaded.chroma_url == ""


def test_values_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/reader")
    monkeypatch.setenv("TUTOR_HOME", "here/../there")
    monkeypatch.setenv("TUTOR_CORPUS", os.pathsep.join(["~/notes", "", "b"]))
    monkeypatch.setenv("TUTOR_THREADS", "3")
    monkeypatch.setenv("TUTOR_ENGINE", "extractive")
    loaded = settings.load()
    assert loaded.home == tmp_path / "there"
    assert (loaded.index_dir, loaded.models_dir) == (tmp_path / "there/index", tmp_path / "there/models")
    assert loaded.corpus_roots == (Path("/home/reader/notes"), tmp_path / "b")
    assert (loaded.cpu_threads, loaded.engine) == (3, "extractive")


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = settings.load()
    for name in settings.Settings.model_fields:
        monkeypatch.setenv(f"TUTOR_{name.upper()}", "")
    assert settings.load() == defaults


def test_other_variables_are_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUTOR_DEBUG", "1")
    monkeypatch.setenv("HOMEPAGE", "x")
    settings.load()


def test_every_setting_says_what_it_is() -> None:
    assert all(field.description for field in settings.Settings.model_fields.values())
