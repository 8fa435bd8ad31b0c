"""Joins the parts: the only file that names concrete adapters, and imports each inside the function that needs it.

Also where the program is cut off from the network: `go_offline` runs before any library is imported that could call
home. Pulling a model is the one command that goes around it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tutor import catalogue, models
from tutor import manifest as manifests
from tutor.answer import Parts
from tutor.draft import ANSWER_TOKENS, Writer
from tutor.errors import IndexMismatch, NoIndex, SettingsError
from tutor.grounding import LexicalChecker
from tutor.live import LiveIndex
from tutor.manifest import Fingerprint, Manifest
from tutor.settings import Settings
from tutor.types import Message

if TYPE_CHECKING:
    from tutor.ports import Embedder, Index, IndexStore

CHUNK_PIECES = 256
"""Word pieces per chunk: what all-MiniLM-L6-v2 reads."""

LARGE_MODEL_BYTES = 1_500_000_000
"""A GGUF of this size or more is handed whole passages."""

_SILENT = {
    "ANONYMIZED_TELEMETRY": "False",  # chroma
    "CHROMA_OTEL_COLLECTION_ENDPOINT": "",
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "LANGCHAIN_TRACING_V2": "false",
    "LANGSMITH_TRACING": "false",
    "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_OFFLINE": "1",
}


def go_offline() -> None:
    """Switch off every library's telemetry, tracing and hub access, whatever the environment says."""
    os.environ.update(_SILENT)
    os.environ.pop("LANGCHAIN_TRACING", None)  # LangChain's first tracer: its mere presence is an error today


def open_parts(settings: Settings, engine: str = "auto", model: str | None = None) -> Parts:
    """Everything that answers questions. Raises NoIndex, IndexMismatch, and what a missing model raises.

    ``engine`` is auto, llama or extractive. The language model itself is loaded when it is first needed.
    """
    from tutor.adapters.embed_onnx import OnnxEmbedder

    manifest = manifests.read(settings.index_dir)
    expected = _require(settings)
    expected(manifest)
    folder = encoder_dir(settings) / manifest.encoder
    if not folder.is_dir():
        raise IndexMismatch("The query encoder of the index is gone.", "Build it again: tutor ingest --full")
    embedder = OnnxEmbedder(folder, settings.cpu_threads)
    live = LiveIndex(settings.index_dir, index_store(settings), expected)
    writer = None if engine == "extractive" else writer_of(settings, model)
    return Parts(live, embedder, embedder.is_word, LexicalChecker(), writer)


def published_index(settings: Settings) -> Index:
    """The published index alone, for commands that look things up by name. Raises NoIndex, IndexMismatch."""
    return LiveIndex(settings.index_dir, index_store(settings), _require(settings))()


def _require(settings: Settings) -> Callable[[Manifest], None]:
    expected = fingerprint()

    def check(manifest: Manifest) -> None:
        manifests.require(manifest, expected)
        if manifest.chroma_url != settings.chroma_url:
            where = manifest.chroma_url or "the embedded Chroma"
            raise NoIndex(
                f"The index was built in {where}, not in {settings.chroma_url or 'the embedded Chroma'}.",
                "Set TUTOR_CHROMA_URL to where it is, or build it here: tutor ingest",
            )

    return check


def index_store(settings: Settings) -> IndexStore:
    """Where generations of the index are kept."""
    from tutor.adapters.index_chroma import ChromaStore

    return ChromaStore(settings.index_dir, settings.chroma_url)


def fingerprint() -> Fingerprint:
    """What this program's vectors depend on."""
    spec = catalogue.find(catalogue.DEFAULT_EMBEDDER)
    return Fingerprint(spec.name, spec.sha256, 384, manifests.CHUNKER, CHUNK_PIECES)


def counter(settings: Settings) -> Callable[[str], int]:
    """A function that counts the embedder's word pieces of a text."""
    from tutor.adapters.embed_onnx import word_piece_counter

    folder = models.locate_verified(catalogue.DEFAULT_EMBEDDER, settings)
    count: Callable[[str], int] = word_piece_counter(folder / "tokenizer.json")
    return count


def document_embedder(settings: Settings) -> Embedder:
    """The embedder of ingest. Takes seconds. Raises ModelMissing, ModelCorrupt."""
    from tutor.adapters.embed import SentenceEmbedder

    folder = models.locate_verified(catalogue.DEFAULT_EMBEDDER, settings)
    return SentenceEmbedder(folder, settings.cpu_threads)


def encoder_dir(settings: Settings) -> Path:
    """Where exported query encoders live, beside the index, one folder per model."""
    return settings.home / "encoders"


def export_encoder(settings: Settings) -> str:
    """Export the query encoder unless it is there undamaged; the name of its folder. Raises ModelMissing,
    ModelCorrupt."""
    from tutor.adapters.embed_export import export, is_whole

    spec = catalogue.find(catalogue.DEFAULT_EMBEDDER)
    name = f"{spec.name}-{spec.sha256[:12]}"
    target = encoder_dir(settings) / name
    if not is_whole(target):
        export(models.locate_verified(spec, settings), target, settings.cpu_threads)
    return name


def writer_of(settings: Settings, model: str | None) -> Callable[[], Writer]:
    """A function that loads the chosen language model on its first call and gives it back ever after."""

    @cache
    def load() -> Writer:
        value, origin = models.choice(settings, model)
        if value == models.ENDPOINT:
            return _endpoint_writer(settings, origin)
        return _llama_writer(settings, model)

    return load


def _endpoint_writer(settings: Settings, origin: str) -> Writer:
    from tutor.adapters.chat_endpoint import open_endpoint

    if not settings.endpoint:
        raise SettingsError(f"{origin} asks for an endpoint and none is set.", "Set TUTOR_ENDPOINT=http://host:port/v1")
    chat = open_endpoint(settings, max_tokens=ANSWER_TOKENS)
    return _writer(settings.endpoint_model, chat, settings.max_context, large=True)


def _llama_writer(settings: Settings, model: str | None) -> Writer:
    from tutor.adapters.chat_llama import ChatLlama

    name, path = models.chat_model_path(settings, model)
    chat: Any = ChatLlama(
        model_path=str(path), n_ctx=settings.max_context, threads=settings.writer_threads, max_tokens=ANSWER_TOKENS
    )
    return _writer(name, chat, chat.context_tokens, large=path.stat().st_size >= LARGE_MODEL_BYTES)


def _writer(name: str, chat: Any, context: int, large: bool) -> Writer:
    from langchain_core.messages import convert_to_messages

    def count(messages: Sequence[Message]) -> int:
        return int(chat.prompt_tokens(convert_to_messages(messages)))

    return Writer(name, chat, context, count, large)
