"""The Ask page: a conversation with the notes, its sources, and the list of earlier conversations.

Shows what ``ui.web.workshop`` does and ``tutor`` decides; it must not decide anything about an answer.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from tutor.store import Session, Turn
from tutor.types import STEPS, Filter, Topic
from ui.web import state
from ui.web.line import Answering, Progress
from ui.web.pieces import passage_drawer, require_index, show_error, sources_of
from ui.web.text import Shown, answer_markdown, code_span, escape, escape_lines, laid_out, marks
from ui.web.workshop import Workshop

USER, TUTOR = ":material/person:", ":material/school:"
MAX_LISTED = 40
SLOW_SECONDS = 2.0
ENGINE_NAMES = {"auto": "Automatic", "llama": "Language model", "extractive": "Quoted notes"}
ENGINE_HELP = {
    "auto": "The language model words the answer; if it cannot, the notes are quoted.",
    "llama": "Only the language model; say so if it cannot be used.",
    "extractive": "The notes' own sentences, without a language model. Fastest.",
}


def main() -> None:
    """One run of the page."""
    shop = state.workshop()
    if not require_index(shop):
        return
    topics = shop.topics()
    session = state.conversation()
    _sidebar(session)
    _below(topics, shop, session)
    if (error := state.problem()) is not None:
        show_error(error)
    if session is None:
        _welcome(topics)
        return
    turns = shop.store.turns(session.id)
    named = not turns or state.title_of(turns[0].text) != session.title
    with st.container(key="heading" if named else "heading-unseen"):  # the first question says it already
        st.title(escape(session.title or "Conversation"), anchor=False)
    titles = {t.note: t.title for t in topics}
    for turn in turns:
        _turn(turn, topics, titles)
    _opened_passage(turns, titles, shop)
    _unanswered(session, turns, shop)


# --- the conversation ----------------------------------------------------------------------------------------------


def _welcome(topics: Sequence[Topic]) -> None:
    st.title("Ask the notes", anchor=False)
    st.write("Every sentence of an answer is backed by a passage that you can open.")
    with st.container(key="once-suggestions"):
        for number, question in enumerate(state.suggestions(topics)):
            key = f"suggestion-{number}"
            st.button(escape(question), key=key, on_click=state.ask, args=(question,), width="stretch")


def _turn(turn: Turn, topics: Sequence[Topic], titles: Mapping[str, str]) -> None:
    if turn.role == "user":
        with st.chat_message("user", avatar=USER):
            st.markdown(escape_lines(turn.text))
            chosen = Filter(case=turn.data.get("case"), step=turn.data.get("step"))
            if name := state.filter_name(chosen, topics):
                st.caption(f":material/filter_alt: {escape(name)}")
        return
    with st.chat_message("assistant", avatar=TUTOR):
        data = turn.data
        if data.get("abstained"):
            _abstention(turn)
        elif data.get("claims"):
            claims = [(str(c["text"]), tuple(int(m) for m in c["citations"])) for c in data["claims"]]
            st.markdown(answer_markdown(laid_out(turn.text, claims)))
            _sources(turn, titles)
        else:
            st.markdown(escape_lines(turn.text) or "No sentence of the answer was supported by the notes.")
        _small_print(data)


def _abstention(turn: Turn) -> None:
    st.markdown("The notes hold no answer to this question.")
    nearest = turn.data.get("nearest", [])
    if not nearest:
        return
    st.markdown(":small[The nearest topics are:]")
    with st.container(horizontal=True, gap="small"):
        for at, topic in enumerate(nearest):
            title = str(topic["title"])
            key = f"nearest-{turn.number}-{at}"
            st.button(escape(title), key=key, on_click=state.ask, args=(state.about(title),), icon=":material/search:")


def _sources(turn: Turn, titles: Mapping[str, str]) -> None:
    with st.container(key=f"sources-{turn.number}", gap=None):
        st.markdown(":small[**Sources**]")
        for source in sources_of(turn.data.get("citations", [])):
            heading = source.heading.split(" > ")[-1]
            title = titles.get(source.note, source.note)
            place = escape(title if heading == title else f"{title} › {heading}")
            st.button(
                f"{marks(source.markers).strip()} {place}",
                key=f"source-{turn.number}-{source.markers[0]}",
                on_click=state.open_passage,
                args=(turn.number, source.markers[0]),
                type="tertiary",
                width="stretch",
                wrap=True,
            )


def _small_print(data: Mapping[str, Any]) -> None:
    """Who answered, what was understood, and what happened on the way."""
    lines: list[str] = []
    if data.get("standalone_question", data.get("question")) != data.get("question"):
        lines.append(f":material/subdirectory_arrow_right: Understood as: {escape(str(data['standalone_question']))}")
    if data.get("claims") and data.get("engine"):
        seconds = float(data.get("timings_ms", {}).get("total", 0.0)) / 1000
        took = f" in {seconds:.1f} s" if seconds else ""
        lines.append(f":material/verified: {_answered_by(data)}{took}")
    lines += [f":material/info: {escape(str(notice))}" for notice in data.get("notices", [])]
    if lines:
        st.caption("  \n".join(lines))


def _answered_by(data: Mapping[str, Any]) -> str:
    if data["engine"] == "llama":
        return f"Worded by {escape(str(data.get('model') or 'the language model'))}, checked against the notes"
    return "In the notes' own words"


def _opened_passage(turns: Sequence[Turn], titles: Mapping[str, str], shop: Workshop) -> None:
    chosen = state.opened()
    if chosen is None:
        return
    for turn in turns:
        for source in sources_of(turn.data.get("citations", [])):
            if (turn.number, source.markers[0]) == (chosen.turn, chosen.marker):
                passage_drawer(source, titles.get(source.note, source.note), shop.settings)


# --- an answer on its way ------------------------------------------------------------------------------------------


def _unanswered(session: Session, turns: Sequence[Turn], shop: Workshop) -> None:
    """The answer on its way, or why the last question has none."""
    job = shop.line.answering(session.id)
    if job is not None and not job.done:
        _follow(job, shop)
    elif turns and turns[-1].role == "user":
        with st.chat_message("assistant", avatar=TUTOR):
            if job is not None and job.now.error is not None:
                show_error(job.now.error)
            else:
                st.caption("This question was not answered.")
            with st.container(key="once-again"):
                again = (session.id, turns)
                st.button("Ask again", on_click=state.ask_again, args=again, icon=":material/refresh:")


def _follow(job: Answering, shop: Workshop) -> None:
    """Show sentences as they are supported, until the answer is in the store."""
    with st.chat_message("assistant", avatar=TUTOR):
        body, below = st.empty(), st.container(horizontal=True, vertical_alignment="center")
        with below:
            status = st.empty()
            st.button(
                "Stop", key="stop", on_click=shop.line.stop, args=(job,), type="tertiary", icon=":material/stop_circle:"
            )
        seen = -1
        while (now := job.watch(seen)).phase != "done":
            if now.version != seen and now.sentences:
                body.markdown(answer_markdown(Shown(s.text, s.claim.citations, s.paragraph) for s in now.sentences))
            status.markdown(f":small[:shimmer[{_status(now, time.monotonic() - job.begun)}]]")
            seen = now.version
    st.rerun()


def _status(now: Progress, seconds: float) -> str:
    if now.phase == "queued":
        others = "another answer is" if now.ahead == 1 else f"{now.ahead} other answers are"
        words = f"In line: {others} written first" if now.ahead else "Starting"
    else:
        words = {"opening": "Opening the notes", "reading": "Reading the notes"}.get(now.phase, "Writing")
    return f"{words} … {seconds:.0f} s" if seconds >= SLOW_SECONDS else f"{words} …"


# --- around it -----------------------------------------------------------------------------------------------------


def _below(topics: Sequence[Topic], shop: Workshop, session: Session | None) -> None:
    """The filter, the engine and the question, at the lower edge of the page."""
    job = shop.line.answering(session.id) if session else None
    busy = job is not None and not job.done
    with st.bottom:
        with st.container(horizontal=True, gap="small", key="choices"):
            _filter(topics)
            _engine()
        st.chat_input("Ask about ML system design", key="question", on_submit=state.asked, disabled=busy)


def _filter(topics: Sequence[Topic]) -> None:
    cases = {t.slug: t.title for t in topics if t.kind == "case-study"}
    if st.session_state.get("case") not in cases:
        st.session_state["case"] = None
    name = state.filter_name(state.where(), topics)
    with st.popover(escape(name) or "All notes", icon=":material/filter_alt:", type="tertiary"):
        st.selectbox(
            "Case study", list(cases), format_func=cases.__getitem__, key="case", index=None, placeholder="Any case"
        )
        st.selectbox(
            "Framework step", list(STEPS), format_func=STEPS.__getitem__, key="step", index=None, placeholder="Any step"
        )


def _engine() -> None:
    if st.session_state.get("engine") not in state.ENGINES:
        st.session_state["engine"] = state.engine()
    with st.popover(ENGINE_NAMES[state.engine()], icon=":material/memory:", type="tertiary"):
        st.radio(
            "Who writes the answer",
            state.ENGINES,
            format_func=ENGINE_NAMES.__getitem__,
            captions=[ENGINE_HELP[name] for name in state.ENGINES],
            key="engine",
        )


def _sidebar(current: Session | None) -> None:
    with st.sidebar:
        st.markdown("**:primary[:material/school:] ML system design tutor**")
        st.button(
            "New conversation", key="new", icon=":material/add:", on_click=state.close_conversation, width="stretch"
        )
        listed = state.conversations()
        if listed:
            st.caption("Conversations")
        with st.container(gap="xxsmall", key="conversations"):
            for session in listed[:MAX_LISTED]:
                _listed(session, current is not None and session.id == current.id)
        if len(listed) > MAX_LISTED:
            st.caption(f"and {len(listed) - MAX_LISTED} older ones: {code_span('tutor chat --list')}")


def _listed(session: Session, current: bool) -> None:
    title = session.title or "Conversation"
    with st.container(horizontal=True, wrap=False, gap=None, key=f"row-{session.id}", vertical_alignment="center"):
        st.button(
            escape(title),
            key=f"open-{session.id}",
            on_click=state.open_conversation,
            args=(session.id,),
            type="secondary" if current else "tertiary",
            width="stretch",
            wrap=False,
        )
        chosen = st.menu_button(
            f"Options for {escape(title)}",
            ["Rename", "Delete"],
            key=f"menu-{session.id}",
            type="tertiary",
            icon=":material/more_horiz:",
        )
    if chosen == "Rename":
        st.dialog("Rename the conversation")(_rename)(session)
    elif chosen == "Delete":
        st.dialog("Delete the conversation?")(_delete)(session)


def _rename(session: Session) -> None:
    with st.form("rename", border=False):
        st.text_input("Title", session.title, max_chars=state.TITLE_CHARS, key="title")
        if st.form_submit_button("Rename", type="primary", on_click=state.rename_conversation, args=(session.id,)):
            st.rerun()


def _delete(session: Session) -> None:
    st.markdown(f"“{escape(session.title)}” and its answers will be gone from this computer.")
    if st.button(
        "Delete", type="primary", icon=":material/delete:", on_click=state.delete_conversation, args=(session.id,)
    ):
        st.rerun()


main()
