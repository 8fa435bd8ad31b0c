"""Folders of notes for the tests of reading, and a small corpus that breaks no rule for the tests of lint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ingest.frontmatter import parse
from ingest.lint import SECTIONS, WORDS, lint
from ingest.notes import read_notes
from tutor.errors import NoteProblem
from tutor.settings import Settings
from tutor.types import Kind, Note, Source

GOOD = "# Recall\n\nRecall is a share.\n"


def write(folder: Path, name: str, text: str | bytes = GOOD) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read(*roots: Path, max_mb: float = 1.0) -> tuple[list[Note], list[NoteProblem]]:
    return read_notes(roots, Settings(max_note_mb=max_mb), roots[0].parent / "extracted")


def ids(notes: Sequence[Note]) -> list[str]:
    return [note.id for note in notes]


def only_problem(folder: Path, max_mb: float = 1.0) -> NoteProblem:
    """The one problem of a folder whose good note is read all the same."""
    notes, problems = read(folder, max_mb=max_mb)
    assert ids(notes) == ["good"]
    assert len(problems) == 1, problems
    return problems[0]


# --- lint ---

FOLDERS = {"framework": "framework", "case-study": "case-studies", "concept": "concepts"}
DIAGRAM = '```mermaid\nflowchart LR\n  A["Query"] --> B["Index"]\n  B -->|"top k"| C[("Store")]\n```\n'


def pieces(text: str) -> int:
    """Stands in for the embedder's tokenizer: one word piece for each word."""
    return len(text.split())


def filler(seed: str, words: int) -> str:
    """Sentences of 20 words that no two notes share, in paragraphs of 60."""
    made: list[str] = []
    for at in range(words // 20):
        tail = " ".join(f"{seed[:3]}{seed[-1]}{at}{n:02}" for n in range(17))
        made.append(f"Section {at} says {tail}.")
    return "\n\n".join(" ".join(made[at : at + 3]) for at in range(0, len(made), 3))


def note_text(kind: Kind, slug: str, cases: Sequence[str] = (), concepts: Sequence[str] = ()) -> str:
    """A note that breaks no rule, when the notes it names do not."""
    title = slug.replace("-", " ").capitalize()
    least, _ = WORDS[kind]
    sections = SECTIONS[kind]
    share = (least + 100) // len(sections) // 20 * 20 + 20
    body = "\n\n".join(
        f"## {section}\n\n{filler(slug.replace('-', '') + chr(97 + at), share)}" for at, section in enumerate(sections)
    )
    return f"""---
slug: {slug}
title: {title}
kind: {kind}
summary: One sentence about {slug}.
aliases: [{slug} one, {slug} two, {slug} three]
steps: [evaluation]
cases: [{", ".join(cases)}]
concepts: [{", ".join(concepts)}]
sources:
  - {{title: "On It", authors: "Guo et al.", year: 2017, venue: "ICML"}}
---

# {title}

{body}

## marker
""".replace("\n\n## marker\n", f"\n\nThe end of {slug} cites a work (Guo et al., 2017).\n\n" + (DIAGRAM + "\n") * 2)


def note(text: str, kind: Kind, slug: str) -> Note:
    front, start = parse(text)
    return Note(
        id=f"{FOLDERS[kind]}/{slug}",
        slug=front.slug or slug,
        title=front.title or slug,
        kind=kind,
        path=f"/corpus/{FOLDERS[kind]}/{slug}.md",
        text=text,
        sha256="",
        body_start=start,
        aliases=front.aliases,
        steps=front.steps,
        cases=front.cases,
        concepts=front.concepts,
        sources=tuple(Source(s.title, s.authors, s.year, s.venue) for s in front.sources),
    )


CASE = note_text("case-study", "image-search", concepts=["hashing", "caching"])
HASHING = note_text("concept", "hashing", cases=["image-search"], concepts=["caching"])
CACHING = note_text("concept", "caching", cases=["image-search"], concepts=["hashing"])
STEP = note_text("framework", "evaluation", concepts=["hashing"])


def corpus(hashing: str = HASHING, case: str = CASE, step: str = STEP) -> list[NoteProblem]:
    """The problems of four notes that link to each other."""
    return lint(
        [
            note(case, "case-study", "image-search"),
            note(hashing, "concept", "hashing"),
            note(CACHING, "concept", "caching"),
            note(step, "framework", "evaluation"),
        ],
        pieces,
    )


def line_of(text: str, part: str) -> int:
    return text.count("\n", 0, text.index(part)) + 1


def changed(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)


def with_words(extra: str) -> str:
    """The hashing note with a paragraph more at its end."""
    return HASHING + "\n" + extra + "\n"
