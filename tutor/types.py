"""The values that travel through the tutor: notes, chunks, passages, claims, answers and stream events.

Everything here is a frozen value with no behaviour beyond what it can say of itself. This module knows no file, no
library, no screen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["framework", "case-study", "concept", "note"]
Verdict: TypeAlias = Literal["supported", "unsupported", "unchecked"]
Role: TypeAlias = Literal["system", "user", "assistant"]
Message: TypeAlias = tuple[Role, str]

STEPS: Mapping[str, str] = {
    "clarify-requirements": "Clarify requirements",
    "frame-ml-problem": "Frame the ML problem",
    "data-preparation": "Data preparation",
    "model-development": "Model development",
    "evaluation": "Evaluation",
    "deployment-serving": "Deployment and serving",
    "monitoring-infrastructure": "Monitoring and infrastructure",
}
"""The seven framework steps, slug to title, in the order of the interview."""


@dataclass(frozen=True, slots=True)
class Source:
    """One published work that a note rests on."""

    title: str
    authors: str
    year: int
    venue: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """One note as read from disk.

    ``id`` is its path in the corpus without the suffix (``case-studies/visual-search``). ``path`` is the absolute path
    of the file that holds ``text``: the note itself, or, for PDF and HTML, the Markdown that was extracted from it.
    ``text`` is the whole file decoded as UTF-8 with newlines normalised, so that offsets into it are offsets into the
    file read as text. The body begins at character ``body_start``, after the front matter.
    """

    id: str
    slug: str
    title: str
    kind: Kind
    path: str
    text: str
    sha256: str
    body_start: int = 0
    summary: str = ""
    aliases: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    cases: tuple[str, ...] = ()
    concepts: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()


@dataclass(frozen=True, slots=True)
class Chunk:
    """A run of a note that is embedded and retrieved as one: ``text`` is exactly ``note.text[start:end]``.

    ``heading`` is the path of headings under the title, joined by `` > ``. ``embed_text`` is what the embedder reads:
    title, heading path and the text without diagram source; it stays under the embedder's limit of word pieces.
    """

    id: str
    note: str
    slug: str
    title: str
    kind: Kind
    heading: str
    path: str
    start: int
    end: int
    text: str
    embed_text: str
    aliases: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Passage:
    """A retrieved chunk. ``score`` is the fused reciprocal-rank score; ``cosine`` is in [-1, 1], NaN when not computed;
    ``bm25`` is 0 when the lexical ranking did not return the chunk."""

    rank: int
    chunk: Chunk
    score: float
    cosine: float = float("nan")
    bm25: float = 0.0


@dataclass(frozen=True, slots=True)
class Retrieval:
    """The ranked passages, and the cosines of the 50 chunks nearest to the question, highest first."""

    passages: tuple[Passage, ...]
    cosines: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Topic:
    """A note that a question names by its title or one of its aliases."""

    note: str
    slug: str
    title: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Query:
    """A question as understood: ``standalone`` needs no earlier turn; ``search_text`` has its typos mended.

    ``own_text`` is the question itself with its typos mended, before anything was put in from earlier turns.
    ``context`` is the question with the one before it, when it may or may not lean on that; else empty.
    """

    question: str
    standalone: str
    search_text: str
    topics: tuple[Topic, ...] = ()
    step: str | None = None
    context: str = ""
    own_text: str = ""


@dataclass(frozen=True, slots=True)
class Filter:
    """Narrows a search to one case study's note, to chunks that speak of one framework step, or to one note."""

    case: str | None = None
    step: str | None = None
    note: str | None = None

    def admits(self, chunk: Chunk) -> bool:
        """True when the chunk belongs to the chosen case, note and step."""
        if self.case is not None and not (chunk.kind == "case-study" and chunk.slug == self.case):
            return False
        if self.note is not None and chunk.note != self.note:
            return False
        return self.step is None or self.step in chunk.steps


@dataclass(frozen=True, slots=True)
class Evidence:
    """One sentence of a note that may be quoted. ``start``/``end`` are offsets in the note; ``plain`` is the sentence
    without Markdown marks, as a reader sees it."""

    passage_rank: int
    chunk_id: str
    note: str
    heading: str
    path: str
    start: int
    end: int
    quote: str
    plain: str
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class Citation:
    """Where a shown sentence comes from: characters ``start`` to ``end`` of the file ``path`` are ``quote``."""

    marker: int
    note: str
    heading: str
    path: str
    start: int
    end: int
    quote: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence of an answer and the checker's judgement. ``citations`` are markers; ``score`` is in [0, 1]."""

    text: str
    verdict: Verdict
    citations: tuple[int, ...] = ()
    score: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """A grounding checker's word on one claim. ``score`` in [0, 1] is high when the evidence supports the claim;
    ``supported`` is the score against the checker's threshold; ``evidence`` are the indices of the evidence used."""

    supported: bool
    score: float
    evidence: tuple[int, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question came to. ``answer`` is empty of unsupported sentences by construction: each of its sentences is a
    claim with verdict ``supported``. ``rejected`` are drafted sentences that were never shown. ``notices`` tell what
    happened on the way (a fallback, a model that died)."""

    question: str
    standalone_question: str
    answer: str
    abstained: bool
    engine: str
    model: str
    citations: tuple[Citation, ...] = ()
    claims: tuple[Claim, ...] = ()
    passages: tuple[Passage, ...] = ()
    rejected: tuple[Claim, ...] = ()
    nearest: tuple[Topic, ...] = ()
    notices: tuple[str, ...] = ()
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    id: str | None = None


# --- stream events: what `answer.stream` yields, in order -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Understood:
    """The question was read; ``standalone`` differs from it for a follow-up."""

    standalone: str


@dataclass(frozen=True, slots=True)
class PassagesFound:
    """The ten best passages are known."""

    passages: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class SentenceShown:
    """A supported sentence may be shown. ``text`` carries no markers; ``citations`` are those of this sentence;
    ``paragraph`` is true when it opens a new paragraph."""

    text: str
    claim: Claim
    citations: tuple[Citation, ...]
    paragraph: bool = False


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event of every stream."""

    answer: Answer


Event: TypeAlias = Understood | PassagesFound | SentenceShown | Finished
