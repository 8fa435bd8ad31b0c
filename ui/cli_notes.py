"""`tutor notes`: list, show, lint and sources."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tutor import manifest as manifests
from tutor import wiring
from tutor.errors import UnknownName
from tutor.names import find_note
from tutor.settings import Settings
from ui.cli_ask import say_json
from ui.render import short_path
from ui.terminal import out, say, show_error

if TYPE_CHECKING:
    from tutor.errors import NoteProblem
    from tutor.interview.bank import Interview

SOURCES = "SOURCES.md"
"""The file beside the notes that lists what they cite."""

_ORDER = {"framework": 0, "case-study": 1, "concept": 2, "note": 3}


def list_notes(settings: Settings, as_json: bool) -> None:
    """The indexed notes by kind, with their files."""
    manifest = manifests.read(settings.index_dir)
    topics = [topic for topic, _ in wiring.published_index(settings).topics()]
    topics.sort(key=lambda t: (_ORDER[t.kind], t.note))
    rows = [
        {
            "note": t.note,
            "slug": t.slug,
            "title": t.title,
            "kind": t.kind,
            "path": manifest.notes[t.note].path,
            "chunks": manifest.notes[t.note].chunks,
        }
        for t in topics
    ]
    if as_json:
        say_json(rows)
        return
    width = max((len(str(row["slug"])) for row in rows), default=0)
    kind = ""
    for row in rows:
        if row["kind"] != kind:
            kind = str(row["kind"])
            say(("" if row is rows[0] else "\n") + kind, "bold")
        say(f"  {row['slug']!s:<{width}}  {row['title']}  ({short_path(str(row['path']), Path.cwd())})")


def show(settings: Settings, slug: str) -> None:
    """A note's text: rendered on a terminal, as it is when piped."""
    topic = find_note(slug, wiring.published_index(settings))
    path = Path(manifests.read(settings.index_dir).notes[topic.note].path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UnknownName(
            f"{path} cannot be read: {error.strerror}.", "Run `tutor ingest`: the note has moved."
        ) from None
    if not out.is_terminal:
        say(text.rstrip("\n"))
        return
    from rich.markdown import Markdown

    from ingest.frontmatter import parse
    from ui.render import safe

    _, start = parse(text)
    out.print(Markdown(safe(text[start:]), hyperlinks=False), width=min(out.width, 100))


def sources(settings: Settings, roots: Sequence[Path]) -> None:
    """Print every work that the notes cite, as Markdown."""
    from ingest.lint_sources import listing
    from ingest.notes import read_notes
    from tutor.errors import NotesError

    notes, problems = read_notes(roots, settings, settings.home / "extracted")
    if problems:
        raise NotesError(problems)
    out.file.write(listing(notes))


def lint(settings: Settings, roots: Sequence[Path]) -> int:
    """Print every broken rule with its file and line; the exit code."""
    from ingest.diagrams import can_parse, parse_errors
    from ingest.lint import lint as check
    from ingest.lint_bank import lint_bank
    from ingest.lint_sources import listing
    from ingest.notes import read_notes
    from tutor.errors import NoteProblem, NotesError

    notes, problems = read_notes(roots, settings, settings.home / "extracted")
    parse = parse_errors if can_parse() else None
    found = [*problems, *check(notes, wiring.counter(settings), diagram_errors=parse)]
    lists = [path for root in roots if (path := root / SOURCES).is_file() and not problems]
    found += [
        NoteProblem(short_path(str(path), Path.cwd()), 0, "is out of date: run `make sources`")
        for path in lists
        if path.read_text(encoding="utf-8") != listing(notes)
    ]
    interviews = _interviews(roots, found)
    found += lint_bank(interviews, notes)
    if parse is None:
        say("Diagrams were not parsed: that needs Node 20.19 or newer on the path.", "yellow")
    if not found:
        say(f"{len(notes)} notes and {len(interviews)} interviews keep every rule.", "green")
        return 0
    broken = NotesError(found)
    broken.hint = "The rules are in corpus/README.md."
    show_error(broken)
    return broken.exit_code


def _interviews(roots: Sequence[Path], found: list[NoteProblem]) -> list[Interview]:
    """The interviews beside the notes; what keeps one from being read goes to ``found``."""
    from tutor.errors import BankProblem, NoteProblem
    from tutor.interview import bank

    read: list[Interview] = []
    for path in bank.cases(roots).values():
        try:
            read.append(bank.read(path))
        except BankProblem as problem:
            found.append(NoteProblem(problem.path, problem.line, problem.problem))
    return read
