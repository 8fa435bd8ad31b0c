"""Answers, sources and passages as plain text: pure functions that the terminal and the page share.

Knows no console. Text that comes from notes, questions or models is made harmless here: control characters, which a
terminal would obey, are dropped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tutor.jsonform import line_of
from tutor.markdown import without_diagrams
from tutor.types import Answer, Citation, Passage

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def safe(text: str) -> str:
    """``text`` without control characters and direction overrides; tabs and newlines stay."""
    return _CONTROL.sub("", text)


def short_path(path: str, cwd: Path) -> str:
    """``path`` from ``cwd`` when it lies below it, else as it is."""
    try:
        return str(Path(path).relative_to(cwd))
    except ValueError:
        return path


def line_number(path: str, start: int) -> int:
    """The 1-based line of character ``start`` of a file; 0 when the file cannot be read any more."""
    try:
        return Path(path).read_text(encoding="utf-8").count("\n", 0, start) + 1
    except (OSError, ValueError):
        return 0


def place(path: str, start: int, cwd: Path) -> str:
    """``path:line``, which editors open."""
    line = line_number(path, start)
    return f"{short_path(path, cwd)}:{line}" if line else short_path(path, cwd)


def source_lines(citations: Sequence[Citation], titles: dict[str, str], cwd: Path) -> list[str]:
    """One line a source: its markers, note, heading and file. Citations of one section share a line."""
    grouped: dict[tuple[str, str, str], list[Citation]] = {}
    for citation in citations:
        grouped.setdefault((citation.note, citation.heading, citation.path), []).append(citation)
    lines = []
    for (note, heading, path), members in grouped.items():
        markers = "".join(f"[{c.marker}]" for c in members)
        title = titles.get(note, note)
        name = title if heading == title else f"{title} › {heading}"
        lines.append(safe(f"{markers} {name} ({place(path, min(c.start for c in members), cwd)})"))
    return lines


def titles_of(passages: Sequence[Passage]) -> dict[str, str]:
    """Note id to title, of the notes among the passages."""
    return {p.chunk.note: p.chunk.title for p in passages}


def engine_line(answer: Answer) -> str:
    """Who answered, in one line."""
    if answer.engine == "llama":
        return f"Worded by {safe(answer.model)}, every sentence checked against the notes."
    return "Composed of the notes' own sentences (extractive engine, no language model)."


def passage_lines(passage: Passage, cwd: Path, full: bool = False) -> list[str]:
    """A ranked passage as lines: place, then its text, shortened unless ``full``."""
    chunk = passage.chunk
    text = without_diagrams(chunk.text) or chunk.text
    if not full:
        text = re.sub(r"\s+", " ", text)
        text = text if len(text) <= 240 else text[:239].rsplit(" ", 1)[0] + " …"
    head = f"{passage.rank}. {line_of(chunk)}  ({passage.score:.4f})"
    return [
        safe(head),
        f"   {safe(place(chunk.path, chunk.start, cwd))}",
        *(f"   {line}" for line in safe(text).splitlines()),
    ]
