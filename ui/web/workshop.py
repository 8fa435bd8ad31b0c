"""What all pages of one server share: the store, the parts that answer, the line of answers, the index build.

Loaded once per server. Must not know Streamlit.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from tutor.answer import Parts, Request, stream
from tutor.errors import NoIndex, TutorError
from tutor.settings import Settings
from tutor.store import Store
from tutor.types import Answer, Finished, SentenceShown, Topic, Understood
from ui.web.line import Answering, Line

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
        roots: Sequence[Path],
        settings: Settings,
        progress: Callable[[str, int, int], None],
        full: bool = False,
        skip_bad: bool = False,
    ) -> object:
        """Bring the index up to the notes under ``roots``."""
        ...


@dataclass(frozen=True, slots=True)
class Build:
    """The index being built: the ``stage`` of ingest with ``done`` of ``total``, and why it failed, if it did."""

    running: bool = False
    stage: str = ""
    done: int = 0
    total: int = 0
    error: TutorError | None = None


class Workshop:
    """One server's shared things. Every method may be called from any thread."""

    def __init__(self, settings: Settings, open_parts: OpenParts | None = None, ingest: Ingest | None = None) -> None:
        self.settings = settings
        self.store = Store(settings.home)
        self.line = Line(self.store, self._write)
        self._open_parts = open_parts
        self._ingest = ingest
        self._parts: dict[str | None, Parts] = {}
        self._build = Build()
        self._lock = threading.Lock()

    def parts(self, model: str | None = None) -> Parts:
        """What answers with this model, opened once per server. Raises NoIndex, IndexMismatch and the like."""
        with self._lock:
            if model not in self._parts:
                self._parts[model] = (self._open_parts or _open_parts())(self.settings, "auto", model)
            return self._parts[model]

    def topics(self) -> list[Topic]:
        """The notes of the index."""
        return [topic for topic, _ in self.parts().index().topics()]

    def needs_index(self) -> bool:
        """True when there is no index yet. Raises what else keeps it from being opened."""
        try:
            self.parts().index()
        except NoIndex:
            return True
        return False

    @property
    def build(self) -> Build:
        """How far the index build is."""
        return self._build

    def start_build(self, full: bool = False, skip_bad: bool = False) -> None:
        """Start building the index, unless that is under way."""
        with self._lock:
            if self._build.running:
                return
            self._build = Build(running=True)
        threading.Thread(target=self._ingest_all, args=(full, skip_bad), name="ingest", daemon=True).start()

    def _write(self, job: Answering) -> Answer | None:
        """See Line."""
        job.update(phase="opening")
        asked = job.question
        parts = self.parts(asked.model)
        if asked.engine == "extractive":
            parts = replace(parts, writer=None)
        request = Request(asked.text, asked.history, asked.where, strict_engine=asked.engine == "llama")
        for event in stream(request, parts):
            if job.ended:
                break
            if isinstance(event, Understood):
                job.update(phase="reading")
            elif isinstance(event, SentenceShown):
                job.show(event)
            elif isinstance(event, Finished):
                return event.answer
        return None

    def _ingest_all(self, full: bool, skip_bad: bool) -> None:
        def progress(stage: str, done: int, total: int) -> None:
            self._build = Build(running=True, stage=stage, done=done, total=total)

        error: TutorError | None = None
        try:
            ingest = self._ingest or _ingest()
            ingest(self.settings.corpus_roots, self.settings, progress, full=full, skip_bad=skip_bad)
        except TutorError as problem:
            error = problem
        except Exception:  # pages watch this thread and must learn that it is over
            logger.exception("the index build ended unexpectedly")
            error = TutorError("The index could not be built.", "Run `tutor ingest` in a terminal to see why.")
        with self._lock:
            self._parts.clear()
            self._build = Build(error=error)


def _open_parts() -> OpenParts:
    from tutor.wiring import open_parts

    return open_parts


def _ingest() -> Ingest:
    from ingest.run import ingest

    return ingest
