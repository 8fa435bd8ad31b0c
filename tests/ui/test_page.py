"""The Ask page, driven without a browser over the sample corpus: what is shown, saved and offered."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from langchain_core.messages import BaseMessage
from markdown_it import MarkdownIt
from streamlit.testing.v1 import AppTest

from tests.sample_corpus import Corpus, open_corpus, scripted, writer_of
from tutor.adapters.offline import ScriptedChat
from tutor.answer import Parts
from tutor.draft import Writer
from tutor.errors import IndexBusy, IndexMismatch, ModelMissing, NoIndex, NoteProblem, NotesError, TutorError
from tutor.settings import Settings
from tutor.store import Turn
from ui.web.workshop import Build, Workshop

APP = Path(__file__).parents[2] / "ui" / "web" / "app.py"
PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
LONG = 20


@dataclass
class World:
    """A server's things with a fake index and model behind them."""

    corpus: Corpus
    folder: Path
    writer: Callable[[], Writer] | None = None
    missing: TutorError | None = None
    ingests: list[dict[str, bool]] = field(default_factory=list)
    ingest_error: TutorError | None = None

    def __post_init__(self) -> None:
        settings = Settings(home=self.folder / "home", corpus=str(self.corpus.root), engine="auto")
        self.workshop = Workshop(settings, self._open, self._ingest)

    def _open(self, settings: Settings, engine: str = "auto", model: str | None = None) -> Parts:
        if self.missing is not None:
            raise self.missing
        parts = self.corpus.parts()
        return Parts(parts.index, parts.embedder, parts.is_word, parts.checker, self.writer)

    def _ingest(
        self,
        roots: Sequence[Path],
        settings: Settings,
        progress: Callable[[str, int, int], None],
        full: bool = False,
        skip_bad: bool = False,
    ) -> None:
        self.ingests.append({"full": full, "skip_bad": skip_bad})
        progress("embed", 1, 2)
        if self.ingest_error is not None and not skip_bad:
            raise self.ingest_error
        self.missing = None

    def page(self, conversation: str = "") -> AppTest:
        """The page, opened by a new browser."""
        page = AppTest.from_file(str(APP), default_timeout=LONG)
        page.session_state["workshop"] = self.workshop
        if conversation:
            page.query_params["c"] = conversation
        return page.run()

    def turns(self) -> list[Turn]:
        """The turns of the only conversation."""
        (session,) = self.workshop.store.sessions()
        return self.workshop.store.turns(session.id)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return open_corpus(tmp_path_factory.mktemp("page"))


@pytest.fixture
def world(corpus: Corpus, tmp_path: Path) -> World:
    return World(corpus, tmp_path)


def ask(page: AppTest, question: str) -> AppTest:
    return checked(page.chat_input[0].set_value(question).run())


def press(page: AppTest, words: str) -> AppTest:
    """Press the button whose label holds ``words``."""
    (button,) = [b for b in page.button if words in plain(b.label)]
    return checked(button.click().run())


def checked(page: AppTest) -> AppTest:
    assert not page.exception, page.exception[0].value
    return page


def plain(markdown: str) -> str:
    """What a reader sees of Markdown that must hold no HTML, link or image."""
    lines: list[str] = []
    for block in PARSER.parse(markdown):
        tokens = block.children or [block]
        assert not {"html_block", "html_inline", "link_open", "image"} & {t.type for t in tokens}, markdown
        lines.append("".join(t.content for t in tokens if t.type in ("text", "code_inline", "fence")))
    return "\n".join(line for line in lines if line).replace("\u2060", "")


def seen(page: AppTest) -> str:
    """Everything on the page that came through Markdown."""
    kinds = (page.markdown, page.caption, page.title, page.error, page.warning, page.info, page.button)
    return "\n".join(plain(str(e.label if e.type == "button" else e.value)) for kind in kinds for e in kind)


def labels(page: AppTest) -> list[str]:
    return [plain(button.label) for button in page.button]


# --- asking ----------------------------------------------------------------------------------------------------------


def test_a_new_page_offers_first_questions_that_the_notes_answer(world: World) -> None:
    page = checked(world.page())
    assert page.title[0].value == "Ask the notes"
    offered = [b.label for b in page.button if str(b.key).startswith("suggestion")]
    assert len(offered) == 4
    press(page, "When does calibration matter")
    answer = world.turns()[1]
    assert not answer.data["abstained"]


def test_an_answer_shows_its_markers_its_sources_and_who_wrote_it(world: World) -> None:
    page = ask(world.page(), "What is calibration?")
    assert [message.name for message in page.chat_message] == ["user", "assistant"]
    answer = page.chat_message[1].markdown[0].value
    assert plain(answer).startswith("Calibration is the agreement between predicted probabilities and")
    assert ":primary-badge[1]" in answer
    assert any("Calibration › Definition" in label for label in labels(page))
    assert "In the notes' own words" in seen(page)
    assert [turn.role for turn in world.turns()] == ["user", "assistant"]


def test_a_reload_and_a_second_tab_show_the_same_conversation(world: World) -> None:
    page = ask(world.page(), "What is calibration?")
    (conversation,) = page.query_params["c"] if isinstance(page.query_params["c"], list) else [page.query_params["c"]]
    again = checked(world.page(conversation))
    assert [m.markdown[0].value for m in again.chat_message] == [m.markdown[0].value for m in page.chat_message]


def test_a_follow_up_is_understood_and_the_page_says_how(world: World) -> None:
    page = ask(ask(world.page(), "What is calibration?"), "and how does it change the order of the scores?")
    assert world.turns()[3].data["standalone_question"] in seen(page)
    assert "Understood as" in seen(page)


def test_the_filter_narrows_the_answer_and_is_shown_with_the_question(world: World) -> None:
    page = world.page()
    page.selectbox(key="case").set_value("visual-search").run()
    page = ask(page, "Which offline metric should I choose?")
    question, answer = world.turns()
    assert question.data == {"case": "visual-search"}
    assert {c["note"] for c in answer.data["citations"]} == {"case-studies/visual-search"}
    assert "Visual search" in page.chat_message[0].caption[0].value


@pytest.mark.parametrize("question", ["???", "x" * 5000])
def test_a_question_that_cannot_be_asked_is_explained_and_not_saved(world: World, question: str) -> None:
    page = ask(world.page(), question)
    assert len(page.error) == 1
    assert world.workshop.store.sessions() == []
    assert page.chat_input[0].proto.value == question, "what was typed is not lost"


def test_what_the_notes_do_not_hold_is_refused_with_the_nearest_topics_as_buttons(world: World) -> None:
    page = ask(world.page(), "How do whales cook onion soup on the moon?")
    assert "The notes hold no answer" in seen(page)
    nearest = [b for b in page.button if str(b.key).startswith("nearest")]
    assert nearest
    title = plain(nearest[0].label)
    checked(nearest[0].click().run())
    asked, answer = world.turns()[2:]
    assert title.lower() in asked.text.lower()
    assert not answer.data["abstained"]


# --- engines ---------------------------------------------------------------------------------------------------------


def test_the_model_that_worded_an_answer_is_named(world: World) -> None:
    said = "Calibration is the agreement between predicted probabilities and observed frequencies."
    world.writer = lambda: scripted(said)
    page = ask(world.page(), "What is calibration?")
    assert "Worded by scripted" in seen(page)


def test_without_a_model_the_notes_are_quoted_and_a_notice_says_why(world: World) -> None:
    def gone() -> Writer:
        raise ModelMissing("The model file is gone.", "Pull it again.")

    world.writer = gone
    page = ask(world.page(), "What is calibration?")
    assert "The model file is gone" in seen(page)
    assert "Calibration is the agreement" in seen(page)


def test_the_engine_chosen_on_the_page_is_used(world: World) -> None:
    def gone() -> Writer:
        raise ModelMissing("The model file is gone.", "Pull it again.")

    world.writer = gone
    page = world.page()
    page.radio(key="engine").set_value("llama").run()
    page = ask(page, "What is calibration?")
    assert plain(page.error[0].value) == "The model file is gone.\nPull it again."
    page.radio(key="engine").set_value("extractive").run()
    page = press(page, "Ask again")
    assert "Calibration is the agreement" in seen(page)
    assert "model" not in seen(page).replace("calibrated model", ""), "no model was asked for"
    assert [turn.role for turn in world.turns()] == ["user", "assistant"]


def test_a_sentence_that_the_notes_do_not_support_is_never_shown(world: World) -> None:
    world.writer = lambda: scripted("Calibration was invented by 42 whales. Platt scaling fits a sigmoid on data.")
    page = ask(world.page(), "What is calibration?")
    assert "whales" not in seen(page)
    assert "whales" not in world.turns()[1].text


class Slow:
    """A model that writes one sentence and then waits."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.go = threading.Event()

    def reply(self, messages: list[BaseMessage]) -> str:
        self.asked.set()
        assert self.go.wait(LONG)
        return "Platt scaling fits a sigmoid on held-out data."


@pytest.fixture
def slow(world: World) -> Iterator[Slow]:
    model = Slow()
    writer = writer_of(ScriptedChat(replies=model.reply))
    world.writer = lambda: writer
    yield model
    model.go.set()


def test_a_page_that_is_lost_while_it_waits_loses_nothing(world: World, slow: Slow) -> None:
    lost = threading.Thread(target=lambda: ask(world.page(), "What is calibration?"))
    lost.start()
    assert slow.asked.wait(LONG)
    assert [turn.role for turn in world.turns()] == ["user"], "the question is saved before there is an answer"
    slow.go.set()
    lost.join(LONG)
    (session,) = world.workshop.store.sessions()
    page = checked(world.page(session.id))
    assert "agreement between predicted probabilities" in seen(page)


def test_a_page_opened_meanwhile_follows_the_same_answer(world: World, slow: Slow) -> None:
    first = threading.Thread(target=lambda: ask(world.page(), "What is calibration?"))
    first.start()
    assert slow.asked.wait(LONG)
    (session,) = world.workshop.store.sessions()
    threading.Timer(0.5, slow.go.set).start()
    page = checked(world.page(session.id))
    first.join(LONG)
    assert "agreement between predicted probabilities" in seen(page)
    assert [turn.role for turn in world.turns()] == ["user", "assistant"]


# --- sources ---------------------------------------------------------------------------------------------------------


def test_a_source_opens_its_passage_with_the_sentence_highlighted(world: World) -> None:
    page = press(ask(world.page(), "What is calibration?"), "Calibration › Definition")
    (passage,) = [m.value for m in page.markdown if ":green-background[" in m.value]
    citation = world.turns()[1].data["citations"][0]
    assert ":green-background[Calibration is the agreement" in passage
    assert plain(passage).startswith("Definition")
    assert citation["heading"] in seen(page)
    assert "concepts/calibration.md" in seen(page)
    assert not page.warning


def test_a_sentence_that_moved_in_its_note_is_found_again(tmp_path: Path) -> None:
    world = World(open_corpus(tmp_path), tmp_path)
    page = ask(world.page(), "What is calibration?")
    note = world.corpus.root / "concepts" / "calibration.md"
    note.write_text(note.read_text(encoding="utf-8").replace("## Definition", "## Definition\n\nNew first lines."))
    page = press(page, "Calibration › Definition")
    (passage,) = [m.value for m in page.markdown if ":green-background[" in m.value]
    assert "New first lines" in passage
    assert not page.warning


def test_a_sentence_that_left_its_note_is_quoted_with_a_warning(tmp_path: Path) -> None:
    world = World(open_corpus(tmp_path), tmp_path)
    page = ask(world.page(), "What is calibration?")
    (world.corpus.root / "concepts" / "calibration.md").unlink()
    page = press(page, "Calibration › Definition")
    assert "has changed since" in page.warning[0].value
    assert "agreement between predicted probabilities" in seen(page)


# --- conversations ---------------------------------------------------------------------------------------------------


def test_conversations_are_listed_opened_and_left(world: World) -> None:
    page = ask(world.page(), "What is calibration?")
    page = press(page, "New conversation")
    assert page.title[0].value == "Ask the notes"
    assert "c" not in page.query_params
    page = ask(page, "What is quantization?")
    page = press(page, "What is calibration?")
    assert plain(page.chat_message[0].markdown[0].value) == "What is calibration?"


def test_a_conversation_is_renamed(world: World) -> None:
    page = ask(world.page(), "What is calibration?")
    (session,) = world.workshop.store.sessions()
    page.menu_button[0].click("Rename").run()
    page.text_input[0].set_value("  My *notes*  ")
    page = press(page, "Rename")
    assert world.workshop.store.get(session.id).title == "My *notes*"
    assert "My *notes*" in labels(page)


def test_a_conversation_is_deleted_after_a_question(world: World) -> None:
    page = ask(world.page(), "What is calibration?")
    page = checked(page.menu_button[0].click("Delete").run())
    assert len(world.workshop.store.sessions()) == 1, "not before it is confirmed"
    page = press(page, "Delete")
    assert world.workshop.store.sessions() == []
    assert page.title[0].value == "Ask the notes"


def test_an_unknown_conversation_is_explained(world: World) -> None:
    page = checked(world.page("0000dead"))
    assert "not here any more" in page.error[0].value
    assert page.title[0].value == "Ask the notes"


def test_another_owner_s_conversation_is_not_shown(world: World) -> None:
    session = world.workshop.store.create(title="Secret", owner="somebody@else.example")
    world.workshop.store.append(session.id, "user", "a secret question")
    page = checked(world.page(session.id))
    assert "secret" not in seen(page).lower()


def test_an_answer_of_which_nothing_was_supported_says_so(world: World) -> None:
    session = world.workshop.store.create(title="Empty")
    world.workshop.store.append(session.id, "user", "What is calibration?")
    world.workshop.store.append(session.id, "assistant", "", {"claims": [], "engine": "extractive"})
    assert "No sentence of the answer was supported" in seen(checked(world.page(session.id)))


def test_a_conversation_of_the_terminal_is_shown(world: World) -> None:
    session = world.workshop.store.create(title="From the terminal")
    world.workshop.store.append(session.id, "user", "???")
    world.workshop.store.append(session.id, "assistant", "(The question is *empty*.)")
    page = checked(world.page(session.id))
    assert "(The question is *empty*.)" in seen(page)
    assert page.title[0].value == "From the terminal"


# --- untrusted text --------------------------------------------------------------------------------------------------

HOSTILE = "<img src=x onerror=alert(1)> ![p](http://evil.example/p.png) [l](http://evil.example) **bold** a * b * c"


def test_a_hostile_question_stays_text(world: World) -> None:
    page = ask(world.page(), "What is calibration? " + HOSTILE)
    assert HOSTILE in seen(page)


def test_a_hostile_note_stays_text_in_the_answer_and_in_the_passage(tmp_path: Path) -> None:
    written = re.sub(r"([<>!\[\]()*])", r"\\\1", HOSTILE)  # escaped in the note, so that its words are these very marks
    note = (
        "---\nslug: evil\ntitle: Evil <b>widgets</b>\nkind: concept\n---\n\n# Evil <b>widgets</b>\n\n"
        "## Widgets <img src=x onerror=alert(1)>\n\n"
        f"A widget frobnicates {written} and then rests. Widgets frobnicate ![p](http://evil.example/q.png) daily.\n\n"
        "<script>alert(1)</script>\n"
    )
    world = World(open_corpus(tmp_path, {"concepts/evil.md": note}), tmp_path)
    page = ask(world.page(), "What do widgets frobnicate?")
    citations = world.turns()[1].data["citations"]
    assert any("frobnicates" in c["quote"] for c in citations)
    assert f"frobnicates {HOSTILE}" in seen(page)
    page = press(page, "Evil <b>widgets</b> ›")
    assert "<script>alert(1)</script>" in seen(page)


# --- first start and broken indexes ----------------------------------------------------------------------------------


def test_without_an_index_it_is_built_and_the_page_goes_on(world: World) -> None:
    world.missing = NoIndex("There is no index yet.", "Build it.")
    page = checked(world.page())
    assert world.ingests == [{"full": False, "skip_bad": False}]
    assert page.title[0].value == "Ask the notes"


def test_bad_notes_are_named_and_can_be_left_out(world: World) -> None:
    world.missing = NoIndex("There is no index yet.", "Build it.")
    world.ingest_error = NotesError([NoteProblem("bad.md", 3, "no <b>title</b>")])
    page = checked(world.page())
    assert "bad.md:3: no <b>title</b>" in seen(page)
    page = press(page, "Leave these notes out")
    assert world.ingests[-1] == {"full": False, "skip_bad": True}
    assert page.title[0].value == "Ask the notes"


def test_a_build_that_failed_can_be_tried_again(world: World) -> None:
    world.missing = NoIndex("There is no index yet.", "Build it.")
    world.ingest_error = IndexBusy("Another ingest is running.", "Wait.")
    page = checked(world.page())
    assert "Another ingest is running" in seen(page)
    assert "Leave these notes out" not in labels(page)
    world.ingest_error = None
    assert press(page, "Try again").title[0].value == "Ask the notes"


def test_an_index_of_another_version_can_be_built_again(world: World) -> None:
    world.missing = IndexMismatch("The index was built with another chunker.", "tutor ingest --full")
    page = checked(world.page())
    assert "another chunker" in seen(page)
    page = press(page, "Build it again")
    assert world.ingests == [{"full": True, "skip_bad": False}]
    assert page.title[0].value == "Ask the notes"


def test_the_bar_only_grows() -> None:
    from ui.web.pieces import build_progress

    steps = [("", 0, 0), ("chunk", 1, 4), ("chunk", 4, 4), ("embed", 0, 9), ("embed", 9, 9), ("write", 0, 1)]
    shares = [build_progress(Build(True, *step))[0] for step in steps]
    assert shares == sorted(shares)
    assert shares[0] >= 0
    assert build_progress(Build(True, "write", 1, 1))[0] == 1.0
