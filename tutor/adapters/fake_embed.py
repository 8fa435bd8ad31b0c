"""A small embedder without a model: hashed stems. Texts that share words are near. The shipped fake for tests."""

from __future__ import annotations

import zlib

import numpy as np
from langchain_core.embeddings import Embeddings

from tutor.lexical import stems

DIMS = 256


class HashEmbedder(Embeddings):
    """Bag of hashed stems, shape (256,), length 1. ``embedded`` counts the documents seen."""

    def __init__(self) -> None:
        self.embedded = 0

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Vectors of ``texts``."""
        self.embedded += len(texts)
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        """Vector of one text."""
        vector = np.zeros(DIMS)
        vector[0] = 1e-3  # a text without content words still has a direction
        for word in stems(text):
            vector[zlib.crc32(word.encode()) % DIMS] += 1.0
        return [float(x) for x in vector / np.linalg.norm(vector)]
