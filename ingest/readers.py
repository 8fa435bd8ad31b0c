"""Turns PDF and HTML into Markdown that is kept in a file, so that passages of it can be cited by offset.

The kept file depends on the source's bytes alone: its name is their SHA-256, its front matter holds the document's own
title. An extraction that is already there is used again. This module knows no corpus, ids or index.
"""

from __future__ import annotations

import json
import logging
import os
import re
import tempfile
import time
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from tutor.errors import storage_error

if TYPE_CHECKING:
    from bs4 import BeautifulSoup
    from pypdf import PdfReader

VERSION = 1
"""Written into each kept file: raise it when the same bytes would be extracted differently."""

MAX_PAGES = 2000
"""Longer PDFs are refused."""

MAX_SECONDS = 120.0
"""A PDF that needs longer is refused. The time is looked at between pages; one page is bounded by pypdf's limits."""

_NO_TITLE = re.compile(r"untitled|microsoft word\b.*|.*\.(?:docx?|tex|dvi|indd|rtf|odt|pptx?|pdf)", re.IGNORECASE)
_GONE = ("script", "style", "noscript", "template", "iframe", "svg", "head", "title")
_DECLARED = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]{1,40})""", re.IGNORECASE)


class Unreadable(ValueError):
    """A document that gives no text. ``problem`` says why and what to do."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Extracted:
    """The document's own title (empty when it has none) and its text as Markdown."""

    title: str
    body: str


def extract(data: bytes, suffix: str, sha256: str, folder: Path) -> tuple[Path, str]:
    """The file in ``folder`` that holds a document (``suffix`` is .pdf, .html or .htm) as Markdown, and its text.

    Raises Unreadable for the document, StorageError when ``folder`` cannot be written.
    """
    kept = folder / f"{sha256}.md"
    head = f"---\nextractor: {VERSION}\n"
    with suppress(OSError, UnicodeDecodeError):
        text = kept.read_text(encoding="utf-8")
        if text.startswith(head):
            return kept, text
    found = read_pdf(data) if suffix == ".pdf" else read_html(data)
    title = f"title: {json.dumps(found.title, ensure_ascii=False)}\n" if found.title else ""
    text = f"{head}{title}---\n\n{found.body}\n"
    try:
        _write(kept, text)
    except OSError as error:
        raise storage_error(error, "keeping the text of a document", kept) from error
    return kept, text


def _write(path: Path, text: str) -> None:
    """All of the file or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


# --- PDF -------------------------------------------------------------------------------------------------------------


def read_pdf(data: bytes, max_seconds: float = MAX_SECONDS) -> Extracted:
    """The text of a PDF under one level-2 heading per page. Raises Unreadable for a PDF that is encrypted, damaged, too
    long, or only images."""
    import pypdf
    from pypdf.errors import DependencyError, FileNotDecryptedError, LimitReachedError

    with _quiet("pypdf"):
        try:
            return _pdf_text(pypdf.PdfReader(BytesIO(data)), time.monotonic() + max_seconds)
        except (FileNotDecryptedError, DependencyError):
            raise Unreadable("the PDF is encrypted; save a copy without a password") from None
        except (LimitReachedError, MemoryError):
            raise Unreadable("the PDF unpacks to more than can be read; split it") from None
        except Unreadable:
            raise
        except Exception as error:  # noqa: BLE001 - pypdf raises nearly anything on a damaged file
            said = type(error).__name__
            raise Unreadable(f"the PDF is damaged ({said}); open it in a viewer and save it again") from None


def _pdf_text(reader: PdfReader, deadline: float) -> Extracted:
    count = len(reader.pages)
    if count > MAX_PAGES:
        raise Unreadable(f"the PDF has {count:,} pages; at most {MAX_PAGES:,} are read, so split it")
    pages: list[str] = []
    for number, page in enumerate(reader.pages, start=1):
        if time.monotonic() > deadline:
            raise Unreadable(f"the PDF takes too long to read (stopped at page {number} of {count}); split it")
        words = _paragraphs(page.extract_text())
        if words:
            pages.append(f"## Page {number}\n\n{words}")
    if not any(re.search(r"\w", page.partition("\n")[2]) for page in pages):
        raise Unreadable("no text in the PDF: it seems to be scanned; run text recognition on it (such as ocrmypdf)")
    title = _title(str(reader.metadata.title or "")) if reader.metadata else ""
    return Extracted("" if _NO_TITLE.fullmatch(title) else title, "\n\n".join(pages))


@contextmanager
def _quiet(logger_name: str) -> Iterator[None]:
    """Warnings of a library about a user's file go nowhere: what matters is raised."""
    logger = logging.getLogger(logger_name)
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


_HYPHENATED = re.compile(r"(?<=[^\W\d_])-[ \t]*\n[ \t]*(?=[a-z])")
_BULLET = re.compile(r"[•◦▪‣●]\s*")
_BLOCK_MARK = re.compile(r"#{1,6}(?:\s|$)|>|```|~~~|\$\$|[=-]+\s*$|\|")


def _paragraphs(page: str) -> str:
    """The lines of a page as Markdown that says the same: words cut at a line's end are joined, and nothing that only
    looks like a heading, rule, quote, fence or tag is one."""
    lines: list[str] = []
    for line in _HYPHENATED.sub("", _clean(page)).split("\n"):
        line = line.strip()
        if _BULLET.match(line):
            line = _BULLET.sub("- ", line, count=1)
        elif _BLOCK_MARK.match(line):
            line = "\\" + line
        lines.append(_no_tags(line))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


# --- HTML ------------------------------------------------------------------------------------------------------------


def read_html(data: bytes) -> Extracted:
    """The text of a web page as Markdown: no scripts, styles, frames or pictures. Raises Unreadable for a page without
    text, in an unknown encoding, or nested too deeply."""
    from bs4 import BeautifulSoup
    from markdownify import MarkdownConverter

    with _quiet("bs4"):
        try:
            soup = BeautifulSoup(_decoded(data), "html.parser")
            title = _title(soup.title.get_text(" ") if soup.title else "")
            _strip(soup)
            converter = MarkdownConverter(heading_style="ATX", bullets="-", table_infer_header=True)
            body = _clean(converter.convert_soup(soup))
        except RecursionError:
            raise Unreadable("the HTML is nested too deeply; save the page as text") from None
        except Unreadable:
            raise
        except Exception as error:  # noqa: BLE001 - a parser's assertions are about the page, not about us
            said = type(error).__name__
            raise Unreadable(f"the HTML is broken ({said}); open it in a browser and save it again") from None
    body = re.sub(r"\n{3,}", "\n\n", body).strip()
    if not re.search(r"\w", body):
        raise Unreadable("no text in the HTML: the page may be built by a script; save it as text or PDF")
    return Extracted(title, body)


def _decoded(data: bytes) -> str:
    """UTF-8, or what the page declares. Guessing is left out: a wrong guess would be cited as the note's words."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    declared = _DECLARED.search(data[:4096])
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else declared[1].decode("ascii") if declared else ""
    try:
        return data.decode(encoding) if encoding else _no_encoding()
    except (LookupError, UnicodeError):
        raise Unreadable(f"the HTML is neither UTF-8 nor the {encoding} that it declares; save it as UTF-8") from None


def _no_encoding() -> str:
    raise Unreadable("the HTML is not UTF-8 and declares no other encoding; save it as UTF-8")


def _strip(soup: BeautifulSoup) -> None:
    from bs4.element import NavigableString

    for element in soup.find_all(_GONE):
        element.decompose()
    for image in soup.find_all("img"):
        image.replace_with(NavigableString(str(image.get("alt") or "")))
    for link in soup.find_all("a"):
        if not str(link.get("href") or "").startswith(("http://", "https://")):
            link.unwrap()  # a relative or script link leads nowhere from here
    for words in soup.find_all(string=re.compile(r"[<#|]")):
        if type(words) is NavigableString and not words.find_parent(["pre", "code"]):
            text = re.sub(r"^(\s*)(?=#{1,6}\s)", r"\1\\", _no_tags(str(words)))  # `&lt;b&gt;` is text, not a tag
            words.replace_with(NavigableString(text.replace("|", "\\|") if words.find_parent("table") else text))


# --- both ------------------------------------------------------------------------------------------------------------


def _no_tags(text: str) -> str:
    return re.sub(r"<(?=[A-Za-z/!?])", r"\\<", text)


def _title(text: str) -> str:
    return "".join(char for char in " ".join(text.split()) if char.isprintable())[:200].strip()


def _clean(text: str) -> str:
    """Newlines as ``\\n``, no control characters, byte-order marks, soft hyphens or halves of surrogate pairs."""
    text = re.sub(r"\r\n?|\f|\u2028|\u2029", "\n", text)
    text = re.sub(r"[\ud800-\udfff]", "\ufffd", text).replace("\xa0", " ").replace("\xad", "").replace("\ufeff", "")
    return "".join(char for char in text if char in "\n\t" or unicodedata.category(char) != "Cc")
