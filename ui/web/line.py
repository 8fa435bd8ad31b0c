"""Answers on their way: saved as questions first, written one after the other, watched by any page.

A browser may reload, close or open a second tab at any moment, so no answer is written inside a page. A page puts its
question in line and then watches; so can any other page. Must not know Streamlit, and not how an answer is written.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from tutor.citations import marked
from tutor.errors import TutorError, UsageError
from tutor.jsonform import answer_json
from tutor.store import Store
from tutor.types import Answer, Citation, Filter, SentenceShown

Engine: TypeAlias = Literal["auto", "llama", "extractive"]
Phase: TypeAlias = Literal["queued", "opening", "reading", "writing", "done"]

STOPPED = "Stopped before the end."
logger = logging.getLogger(__name__)


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
    ``error`` is set when there will be no answer; otherwise, once done, what there is of it is in the store."""

    version: int = 0
    phase: Phase = "queued"
    ahead: int = 0
    sentences: tuple[SentenceShown, ...] = ()
    error: TutorError | None = None


class Answering:
    """One answer on its way. Every method may be called from any thread."""

    def __init__(self, conversation: str, question: Question) -> None:
        self.conversation = conversation
        self.question = question
        self.begun = time.monotonic()
        self._now = Progress()
        self._ended = False
        self._changed = threading.Condition()

    @property
    def now(self) -> Progress:
        """The progress at this moment."""
        return self._now

    @property
    def done(self) -> bool:
        """True when nothing will change any more."""
        return self._now.phase == "done"

    @property
    def ended(self) -> bool:
        """True when no more sentences are wanted."""
        return self._ended

    def watch(self, seen: int, timeout: float = 0.5) -> Progress:
        """The progress, as soon as its version is beyond ``seen`` or ``timeout`` seconds have passed."""
        with self._changed:
            self._changed.wait_for(lambda: self._now.version > seen, timeout)
            return self._now

    def show(self, sentence: SentenceShown) -> None:
        """Add a sentence."""
        with self._changed:
            self.update(phase="writing", sentences=(*self._now.sentences, sentence))

    def update(self, **changes: object) -> None:
        """Change the progress and wake those who watch, unless it is done."""
        with self._changed:
            if not self.done:
                self._now = replace(self._now, version=self._now.version + 1, **changes)  # type: ignore[arg-type]
                self._changed.notify_all()

    def end(self) -> bool:
        """Take the right to end this answer, for which the writer and a stop compete. True for the first."""
        with self._changed:
            first, self._ended = not self._ended, True
            return first


class Line:
    """The answers that one server still has to write, first come, first served.

    One is written at a time, because a llama.cpp model serves one. ``write`` writes an answer, calling ``show`` for
    each sentence, and gives it back; None when the answer was ended meanwhile.
    """

    def __init__(self, store: Store, write: Callable[[Answering], Answer | None]) -> None:
        self._store = store
        self._write = write
        self._line: deque[Answering] = deque()
        self._writing: Answering | None = None
        self._last: dict[str, Answering] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def ask(self, conversation: str, question: Question, saved: bool = False) -> Answering:
        """Save the question, unless it is ``saved``, and put its answer in line.

        Raises UsageError while the conversation waits for another answer, SessionError, StorageError.
        """
        with self._changed:
            before = self._last.get(conversation)
            if before is not None and not before.done:
                raise UsageError("This conversation still waits for an answer.", "Wait for it, or stop it first.")
            if not saved:
                chosen = {"case": question.where.case, "step": question.where.step}
                self._store.append(conversation, "user", question.text, {k: v for k, v in chosen.items() if v})
            job = Answering(conversation, question)
            self._last[conversation] = job
            self._line.append(job)
            self._count()
            self._changed.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="answers", daemon=True)
                self._thread.start()
        return job

    def answering(self, conversation: str) -> Answering | None:
        """The answer that a conversation waits for, or its last one when that failed."""
        with self._changed:
            return self._last.get(conversation)

    def stop(self, job: Answering) -> None:
        """End an answer now and keep what was shown of it. The model may take a moment more to notice."""
        if job.end():
            self._finish(job, as_far(job.question.text, job.now.sentences))

    def forget(self, conversation: str) -> None:
        """End what a conversation waits for and delete it. Raises SessionError, StorageError."""
        job = self.answering(conversation)
        if job is not None:
            if job.end():
                job.update(phase="done")
            self._leave(job)
        self._store.delete(conversation)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._line))
                job = self._writing = self._line[0]
            answer: Answer | None = None
            error: TutorError | None = None
            try:
                answer = self._write(job)
            except TutorError as problem:
                error = problem
            except Exception:  # the line must go on whatever happens to one answer
                logger.exception("an answer ended unexpectedly")
                error = TutorError("The answer ended unexpectedly.", "Ask again; the server's log has the details.")
            with self._changed:
                self._line.popleft()
                self._writing = None
                self._count()
            if job.end():
                self._finish(job, answer, error)

    def _finish(self, job: Answering, answer: Answer | None, error: TutorError | None = None) -> None:
        """Save the answer, if there is one, and let go of the job. The caller holds the right to end it."""
        try:
            if answer is not None:
                self._store.append(job.conversation, "assistant", answer.answer, answer_json(answer))
        except TutorError as problem:
            error = problem
        if error is None:
            self._leave(job)
        job.update(phase="done", error=error)

    def _leave(self, job: Answering) -> None:
        with self._changed:
            if self._last.get(job.conversation) is job:
                del self._last[job.conversation]
            if job in self._line and job is not self._writing:
                self._line.remove(job)
            self._count()

    def _count(self) -> None:
        for ahead, job in enumerate(self._line):
            job.update(ahead=ahead)


def as_far(question: str, shown: tuple[SentenceShown, ...]) -> Answer | None:
    """The answer that a reader had seen when it was stopped, None before its first sentence."""
    text = ""
    citations: dict[int, Citation] = {}
    for sentence in shown:
        gap = "" if not text else "\n\n" if sentence.paragraph else " "
        text += gap + marked(sentence.text, sentence.citations)
        citations |= {c.marker: c for c in sentence.citations}
    if not text:
        return None
    return Answer(
        question=question,
        standalone_question=question,
        answer=text,
        abstained=False,
        engine="",
        model="",
        citations=tuple(citations[marker] for marker in sorted(citations)),
        claims=tuple(sentence.claim for sentence in shown),
        notices=(STOPPED,),
    )
