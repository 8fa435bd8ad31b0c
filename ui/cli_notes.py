"""`tutor notes`: list, show and lint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tutor import manifest as manifests
from tutor import wiring
from tutor.errors import UnknownName
from tutor.names import find_note
from tutor.settings import Settings
from ui.cli_ask import say_json
from ui.render import short_path
from ui.terminal import out, say, show_error

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


def lint(settings: Settings, roots: Sequence[Path]) -> int:
    """Print every broken rule with its file and line; the exit code."""
    from ingest.lint import lint as check
    from ingest.notes import read_notes
    from tutor.errors import NotesError

    notes, problems = read_notes(roots, settings, settings.home / "extracted")
    found = [*problems, *check(notes, wiring.counter(settings))]
    if not found:
        say(f"{len(notes)} notes keep every rule.", "green")
        return 0
    broken = NotesError(found)
    broken.hint = "The rules are in corpus/README.md."
    show_error(broken)
    return broken.exit_code
