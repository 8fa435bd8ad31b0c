"""What a page knows between two runs of its script: the server's workshop, the open conversation, the chosen filter.

The address of the page holds the conversation's id, so a reload or a second tab comes back to it. Must not know how
anything looks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast, get_args

import streamlit as st

from tutor.errors import SessionError, TutorError
from tutor.settings import load
from tutor.store import Session, Turn
from tutor.types import STEPS, Filter, Kind, Topic
from tutor.understand import clean
from ui.web.line import Engine, Question
from ui.web.workshop import Workshop

KIND = "chat"
TITLE_CHARS = 60
ENGINES: tuple[Engine, ...] = get_args(Engine)

_SUGGESTED: tuple[tuple[Kind, str], ...] = (
    ("case-study", "How would you frame {} as an ML problem?"),
    ("case-study", "How do you evaluate {}?"),
    ("concept", "When does {} matter?"),
    ("framework", "What belongs in the step “{}”?"),
    ("note", "Tell me about {}."),
)
_PER_KIND = {"case-study": 2, "concept": 1, "framework": 1, "note": 4}
MAX_SUGGESTIONS = 4


@dataclass(frozen=True, slots=True)
class Opened:
    """A citation whose passage is open: the number of its turn and its marker."""

    turn: int
    marker: int


def workshop() -> Workshop:
    """The workshop that all sessions of this server share, or the one that was put into this session."""
    own = st.session_state.get("workshop")
    return own if isinstance(own, Workshop) else _workshop()


@st.cache_resource(show_spinner=False)
def _workshop() -> Workshop:
    return Workshop(load())


def owner() -> str:
    """Whose conversations these are: the user who logged in, or nobody in particular on a machine of one's own."""
    user = st.user.to_dict()
    return str(user.get("email") or user.get("sub") or "") if user.get("is_logged_in") else ""


# --- conversations -------------------------------------------------------------------------------------------------


def conversation() -> Session | None:
    """The conversation that the address names, None for a new one. An id that is not ours is a problem to show."""
    wanted = st.query_params.get("c", "")
    if not wanted:
        return None
    try:
        session = workshop().store.get(wanted, owner())
        if session.kind == KIND:
            return session
    except SessionError:
        pass
    close_conversation()
    report(SessionError("This conversation is not here any more.", "Choose one on the left, or begin a new one."))
    return None


def conversations() -> list[Session]:
    """This user's conversations, the last changed first."""
    return workshop().store.sessions(KIND, owner())


def open_conversation(session: str) -> None:
    """Show another conversation."""
    st.query_params["c"] = session
    st.session_state.pop("opened", None)


def close_conversation() -> None:
    """Begin a new conversation; it is saved with its first question."""
    st.query_params.pop("c", None)
    st.session_state.pop("opened", None)


def rename_conversation(session: str) -> None:
    """Give a conversation the title that was typed; a blank one changes nothing."""
    if title := str(st.session_state.get("title", "")).strip():
        attempt(lambda: workshop().store.rename(session, title[:TITLE_CHARS]))


def delete_conversation(session: str) -> None:
    """Remove a conversation, and leave it if it is open."""
    attempt(lambda: workshop().line.forget(session))
    if st.query_params.get("c") == session:
        close_conversation()


# --- asking --------------------------------------------------------------------------------------------------------


def where() -> Filter:
    """The chosen case and step."""
    return Filter(case=st.session_state.get("case"), step=st.session_state.get("step"))


def engine() -> Engine:
    """The chosen engine."""
    return cast(Engine, st.session_state.get("engine") or workshop().settings.engine)


def ask(text: str) -> None:
    """Save a question in the open conversation, or in a new one, and put its answer in line."""
    attempt(lambda: _ask(text))


def asked() -> None:
    """Ask what was typed; a question that cannot be asked goes back to where it was typed."""
    text = str(st.session_state.get("question") or "")
    if text and not attempt(lambda: _ask(text)):
        st.session_state["question"] = text


def _ask(text: str) -> None:
    clean(text)  # a question that cannot be asked is not saved
    shop = workshop()
    session = conversation()
    if session is None:
        session = shop.store.create(KIND, title_of(text), owner())
        open_conversation(session.id)
    shop.line.ask(session.id, Question(text, earlier(shop.store.turns(session.id)), where(), engine()))


def title_of(question: str) -> str:
    """What a conversation that begins with this question is called."""
    title = " ".join(question.split())
    return title if len(title) <= TITLE_CHARS else title[: TITLE_CHARS - 1].rstrip() + "…"


def ask_again(session: str, turns: Sequence[Turn]) -> None:
    """Answer the last question, which was saved and never answered."""
    *before, last = turns
    chosen = Filter(case=last.data.get("case"), step=last.data.get("step"))
    question = Question(last.text, earlier(before), chosen, engine())
    attempt(lambda: workshop().line.ask(session, question, saved=True))


def earlier(turns: Sequence[Turn]) -> tuple[str, ...]:
    """The questions of these turns, oldest first."""
    return tuple(turn.text for turn in turns if turn.role == "user")


def suggestions(topics: Sequence[Topic]) -> list[str]:
    """First questions that these notes can answer."""
    left = {kind: [t.title for t in topics if t.kind == kind][:most] for kind, most in _PER_KIND.items()}
    found = [form.format(in_sentence(left[kind].pop(0))) for kind, form in _SUGGESTED if left[kind]]
    more = [about(title) for titles in left.values() for title in titles]
    return [*found, *more][:MAX_SUGGESTIONS]


def about(title: str) -> str:
    """The question that asks for what the notes say about a topic."""
    return f"Tell me about {in_sentence(title)}."


def in_sentence(title: str) -> str:
    """A title as it stands inside a sentence: "ANN search", but "visual search"."""
    return title if title[1:2].isupper() or not title[:1].isascii() else title[:1].lower() + title[1:]


def filter_name(chosen: Filter, topics: Sequence[Topic]) -> str:
    """A filter in words, empty for none."""
    case = next((t.title for t in topics if t.slug == chosen.case and t.kind == "case-study"), chosen.case)
    return " · ".join(name for name in (case, STEPS.get(chosen.step or "", chosen.step)) if name)


# --- passages and problems -----------------------------------------------------------------------------------------


def open_passage(turn: int, marker: int) -> None:
    """Show the passage of a citation."""
    st.session_state["opened"] = Opened(turn, marker)


def close_passage() -> None:
    """Show no passage."""
    st.session_state.pop("opened", None)


def opened() -> Opened | None:
    """The citation whose passage is open."""
    value = st.session_state.get("opened")
    return value if isinstance(value, Opened) else None


def attempt(action: Callable[[], object]) -> bool:
    """Run ``action``. False for an error, which the next run of the page shows."""
    try:
        action()
    except TutorError as error:
        report(error)
        return False
    return True


def report(error: TutorError) -> None:
    """Keep an error for the page to show once."""
    st.session_state["problem"] = error


def problem() -> TutorError | None:
    """The error to show, once."""
    error = st.session_state.pop("problem", None)
    return error if isinstance(error, TutorError) else None
