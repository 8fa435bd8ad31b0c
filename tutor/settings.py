"""The few settings, read once from ``TUTOR_*`` environment variables.

Settings say where things are and which engine is preferred. They build nothing and import no adapter. What changes
vectors (embedder, chunker) is not a setting: it is recorded in the index manifest.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import platformdirs
from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from tutor.errors import SettingsError

PROJECT_ROOT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """Every setting. Field descriptions become the table in the README."""

    model_config = SettingsConfigDict(env_prefix="TUTOR_", frozen=True, extra="ignore", env_ignore_empty=True)

    home: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("mlsd-tutor")),
        description="Folder for the index, pulled models and conversations",
    )
    corpus: str = Field(
        default=str(PROJECT_ROOT / "corpus"),
        description=f"Folders of notes that `tutor ingest` reads when given no PATH, separated by `{os.pathsep}`",
    )
    chroma_url: str = Field(default="", description="URL of a Chroma server; empty means embedded, in the home folder")
    engine: Literal["auto", "llama", "extractive"] = Field(
        default="auto", description="Engine used when `--engine` is not given"
    )
    model: str = Field(
        default="",
        description="Catalogue name, GGUF path or `endpoint`; empty means the one chosen with `tutor models use`",
    )
    endpoint: str = Field(
        default="", description="Base URL of an OpenAI-compatible server, e.g. http://localhost:8080/v1"
    )
    endpoint_model: str = Field(default="default", description="Model name sent to the endpoint")
    endpoint_key: str = Field(default="", description="API key sent to the endpoint, if it wants one")
    threads: int = Field(
        default=0,
        ge=0,
        le=256,
        description="CPU threads for the models; 0 means all for embedding, half of them for writing",
    )
    max_context: int = Field(
        default=8192, ge=512, le=131072, description="Largest context window, in tokens, asked of a GGUF model"
    )
    max_note_mb: float = Field(default=5.0, gt=0, le=1000, description="Largest note file that is read, in megabytes")

    @field_validator("home")
    @classmethod
    def _absolute_home(cls, value: Path) -> Path:
        return _absolute(value)

    @field_validator("corpus")
    @classmethod
    def _absolute_corpus(cls, value: str) -> str:
        paths = [str(_absolute(p)) for p in value.split(os.pathsep) if p]
        if not paths:
            raise ValueError("it names no folder")
        return os.pathsep.join(paths)

    @property
    def corpus_roots(self) -> tuple[Path, ...]:
        """The folders of ``corpus``, absolute."""
        return tuple(Path(p) for p in self.corpus.split(os.pathsep) if p)

    @property
    def index_dir(self) -> Path:
        """Where generations of the index and the manifest live."""
        return self.home / "index"

    @property
    def models_dir(self) -> Path:
        """Where pulled models live."""
        return self.home / "models"

    @property
    def cpu_threads(self) -> int:
        """Threads for embedding, at least 1."""
        return self.threads or os.cpu_count() or 1

    @property
    def writer_threads(self) -> int:
        """Threads for the language model: half of the cores by default. llama.cpp's threads wait for each other in a
        busy loop, so one that another program keeps off its core stalls them all (10 times slower, measured)."""
        return self.threads or max(1, (os.cpu_count() or 1) // 2)


def _absolute(path: str | Path) -> Path:
    try:
        return Path(os.path.abspath(Path(path).expanduser()))
    except RuntimeError as error:  # "~name" of a user who does not exist
        raise ValueError(f"the home folder in {str(path)!r} is not known") from error


def load() -> Settings:
    """Read the environment. Raises SettingsError naming the variable and what it must be."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "TUTOR_" + str(first["loc"][0]).upper()
        problem = first["msg"].removeprefix("Value error, ")
        raise SettingsError(
            f"{name} cannot be used: {problem}.", f"Set {name} to a valid value or unset it; the README lists all."
        ) from None
