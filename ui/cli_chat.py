"""`tutor chat`: a conversation on the terminal, saved turn by turn."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from tutor import wiring
from tutor.answer import Parts, Request
from tutor.errors import BadQuestion, TutorError, UsageError, storage_error
from tutor.jsonform import answer_json
from tutor.names import check_filter
from tutor.settings import Settings
from tutor.store import Session, Store, Turn
from tutor.types import Answer, Filter
from ui.cli_ask import show_sources, show_stream
from ui.render import safe
from ui.terminal import out, say, show_error, warn

HELP = """/sources        the sources of the last answer, with the passages' text
/case [SLUG]    search one case study only; without SLUG, all notes again
/step [SLUG]    search one framework step only; without SLUG, all steps again
/save FILE      write the conversation to a Markdown file
/help           this list
/quit           end (so does Ctrl-D); Ctrl-C stops an answer"""


@dataclass(slots=True)
class _Talk:
    """A conversation while it runs."""

    store: Store
    session: Session
    parts: Parts
    where: Filter
    strict: bool
    questions: list[str] = field(default_factory=list)
    last: Answer | None = None


def manage(settings: Settings, delete: str | None) -> None:
    """List the conversations, or delete one."""
    store = Store(settings.home)
    if delete:
        store.get(delete)
        store.delete(delete)
        say(f"Deleted {delete}.")
        return
    sessions = store.sessions()
    for session in sessions:
        say(f"{session.id}  {session.changed[:16].replace('T', ' ')}  {session.title}")
    if not sessions:
        say("No conversations yet. Begin one with: tutor chat")


def run(settings: Settings, engine: str, model: str | None, where: Filter, resume: str | None) -> None:
    """Talk until the end of input. Every question is saved before it is answered."""
    store = Store(settings.home)
    turns: list[Turn] = []
    if resume:
        session = store.get(resume)
        turns = store.turns(resume)
    parts = wiring.open_parts(settings, engine, model)
    check_filter(where, parts.index())
    if not resume:
        session = store.create()
    strict = engine == "llama" or model is not None
    talk = _Talk(store, session, parts, where, strict, [t.text for t in turns if t.role == "user"])
    _greet(turns)
    for line in _lines(settings, _commands(talk)):
        if not line.strip():
            continue
        try:
            if line.strip().startswith("/"):
                if not _command(talk, line.strip()):
                    break
            else:
                _answer(talk, line)
        except TutorError as error:
            show_error(error)
    if talk.questions:
        say(f"Saved. Go on with: tutor chat --resume {talk.session.id}", "dim")
    else:
        store.delete(talk.session.id)


def _greet(turns: list[Turn]) -> None:
    for turn in turns:
        say(f"\n> {turn.text}" if turn.role == "user" else turn.text, "bold" if turn.role == "user" else "")
    say("Ask about machine learning system design. /help lists the commands, Ctrl-D ends.", "dim")


def _answer(talk: _Talk, line: str) -> None:
    request = Request(line, tuple(talk.questions), talk.where, strict_engine=talk.strict)
    talk.store.append(talk.session.id, "user", line)
    if not talk.questions and not talk.session.title:
        title = " ".join(line.split())[:60]
        talk.store.rename(talk.session.id, title)
        talk.session = replace(talk.session, title=title)
    try:
        answer = show_stream(request, talk.parts)
    except KeyboardInterrupt:
        out.print()
        warn("Stopped. The question is saved; ask on.")
        talk.questions.append(line)
        return
    except BadQuestion as error:
        talk.store.append(talk.session.id, "assistant", f"({error.message})")
        raise
    show_sources(answer)
    talk.store.append(talk.session.id, "assistant", answer.answer, answer_json(answer))
    talk.questions.append(line)
    talk.last = answer


def _commands(talk: _Talk) -> dict[str, Callable[[list[str]], None]]:
    return {
        "/sources": lambda _: _sources(talk),
        "/case": lambda words: _narrow(talk, case=words[0] if words else None, step=talk.where.step),
        "/step": lambda words: _narrow(talk, case=talk.where.case, step=words[0] if words else None),
        "/save": lambda words: _save(talk, words),
        "/help": lambda _: say(HELP),
    }


def _command(talk: _Talk, line: str) -> bool:
    """Run a command; False when it ends the conversation."""
    try:
        name, *words = shlex.split(line)
    except ValueError as error:
        raise UsageError(f"{line}: {error}.", "Quote a file name with spaces: /save 'my talk.md'") from None
    if name in ("/quit", "/exit"):
        return False
    known = _commands(talk)
    if name not in known:
        raise UsageError(f"There is no command {name}.", "/help lists the commands.")
    known[name](words)
    return True


def _sources(talk: _Talk) -> None:
    if talk.last is None or not talk.last.citations:
        say("There is no answer with sources yet.")
        return
    show_sources(talk.last)
    for citation in talk.last.citations:
        say(f"\n[{citation.marker}] {citation.note} › {citation.heading}", "bold")
        say(citation.quote)


def _narrow(talk: _Talk, case: str | None, step: str | None) -> None:
    where = Filter(case=case, step=step)
    check_filter(where, talk.parts.index())
    talk.where = where
    parts = [f"case {case}" if case else "", f"step {step}" if step else ""]
    say("Searching " + (" and ".join(p for p in parts if p) + " only." if any(parts) else "all notes."))


def _save(talk: _Talk, words: list[str]) -> None:
    if len(words) != 1:
        raise UsageError("/save needs one file name.", "For example: /save talk.md")
    path = Path(words[0]).expanduser()
    if path.exists():
        raise UsageError(f"{path} exists already.", "Choose another name; nothing was written.")
    lines = [f"# {safe(talk.session.title) or 'Conversation'}", ""]
    for turn in talk.store.turns(talk.session.id):
        lines += [f"**You:** {safe(turn.text)}" if turn.role == "user" else safe(turn.text), ""]
        for citation in turn.data.get("citations", []):
            lines.append(f"- [{citation['marker']}] {citation['note']} › {citation['heading']}")
        lines.append("")
    try:
        path.write_text("\n".join(lines), encoding="utf-8")
    except OSError as error:
        raise storage_error(error, "saving the conversation", path) from error
    say(f"Saved to {path}.")


def _lines(settings: Settings, commands: dict[str, Callable[[list[str]], None]]) -> Iterator[str]:
    """Lines typed, with editing, history and completion on a terminal."""
    if not sys.stdin.isatty():
        yield from sys.stdin
        return
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import WordCompleter
    from prompt_toolkit.history import FileHistory

    completer = WordCompleter([*commands, "/quit"], sentence=True)
    prompt: PromptSession[str] = PromptSession(
        history=FileHistory(str(settings.home / "chat-history")), completer=completer, complete_while_typing=False
    )
    while True:
        try:
            yield prompt.prompt("\n> ")
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
