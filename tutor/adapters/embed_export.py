"""Exports the sentence-transformers model to ONNX, pooling and normalisation included.

Run once per model by ingest; the result is named by the model's hash and published by one rename.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import os
import shutil
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from tutor.adapters import embed, embed_onnx
from tutor.errors import storage_error

_PREFIX = ".export-"
SUMS = "sha256.json"
FILES = (embed_onnx.MODEL, embed_onnx.TOKENIZER)


def is_whole(target: Path) -> bool:
    """True when ``target`` holds an export whose files are still as they were written."""
    try:
        sums: dict[str, str] = json.loads((target / SUMS).read_text(encoding="utf-8"))
        return sums.keys() == set(FILES) and all(_sha256(target / name) == sums[name] for name in FILES)
    except (OSError, ValueError, AttributeError):
        return False


def export(model_folder: Path, target: Path, threads: int) -> None:
    """Write ``model.onnx``, ``tokenizer.json`` and their SHA-256 into the folder ``target``, in place of a damaged
    export; does nothing when a whole one is there.

    The graph maps ``input_ids`` and ``attention_mask``, int64 of shape (batch, length), to ``sentence_embedding``,
    float32 of shape (batch, 384) and rows of length 1. Raises ModelCorrupt, StorageError.
    """
    if is_whole(target):
        return
    temporary: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _clear(target.parent)
        temporary = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=target.parent))
        new = temporary / "new"
        new.mkdir()
        _write_graph(embed.load(model_folder, threads), new / embed_onnx.MODEL)
        shutil.copyfile(model_folder / "tokenizer.json", new / embed_onnx.TOKENIZER)
        (new / SUMS).write_text(json.dumps({name: _sha256(new / name) for name in FILES}), encoding="utf-8")
        for file in new.iterdir():
            with file.open("rb") as written:
                os.fsync(written.fileno())
        if target.exists():
            target.rename(temporary / "damaged")
        new.rename(target)
    except OSError as error:
        if not is_whole(target):  # another process may have been first
            raise storage_error(error, "exporting the query encoder", target) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _clear(folder: Path) -> None:
    """Remove what an export that was killed has left; one that is at work is younger than an hour."""
    for left in folder.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if left.stat().st_mtime < time.time() - 3600:
                shutil.rmtree(left, ignore_errors=True)


def _write_graph(model: Any, path: Path) -> None:
    import torch

    transformer = model[0].auto_model.eval()

    class Pooled(torch.nn.Module):  # type: ignore[misc, unused-ignore]
        """Mean over word pieces, then unit length, as the model's own modules do."""

        def __init__(self) -> None:
            super().__init__()
            self.transformer = transformer

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            hidden = self.transformer(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
            mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
            return torch.nn.functional.normalize(mean, p=2, dim=1)

    ids = torch.ones(2, 7, dtype=torch.long)
    batch, length = torch.export.Dim("batch", min=1, max=4096), torch.export.Dim("length", min=2, max=embed.MAX_PIECES)
    shapes = {"input_ids": {0: batch, 1: length}, "attention_mask": {0: batch, 1: length}}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # the exporter warns about its own internals
        torch.onnx.export(
            Pooled().eval(),
            (ids, torch.ones_like(ids)),
            str(path),
            input_names=["input_ids", "attention_mask"],
            output_names=[embed_onnx.OUTPUT],
            dynamic_shapes=shapes,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
