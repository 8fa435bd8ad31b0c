"""Work that outlives a page: answers written one after the other, and the index being built.

A browser may reload, close or open a second tab at any moment, so nothing long runs in a page. A page starts work here
and then watches it; so can any other page. Must not know Streamlit.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from tutor.answer import Parts, Request, stream
from tutor.citations import marked
from tutor.errors import NoIndex, TutorError, UsageError
from tutor.jsonform import answer_json
from tutor.settings import Settings
from tutor.store import Store
from tutor.types import Answer, Citation, Filter, Finished, SentenceShown, Topic, Understood

Engine: TypeAlias = Literal["auto", "llama", "extractive"]
Phase: TypeAlias = Literal["queued", "opening", "reading", "writing", "done"]

STOPPED = "Stopped before the end."
logger = logging.getLogger(__name__)


class OpenParts(Protocol):
    """``tutor.wiring.open_parts``, or a test's own."""

    def __call__(self, settings: Settings, engine: str = "auto", model: str | None = None) -> Parts:
        """Everything that answers questions."""
        ...


class Ingest(Protocol):
    """``ingest.run.ingest``, or a test's own."""

    def __call__(
        self,
        roots: tuple[Path, ...],
        settings: Settings,
        progress: Callable[[str, int, int], None],
        full: bool = False,
        skip_bad: bool = False,
    ) -> object:
        """Bring the index up to the notes under ``roots``."""
        ...


@dataclass(frozen=True, slots=True)
class Question:
    """What a page asks: the text, the earlier questions (oldest first), the filter, and who shall answer. ``model`` is
    a name of the catalogue, None for the chosen one."""

    text: str
    history: tuple[str, ...] = ()
    where: Filter = field(default_factory=Filter)
    engine: Engine = "auto"
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """An answer as far as it is. ``version`` grows with every change; ``ahead`` counts the answers before this one.
    ``error`` is set when there will be no answer; otherwise, once done, the answer is in the store."""

    version: int = 0
    phase: Phase = "queued"
    ahead: int = 0
    sentences: tuple[SentenceShown, ...] = ()
    stopping: bool = False
    error: TutorError | None = None


class Answering:
    """One answer on its way. Every method may be called from any thread."""

    def __init__(self, conversation: str, question: Question) -> None:
        self.conversation = conversation
        self.question = question
        self.begun = time.monotonic()
        self._now = Progress()
        self._changed = threading.Condition()

    def watch(self, seen: int = -1, timeout: float = 0.5) -> Progress:
        """The progress, as soon as its version is beyond ``seen`` or ``timeout`` seconds have passed."""
        with self._changed:
            self._changed.wait_for(lambda: self._now.version > seen, timeout)
            return self._now

    def stop(self) -> None:
        """Ask for an end after the sentence being written."""
        self.update(stopping=True)

    def update(self, **changes: object) -> Progress:
        """Change the progress and wake those who watch; a finished answer does not change any more."""
        with self._changed:
            if self._now.phase != "done":
                self._now = replace(self._now, version=self._now.version + 1, **changes)  # type: ignore[arg-type]
                self._changed.notify_all()
            return self._now


@dataclass(frozen=True, slots=True)
class Build:
    """The index being built: the ``stage`` of ingest with ``done`` of ``total``, and how it ended."""

    running: bool = False
    stage: str = ""
    done: int = 0
    total: int = 0
    error: TutorError | None = None


class Workshop:
    """What all pages of one server share: the store, the opened parts, the line of answers and the index build.

    One answer is written at a time, because a llama.cpp model serves one; the others wait in line and can see it.
    """

    def __init__(self, settings: Settings, open_parts: OpenParts | None = None, ingest: Ingest | None = None) -> None:
        self.settings = settings
        self.store = Store(settings.home)
        self._open_parts = open_parts
        self._ingest = ingest
        self._parts: dict[str | None, Parts] = {}
        self._opening = threading.Lock()
        self._line: deque[Answering] = deque()
        self._last: dict[str, Answering] = {}
        self._waiting = threading.Condition()
        self._writer: threading.Thread | None = None
        self._build = Build()

    # the parts

    def parts(self, model: str | None = None) -> Parts:
        """What answers with this model, opened once per server. Raises NoIndex, IndexMismatch and the like."""
        with self._opening:
            if model not in self._parts:
                self._parts[model] = (self._open_parts or _open_parts())(self.settings, "auto", model)
            return self._parts[model]

    def topics(self) -> list[Topic]:
        """The notes of the index."""
        return [topic for topic, _ in self.parts().index().topics()]

    # answers

    def ask(self, conversation: str, question: Question) -> Answering:
        """Save the question and put its answer in line. Raises UsageError while the conversation awaits another."""
        return self._begin(conversation, question, save=True)

    def ask_again(self, conversation: str, question: Question) -> Answering:
        """Put the answer to a question in line that is already saved and was never answered."""
        return self._begin(conversation, question, save=False)

    def answering(self, conversation: str) -> Answering | None:
        """The answer that a conversation waits for, or its last one when that failed."""
        with self._waiting:
            return self._last.get(conversation)

    def _begin(self, conversation: str, question: Question, save: bool) -> Answering:
        with self._waiting:
            before = self._last.get(conversation)
            if before is not None and before.watch(timeout=0).phase != "done":
                raise UsageError("This conversation still waits for an answer.", "Wait for it, or stop it first.")
            if save:
                data = {"case": question.where.case, "step": question.where.step}
                self.store.append(conversation, "user", question.text, {k: v for k, v in data.items() if v})
            job = Answering(conversation, question)
            self._last[conversation] = job
            self._line.append(job)
            self._count()
            self._waiting.notify_all()
            if self._writer is None:
                self._writer = threading.Thread(target=self._write_all, name="answers", daemon=True)
                self._writer.start()
        return job

    def _count(self) -> None:
        for ahead, job in enumerate(self._line):
            job.update(ahead=ahead)

    def _write_all(self) -> None:
        while True:
            with self._waiting:
                self._waiting.wait_for(lambda: bool(self._line))
                job = self._line[0]
            try:
                self._write(job)
                error: TutorError | None = None
            except TutorError as problem:
                error = problem
            except Exception:  # the line must go on whatever happens to one answer
                logger.exception("an answer ended unexpectedly")
                error = TutorError("The answer ended unexpectedly.", "Ask again; the server's log has the details.")
            with self._waiting:
                self._line.popleft()
                if error is None:
                    self._last.pop(job.conversation, None)
                self._count()
            job.update(phase="done", error=error)

    def _write(self, job: Answering) -> None:
        """Write one answer into the store, as far as it was not stopped."""
        job.update(phase="opening")
        asked = job.question
        parts = self.parts(asked.model)
        if asked.engine == "extractive":
            parts = replace(parts, writer=None)
        request = Request(asked.text, asked.history, asked.where, strict_engine=asked.engine == "llama")
        standalone = asked.text
        answer: Answer | None = None
        for event in () if job.watch(timeout=0).stopping else stream(request, parts):
            if isinstance(event, Understood):
                standalone = event.standalone
                job.update(phase="reading")
            elif isinstance(event, SentenceShown):
                job.update(phase="writing", sentences=(*job.watch(timeout=0).sentences, event))
            elif isinstance(event, Finished):
                answer = event.answer
            if answer is None and job.watch(timeout=0).stopping:
                break
        shown = job.watch(timeout=0).sentences
        if answer is None and shown:
            answer = _as_far(asked.text, standalone, shown)
        if answer is not None:
            self.store.append(job.conversation, "assistant", answer.answer, answer_json(answer))

    def forget(self, conversation: str) -> None:
        """Stop what a conversation waits for and delete it. Raises SessionError, StorageError."""
        job = self.answering(conversation)
        if job is not None:
            job.stop()
        self.store.delete(conversation)
        with self._waiting:
            self._last.pop(conversation, None)

    # the index

    def build(self, full: bool = False, skip_bad: bool = False) -> None:
        """Start building the index unless that is under way."""
        with self._opening:
            if self._build.running:
                return
            self._build = Build(running=True)
        threading.Thread(target=self._ingest_all, args=(full, skip_bad), name="ingest", daemon=True).start()

    def building(self) -> Build:
        """How far the index build is."""
        return self._build

    def _ingest_all(self, full: bool, skip_bad: bool) -> None:
        def progress(stage: str, done: int, total: int) -> None:
            self._build = Build(running=True, stage=stage, done=done, total=total)

        error: TutorError | None = None
        try:
            ingest = self._ingest or _ingest()
            ingest(self.settings.corpus_roots, self.settings, progress, full=full, skip_bad=skip_bad)
        except TutorError as problem:
            error = problem
        except Exception:  # a page watches this thread and must learn that it is over
            logger.exception("the index build ended unexpectedly")
            error = TutorError("The index could not be built.", "Run `tutor ingest` in a terminal to see why.")
        with self._opening:
            self._parts.clear()
            self._build = Build(error=error)


def needs_build(workshop: Workshop) -> bool:
    """True when there is no index yet. Raises what else keeps it from being opened."""
    try:
        workshop.parts().index()
    except NoIndex:
        return True
    return False


def _as_far(question: str, standalone: str, shown: tuple[SentenceShown, ...]) -> Answer:
    """The answer that a reader had seen when it was stopped."""
    text = ""
    citations: dict[int, Citation] = {}
    for sentence in shown:
        gap = "" if not text else "\n\n" if sentence.paragraph else " "
        text += gap + marked(sentence.text, sentence.citations)
        citations |= {c.marker: c for c in sentence.citations}
    return Answer(
        question=question,
        standalone_question=standalone,
        answer=text,
        abstained=False,
        engine="",
        model="",
        citations=tuple(citations[marker] for marker in sorted(citations)),
        claims=tuple(sentence.claim for sentence in shown),
        notices=(STOPPED,),
    )


def _open_parts() -> OpenParts:
    from tutor.wiring import open_parts

    return open_parts


def _ingest() -> Ingest:
    from ingest.run import ingest

    return ingest
