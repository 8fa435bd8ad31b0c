"""Answers outlive the page that asked: saved first, written one by one, watched from anywhere, stopped at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tutor.errors import ModelFailed, SessionError, TutorError, UsageError
from tutor.store import Store
from tutor.types import Answer, Citation, Claim, Filter, SentenceShown
from ui.web.line import STOPPED, Answering, Line, Question, as_far

LONG = 5.0  # seconds; nothing below takes that long unless it is broken


class Writers:
    """Writes answers when told to. ``begun`` says whose turn it is; ``release`` lets it end."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.started = threading.Semaphore(0)
        self.go = threading.Semaphore(0)
        self.error: Exception | None = None

    def write(self, job: Answering) -> Answer | None:
        self.begun.append(job.question.text)
        job.show(shown(f"About {job.question.text}.", 1))
        self.started.release()
        assert self.go.acquire(timeout=LONG)
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        return whole(job.question.text)  # even after a stop, as a model does that had just ended


def shown(text: str, marker: int, paragraph: bool = False) -> SentenceShown:
    citation = Citation(marker, "concepts/x", "X", "/x.md", 0, 3, "abc")
    return SentenceShown(text, Claim(text, "supported", (marker,), 1.0), (citation,), paragraph)


def whole(question: str) -> Answer:
    return Answer(question, question, f"All about {question}.", abstained=False, engine="extractive", model="")


@pytest.fixture
def writers() -> Iterator[Writers]:
    held = Writers()
    yield held
    for _ in range(20):
        held.go.release()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


@pytest.fixture
def line(store: Store, writers: Writers) -> Line:
    return Line(store, writers.write)


@pytest.fixture
def begin(store: Store, line: Line) -> Callable[[str], tuple[str, Answering]]:
    def ask(text: str) -> tuple[str, Answering]:
        session = store.create().id
        return session, line.ask(session, Question(text))

    return ask


def until_done(job: Answering) -> None:
    now = job.now
    while now.phase != "done":
        before, now = now.version, job.watch(now.version, LONG)
        assert now.version > before, "the answer does not end"


def said(store: Store, session: str) -> list[tuple[str, str]]:
    return [(turn.role, turn.text) for turn in store.turns(session)]


Begin = Callable[[str], tuple[str, Answering]]


def test_a_question_is_saved_before_it_is_answered(store: Store, begin: Begin, writers: Writers) -> None:
    session, job = begin("x")
    assert said(store, session) == [("user", "x")]
    writers.go.release()
    until_done(job)
    assert said(store, session) == [("user", "x"), ("assistant", "All about x.")]
    assert store.turns(session)[1].data["answer"] == "All about x."


def test_the_filter_is_saved_with_the_question(store: Store, line: Line) -> None:
    session = store.create().id
    line.ask(session, Question("x", where=Filter(step="evaluation")))
    assert store.turns(session)[0].data == {"step": "evaluation"}


def test_answers_are_written_one_by_one_in_order_and_know_their_place(begin: Begin, writers: Writers) -> None:
    jobs = [begin(text)[1] for text in "abc"]
    assert writers.started.acquire(timeout=LONG)
    assert [job.now.ahead for job in jobs] == [0, 1, 2]
    assert [job.now.phase for job in jobs] == ["writing", "queued", "queued"]
    writers.go.release()
    until_done(jobs[0])
    assert writers.started.acquire(timeout=LONG)
    assert [job.now.ahead for job in jobs[1:]] == [0, 1]
    writers.go.release()
    writers.go.release()
    until_done(jobs[2])
    assert writers.begun == ["a", "b", "c"]


def test_anyone_can_watch_an_answer_grow(begin: Begin, line: Line, writers: Writers) -> None:
    session, _ = begin("x")
    assert writers.started.acquire(timeout=LONG)
    other = line.answering(session)
    assert other is not None
    assert [sentence.text for sentence in other.now.sentences] == ["About x."]


def test_watching_waits_for_a_change_but_not_for_ever(begin: Begin, writers: Writers) -> None:
    _, job = begin("x")
    assert writers.started.acquire(timeout=LONG)
    now = job.now
    assert job.watch(now.version, 0.01) == now
    threading.Timer(0.05, writers.go.release).start()
    assert job.watch(now.version, LONG).version > now.version


def test_a_stop_ends_at_once_and_keeps_what_was_shown(store: Store, begin: Begin, line: Line, writers: Writers) -> None:
    session, job = begin("x")
    assert writers.started.acquire(timeout=LONG)
    line.stop(job)
    assert job.done, "a stop does not wait for the model"
    assert line.answering(session) is None
    (turn,) = store.turns(session)[1:]
    assert turn.text == "About x [1]."
    assert turn.data["notices"] == [STOPPED]
    assert [c["marker"] for c in turn.data["citations"]] == [1]
    _, second = begin("y")
    writers.go.release()
    writers.go.release()
    until_done(second)
    assert len(store.turns(session)) == 2, "the stopped answer was not saved a second time"


def test_a_stop_before_the_first_sentence_leaves_the_question(
    store: Store, begin: Begin, line: Line, writers: Writers
) -> None:
    begin("first")
    assert writers.started.acquire(timeout=LONG)
    session, waiting = begin("second")
    third = begin("third")[1]
    line.stop(waiting)
    assert waiting.done
    assert third.now.ahead == 1
    assert said(store, session) == [("user", "second")]
    writers.go.release()
    writers.go.release()
    until_done(third)
    assert writers.begun == ["first", "third"]


@pytest.mark.parametrize(
    ("raised", "message"),
    [(ModelFailed("It died.", "Ask again."), "It died."), (ZeroDivisionError(), "The answer ended unexpectedly.")],
)
def test_a_failed_answer_is_told_and_the_line_goes_on(
    store: Store, begin: Begin, line: Line, writers: Writers, raised: Exception, message: str
) -> None:
    writers.error = raised
    session, job = begin("x")
    writers.go.release()
    until_done(job)
    assert isinstance(job.now.error, TutorError)
    assert job.now.error.message == message
    assert line.answering(session) is job, "another page can still see why"
    assert said(store, session) == [("user", "x")]
    again = line.ask(session, Question("x"), saved=True)
    writers.go.release()
    until_done(again)
    assert said(store, session) == [("user", "x"), ("assistant", "All about x.")]
    assert line.answering(session) is None


def test_a_conversation_waits_for_one_answer_at_a_time(
    store: Store, begin: Begin, line: Line, writers: Writers
) -> None:
    session, job = begin("x")
    with pytest.raises(UsageError, match="still waits"):
        line.ask(session, Question("y"))
    assert said(store, session) == [("user", "x")]
    writers.go.release()
    until_done(job)
    line.ask(session, Question("y"))


def test_a_question_of_an_unknown_conversation_is_refused(line: Line) -> None:
    with pytest.raises(SessionError):
        line.ask("nowhere", Question("x"))
    assert line.answering("nowhere") is None


def test_deleting_a_conversation_ends_its_answer(store: Store, begin: Begin, line: Line, writers: Writers) -> None:
    session, job = begin("x")
    assert writers.started.acquire(timeout=LONG)
    line.forget(session)
    assert job.done
    with pytest.raises(SessionError):
        store.get(session)
    writers.go.release()
    _, other = begin("y")
    writers.go.release()
    until_done(other)
    assert other.now.error is None


def test_what_was_shown_keeps_its_paragraphs_and_citations() -> None:
    answer = as_far("q", (shown("One.", 1), shown("Two.", 2, paragraph=True)))
    assert answer is not None
    assert answer.answer == "One [1].\n\nTwo [2]."
    assert [c.marker for c in answer.citations] == [1, 2]
    assert as_far("q", ()) is None
