"""The road from question to answer: whatever a model writes, only what the notes say is seen."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk
from typing_extensions import override

from tests.grounded import assert_grounded, events, final, seen
from tests.sample_corpus import Corpus, open_corpus, scripted, writer_of
from tutor.adapters.offline import ScriptedChat
from tutor.answer import LARGE_PASSAGES, Parts, Request, ask, stream
from tutor.draft import ANSWER_TOKENS, MAX_SENTENCES, Writer
from tutor.errors import EndpointUnreachable, ModelFailed, ModelMissing
from tutor.extract import candidates
from tutor.types import Filter, Finished, Message, PassagesFound, SentenceShown, Understood

QUESTION = "What is calibration?"
DEFINITION = "Calibration is the agreement between predicted probabilities and observed frequencies."
EXAMPLE = "A calibrated model that predicts 0.2 is right in 20% of such cases."
WARNING = "Never fit the calibrator on the training data."
INVENTION = "Kaggle winners always calibrate with 97 XGBoost trees."


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return open_corpus(tmp_path_factory.mktemp("answer"))


# --- the stream ------------------------------------------------------------------------------------------------------


def test_events_come_in_order_and_end_with_the_answer(corpus: Corpus) -> None:
    found = events(corpus, QUESTION)
    assert isinstance(found[0], Understood)
    assert isinstance(found[1], PassagesFound)
    assert all(isinstance(e, SentenceShown) for e in found[2:-1])
    assert isinstance(found[-1], Finished)
    assert len(found) > 3
    assert found[1].passages == final(found).passages


def test_a_sentence_is_shown_before_the_model_has_finished(corpus: Corpus) -> None:
    chat = ScriptedChat(replies=[f"{DEFINITION} {EXAMPLE} {WARNING}"], fail_at_chunk=16)
    road = stream(Request(QUESTION), corpus.parts(writer_of(chat)))
    first = next(e for e in road if isinstance(e, SentenceShown))
    assert first.text == DEFINITION


def test_ask_gives_the_answer_that_the_stream_ends_with(corpus: Corpus) -> None:
    answer, streamed = ask(Request(QUESTION), corpus.parts()), final(events(corpus, QUESTION))
    assert (answer.answer, answer.citations, answer.claims) == (streamed.answer, streamed.citations, streamed.claims)


def test_every_stage_is_timed(corpus: Corpus) -> None:
    timings = final(events(corpus, QUESTION)).timings_ms
    assert {"understand", "retrieve", "select", "draft", "total"} <= set(timings)
    assert all(value >= 0 for value in timings.values())
    assert timings["total"] >= max(timings.values()) - 0.01


# --- without a model -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "question",
    [QUESTION, "How would you evaluate visual search?", "lambdamrt vs poitwise", "How is visual search served?"],
)
def test_the_extractive_engine_answers_in_the_notes_own_words(corpus: Corpus, question: str) -> None:
    found = events(corpus, question)
    answer = final(found)
    assert_grounded(corpus, found)
    assert (answer.abstained, answer.engine, answer.model, answer.rejected) == (False, "extractive", "", ())
    notes = " ".join(" ".join(e.plain for e in candidates(answer.passages)).split())
    assert all(claim.text in notes for claim in answer.claims)


def test_the_answer_to_a_definition_is_the_definition(corpus: Corpus) -> None:
    answer = final(events(corpus, QUESTION))
    assert answer.answer.startswith(DEFINITION[:-1] + " [1].")
    assert answer.citations[0].note == "concepts/calibration"


def test_a_follow_up_is_answered_about_what_was_asked_before(corpus: Corpus) -> None:
    answer = final(events(corpus, "And how is it served?", history=("How would you design visual search?",)))
    assert "visual search" in answer.standalone_question.lower()
    assert answer.question == "And how is it served?"
    assert "16 shards" in answer.answer


def test_a_filter_narrows_the_answer(corpus: Corpus) -> None:
    answer = final(events(corpus, "What is the offline metric?", where=Filter(case="ad-click-prediction")))
    assert {p.chunk.slug for p in answer.passages} == {"ad-click-prediction"}
    assert "cross-entropy" in answer.answer


# --- with a model ----------------------------------------------------------------------------------------------------


def test_a_faithful_draft_is_shown_with_its_citations(corpus: Corpus) -> None:
    found = events(corpus, QUESTION, writer=scripted(f"{DEFINITION} {EXAMPLE} {WARNING}"))
    answer = final(found)
    assert_grounded(corpus, found)
    assert (answer.engine, answer.model, answer.notices) == ("llama", "scripted", ())
    assert answer.answer.startswith(f"{DEFINITION[:-1]} [1]. {EXAMPLE[:-1]} [2].")
    assert [" ".join(c.quote.split()) for c in answer.citations[:2]] == [DEFINITION, EXAMPLE]


def test_an_inventing_draft_is_never_seen(corpus: Corpus) -> None:
    found = events(corpus, QUESTION, writer=scripted(f"{INVENTION} {DEFINITION} {INVENTION.replace('97', '12')}"))
    answer = final(found)
    assert_grounded(corpus, found)
    assert "Kaggle" not in seen(found)
    assert "XGBoost" not in seen(found)
    assert DEFINITION[:-1] in answer.answer
    assert len(answer.rejected) == 2, "but it is on record that the model invented"


def test_a_distorting_draft_is_replaced_by_the_notes(corpus: Corpus) -> None:
    found = events(
        corpus, QUESTION, writer=scripted("A calibrated model that predicts 0.7 is right in 90% of such cases.")
    )
    assert_grounded(corpus, found)
    assert "90%" not in seen(found)
    assert EXAMPLE[:-1] in final(found).answer


def test_when_nothing_of_the_draft_stands_the_notes_are_quoted_and_it_is_said(corpus: Corpus) -> None:
    found = events(corpus, QUESTION, writer=scripted(INVENTION))
    answer = final(found)
    assert_grounded(corpus, found)
    assert (answer.engine, answer.model) == ("extractive", "")
    assert answer.answer == final(events(corpus, QUESTION)).answer
    assert any("notes are quoted" in notice for notice in answer.notices)


def test_what_the_draft_forgot_of_the_best_facts_is_added(corpus: Corpus) -> None:
    found = events(corpus, QUESTION, writer=scripted(WARNING))
    assert_grounded(corpus, found)
    assert DEFINITION in [c.text for c in final(found).claims]
    assert final(found).engine == "llama"


def test_markers_that_a_model_makes_up_point_nowhere_and_are_not_seen(corpus: Corpus) -> None:
    found = events(corpus, QUESTION, writer=scripted(f"{DEFINITION[:-1]} [9]. {EXAMPLE[:-1]} [42][7] (fact 12)."))
    assert_grounded(corpus, found)
    for fake in ("[9]", "[42]", "fact 12"):
        assert fake not in seen(found)


@pytest.mark.parametrize("at", [0, 3, 16])
def test_when_the_model_dies_the_rest_is_quoted_and_it_is_said(corpus: Corpus, at: int) -> None:
    found = events(
        corpus, QUESTION, writer=scripted(f"{DEFINITION} {EXAMPLE} {WARNING}", fail_at_chunk=at), strict_engine=True
    )
    answer = final(found)
    assert_grounded(corpus, found)
    assert {DEFINITION, EXAMPLE, WARNING} <= {c.text for c in answer.claims}
    assert any("stopped" in notice for notice in answer.notices)
    assert answer.engine == ("llama" if at > 11 else "extractive")


@pytest.mark.parametrize("draft", ["", "\n\n", "Sure", "and then " * 500, "Why? How? What for?"])
def test_an_empty_draft_gives_the_notes_instead(corpus: Corpus, draft: str) -> None:
    found = events(corpus, QUESTION, writer=scripted(draft))
    assert_grounded(corpus, found)
    assert final(found).engine == "extractive"
    assert final(found).answer == final(events(corpus, QUESTION)).answer


@pytest.mark.parametrize("again", [DEFINITION, INVENTION, f"{DEFINITION} {INVENTION}", "Recall rises "])
def test_an_endless_draft_ends(corpus: Corpus, again: str) -> None:
    chat = ScriptedChat(replies=[f"{again} " * 300], max_tokens=100_000)
    found = events(corpus, QUESTION, writer=writer_of(chat))
    assert_grounded(corpus, found)
    assert 1 <= len(final(found).claims) <= MAX_SENTENCES
    assert len(chat.calls) == 1


def test_when_the_context_is_too_small_for_the_evidence_it_is_said(corpus: Corpus) -> None:
    chat = ScriptedChat(replies=[DEFINITION])
    events(corpus, QUESTION, writer=writer_of(chat))
    context = chat.prompt_tokens(chat.calls[0]) + ANSWER_TOKENS - 1  # one token less than all of it needs
    found = events(corpus, QUESTION, writer=scripted(DEFINITION, context=context))
    assert_grounded(corpus, found)
    (notice,) = [n for n in final(found).notices if f"{context} tokens" in n]
    kept, whole = map(int, re.findall(r"holds (\d+) of (\d+)", notice)[0])
    assert kept == whole - 1


def test_a_prompt_that_cannot_fit_at_all_still_gives_an_answer(corpus: Corpus) -> None:
    found = events(corpus, QUESTION, writer=scripted(DEFINITION, context=20))
    assert_grounded(corpus, found)
    assert final(found).engine == "extractive"
    assert DEFINITION in [c.text for c in final(found).claims]


def prompt_for(corpus: Corpus, large: bool) -> str:
    chat = ScriptedChat(replies=[DEFINITION])
    events(corpus, QUESTION, writer=writer_of(chat, large=large))
    return str(chat.calls[0][-1].text)


def test_a_small_model_is_given_the_chosen_sentences_and_a_large_one_whole_passages(corpus: Corpus) -> None:
    passages = final(events(corpus, QUESTION)).passages
    every = [e.plain for e in candidates(passages[:LARGE_PASSAGES])]
    small, large = prompt_for(corpus, large=False), prompt_for(corpus, large=True)
    assert all(text in large for text in every)
    assert not all(text in small for text in every)
    assert DEFINITION in small


# --- a model that cannot be had --------------------------------------------------------------------------------------


def without_model(corpus: Corpus) -> Parts:
    def missing() -> Writer:
        raise ModelMissing("qwen has not been pulled yet.", "Run `tutor models pull qwen`.")

    parts = corpus.parts()
    return Parts(parts.index, parts.embedder, parts.is_word, parts.checker, missing)


def test_a_model_that_is_missing_is_replaced_and_named(corpus: Corpus) -> None:
    answer = ask(Request(QUESTION), without_model(corpus))
    assert answer.engine == "extractive"
    assert answer.answer == final(events(corpus, QUESTION)).answer
    assert any("qwen has not been pulled" in notice for notice in answer.notices)


def test_a_model_that_was_asked_for_by_name_must_be_there(corpus: Corpus) -> None:
    with pytest.raises(ModelMissing, match="qwen") as caught:
        ask(Request(QUESTION, strict_engine=True), without_model(corpus))
    assert "pull" in caught.value.hint


class Unreachable(ScriptedChat):
    """A server that is not there, which shows when it is first asked."""

    @override
    def _stream(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        raise EndpointUnreachable("http://localhost:9/v1 does not answer.", "Start the server.")


def test_a_server_that_was_asked_for_by_name_must_be_there(corpus: Corpus) -> None:
    with pytest.raises(EndpointUnreachable):
        events(corpus, QUESTION, writer=writer_of(Unreachable()), strict_engine=True)


def test_a_server_that_is_not_there_is_replaced_and_it_is_said_what_to_do(corpus: Corpus) -> None:
    found = events(corpus, QUESTION, writer=writer_of(Unreachable()))
    assert_grounded(corpus, found)
    (notice,) = final(found).notices
    assert "does not answer. Start the server." in notice


def test_a_model_whose_prompt_cannot_be_counted_is_replaced(corpus: Corpus) -> None:
    def broken(messages: Sequence[Message]) -> int:
        raise ModelFailed("The chat template is broken.", "Use another model.")

    found = events(corpus, QUESTION, writer=Writer("broken", ScriptedChat(), 8192, broken))
    assert_grounded(corpus, found)
    assert any("template is broken" in notice for notice in final(found).notices)
