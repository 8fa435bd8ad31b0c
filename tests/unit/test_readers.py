"""PDF and HTML become Markdown that can be cited; documents without text say what to do."""

from __future__ import annotations

import hashlib
import logging
from io import BytesIO
from pathlib import Path

import pypdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

from ingest.frontmatter import parse
from ingest.readers import MAX_PAGES, Unreadable, extract, read_html, read_pdf
from tutor.errors import StorageError
from tutor.markdown import blocks


def pdf(*pages: str, title: str = "", password: str = "") -> bytes:
    """A PDF with one line of Helvetica for each line of each page."""
    writer = pypdf.PdfWriter()
    font = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
        }
    )
    for text in pages:
        page = writer.add_blank_page(612, 792)
        fonts = DictionaryObject({NameObject("/F1"): font})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
        lines = "".join(f"({line}) Tj T* " for line in text.split("\n")) if text else ""
        stream = DecodedStreamObject()
        stream.set_data(f"BT /F1 12 Tf 14 TL 72 720 Td {lines}ET".encode("latin-1"))
        page[NameObject("/Contents")] = stream
    if title:
        writer.add_metadata({"/Title": title})
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    out = BytesIO()
    writer.write(out)
    return out.getvalue()


def unreadable_pdf(data: bytes) -> str:
    with pytest.raises(Unreadable) as caught:
        read_pdf(data)
    return caught.value.problem


def unreadable_html(data: bytes) -> str:
    with pytest.raises(Unreadable) as caught:
        read_html(data)
    return caught.value.problem


# --- PDF -------------------------------------------------------------------------------------------------------------


def test_each_page_of_a_pdf_has_its_heading() -> None:
    found = read_pdf(pdf("Recall falls.\nPrecision rises.", "", "Third page.", title="Metrics"))
    assert found.title == "Metrics"
    assert found.body == "## Page 1\n\nRecall falls.\nPrecision rises.\n\n## Page 3\n\nThird page."


def test_words_cut_at_the_end_of_a_line_are_joined() -> None:
    assert "quantization shrinks" in read_pdf(pdf("Product quanti-\nzation shrinks")).body


def test_nothing_in_a_pdf_becomes_markup_by_accident() -> None:
    body = read_pdf(pdf("# not a heading\nwords\n---\n> no quote\nif a <b then | c\n``` \nrest")).body
    found = blocks(body)
    assert [b.kind for b in found] == ["heading", "paragraph"]
    assert found[0].title == "Page 1"


@pytest.mark.parametrize("title", ["untitled", "Microsoft Word - draft3.docx", "paper.dvi"])
def test_a_title_that_a_program_made_up_is_no_title(title: str) -> None:
    assert read_pdf(pdf("Words.", title=title)).title == ""


def test_a_pdf_locked_by_a_password_is_named() -> None:
    assert "encrypted" in unreadable_pdf(pdf("Secret.", password="open sesame"))


def test_a_scanned_pdf_is_told_to_go_through_text_recognition() -> None:
    assert "text recognition" in unreadable_pdf(pdf("", ""))


def test_a_pdf_of_too_many_pages_is_refused() -> None:
    assert f"{MAX_PAGES + 1:,} pages" in unreadable_pdf(pdf(*[""] * (MAX_PAGES + 1)))


def test_a_pdf_that_takes_too_long_is_stopped() -> None:
    with pytest.raises(Unreadable, match="too long to read"):
        read_pdf(pdf("Words."), max_seconds=-1)


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7\n", b"not a pdf at all " * 50])
def test_a_broken_pdf_is_named(data: bytes) -> None:
    assert "damaged" in unreadable_pdf(data)


def test_the_pdf_library_is_silent_about_repairs(caplog: pytest.LogCaptureFixture) -> None:
    before = logging.getLogger("pypdf").level
    data = pdf("Words that stay.")
    assert "Words that stay." in read_pdf(data.replace(b"startxref\n", b"startxref\n9")).body
    assert caplog.records == []
    assert logging.getLogger("pypdf").level == before


@settings(deadline=None)
@given(st.integers(0, 900), st.binary(min_size=1, max_size=40))
def test_a_damaged_pdf_never_raises_anything_else(at: int, junk: bytes) -> None:
    data = pdf("Words.")
    try:
        read_pdf(data[:at] + junk + data[at + len(junk) :])
    except Unreadable as error:
        assert error.problem  # noqa: PT017 - either outcome is fine


# --- HTML ------------------------------------------------------------------------------------------------------------

PAGE = b"""<!doctype html><html><head><title> Two-tower
 models </title><style>p {color: red}</style><script>var a = 1;</script></head><body>
<h1>Two towers</h1><p>A query tower and an <b>item</b> tower.<noscript>enable</noscript></p>
<svg><text>drawing</text></svg><iframe src="x">frame</iframe><template>hidden</template>
<ul><li>one</li><li>two</li></ul><table><tr><td>a|b</td><td>c</td></tr><tr><td>1</td><td>2</td></tr></table>
<pre><code>x = a &lt; b
# kept</code></pre>
<p># no heading, &lt;b&gt; no tag</p>
<p><a href="javascript:run()">go</a> <a href="https://example.org/">there</a>
<img src="data:image/png;base64,AAAA" alt="a curve"></p>
</body></html>"""


def test_html_keeps_the_words_and_their_structure() -> None:
    found = read_html(PAGE)
    assert found.title == "Two-tower models"
    assert found.body.startswith("# Two towers\n\nA query tower and an **item** tower.")
    assert "- one\n- two" in found.body
    assert "| a\\|b | c |\n| --- | --- |\n| 1 | 2 |" in found.body
    assert "```\nx = a < b\n# kept\n```" in found.body
    assert "a curve" in found.body
    assert "[there](https://example.org/)" in found.body


def test_html_leaves_out_what_is_not_text() -> None:
    body = read_html(PAGE).body
    for gone in ("color", "var a", "enable", "drawing", "frame", "hidden", "javascript", "base64"):
        assert gone not in body


def test_escaped_html_stays_text() -> None:
    assert [b.title for b in blocks(read_html(PAGE).body) if b.kind == "heading"] == ["Two towers"]
    assert "html" not in [b.kind for b in blocks(read_html(b"<p>&lt;script&gt;x()&lt;/script&gt;</p>").body)]


def test_html_is_read_in_the_encoding_it_declares() -> None:
    assert read_html("<p>café</p>".encode()).body == "café"
    assert read_html(b"<meta charset=windows-1252><p>caf\xe9</p>").body == "café"
    assert read_html("<p>café</p>".encode("utf-16")).body == "café"


def test_html_in_an_unknown_encoding_is_not_guessed() -> None:
    assert "declares no other" in unreadable_html(b"<p>caf\xe9</p>")
    assert "nor the utf-8" in unreadable_html(b"<meta charset='utf-8'><p>caf\xe9</p>")
    assert "nor the base64" in unreadable_html(b"<meta charset='base64'><p>caf\xe9</p>")


def test_html_that_the_parser_rejects_is_named() -> None:
    assert "broken" in unreadable_html(b"<p>words</p><![;")


def test_html_without_text_or_nested_without_end_is_named() -> None:
    assert "no text" in unreadable_html(b"<script>draw()</script><p> </p>")
    assert "nested too deeply" in unreadable_html(b"<div>" * 5000 + b"x")


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("<>/abp!-&;#x= \"'\n\r\0|`[]()tdr"), max_size=120))
def test_any_html_gives_clean_markdown_or_its_own_error(text: str) -> None:
    try:
        body = read_html(f"<p>words</p>{text}".encode()).body
    except Unreadable as error:
        assert error.problem  # noqa: PT017 - either outcome is fine
    else:
        assert "\r" not in body
        assert "\0" not in body
        assert body == body.strip()


# --- what is kept ----------------------------------------------------------------------------------------------------


def kept(data: bytes, suffix: str, folder: Path) -> tuple[Path, str]:
    return extract(data, suffix, hashlib.sha256(data).hexdigest(), folder)


def test_the_kept_file_holds_exactly_the_text(tmp_path: Path) -> None:
    data = '<title>A “title”: \\ and "more"</title><p>Füße &#0; &#55296; &#8232; end</p>'.encode()
    path, text = kept(data, ".html", tmp_path / "new" / "folder")
    assert path.name == hashlib.sha256(data).hexdigest() + ".md"
    with path.open(encoding="utf-8") as file:
        assert file.read() == text
    front, start = parse(text)
    assert front.title == 'A “title”: \\ and "more"'
    assert text[start:].strip().startswith("Füße")
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_an_extraction_is_used_again_and_an_older_one_is_not(tmp_path: Path) -> None:
    data = pdf("Words.")
    path, text = kept(data, ".pdf", tmp_path)
    path.write_text(text.replace("Words.", "Kept."), encoding="utf-8")
    assert "Kept." in kept(data, ".pdf", tmp_path)[1]
    path.write_text(text.replace("extractor: ", "extractor: 0"), encoding="utf-8")
    assert kept(data, ".pdf", tmp_path)[1] == text
    path.write_bytes(b"\xff\xfe")
    assert kept(data, ".pdf", tmp_path)[1] == text


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError):
        kept(b"<p>words</p>", ".html", tmp_path / "file" / "folder")
