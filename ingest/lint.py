"""Holds the notes of our own corpus to ``corpus/README.md``: front matter, sections, length, links, and duplicates.

Only framework, case-study and concept notes are held to it; anyone's own notes are free. What one note can be held to
by itself is in ``lint_rules``, what concerns its sources in ``lint_sources``. This module reads no files and knows no
embedder: it is given a counter.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

from ingest import lint_rules as rules
from ingest import lint_sources as sources
from ingest.chunk import chunk_note
from ingest.frontmatter import FrontMatter, FrontMatterError, parse
from ingest.lint_rules import Doc, Found
from tutor.errors import NoteProblem
from tutor.markdown import PROSE, blocks
from tutor.types import Kind, Note

SECTIONS: Mapping[Kind, tuple[str, ...]] = {
    "framework": (
        "What the interviewer is listening for",
        "Questions to ask",
        "Decisions and trade-offs",
        "Worked example",
        "Checklist",
        "Common mistakes",
        "How seniority changes this step",
        "Managing the time",
    ),
    "case-study": (
        "Problem and requirements",
        "Capacity numbers",
        "ML framing",
        "Data and labels",
        "Features",
        "Model choices",
        "Losses and training",
        "Evaluation",
        "Serving architecture",
        "Monitoring and failure modes",
        "Follow-up questions",
        "Answers that lose points",
        "Senior and staff expectations",
    ),
    "concept": (
        "Definition",
        "Mechanism",
        "Worked number",
        "When to use and when not",
        "Failure modes",
        "How interviewers probe it",
        "Where it appears",
    ),
}
"""The level-2 headings of each kind, in order."""

INTERVIEW = "interview-overview"
"""The framework note that is not one of the seven steps but the interview as a whole; it has sections of its own."""

INTERVIEW_SECTIONS = (
    "What the interview measures",
    "How the interview is graded",
    "Timing the 45 minutes",
    "Drawing the system",
    "When to go deep",
    "Worked example",
    "Checklist",
    "Common mistakes",
    "How seniority changes the interview",
    "Preparing in the weeks and hours before",
)

WORDS: Mapping[Kind, tuple[int, int]] = {"framework": (1500, 2500), "case-study": (2000, 3500), "concept": (350, 800)}
"""Least and most words of a body, diagrams and code blocks left out."""

DIAGRAMS: Mapping[Kind, int] = {"framework": 1, "case-study": 2, "concept": 0}
"""Least diagrams of each kind."""

ALIASES = 3
"""Least aliases of a note."""

DUPLICATE = 0.5
"""Two paragraphs whose sets of word 8-grams have at least this Jaccard similarity say the same."""

_SHINGLE = 8


def lint(
    notes: Sequence[Note],
    count: Callable[[str], int],
    limit: int = 256,
    diagram_errors: Callable[[Sequence[str]], Sequence[str | None]] | None = None,
) -> list[NoteProblem]:
    """Every breach of the corpus's rules, ordered by file and line.

    ``count`` gives the embedder's word pieces of a text, ``limit`` how many it reads. ``diagram_errors`` parses
    Mermaid sources and gives each one's error or None; without it only the form of diagrams is looked at.
    """
    docs = [_doc(note) for note in notes if note.kind in SECTIONS]
    problems: set[tuple[str, int, str]] = set()
    for doc in docs:
        for line, problem in _alone(doc, count, limit):
            problems.add((doc.note.path, line, problem))
    for rule in (_links_between, _links_in_text, _aliases, _duplicates, sources.agree):
        for doc, line, problem in rule(docs):
            problems.add((doc.note.path, line, problem))
    if diagram_errors is not None:
        drawn = [(doc, block) for doc in docs for block in doc.blocks if block.kind == "diagram"]
        errors = diagram_errors([rules.fenced_lines(doc.of(block)) for doc, block in drawn]) if drawn else ()
        for (doc, block), error in zip(drawn, errors, strict=True):
            if error is not None:
                problems.add((doc.note.path, doc.line(block.start), f"mermaid cannot draw this: {error}"))
    return [NoteProblem(*problem) for problem in sorted(problems)]


def _doc(note: Note) -> Doc:
    try:
        front, _ = parse(note.text)
    except FrontMatterError:  # a note that was not read from a file with front matter
        front = FrontMatter()
    body = blocks(note.text[note.body_start :])
    shift = note.body_start
    return Doc(note, front, tuple(replace(b, start=b.start + shift, end=b.end + shift) for b in body))


def _alone(doc: Doc, count: Callable[[str], int], limit: int) -> Found:
    yield from _front_matter(doc)
    yield from _title(doc)
    yield from _sections(doc)
    yield from _length(doc)
    yield from rules.prose(doc)
    yield from rules.openings(doc)
    yield from rules.tables(doc)
    yield from rules.html(doc)
    yield from rules.numbers(doc)
    yield from rules.reading_level(doc)
    yield from sources.citations(doc)
    yield from sources.well_formed(doc)
    yield from rules.diagrams(doc, DIAGRAMS[doc.note.kind])
    for block in chunk_note(doc.note, count, limit)[1]:
        yield block.line, f"a {block.kind} of {block.pieces} word pieces with its headings; at most {limit}"


# --- one note --------------------------------------------------------------------------------------------------------


def _front_matter(doc: Doc) -> Found:
    front, name = doc.front, Path(doc.note.path).stem
    for key in ("slug", "title", "summary", "steps", "sources"):
        if not getattr(front, key):
            yield 1, f"the front matter has no {key}"
    if front.slug and front.slug != name:
        yield front.line_of("slug"), f"the slug {front.slug} is not the file's name, {name}"
    if len(front.aliases) < ALIASES:
        yield front.line_of("aliases"), f"{len(front.aliases)} aliases; at least {ALIASES}"


def _title(doc: Doc) -> Found:
    headings = [block for block in doc.blocks if block.kind == "heading" and block.level == 1]
    if not headings:
        yield 1, "there is no level-1 heading"
        return
    first = headings[0]
    if doc.front.title and first.title != doc.front.title:
        yield doc.line(first.start), f"the heading {first.title!r} is not the title {doc.front.title!r}"
    if doc.blocks[0] != first:
        yield doc.line(doc.blocks[0].start), "the note does not begin with its level-1 heading"
    for extra in headings[1:]:
        yield doc.line(extra.start), "a second level-1 heading"


def _sections(doc: Doc) -> Found:
    found = [block for block in doc.blocks if block.kind == "heading" and block.level == 2]
    expected = INTERVIEW_SECTIONS if doc.note.slug == INTERVIEW else SECTIONS[doc.note.kind]
    for at, title in enumerate(expected):
        if at == len(found):
            yield doc.line(len(doc.note.text)), f"the section {title!r} is missing"
            return
        if found[at].title != title:
            yield doc.line(found[at].start), f"section {at + 1} must be {title!r}, not {found[at].title!r}"
            return
    for extra in found[len(expected) :]:
        yield doc.line(extra.start), f"{extra.title!r} is not a section of this kind of note"


def _length(doc: Doc) -> Found:
    least, most = WORDS[doc.note.kind]
    body = [doc.of(block) for block in doc.blocks if block.kind not in ("code", "diagram")]
    count = sum(len(rules.words(text)) for text in body)
    if not least <= count <= most:
        yield 1, f"{count:,} words; a {doc.note.kind} note has {least:,} to {most:,}"


# --- notes together --------------------------------------------------------------------------------------------------


def _links_between(docs: Sequence[Doc]) -> Iterator[tuple[Doc, int, str]]:
    """``cases`` and ``concepts`` name notes that exist and, framework notes excepted, name this one in turn."""
    targets: dict[str, dict[str, Doc]] = {"cases": {}, "concepts": {}}
    for doc in docs:
        if doc.note.kind != "framework":
            targets["cases" if doc.note.kind == "case-study" else "concepts"][doc.note.slug] = doc
    for doc in docs:
        back = "cases" if doc.note.kind == "case-study" else "concepts"
        for key in ("cases", "concepts"):
            for at, slug in enumerate(getattr(doc.note, key)):
                line = doc.front.line_of(key, at)
                target = targets[key].get(slug)
                if target is None:
                    yield doc, line, f"{key} names {slug!r}, and there is no such note"
                elif slug == doc.note.slug:
                    yield doc, line, f"{key} names the note itself"
                elif doc.note.kind != "framework" and doc.note.slug not in getattr(target.note, back):
                    yield doc, line, f"{key} names {slug!r}, whose {back} does not name {doc.note.slug!r}"


_LINK = re.compile(r"\[[^\[\]]*\]\(([^()\s]+)\)")


def _links_in_text(docs: Sequence[Doc]) -> Iterator[tuple[Doc, int, str]]:
    """Markdown links lead to notes of the corpus or to the web."""
    paths = {os.path.normpath(doc.note.path) for doc in docs}
    for doc in docs:
        folder = Path(doc.note.path).parent
        for block in doc.blocks:
            if block.kind in ("code", "diagram", "formula", "html"):
                continue
            for match in _LINK.finditer(rules.without_code(doc.of(block))):
                target = unquote(match[1].partition("#")[0])
                if not target or target.startswith(("http://", "https://")):
                    continue
                if os.path.normpath(folder / target) not in paths:
                    yield doc, doc.line(block.start + match.start()), f"the link to {target} leads to no note"


def _aliases(docs: Sequence[Doc]) -> Iterator[tuple[Doc, int, str]]:
    """No alias belongs to two notes or is another note's title."""
    owners: dict[str, Doc] = {}
    titles = {doc.note.title.casefold(): doc for doc in docs}
    for doc in docs:
        for at, alias in enumerate(doc.note.aliases):
            line, key = doc.front.line_of("aliases", at), alias.casefold()
            owner = owners.setdefault(key, doc)
            if owner is not doc:
                yield doc, line, f"the alias {alias!r} belongs to {owner.note.id}"
            titled = titles.get(key)
            if titled is not None and titled is not doc:
                yield doc, line, f"the alias {alias!r} is the title of {titled.note.id}"
        for alias, times in Counter(alias.casefold() for alias in doc.note.aliases).items():
            if times > 1:
                yield doc, doc.front.line_of("aliases"), f"the alias {alias!r} is given twice"


def _duplicates(docs: Sequence[Doc]) -> Iterator[tuple[Doc, int, str]]:
    """Paragraphs of different notes that share at least half of their word 8-grams."""
    passages: list[tuple[Doc, int, frozenset[tuple[str, ...]]]] = []
    holders: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for doc in docs:
        for block in doc.blocks:
            tokens = re.findall(r"\w+", doc.of(block).casefold()) if block.kind in PROSE else []
            grams = frozenset(zip(*(tokens[at:] for at in range(_SHINGLE)), strict=False))
            if not grams:
                continue
            shared = Counter(other for gram in grams for other in holders[gram])
            for other, common in shared.items():
                twin, line, theirs = passages[other]
                if twin is not doc and common / len(grams | theirs) >= DUPLICATE:
                    yield doc, doc.line(block.start), f"says nearly the same as {twin.note.id}, line {line}"
            for gram in grams:
                holders[gram].append(len(passages))
            passages.append((doc, doc.line(block.start), grams))
