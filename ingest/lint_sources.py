"""The rules of ``corpus/README.md`` for sources: cited works are listed, listed works are cited, notes agree on them.

Also writes ``corpus/SOURCES.md``, the list of every work with the notes that rest on it. This module reads no files and
knows no index.
"""

from __future__ import annotations

import datetime
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from ingest.lint_rules import Doc, Found, masked
from tutor.markdown import PROSE
from tutor.types import Note, Source

_FIRST_YEAR = 1900


def well_formed(doc: Doc) -> Found:
    """Sources with a year or a name that cannot be, given twice, or never cited in the text."""
    latest = datetime.datetime.now(datetime.UTC).year
    text = " ".join(re.sub(r"[*_]", " ", masked(doc.of(b))) for b in doc.blocks if b.kind in (*PROSE, "table"))
    cited = {(_first_author(who), year) for _, who, year in _cited(text)}
    seen: set[str] = set()
    for at, source in enumerate(doc.front.sources):
        if not _FIRST_YEAR <= source.year <= latest:
            yield doc.front.line_of("sources", at, "year"), f"{source.title!r} is said to be of {source.year}"
        for key in ("title", "authors", "venue"):
            value = getattr(source, key)
            if value != " ".join(value.split()) or not re.search(r"[^\W\d_]", value):
                yield doc.front.line_of("sources", at, key), f"{value!r} cannot be the {key} of a source"
        if _key(source.title) in seen:
            yield doc.front.line_of("sources", at), f"the source {source.title!r} is given twice"
        seen.add(_key(source.title))
        author = _first_author(source.authors)
        if not any(year == source.year and _same_author(who, author) for who, year in cited):
            yield doc.front.line_of("sources", at), f"the text never cites {source.authors}, {source.year}"


def agree(docs: Sequence[Doc]) -> Iterator[tuple[Doc, int, str]]:
    """Notes that give the same title different authors, another year or another venue."""
    first: dict[str, tuple[Doc, Source]] = {}
    for doc in docs:
        for at, source in enumerate(doc.note.sources):
            other, known = first.setdefault(_key(source.title), (doc, source))
            for key in ("title", "authors", "year", "venue"):
                ours, theirs = getattr(source, key), getattr(known, key)
                if ours != theirs:
                    yield (
                        doc,
                        doc.front.line_of("sources", at),
                        (f"{source.title!r}: the {key} is {ours!r} here and {theirs!r} in {other.note.id}"),
                    )


def listing(notes: Sequence[Note]) -> str:
    """``SOURCES.md``: every work by first author and year, with the notes that cite it."""
    citing: defaultdict[Source, list[Note]] = defaultdict(list)
    for note in notes:
        for source in note.sources:
            citing[source].append(note)
    lines = [
        "# Sources",
        "",
        "Every work that the notes rest on, with the notes that cite it. Made by `make sources`: do not edit.",
        "",
    ]
    for source in sorted(citing, key=lambda s: (_first_author(s.authors), s.year, _key(s.title))):
        where = ", ".join(f"[{note.slug}]({note.id}.md)" for note in sorted(citing[source], key=lambda n: n.id))
        lines.append(f"- {source.authors} ({source.year}). *{source.title}*. {source.venue}. In: {where}.")
    return "\n".join(lines) + "\n"


def _key(title: str) -> str:
    return " ".join(re.findall(r"\w+", title.casefold()))


# --- citations -------------------------------------------------------------------------------------------------------

_PARTICLE = r"(?:(?:van|von|de|der|den|del|di|da|la|le|du|ter|ten)\s+)*"
_BRACKETS = re.compile(r"\(([^()]*\b(?:19|20)\d\d[a-z]?\b[^()]*)\)")
_INSIDE = re.compile(
    rf"\s*(?:see\s+(?:also\s+)?|e\.g\.,?\s+)?(?P<who>{_PARTICLE}[^\W\d_a-z][^\d;]*),\s+(?P<year>(?:19|20)\d\d)[a-z]?\b"
)
_NAME = r"[^\W\d_a-z][\w'’-]+"
_IN_TEXT = re.compile(
    rf"(?P<who>{_PARTICLE}{_NAME}(?:\s+{_NAME})?(?:\s+et\s+al\.?|\s+and\s+{_NAME}))\s+\((?P<year>(?:19|20)\d\d)[a-z]?\)"
)


def citations(doc: Doc) -> Found:
    """Citations such as ``(Guo et al., 2017)`` or ``Guo et al. (2017)`` without an entry in ``sources``."""
    known = [(_first_author(source.authors), source.year) for source in doc.note.sources]
    for block in doc.blocks:
        if block.kind not in (*PROSE, "table"):
            continue
        text = re.sub(r"[*_]", " ", masked(doc.of(block)))
        for offset, who, year in _cited(text):
            surname = _first_author(who)
            if not any(year == y and _same_author(surname, author) for author, y in known):
                yield doc.line(block.start + offset), f"({' '.join(who.split())}, {year}) is not among the sources"


def _cited(text: str) -> Iterator[tuple[int, str, int]]:
    for brackets in _BRACKETS.finditer(text):
        at = brackets.start(1)
        for part in brackets[1].split(";"):
            if match := _INSIDE.match(part):
                yield at, match["who"], int(match["year"])
            at += len(part) + 1
    for match in _IN_TEXT.finditer(text):
        yield match.start(), match["who"], int(match["year"])


def _first_author(who: str) -> str:
    first = re.split(r"\s+et\s+al\b|\s+and\s+|\s*[&,;]", who.strip())[0]
    return " ".join(first.casefold().replace("’", "'").split())


def _same_author(cited: str, author: str) -> bool:
    """Surnames as cited and as listed; either may carry a word more in front ("Chuan Guo", "In Guo")."""
    return cited == author or author.endswith(" " + cited) or cited.endswith(" " + author)
