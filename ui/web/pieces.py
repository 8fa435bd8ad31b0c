"""Pieces that pages are made of: errors, the index build, a cited passage.

All text that comes from people, notes or models goes through ``ui.web.text`` or ``ui.web.note`` on its way here.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import streamlit as st

from tutor.errors import IndexProblem, NotesError, TutorError
from tutor.settings import Settings
from ui.web import state
from ui.web.note import Highlight, note_markdown, section
from ui.web.text import code_span, escape, escape_lines, marks
from ui.web.workshop import Build, Workshop

DRAWER_PX = 620

_STAGES = {  # stage of ingest: where it begins and ends on the bar, and what it is called
    "": (0.0, 0.02, "Reading the notes"),
    "chunk": (0.02, 0.1, "Cutting the notes into passages"),
    "embed": (0.1, 0.9, "Embedding passages"),
    "write": (0.9, 1.0, "Writing the index"),
}


def show_error(error: TutorError) -> None:
    """What happened and what to do next."""
    st.error(f"{escape_lines(error.message)}\n\n{escape_lines(error.hint)}", icon=":material/error:")


# --- first start ---------------------------------------------------------------------------------------------------


def require_index(shop: Workshop) -> bool:
    """True when questions can be answered. Otherwise the index is built, with a bar, or the page says what to do."""
    build = shop.build
    if not build.running and build.error is None:
        try:
            if not shop.needs_index():
                return True
            shop.start_build()
        except IndexProblem as error:
            _offer_rebuild(shop, error)
            return False
    if build.error is not None:
        _offer_retry(shop, build.error)
        return False
    _watch_build(shop)
    return False


def _watch_build(shop: Workshop) -> None:
    st.title("Getting the notes ready")
    st.write("This happens once. Questions can be asked as soon as the index is built.")
    bar = st.progress(0.0, " ")
    while (build := shop.build).running:
        share, words = build_progress(build)
        bar.progress(share, words)
        time.sleep(0.2)
    st.rerun()


def build_progress(build: Build) -> tuple[float, str]:
    """How far a build is, in [0, 1], and what it does."""
    low, high, name = _STAGES.get(build.stage, _STAGES["write"])
    done = build.done / build.total if build.total else 0.0
    words = f"{name}: {build.done} of {build.total}" if build.total > 1 else name
    if build.stage == "embed" and not build.done:
        words = "Loading the embedding model"
    return low + (high - low) * min(1.0, done), words + " …"


def _offer_rebuild(shop: Workshop, error: TutorError) -> None:
    st.title("The index cannot be used")
    show_error(error)
    with st.container(key="once-rebuild"):
        full = {"full": True}
        st.button("Build it again", on_click=shop.start_build, kwargs=full, type="primary", icon=":material/refresh:")


def _offer_retry(shop: Workshop, error: TutorError) -> None:
    st.title("The index was not built")
    show_error(error)
    with st.container(horizontal=True, key="once-retry"):
        st.button("Try again", on_click=shop.start_build, type="primary", icon=":material/refresh:")
        if isinstance(error, NotesError):
            st.button("Leave these notes out", on_click=shop.start_build, kwargs={"skip_bad": True})


# --- passages ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Source:
    """The citations of an answer that lie in one section of one note."""

    note: str
    heading: str
    path: str
    citations: tuple[Mapping[str, Any], ...]

    @property
    def markers(self) -> tuple[int, ...]:
        """The numbers of its citations."""
        return tuple(int(c["marker"]) for c in self.citations)


def sources_of(citations: Sequence[Mapping[str, Any]]) -> list[Source]:
    """An answer's citations, those of one section together, in the order of first use."""
    grouped: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for citation in citations:
        grouped.setdefault((citation["note"], citation["heading"], citation["path"]), []).append(citation)
    return [Source(*key, tuple(members)) for key, members in grouped.items()]


def passage_drawer(source: Source, title: str, settings: Settings) -> None:
    """A drawer with the section of a note that a source names, the cited sentences highlighted."""
    drawer = st.dialog(
        escape(title), width=DRAWER_PX, position="right", icon=":material/menu_book:", on_dismiss=state.close_passage
    )
    drawer(_passage)(source, settings)


def _passage(source: Source, settings: Settings) -> None:
    heading = " › ".join(escape(part) for part in source.heading.split(" > "))
    st.caption(f"{heading}  \n{code_span(_file(source.path, settings))}")
    text = read_note(source.path)
    found = [light for citation in source.citations if (light := locate(citation, text)) is not None]
    drawn: frozenset[int] = frozenset()
    if found:
        part = section(text, min(light.start for light in found), max(light.end for light in found))
        inside = [replace(light, start=light.start - part.start, end=light.end - part.start) for light in found]
        shown, drawn = note_markdown(text[part.start : part.end], inside)
        with st.container(key="passage"):
            st.markdown(shown, anchors=False)
        if part.cut:
            st.caption("The section is longer; these are the lines around what is cited.")
    lost = [c for c in source.citations if int(c["marker"]) not in drawn]
    if lost:
        st.warning("The note has changed since this answer was given. It said:", icon=":material/history:")
        st.markdown("\n>\n".join(f"> {escape(str(c['quote']))}{marks([int(c['marker'])])}" for c in lost))


def read_note(path: str) -> str:
    """The text of a note's file, empty when it cannot be read any more."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def locate(citation: Mapping[str, Any], text: str) -> Highlight | None:
    """Where a cited sentence stands in the note as it is now; None when it does not."""
    quote, start = str(citation["quote"]), int(citation["start"])
    if text[start : int(citation["end"])] != quote:  # the note was edited: the sentence may have moved
        start = text.find(quote)
    return Highlight(start, start + len(quote), int(citation["marker"])) if quote and start >= 0 else None


def _file(path: str, settings: Settings) -> str:
    for root in settings.corpus_roots:
        if Path(path).is_relative_to(root):
            return Path(path).relative_to(root).as_posix()
    return path
