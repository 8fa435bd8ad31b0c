"""`tutor ask` and `tutor search`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

from pydantic import BaseModel, ConfigDict, ValidationError

from tutor import wiring
from tutor.answer import Parts, Request, ask, stream
from tutor.citations import marked
from tutor.errors import BadInputFile, BadQuestion, TutorError
from tutor.jsonform import answer_json, passages_json
from tutor.names import check_filter
from tutor.retrieve import retrieve
from tutor.settings import Settings
from tutor.types import Answer, Filter, Finished, SentenceShown, Understood
from tutor.understand import understand
from ui import render
from ui.terminal import Flow, out, say, warn, working

MAX_STDIN = 1_000_000


class BatchLine(BaseModel):
    """One line of a batch file."""

    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)

    question: str
    id: str | None = None
    history: list[str] = []


def run_ask(question: str, request: Callable[[str], Request], parts: Parts, as_json: bool, passages: bool) -> None:
    """Answer one question on the terminal; ``-`` reads it from standard input."""
    asked = request(_read_stdin() if question == "-" else question)
    if as_json:
        say_json(answer_json(ask(asked, parts)))
        return
    answer = show_stream(asked, parts)
    show_sources(answer)
    if passages:
        say()
        for passage in answer.passages:
            for line in render.passage_lines(passage, Path.cwd(), full=True):
                say(line)
            say()


def show_stream(request: Request, parts: Parts) -> Answer:
    """Print an answer as it comes. The finished answer."""
    flow = Flow(out)
    answer: Answer | None = None
    with working("Reading the notes") as stop:
        for event in stream(request, parts):
            if isinstance(event, Understood) and event.standalone != request.question.strip() and request.history:
                stop()
                say(f"({event.standalone})", "dim italic")
            elif isinstance(event, SentenceShown):
                stop()
                if event.paragraph:
                    flow.paragraph()
                flow.add(marked(event.text, event.citations))
            elif isinstance(event, Finished):
                answer = event.answer
        stop()
    assert answer is not None  # noqa: S101 - every stream ends with Finished
    if answer.abstained:
        flow.add(answer.answer)
    flow.end()
    return answer


def show_sources(answer: Answer) -> None:
    """The sources under an answer, who answered, and anything that happened on the way."""
    if answer.citations:
        say()
        say("Sources", "bold")
        for line in render.source_lines(answer.citations, render.titles_of(answer.passages), Path.cwd()):
            say("  " + line)
    if not answer.abstained:
        say()
        say(render.engine_line(answer), "dim")
    for notice in answer.notices:
        warn(notice)


def run_batch(file: str, request: Callable[[BatchLine], Request], parts: Parts) -> int:
    """Answer each line of a JSONL file, one JSON line each, in order. The number of lines that could not be answered.

    A line that is no question gives ``{"id"?, "line", "error": {"message", "hint"}}`` and the rest goes on.
    """
    failed = 0
    with _open_batch(file) as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            result, ok = _batch_line(number, line, request, parts)
            failed += not ok
            sys.stdout.write(json.dumps(result, ensure_ascii=False) + "\n")
            sys.stdout.flush()
    return failed


def _batch_line(
    number: int, line: str, request: Callable[[BatchLine], Request], parts: Parts
) -> tuple[dict[str, object], bool]:
    given: BatchLine | None = None
    try:
        given = BatchLine.model_validate_json(line)
        return answer_json(ask(request(given), parts)), True
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the line"
        problem: TutorError = BadInputFile(
            f"Line {number}: {field}: {first['msg']}.", 'A line is {"id", "question", "history": ["earlier question"]}.'
        )
    except BadQuestion as error:
        problem = error
    identity = {"id": given.id} if given and given.id is not None else {}
    return {**identity, "line": number, "error": {"message": problem.message, "hint": problem.hint}}, False


def _open_batch(file: str) -> IO[str]:
    if file == "-":
        return sys.stdin
    try:
        opened = Path(file).open(encoding="utf-8", errors="replace")  # noqa: SIM115 - the caller closes it
    except OSError as error:
        raise BadInputFile(
            f"{file} cannot be read: {error.strerror}.", "Give a JSONL file, or - for standard input."
        ) from None
    return opened


def _read_stdin() -> str:
    return sys.stdin.read(MAX_STDIN)


def run_search(question: str, where: Filter, k: int, settings: Settings, as_json: bool) -> None:
    """Print the ranked passages for a question."""
    parts = wiring.open_parts(settings, "extractive")
    index = parts.index()
    check_filter(where, index)
    text = _read_stdin() if question == "-" else question
    query = understand(text, (), index, parts.is_word)
    passages = retrieve(query, index, parts.embedder, k, where).passages
    if as_json:
        say_json({"question": text, "standalone_question": query.standalone, "passages": passages_json(passages)})
        return
    if query.search_text != query.question:
        warn(f"Searching for: {query.search_text}")
    if not passages:
        say("No passage of the notes matches.")
    for passage in passages:
        for number, line in enumerate(render.passage_lines(passage, Path.cwd())):
            say(line, "bold" if number == 0 else "cyan" if number == 1 else "")


def say_json(value: object) -> None:
    """A JSON value on standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")
