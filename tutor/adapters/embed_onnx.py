"""The query's embedder: the same MiniLM weights, exported once to ONNX, run by onnxruntime.

onnxruntime and tokenizers start in a fraction of a second where sentence-transformers takes several. The export lives
in a folder of its own, ``model.onnx`` beside ``tokenizer.json``. This module must not import torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.embeddings import Embeddings

from tutor.errors import ModelCorrupt

MAX_PIECES = 256
BATCH = 32
MODEL, TOKENIZER, OUTPUT = "model.onnx", "tokenizer.json", "sentence_embedding"
_FIX = "Build the query encoder again: tutor ingest --full"


class OnnxEmbedder(Embeddings):
    """Embeds with the export in ``folder``. Vectors have length 1 and equal sentence-transformers' to 1e-4 cosine."""

    def __init__(self, folder: Path, threads: int) -> None:
        import onnxruntime

        self._tokenizer = load_tokenizer(folder / TOKENIZER)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # spinning threads burn the cores that the language model needs next
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                str(folder / MODEL), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's own exceptions share no base class
            raise ModelCorrupt(f"The query encoder in {folder} cannot be loaded: {error}", _FIX) from error

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Vectors of ``texts``, shape (len(texts), 384), in their order."""
        vectors: list[list[float]] = [[] for _ in texts]
        for batch in _batches(texts):
            for at, row in zip(batch, self._run([texts[i] for i in batch]), strict=True):
                vectors[at] = row.tolist()
        return vectors

    def embed_query(self, text: str) -> list[float]:
        """Vector of one question, shape (384,)."""
        return [float(x) for x in self._run([text])[0]]

    def is_word(self, word: str) -> bool:
        """True when the word (lower case) is whole in the model's vocabulary, which holds common English."""
        return self._tokenizer.token_to_id(word) is not None

    def _run(self, texts: Sequence[str]) -> Any:
        encoded = [self._tokenizer.encode(text) for text in texts]
        longest = max(len(e.ids) for e in encoded)
        ids = np.zeros((len(texts), longest), dtype=np.int64)
        mask = np.zeros((len(texts), longest), dtype=np.int64)
        for row, e in enumerate(encoded):
            ids[row, : len(e.ids)] = e.ids
            mask[row, : len(e.ids)] = 1
        return self._session.run([OUTPUT], {"input_ids": ids, "attention_mask": mask})[0]


def _batches(texts: Sequence[str]) -> Iterator[list[int]]:
    """Positions grouped by length, so that little is padded."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    for start in range(0, len(order), BATCH):
        yield order[start : start + BATCH]


def load_tokenizer(path: Path) -> Any:
    """The model's tokenizer with padding off and truncation at 256 word pieces. Raises ModelCorrupt."""
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exception
        raise ModelCorrupt(f"The tokenizer {path} cannot be read: {error}", _FIX) from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_PIECES)
    return tokenizer


def word_piece_counter(path: Path) -> Any:
    """A function text -> number of word pieces, special tokens included, never truncated."""
    tokenizer = load_tokenizer(path)
    tokenizer.no_truncation()
    return lambda text: len(tokenizer.encode(text).ids)
