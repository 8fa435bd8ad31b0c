"""A chat model that says what it was told to say: for tests of everything that uses one, and for trying the screens.

It behaves as the real adapters do (streams, counts tokens, refuses long prompts, fails with ModelFailed) and needs no
file. It must not know what a good answer is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel, generate_from_stream
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import Field, PrivateAttr
from typing_extensions import override

from tutor.errors import ModelFailed


class ScriptedChat(BaseChatModel):
    """Streams given replies, one call after the other, word by word.

    ``replies`` is a list, of which the last is repeated, or a function of the messages. ``fail_at_chunk`` makes every
    stream raise ModelFailed instead of yielding its n-th chunk, counted from 0. A token is a word. ``calls`` holds the
    messages of each call.
    """

    replies: list[str] | Callable[[list[BaseMessage]], str] = Field(default_factory=lambda: [""])
    fail_at_chunk: int | None = None
    context_tokens: int = Field(default=8192, ge=1)
    max_tokens: int = Field(default=512, ge=1)

    _calls: list[list[BaseMessage]] = PrivateAttr(default_factory=list)

    @property
    def calls(self) -> list[list[BaseMessage]]:
        """The messages of every call so far, in order."""
        return self._calls

    def count_tokens(self, text: str) -> int:
        """Words of a text."""
        return len(text.split())

    def prompt_tokens(self, messages: Sequence[BaseMessage]) -> int:
        """Words of all messages and one for each role."""
        return sum(self.count_tokens(str(message.text)) + 1 for message in messages)

    @override
    def get_num_tokens(self, text: str) -> int:
        """LangChain's name for ``count_tokens``."""
        return self.count_tokens(text)

    @override
    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Sequence[Any] | None = None) -> int:
        """LangChain's name for ``prompt_tokens``."""
        return self.prompt_tokens(messages)

    @property
    @override
    def _llm_type(self) -> str:
        return "scripted"

    @override
    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return generate_from_stream(self._stream(messages, stop=stop, run_manager=run_manager, **kwargs))

    @override
    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        self._calls.append(list(messages))
        room = self.context_tokens - self.prompt_tokens(messages)
        if room < 1:
            raise ModelFailed("The prompt is too long.", "Use fewer passages (--k) or a shorter question.")
        reply = self._reply(messages)
        for mark in stop or ():
            reply = reply.partition(mark)[0]
        words = [word + " " for word in reply.split(" ")]
        words[-1] = words[-1][:-1]
        limit = min(int(kwargs.get("max_tokens", self.max_tokens)), room)
        for number, word in enumerate(words[:limit]):
            if number == self.fail_at_chunk:
                raise ModelFailed("The scripted model stopped as it was told to.", "Ask again.")
            yield ChatGenerationChunk(message=AIMessageChunk(content=word))
        reason = "stop" if len(words) <= limit else "length"
        yield ChatGenerationChunk(
            message=AIMessageChunk(content="", chunk_position="last"), generation_info={"finish_reason": reason}
        )

    def _reply(self, messages: list[BaseMessage]) -> str:
        if callable(self.replies):
            return self.replies(messages)
        return self.replies[min(len(self._calls), len(self.replies)) - 1] if self.replies else ""
