"""Cuts a note into chunks along its headings.

A chunk never crosses a heading and never cuts a table, code block, formula or diagram. It holds at most ``limit`` word
pieces of the embedder, title and heading path included. This module knows no embedder: it is given a counter.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from tutor.markdown import ATOMIC, PROSE, Block, blocks, sentences, without_diagrams
from tutor.steps import CASE_SECTIONS, detect_step
from tutor.types import STEPS, Chunk, Note

Counter: TypeAlias = Callable[[str], int]
"""Number of word pieces of a text, special tokens included."""

HEADING_SHARE = 0.5
"""A title and heading path may take at most this share of a chunk; a longer one is cut in what is embedded."""


@dataclass(frozen=True, slots=True)
class Oversize:
    """A table, code block, formula or diagram that does not fit the embedder: it is kept whole as a chunk, its first
    ``limit`` word pieces are embedded, and the lexical index holds all of it."""

    line: int
    pieces: int
    kind: str


@dataclass(frozen=True, slots=True)
class _Piece:
    start: int
    end: int
    atomic: bool


def chunk_note(note: Note, count: Counter, limit: int = 256) -> tuple[list[Chunk], list[Oversize]]:
    """All chunks of a note in order, and the blocks that were too large for the embedder.

    Chunks of one note never overlap, and together hold every letter and digit of the body outside headings. (A rule
    or an empty bullet at the edge of a section is left out.)
    """
    chunks: list[Chunk] = []
    oversize: list[Oversize] = []
    for headings, section in _sections(note):
        prefix = _prefix(note, headings, count, limit)

        def fits(start: int, end: int, prefix: str = prefix) -> bool:
            return count(prefix + without_diagrams(note.text[start:end])) <= limit

        for run in _pack(_pieces(note.text, section, fits), fits):
            embed_text = prefix + without_diagrams(note.text[run.start : run.end])
            pieces = count(embed_text)
            if pieces > limit:
                line = note.text.count("\n", 0, run.start) + 1
                oversize.append(Oversize(line, pieces, _kind_at(section, run.start)))
                embed_text = _cut(embed_text, count, limit)
            chunks.append(_chunk(note, headings, run.start, run.end, embed_text))
    return chunks, oversize


def _sections(note: Note) -> Iterator[tuple[tuple[str, ...], list[Block]]]:
    """Runs of blocks between headings, with the heading path above each (the title's own heading left out)."""
    body = note.text[note.body_start :]
    path: list[Block] = []
    run: list[Block] = []
    for found in _with_strays(body, blocks(body)):
        block = replace(found, start=found.start + note.body_start, end=found.end + note.body_start)
        if not block.level:
            run.append(block)
            continue
        if run:
            yield _titles(path, note), run
            run = []
        path = [b for b in path if b.level < block.level] + [block]
    if run:
        yield _titles(path, note), run


def _with_strays(body: str, found: Sequence[Block]) -> Iterator[Block]:
    """The blocks, and as paragraphs the words that no block holds: link definitions, what is nested too deeply."""
    at = 0
    for block in [*found, Block("paragraph", len(body), len(body))]:
        stray = body[at : block.start]
        if any(char.isalnum() for char in stray):
            yield Block("paragraph", at + len(stray) - len(stray.lstrip()), at + len(stray.rstrip()))
        if block.start < block.end:
            yield block
        at = block.end


def _titles(path: Sequence[Block], note: Note) -> tuple[str, ...]:
    return tuple(b.title for b in path if not (b.level == 1 and b.title.casefold() == note.title.casefold()))


def _prefix(note: Note, headings: tuple[str, ...], count: Counter, limit: int) -> str:
    prefix = "\n".join([" > ".join([note.title, *headings]), ""])
    most = int(limit * HEADING_SHARE)
    return prefix if count(prefix) <= most else _cut(prefix, count, most) + "\n"


def _pieces(text: str, section: Sequence[Block], fits: Callable[[int, int], bool]) -> Iterator[_Piece]:
    """Blocks, with prose that does not fit cut at sentences, and a sentence that does not fit cut at words."""
    for block in section:
        if block.kind not in PROSE or fits(block.start, block.end):
            yield _Piece(block.start, block.end, block.kind in ATOMIC)
            continue
        begin = block.start
        for _, end in sentences(text[block.start : block.end]):
            at = block.start + end
            if fits(begin, at):
                yield _Piece(begin, at, False)
            else:
                yield from _by_words(text, begin, at, fits)
            begin = at


def _by_words(text: str, start: int, end: int, fits: Callable[[int, int], bool]) -> Iterator[_Piece]:
    while start < end:
        while start < end and text[start].isspace():
            start += 1
        low = start + 1
        step = 64  # far enough for any real limit in a few doublings
        while low + step < end and fits(start, low + step):
            low, step = low + step, step * 2
        high = min(low + step, end)
        while low < high:  # the longest prefix that fits, found by halving
            middle = (low + high + 1) // 2
            low, high = (middle, high) if fits(start, middle) else (low, middle - 1)
        if low < end:
            space = re.search(r"\s\S*$", text[start:low])
            low = start + space.start() if space and space.start() > 0 else low
        if low > start:
            yield _Piece(start, low, False)
        start = low


def _pack(pieces: Iterator[_Piece], fits: Callable[[int, int], bool]) -> Iterator[_Piece]:
    """Joins neighbouring pieces as long as the whole fits."""
    run: _Piece | None = None
    for piece in pieces:
        if run is not None and fits(run.start, piece.end):
            run = _Piece(run.start, piece.end, False)
            continue
        if run is not None:
            yield run
        run = piece
    if run is not None:
        yield run


def _kind_at(section: Sequence[Block], start: int) -> str:
    return next((b.kind for b in section if b.start <= start < b.end), "block")


def _cut(text: str, count: Counter, limit: int) -> str:
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if count(text[:middle]) <= limit else (low, middle - 1)
    return text[:low].rstrip()


def _chunk(note: Note, headings: tuple[str, ...], start: int, end: int, embed_text: str) -> Chunk:
    while start < end and note.text[start].isspace():
        start += 1
    while end > start and note.text[end - 1].isspace():
        end -= 1
    text = note.text[start:end]
    key = f"{note.id}\0{start}\0{text}".encode()
    return Chunk(
        id=hashlib.sha256(key).hexdigest()[:20],
        note=note.id,
        slug=note.slug,
        title=note.title,
        kind=note.kind,
        heading=" > ".join(headings) or note.title,
        path=note.path,
        start=start,
        end=end,
        text=text,
        embed_text=embed_text,
        aliases=note.aliases,
        steps=_steps(note, headings),
    )


def _steps(note: Note, headings: tuple[str, ...]) -> tuple[str, ...]:
    """The framework steps a section speaks of: the note's own for framework and concepts, the section's for a case."""
    if note.kind == "framework" and note.slug in STEPS:
        return (note.slug,)
    if note.kind in ("framework", "concept"):
        return note.steps
    if headings and headings[0].casefold() in CASE_SECTIONS:
        return (CASE_SECTIONS[headings[0].casefold()],)
    step = detect_step(" ".join(headings))
    return (step,) if step else ()
