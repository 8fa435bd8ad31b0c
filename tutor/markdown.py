"""Reads Markdown as blocks and sentences with character offsets, and as the plain words a reader sees.

Offsets always refer to the text that was passed in. This module knows nothing of notes, chunks or screens.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, TypeAlias

from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin

BlockKind: TypeAlias = Literal["heading", "paragraph", "item", "table", "code", "diagram", "formula", "html"]
ATOMIC: frozenset[BlockKind] = frozenset({"table", "code", "diagram", "formula", "html"})
"""Blocks that are never cut."""

PROSE: frozenset[BlockKind] = frozenset({"paragraph", "item"})
"""Blocks made of sentences."""


@dataclass(frozen=True, slots=True)
class Block:
    """A run of lines: ``text[start:end]``, without surrounding blank lines. ``level`` is 1-6 for a heading of the
    document, 0 for one inside a quote or a list and for every other block; ``title`` is a heading's plain words."""

    kind: BlockKind
    start: int
    end: int
    level: int = 0
    title: str = ""


def _new_parser() -> MarkdownIt:
    # math is parsed so that `$a_i$` is not read as emphasis, and so that a formula is one block
    return MarkdownIt("commonmark").enable("table").use(dollarmath_plugin, allow_space=False, double_inline=False)


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    return _new_parser()


@lru_cache(maxsize=1)
def _block_parser() -> MarkdownIt:
    # finding the blocks needs no look at what is inside them, which is most of the work
    return _new_parser().disable(["inline", "text_join"])


_KINDS: dict[str, BlockKind] = {
    "paragraph_open": "paragraph",
    "table_open": "table",
    "fence": "code",
    "code_block": "code",
    "math_block": "formula",
    "math_block_label": "formula",
    "html_block": "html",
}


def blocks(text: str) -> list[Block]:
    """The leaf blocks of ``text`` in order: each list item's own lines are a block of their own."""
    starts = [0, *(m.end() for m in re.finditer(r"\r\n?|\n", text)), len(text)]  # lines as the parser counts them
    found: list[Block] = []
    env: dict[str, Any] = {}
    tokens = _block_parser().parse(text, env)
    depth = 0  # of lists: a paragraph inside one is an item
    for at, token in enumerate(tokens):
        if token.type in ("bullet_list_open", "ordered_list_open"):
            depth += 1
        elif token.type in ("bullet_list_close", "ordered_list_close"):
            depth -= 1
        if token.map is None:
            continue
        first, last = starts[token.map[0]], starts[min(token.map[1], len(starts) - 1)]
        if token.type == "heading_open":
            title = _inline_plain(tokens[at + 1].content, env)
            level = 0 if token.level else int(token.tag[1])
            found.append(_trimmed(text, "heading", first, last, level, title))
        elif token.type in _KINDS:
            kind = _KINDS[token.type]
            if kind == "code" and token.info.strip().lower().startswith("mermaid"):
                kind = "diagram"
            if kind == "paragraph" and depth:
                kind = "item"
            found.append(_trimmed(text, kind, first, last))
    return [b for b in found if b.start < b.end]


def _trimmed(text: str, kind: BlockKind, start: int, end: int, level: int = 0, title: str = "") -> Block:
    while end > start and text[end - 1].isspace():
        end -= 1
    while start < end and text[start].isspace():
        start += 1
    return Block(kind, start, end, level, title)


def _inline_plain(text: str, env: dict[str, Any]) -> str:
    """The words of inline Markdown; ``env`` holds the link definitions of its document."""
    parts: list[str] = []
    for child in (child for token in _parser().parseInline(text, env) for child in token.children or []):
        if child.type in ("text", "code_inline", "image"):
            parts.append(child.content)
        elif child.type == "math_inline":
            parts.append(f"${child.content}$")
        elif child.type in ("softbreak", "hardbreak"):
            parts.append(" ")
    return re.sub(r"\s+", " ", "".join(parts)).strip()


_MARKER = re.compile(r"(?:\s*(?:>\s?|[-*+]\s+|\d{1,9}[.)]\s+))+")


def plain(text: str) -> str:
    """The words of a run of Markdown prose as a reader sees them, on one line: no links, marks or list bullets."""
    marker = _MARKER.match(text)
    body = text[marker.end() :] if marker else text
    return _inline_plain(body, {})


_ABBREVIATIONS = frozenset("e.g e.g. i.e i.e. et al cf fig eq approx resp dr mr mrs prof inc ltd vs pp vol eds".split())
_BOUNDARY = re.compile(r"[.!?…][\"'”’)\]*_`]*(?=\s+(\S))")
_LAST_WORD = re.compile(r"[\w.]*$")
_LONGEST = 12
"""How many characters before a full stop are looked at: more than any abbreviation has."""

_FORMULA = re.compile(r"\$(?!\s)[^$\n]+(?<!\s)\$")
_OPENERS = {"(": ")", "[": "]"}


def sentences(text: str) -> list[tuple[int, int]]:
    """Offsets of the sentences of one prose block, without its list bullet.

    A full stop inside brackets, code or a formula (but at their very end), after an abbreviation, or before a
    lower-case word does not end a sentence. The spans do not overlap, are in order, and cover every non-space character
    after the bullet.
    """
    marker = _MARKER.match(text)
    start = marker.end() if marker else 0
    shielded = _shielded(text)
    spans: list[tuple[int, int]] = []
    for match in _BOUNDARY.finditer(text, start):
        if shielded[match.end() - 1] or not _ends_sentence(text, match):
            continue
        if match.end() > start:
            spans.append((start, match.end()))
        start = match.end()
        while start < len(text) and text[start].isspace():
            start += 1
    end = len(text.rstrip())
    if end > start:
        spans.append((start, end))
    return spans


def _ends_sentence(text: str, match: re.Match[str]) -> bool:
    if match.group(1).islower():
        return False
    if text[match.start()] != ".":
        return True
    word = _LAST_WORD.search(text[max(0, match.start() - _LONGEST) : match.start()])
    last = word.group().lower() if word else ""
    if last in _ABBREVIATIONS:
        return False
    return not (len(last) == 1 and last.isalpha() and last != "i")  # an initial: "J. Dean"


def _shielded(text: str) -> bytearray:
    """1 at each position inside code spans, formulas and closed brackets, where no sentence ends; else 0."""
    inside = bytearray(len(text))
    for start, end in [*_code_spans(text), *(match.span() for match in _FORMULA.finditer(text))]:
        _fill(inside, start, end - 1)
    opened: list[int] = []
    closed: list[tuple[int, int]] = []
    for at, char in enumerate(text):
        if inside[at]:
            continue
        if char in _OPENERS:
            opened.append(at)
        elif opened and char == _OPENERS[text[opened[-1]]]:
            start = opened.pop()
            while closed and closed[-1][0] > start:  # covered by this pair
                closed.pop()
            closed.append((start, at))
    for start, end in closed:
        _fill(inside, start, end)
    return inside


def _fill(mask: bytearray, start: int, end: int) -> None:
    mask[start:end] = b"\1" * (end - start)


def _code_spans(text: str) -> Iterator[tuple[int, int]]:
    """Spans from a run of backticks to the next run of as many, found in one pass from the end."""
    runs = [match.span() for match in re.finditer("`+", text)]
    following: dict[int, int] = {}
    partner = [0] * len(runs)
    for at in reversed(range(len(runs))):
        length = runs[at][1] - runs[at][0]
        partner[at] = following.get(length, 0)
        following[length] = at
    at = 0
    while at < len(runs):
        if partner[at]:
            yield runs[at][0], runs[partner[at]][1]
        at = (partner[at] or at) + 1


def prose_sentences(text: str) -> Iterator[tuple[int, int]]:
    """Offsets of all sentences in the paragraphs and list items of ``text``; tables, code and headings are not."""
    for block in blocks(text):
        if block.kind in PROSE:
            for start, end in sentences(text[block.start : block.end]):
                yield block.start + start, block.start + end


def without_diagrams(text: str) -> str:
    """``text`` with the source of each diagram left out: embedders and readers of a terminal gain nothing from it."""
    if "mermaid" not in text.lower():
        return text.strip()
    kept, at = [], 0
    for block in blocks(text):
        if block.kind == "diagram":
            kept.append(text[at : block.start])
            at = block.end
    return "".join([*kept, text[at:]]).strip()
