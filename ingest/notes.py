"""Reads notes from disk: Markdown and text as they are, PDF and HTML through their extracted Markdown.

A note that cannot be read is a NoteProblem with its file and line, never an exception, so that one bad file hides none
of the others. This module knows no chunks, embedder or index.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ingest.frontmatter import BOM, FrontMatter, FrontMatterError, parse
from ingest.readers import Unreadable, extract
from ingest.walk import DOCUMENTS, FoundFile, discover, kind_of, shown, too_large, trouble
from tutor.errors import NoteProblem
from tutor.markdown import blocks
from tutor.settings import Settings
from tutor.types import Note, Source

__all__ = ["FoundFile", "discover", "read_notes"]

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_WORD = re.compile(r"[^\W_]")
_TITLE_WITHIN = 50_000
"""A level-1 heading further down than this many characters is not taken for the title."""


class _Bad(ValueError):
    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line
        self.problem = problem


@dataclass(frozen=True, slots=True)
class _Read:
    note: Note
    file: FoundFile
    slug_line: int  # 0 when the slug was made from the id


def read_notes(roots: Sequence[Path], settings: Settings, extracted_dir: Path) -> tuple[list[Note], list[NoteProblem]]:
    """Every note under ``roots`` in the order of ``discover``, and everything that kept a file from being one.

    The Markdown of PDF and HTML files is kept in ``extracted_dir``. Raises BadInputFile for a root that does not exist
    and StorageError when ``extracted_dir`` cannot be written.
    """
    found, problems = discover(roots, settings)
    read: list[_Read] = []
    for file in found:
        try:
            read.append(_read(file, settings, extracted_dir))
        except (_Bad, FrontMatterError) as bad:
            problems.append(NoteProblem(shown(file.path), bad.line, bad.problem))
        except Unreadable as unreadable:
            problems.append(NoteProblem(shown(file.path), 0, unreadable.problem))
        except OSError as error:
            problems.append(NoteProblem(shown(file.path), 0, trouble(error)))
    notes, twice = _with_own_slugs(read)
    return notes, problems + twice


def _read(file: FoundFile, settings: Settings, extracted_dir: Path) -> _Read:
    data = _bytes(file.path, settings.max_note_mb)
    sha256 = hashlib.sha256(data).hexdigest()
    path = file.path
    if file.suffix in DOCUMENTS:
        path, text = extract(data, file.suffix, sha256, extracted_dir)
    else:
        text = _text(data)
    if file.suffix == ".txt":
        front, start = FrontMatter(), int(text.startswith(BOM))
    else:
        front, start = parse(text)
    if not _WORD.search(text, start):
        raise _Bad(0, "is empty: there are no words after the front matter" if start > 1 else "is empty")
    note = Note(
        id=file.id,
        slug=front.slug or _slug(file.id),
        title=front.title or _heading(text[start:]) or _name(file),
        kind=front.kind or "note",
        path=os.path.abspath(path),
        text=text,
        sha256=sha256,
        body_start=start,
        summary=front.summary or "",
        aliases=front.aliases,
        steps=front.steps,
        cases=front.cases,
        concepts=front.concepts,
        sources=tuple(Source(s.title, s.authors, s.year, s.venue, s.url) for s in front.sources),
    )
    return _Read(note, file, front.line_of("slug") if front.slug else 0)


def _bytes(path: Path, max_mb: float) -> bytes:
    """The bytes of a file that was regular and small when it was found, and is looked at again now that it is open:
    without O_NONBLOCK, a FIFO that took its place would block for ever."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        status = os.fstat(file.fileno())
        if kind := kind_of(status.st_mode):
            raise _Bad(0, f"is {kind}, not a file")
        if problem := too_large(status.st_size, max_mb):
            raise _Bad(0, problem)
        data = file.read(int(max_mb * 1e6) + 1)
    if problem := too_large(len(data), max_mb):  # it grew meanwhile
        raise _Bad(0, problem)
    return data


def _text(data: bytes) -> str:
    """The bytes as text with ``\\n`` newlines: what ``open(path, encoding="utf-8").read()`` gives."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise _Bad(1, "is UTF-16, not UTF-8; save it as UTF-8")
    if (nul := data.find(b"\0")) >= 0:
        raise _Bad(_line(data, nul), "holds binary content (a NUL byte); it is not a text file")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        byte = f"byte 0x{data[error.start]:02x} at offset {error.start:,}"
        raise _Bad(_line(data, error.start), f"is not UTF-8 ({byte}); save it as UTF-8") from None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if controls := _CONTROL.findall(text):
        line = text.count("\n", 0, text.index(controls[0])) + 1
        if len(controls) > len(text) * 0.1:
            raise _Bad(line, "holds binary content (mostly control characters); it is not a text file")
        more = f" and {len(controls) - 1} more" if len(controls) > 1 else ""
        raise _Bad(line, f"holds the control character U+{ord(controls[0]):04X}{more}; remove it")
    return text


def _line(data: bytes, offset: int) -> int:
    return data[:offset].replace(b"\r\n", b"\n").replace(b"\r", b"\n").count(b"\n") + 1


def _heading(body: str) -> str:
    """The plain words of the first level-1 heading, empty when there is none."""
    return next((b.title for b in blocks(body[:_TITLE_WITHIN]) if b.level == 1), "")[:200]


def _name(file: FoundFile) -> str:
    words = re.sub(r"[-_\s]+", " ", file.path.stem).strip() or file.path.stem
    return words[0].upper() + words[1:]


def _slug(note_id: str) -> str:
    """The id with every run of other characters as a hyphen; letters of any script stay."""
    return re.sub(r"[\W_]+", "-", note_id).strip("-").lower() or _mark(note_id)


def _mark(note_id: str) -> str:
    return hashlib.sha256(note_id.encode()).hexdigest()[:6]


def _with_own_slugs(read: Sequence[_Read]) -> tuple[list[Note], list[NoteProblem]]:
    """A slug that two notes declare is a problem, and the first note keeps it. A slug that was only made from an id
    makes room: all that would share it get a mark of their own id."""
    declared: dict[str, FoundFile] = {}
    made = Counter(r.note.slug for r in read if not r.slug_line)
    taken = {r.note.slug for r in read if r.slug_line}
    notes: list[Note] = []
    problems: list[NoteProblem] = []
    for r in read:
        slug = r.note.slug
        if not r.slug_line:
            shared = made[slug] > 1 or slug in taken
            notes.append(replace(r.note, slug=f"{slug}-{_mark(r.note.id)}") if shared else r.note)
        elif slug in declared:
            problem = f"declares the slug {slug!r}, as {shown(declared[slug].path)} does; change one of the two"
            problems.append(NoteProblem(shown(r.file.path), r.slug_line, problem))
        else:
            declared[slug] = r.file
            notes.append(r.note)
    return notes, problems
