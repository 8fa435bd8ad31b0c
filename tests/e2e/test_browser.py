"""The page in a real browser: first start, asking, sources, reload, hostile text, accessibility."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import HOSTILE, Server, Visit, served, visiting

pytestmark = pytest.mark.browser

PHONE = 390
MERMAID = re.compile("mermaid", re.IGNORECASE)


@pytest.fixture(scope="module")
def first_start(browser: Browser, server: Server) -> list[str]:
    """What the first visitor of a server without an index sees: the words beside the bar, in order."""
    words: list[str] = []
    with visiting(browser, server) as visit:
        visit.page.goto(server.url)
        bar = visit.page.get_by_role("progressbar")
        expect(bar).to_be_visible(timeout=60_000)
        welcome = visit.page.get_by_role("heading", name="Ask the notes")
        while not welcome.is_visible():
            for shown in visit.page.get_by_test_id("stProgress").all_inner_texts():  # does not wait for one
                words += [shown.strip()] if shown.strip() and shown.strip() not in words[-1:] else []
            time.sleep(0.1)
    return words


@pytest.fixture
def visit(browser: Browser, server: Server, first_start: list[str]) -> Iterator[Visit]:
    with visiting(browser, server) as visit:
        open_page(visit.page, server)
        yield visit


def open_page(page: Page, server: Server) -> None:
    page.goto(server.url)
    expect(page.get_by_role("heading", name="Ask the notes")).to_be_visible()


def ask(page: Page, question: str) -> None:
    box = page.get_by_placeholder("Ask about ML system design")
    box.fill(question)
    box.press("Enter")
    expect(page.get_by_text("Sources", exact=True).last).to_be_visible()
    expect(box).to_be_enabled()


def settled(page: Page) -> None:
    """Wait until nothing runs and nothing fades."""
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
    page.wait_for_timeout(400)


def serious(page: Page) -> list[str]:
    """Serious and critical findings of axe-core."""
    settled(page)
    found = Axe().run(page).response["violations"]
    return [
        f"{v['id']}: {n['html'][:200]} {n.get('failureSummary', '')}"
        for v in found
        if v["impact"] in ("serious", "critical")
        for n in v["nodes"]
    ]


def test_the_first_visit_builds_the_index_behind_a_bar(first_start: list[str]) -> None:
    assert first_start, "no words beside the bar"
    assert any("embedding" in words.lower() or "index" in words.lower() for words in first_start)


def test_an_answer_opens_its_passage_with_the_sentence_highlighted(visit: Visit) -> None:
    page = visit.page
    ask(page, "What is calibration?")
    answer = page.get_by_label("Chat message from assistant")
    expect(answer).to_contain_text("Calibration is the agreement between predicted probabilities")
    expect(answer.locator(".stMarkdownBadge").first).to_have_text("1")
    answer.get_by_role("button", name="Calibration › Definition").click()
    drawer = page.get_by_role("dialog")
    expect(drawer.get_by_text("concepts/calibration.md")).to_be_visible()
    lit = drawer.locator(".stMarkdownColoredBackground").first
    expect(lit).to_contain_text(
        "Calibration is the agreement between predicted probabilities and observed frequencies."
    )
    expect(drawer.locator(".katex").first).to_be_visible()
    expect(drawer.get_by_role("img", name=MERMAID).first).to_be_visible()
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    expect(answer).to_be_visible()


def test_a_reload_keeps_the_conversation(visit: Visit) -> None:
    page = visit.page
    ask(page, "What does isotonic regression need?")
    address = page.url
    assert "?c=" in address
    page.reload()
    answer = page.get_by_label("Chat message from assistant")
    expect(answer).to_contain_text("Isotonic regression fits a step function")
    assert page.url == address


def test_a_follow_up_goes_on_in_the_same_conversation(visit: Visit) -> None:
    page = visit.page
    ask(page, "What is the offline metric of visual search?")
    ask(page, "and which online metric decides its launch?")
    expect(page.get_by_label("Chat message from user")).to_have_count(2)
    expect(page.get_by_label("Chat message from assistant").last).to_contain_text("share of searches that end")


def test_what_the_notes_do_not_hold_offers_the_nearest_topics(visit: Visit) -> None:
    page = visit.page
    box = page.get_by_placeholder("Ask about ML system design")
    box.fill("Who won the football world cup in 1974?")
    box.press("Enter")
    answer = page.get_by_label("Chat message from assistant").first
    expect(answer).to_contain_text("The notes hold no answer to this question.")
    topic = answer.get_by_role("button", name="Visual search")
    topic.click()
    expect(page.get_by_label("Chat message from user").last).to_have_text("Tell me about visual search.")
    expect(page.get_by_text("Sources", exact=True)).to_be_visible()


def test_a_conversation_is_renamed_and_deleted(visit: Visit) -> None:
    page = visit.page
    ask(page, "What does Platt scaling fit?")
    page.get_by_role("button", name="Options for What does Platt scaling fit?").click()
    page.get_by_role("menuitem", name="Rename").click()
    page.get_by_role("dialog").get_by_label("Title").fill("My <b>renamed</b> talk")
    page.get_by_role("dialog").get_by_role("button", name="Rename").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_role("heading", name="My <b>renamed</b> talk")).to_be_visible()
    page.get_by_role("button", name="Options for My <b>renamed</b> talk").click()
    page.get_by_role("menuitem", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="Ask the notes")).to_be_visible()
    expect(page.get_by_role("button", name="My <b>renamed</b> talk", exact=True)).to_have_count(0)
    assert "?c=" not in page.url


def nothing_but_text(page: Page) -> None:
    """No link, image, icon or frame that came from text, anywhere on the page."""
    assert page.locator("a[href*='evil'], img[src*='evil'], iframe, [onerror], script:text('hacked')").count() == 0
    assert page.locator("[data-testid=stMarkdownContainer] em:text('b')").count() == 0


def test_hostile_text_in_question_note_and_answer_stays_text(visit: Visit) -> None:
    page = visit.page
    ask(page, "With what does a widget frobnicate its neighbour? " + HOSTILE)
    seen = page.get_by_label("Chat message from user").inner_text().replace("\u2060", "")
    assert HOSTILE in seen
    answer = page.get_by_label("Chat message from assistant")
    assert f"with {HOSTILE} every single day." in answer.inner_text().replace("\u2060", "")
    nothing_but_text(page)
    answer.get_by_role("button", name="Frobnication").first.click()
    drawer = page.get_by_role("dialog")
    expect(drawer.locator(".stMarkdownColoredBackground").first).to_contain_text("A widget frobnicates its neighbour")
    for text in (
        "Widgets <b>bold</b> & [more](http://evil.example/d)",
        '<iframe src="http://evil.example/g"></iframe>',
        '<img src="http://evil.example/a.png" onerror="window.hacked=1"> (image: p) l',
        'A@{ img: "http://evil.example/f.png"',
    ):
        expect(drawer).to_contain_text(text)
    settled(page)
    nothing_but_text(page)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", PHONE)])
def test_axe_finds_nothing_serious(
    browser: Browser, server: Server, first_start: list[str], scheme: str, width: int
) -> None:
    with visiting(browser, server, width, scheme) as visit:
        page = visit.page
        open_page(page, server)
        assert serious(page) == []
        ask(page, "What is calibration?")
        assert serious(page) == []
        page.get_by_role("button", name="Quoted notes").click()
        expect(page.get_by_text("Who writes the answer")).to_be_visible()
        assert serious(page) == []
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Calibration › Definition").click()
        drawer = page.get_by_role("dialog")
        expect(drawer.locator(".stMarkdownColoredBackground").first).to_be_visible()
        expect(drawer.get_by_role("img", name=MERMAID).first).to_be_visible()
        assert serious(page) == []


def test_a_phone_needs_no_sideways_scrolling(browser: Browser, server: Server, first_start: list[str]) -> None:
    with visiting(browser, server, PHONE) as visit:
        page = visit.page
        open_page(page, server)
        ask(page, "What is calibration?")
        settled(page)
        assert page.evaluate("document.scrollingElement.scrollWidth") <= PHONE
        box = page.get_by_label("Chat message from assistant").bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE


def test_there_is_no_stock_clutter(visit: Visit) -> None:
    settled(visit.page)
    for name in ("stMainMenu", "stAppDeployButton", "stDeployButton", "stStatusWidget", "stToolbarActions"):
        assert visit.page.get_by_test_id(name).count() == 0
    assert visit.page.locator("footer").count() == 0
    assert visit.page.title() == "ML system design tutor"


def test_until_here_the_server_logged_no_traceback(server: Server, first_start: list[str]) -> None:
    assert "Traceback" not in server.log.read_text()


def test_ctrl_c_ends_the_server(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        pass
    assert server.process.returncode == 0
    assert "Traceback" not in server.log.read_text()
