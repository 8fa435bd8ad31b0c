"""A run of a note as Markdown that is safe to show, with one sentence highlighted.

The note is parsed and written anew from the constructs that are safe: headings, emphasis, lists, quotes, tables, code,
formulas and diagrams. A link becomes its words and its address, an image its description, and HTML is shown as it was
written. Pure: it must not know Streamlit, a file or an answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, reduce

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode
from mdit_py_plugins.dollarmath import dollarmath_plugin

from tutor.markdown import blocks
from ui.web.text import JOINER, UNSEEN, code_span, escape, harmless_formula, marks

HIGHLIGHT = "green-background"
"""The directive that puts a colour behind a text; the page's theme makes this one a tint of the accent."""

MAX_SECTION = 6_000
"""Characters of a section that are shown; of a longer one, those around the sentence."""

MAX_NESTING = 12
"""Lists and quotes nested deeper than this are shown as text."""

_AROUND = 40_000  # characters parsed on either side of a sentence: a note may have megabytes
_OPEN, _CLOSE = "\u2e44", "\u2e45"  # rare punctuation, so that emphasis beside it is read as it was without it
_DIAGRAM_RISKS = re.compile(
    r"\A\s*---|%%\{|@\{|://|url\s*\(|<(?=[a-z/!?])(?!/?(?:br|b|i|sub|sup)\s*/?>)", re.IGNORECASE
)
_WHOLE_FORMULA = re.compile(r"(?!\s)(?:[^\\$]|\\[^\n])+(?<!\s)")
_LANGUAGE = re.compile(r"[\w+-]{1,20}")
_Write = Callable[[str, bool], str]


@dataclass(frozen=True, slots=True)
class Section:
    """Characters ``start`` to ``end`` of a note; ``cut`` is true when its section goes on before or after them."""

    start: int
    end: int
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Highlight:
    """Characters ``start`` to ``end`` of a note, to be drawn with the citation's ``marker`` after them."""

    start: int
    end: int
    marker: int


def section(text: str, start: int, end: int) -> Section:
    """The section of a note that holds its characters ``start`` to ``end``: from the heading before to the next."""
    low = text.rfind("\n", 0, max(0, start - _AROUND)) + 1
    high = min(len(text), end + _AROUND)
    if low == 0 and text.startswith("---\n") and 0 < text.find("\n---", 3) < start:
        low = text.find("\n", text.find("\n---", 3) + 1) + 1  # the front matter is not part of any section
    found = [(b.kind, b.start + low, b.end + low) for b in blocks(text[low:high])]
    first = next((at for kind, at, _ in reversed(found) if kind == "heading" and at <= start), low)
    last = next((at for kind, at, _ in found if kind == "heading" and at >= end), high)
    if last - first <= MAX_SECTION:
        return Section(first, last)
    half = MAX_SECTION // 2
    near = [(a, b) for _, a, b in found if max(first, start - half) <= a and b <= min(last, end + half)]
    return Section(min([start, *(a for a, _ in near)]), max([end, *(b for _, b in near)]), cut=True)


def note_markdown(text: str, highlights: Sequence[Highlight] = ()) -> tuple[str, frozenset[int]]:
    """A run of a note as safe Markdown, and the markers of the highlights that could be drawn.

    Of highlights that overlap, the first is drawn.
    """
    text = UNSEEN.sub("\ufffd", text).replace(_OPEN, "\ufffd").replace(_CLOSE, "\ufffd")
    parts: list[str] = []
    markers: list[int] = []
    at = 0
    for light in sorted(highlights, key=lambda h: (h.start, h.end)):
        if at <= light.start < light.end <= len(text):
            parts += [text[at : light.start], _OPEN, text[light.start : light.end], _CLOSE]
            markers.append(light.marker)
            at = light.end
    page = _Page(markers)
    lines = page.blocks(SyntaxTreeNode(_parser().parse("".join([*parts, text[at:]]))).children)
    return "\n".join(lines).strip("\n"), frozenset(page.drawn)


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark").enable("table").use(dollarmath_plugin, allow_space=False, double_inline=False)


@dataclass(frozen=True, slots=True)
class _Piece:
    markdown: str
    lit: bool = False


@dataclass(slots=True)
class _Page:
    """A note while it is written anew. ``markers`` are those of its highlights in order, ``closed`` counts the ends of
    highlights passed; ``lit`` is true between the two ends of one, and ``drawn`` holds those of which any was written.
    """

    markers: Sequence[int] = ()
    closed: int = 0
    lit: bool = False
    drawn: set[int] = field(default_factory=set)
    depth: int = 0
    in_table: bool = False

    def blocks(self, nodes: Sequence[SyntaxTreeNode], loose: bool = True) -> list[str]:
        lines: list[str] = []
        for node in nodes:
            lines += [*self.block(node), *([""] if loose else [])]
        return lines

    def block(self, node: SyntaxTreeNode) -> list[str]:
        match node.type:
            case "heading":
                return ["#" * min(6, max(3, int(node.tag[1]) + 1)) + " " + self.inline(node.children)]
            case "paragraph":
                return self.inline(node.children).split("\n")
            case "bullet_list" | "ordered_list" | "blockquote":
                return self._nested(node)
            case "table":
                return self._table(node)
            case "fence" | "code_block":
                return self._fence(node)
            case "math_block" | "math_block_label":
                return self._formula_block(self._unmarked(node.content).strip())
            case "hr":
                return ["---"]
            case _:
                return [escape(self._unmarked(node.content)).strip()]

    def _nested(self, node: SyntaxTreeNode) -> list[str]:
        if self.depth >= MAX_NESTING:
            return [escape(" ".join(self._unmarked(n.content) for n in node.walk() if n.type == "inline"))]
        self.depth += 1
        lines: list[str] = []
        if node.type == "blockquote":
            lines = [f"> {line}" for line in self.blocks(node.children)[:-1]]
        else:
            number = int(node.attrs.get("start", 1))
            for at, item in enumerate(node.children):
                mark = f"{number + at}. " if node.type == "ordered_list" else "- "
                loose = any(child.type == "paragraph" and not child.hidden for child in item.children)
                inner = self.blocks(item.children, loose) or [""]
                lines += [(" " * len(mark) if i else mark) + line if line else "" for i, line in enumerate(inner)]
        self.depth -= 1
        return lines

    def _table(self, node: SyntaxTreeNode) -> list[str]:
        self.in_table = True
        rows = [row.children for part in node.children for row in part.children]
        head, *body = [[self.inline(cell.children) for cell in row] for row in rows]
        self.in_table = False
        return ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *body)]

    def _fence(self, node: SyntaxTreeNode) -> list[str]:
        source = self._unmarked(node.content).rstrip("\n")
        word = _LANGUAGE.match(node.info.strip())
        language = word.group().lower() if word else "text"
        if language == "mermaid" and _DIAGRAM_RISKS.search(source):
            language = "text"
        return _fenced(language, source)

    def _formula_block(self, formula: str) -> list[str]:
        lines = [line for line in formula.splitlines() if line.strip()]
        return ["$$", *lines, "$$"] if lines and harmless_formula(formula) else _fenced("latex", formula)

    def _unmarked(self, text: str) -> str:
        """``text`` of what cannot be highlighted in part, without the ends of the highlight."""
        for mark in re.findall(f"[{_OPEN}{_CLOSE}]", text):
            self._mark(mark)
        return text.replace(_OPEN, "").replace(_CLOSE, "")

    def _mark(self, mark: str) -> str:
        """Pass one end of a highlight; the badge to show there, if it was drawn."""
        self.lit = mark == _OPEN
        if self.lit:
            return ""
        marker = self.markers[self.closed]
        self.closed += 1
        return marks([marker]) if marker in self.drawn else ""

    # inline

    def inline(self, nodes: Sequence[SyntaxTreeNode]) -> str:
        return self._joined(self._pieces(nodes)).strip()

    def _joined(self, pieces: Sequence[_Piece]) -> str:
        """The pieces, each run of lit ones inside one highlight."""
        text, run = "", ""
        for piece in [*pieces, _Piece("")]:
            if piece.lit:
                run = _beside(run, piece.markdown)
                continue
            text = _beside(_beside(text, f":{HIGHLIGHT}[{run}]" if run.strip() else run), piece.markdown)
            run = ""
        return text

    def _pieces(self, nodes: Sequence[SyntaxTreeNode]) -> list[_Piece]:
        return [piece for node in nodes for piece in self._piece(node)]

    def _piece(self, node: SyntaxTreeNode) -> list[_Piece]:
        match node.type:
            case "softbreak":
                return [_Piece(" ", self.lit)]
            case "hardbreak":
                return [_Piece(" " if self.lit or self.in_table else "  \n", self.lit)]
            case "code_inline":
                return self._leaf(node.content, self._code)
            case "math_inline" | "math_inline_double":
                return self._leaf(node.content, self._formula)
            case "strong" | "em":
                return self._emphasis(node)
            case "link":
                return [*self._pieces(node.children), *self._address(node)]
            case "image":
                return self._leaf(f"(image: {node.content})", lambda text, _: escape(text))
            case _ if node.children:
                return self._pieces(node.children)
            case _:
                return self._text(node.content)

    def _text(self, content: str) -> list[_Piece]:
        pieces: list[_Piece] = []
        for part in re.split(f"([{_OPEN}{_CLOSE}])", content):
            if part in (_OPEN, _CLOSE):
                pieces.append(_Piece(self._mark(part)))
            elif part:
                pieces.append(self._drawn(escape(part), self.lit))
        return pieces

    def _drawn(self, markdown: str, lit: bool) -> _Piece:
        if lit and markdown.strip() and self.closed < len(self.markers):
            self.drawn.add(self.markers[self.closed])
        return _Piece(markdown, lit)

    def _leaf(self, content: str, write: _Write) -> list[_Piece]:
        lit = self.lit
        return [self._drawn(write(self._unmarked(content), lit), lit)]

    def _emphasis(self, node: SyntaxTreeNode) -> list[_Piece]:
        mark = "**" if node.type == "strong" else "*"
        pieces = self._pieces(node.children)
        if not any(piece.markdown.strip() for piece in pieces):
            return pieces
        if all(piece.lit for piece in pieces):
            return [_Piece(mark + reduce(_beside, (piece.markdown for piece in pieces)) + mark, True)]
        return [_Piece(mark + self._joined(pieces) + mark)]

    def _address(self, node: SyntaxTreeNode) -> list[_Piece]:
        """Where a link to the web leads, for the reader to copy; links between notes lead nowhere on this page."""
        href = self._unmarked(str(node.attrs.get("href", "")))
        words = "".join(n.content for n in node.walk() if n.type == "text")
        if not re.match(r"https?://", href, re.IGNORECASE) or href in words:
            return []
        return [_Piece(f" ({self._code(href, self.lit)})", self.lit)]

    def _code(self, text: str, lit: bool) -> str:
        if not text or (lit and not _balanced(text)):
            return escape(text)  # a highlight ends at the first bracket that closes it, even one in code
        span = code_span(text)
        return span.replace("|", "\\|") if self.in_table else span

    def _formula(self, source: str, lit: bool) -> str:
        if lit and not _balanced(source):
            source = source.replace("[", r"\lbrack ").replace("]", r"\rbrack ")
        if self.in_table:
            source = source.replace(r"\|", r"\Vert ").replace("|", r"\vert ")
        source = re.sub(r"\s*\n\s*", " ", source)  # a line of its own could open a block
        whole = _WHOLE_FORMULA.fullmatch(source)  # without the ends of a highlight it may no longer be one
        return f"${source}$" if whole and harmless_formula(source) else escape(f"${source}$")


def _beside(left: str, right: str) -> str:
    """Two pieces in a line. Code spans that touch would be read as one."""
    return left + (JOINER if left[-1:] == right[:1] == "`" else "") + right


def _balanced(text: str) -> bool:
    depth = 0
    for char in text:
        depth += (char == "[") - (char == "]")
        if depth < 0:
            return False
    return depth == 0


def _fenced(language: str, source: str) -> list[str]:
    ticks = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", source)), default=0))
    return [ticks + language, *source.split("\n"), ticks]
