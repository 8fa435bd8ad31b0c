"""An OpenAI-compatible server (llama-server, vLLM, Ollama, …) as a LangChain chat model.

LangChain's own client does the talking. This module sets it up so that nothing but the endpoint is ever called (no
tracing, no tokenizer files), and turns what can go wrong into errors that say what to do.

It must not know what is asked or why. It never cuts a prompt: one that is too long is an error.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel, generate_from_stream
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import Field, PrivateAttr, SecretStr
from typing_extensions import override

from tutor.errors import EndpointUnreachable, ModelFailed, SettingsError, TutorError
from tutor.settings import Settings

CONNECT_S = 5.0
BYTES_PER_TOKEN = 3.0
"""English takes 4 to 5 bytes per token, formulas and tables about 3: the estimate errs towards too many."""
MESSAGE_TOKENS = 8
"""What a chat template adds around a message, at most."""


def open_endpoint(
    settings: Settings, *, max_tokens: int = 512, temperature: float = 0.0, timeout_s: float = 300.0
) -> ChatEndpoint:
    """The model behind ``TUTOR_ENDPOINT``. Nothing is sent yet.

    ``timeout_s`` is how long the server may be silent; a large model on a CPU reads a long prompt for minutes. Raises
    SettingsError when the address is missing or none.
    """
    example = "Set TUTOR_ENDPOINT to a base URL such as http://localhost:8080/v1."
    if not settings.endpoint:
        raise SettingsError("No endpoint is set.", example)
    try:
        url = urlsplit(settings.endpoint)
        usable = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise SettingsError(f"TUTOR_ENDPOINT is not a web address: {settings.endpoint!r}.", example)
    return ChatEndpoint(
        base_url=settings.endpoint.rstrip("/"),
        model=settings.endpoint_model,
        api_key=SecretStr(settings.endpoint_key),
        context_tokens=settings.max_context,
        max_tokens=max_tokens,
        temperature=temperature,
        timeout_s=timeout_s,
    )


class ChatEndpoint(BaseChatModel):
    """A model behind a URL. ``context_tokens`` is what the server is believed to read; token counts are estimates.

    Generating raises EndpointUnreachable (no answer, refused) or ModelFailed (broke off, prompt too long).
    """

    base_url: str
    model: str
    api_key: SecretStr = SecretStr("")
    context_tokens: int = Field(default=8192, ge=1)
    max_tokens: int = Field(default=512, ge=1)
    temperature: float = Field(default=0.0, ge=0.0)
    timeout_s: float = Field(default=300.0, gt=0)

    _client: Any = PrivateAttr(default=None)

    @override
    def model_post_init(self, context: Any, /) -> None:
        """Set the client up."""
        super().model_post_init(context)
        import langsmith
        from langchain_openai.chat_models.base import BaseChatOpenAI
        from openai import Timeout

        langsmith.configure(enabled=False)  # whatever the environment says: questions and notes stay here
        self._client = BaseChatOpenAI(
            model=self.model,
            base_url=self.base_url,
            # Any key but the one given belongs to somebody else, so the environment's is never used.
            api_key=SecretStr(self.api_key.get_secret_value() or "none"),
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            max_retries=1,
            timeout=Timeout(self.timeout_s, connect=CONNECT_S),
            use_responses_api=False,  # only OpenAI itself has that one
        )
        self._client.root_client.organization = self._client.root_client.project = None  # as with the key

    def close(self) -> None:
        """Close the connections."""
        self._client.root_client.close()

    def count_tokens(self, text: str) -> int:
        """An estimate that errs towards too many: the server's tokenizer is not known here."""
        return math.ceil(len(text.encode("utf-8", errors="replace")) / BYTES_PER_TOKEN)

    def prompt_tokens(self, messages: Sequence[BaseMessage]) -> int:
        """An estimate for a whole prompt, chat template included."""
        return sum(self.count_tokens(str(message.text)) + MESSAGE_TOKENS for message in messages)

    @override
    def get_token_ids(self, text: str) -> list[int]:
        """Not available: LangChain would fetch another model's tokenizer to guess. Raises ModelFailed."""
        raise ModelFailed("An endpoint does not show its tokens.", "Use count_tokens, which estimates.")

    @override
    def get_num_tokens(self, text: str) -> int:
        """LangChain's name for ``count_tokens``."""
        return self.count_tokens(text)

    @override
    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Sequence[Any] | None = None) -> int:
        """LangChain's name for ``prompt_tokens``; tools are not counted."""
        return self.prompt_tokens(messages)

    @property
    @override
    def _llm_type(self) -> str:
        return "openai-compatible"

    @property
    @override
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.model, "base_url": self.base_url, "temperature": self.temperature}

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
        """Yield chunks as the server sends them. A stream that ends without a finish reason was cut."""
        needed = self.prompt_tokens(messages)
        if needed >= self.context_tokens:  # some servers would cut it and say nothing
            raise ModelFailed(
                f"The prompt has about {needed:,} tokens; the endpoint is taken to read {self.context_tokens:,}.",
                "Use fewer passages (--k) or a shorter question, or set TUTOR_MAX_CONTEXT to what the server reads.",
            )
        finished = started = False
        try:
            with contextlib.closing(self._client._stream(_encodable(messages), stop=stop, **kwargs)) as chunks:
                for chunk in chunks:
                    started = started or bool(chunk.text)
                    finished = finished or bool((chunk.generation_info or {}).get("finish_reason"))
                    yield chunk
        except Exception as error:
            raise _translate(error, self.base_url, self.model, self.timeout_s, started=started) from error
        if not finished:
            raise ModelFailed(
                f"{self.base_url} ended the answer in the middle." if started else f"{self.base_url} answered nothing.",
                "See the server's log; the address usually ends in /v1.",
            )


def _encodable(messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """The same messages without halves of surrogate pairs, which JSON in UTF-8 cannot carry."""
    texts = [str(message.text).encode("utf-8", errors="replace").decode("utf-8") for message in messages]
    return [message.model_copy(update={"content": text}) for message, text in zip(messages, texts, strict=True)]


def _translate(error: Exception, url: str, model: str, timeout_s: float, *, started: bool) -> TutorError:
    """Our error for one of the client's. ``started``: text had already arrived."""
    import openai

    said = " ".join(str(error).split())[:300]
    match error:
        case openai.APITimeoutError():
            return EndpointUnreachable(
                f"{url} was silent for {timeout_s:g} s.", "See whether the server is busy or still loading its model."
            )
        case openai.APIConnectionError() if started:
            return ModelFailed(f"The connection to {url} broke while it was answering.", "Ask again.")
        case openai.APIConnectionError():
            return EndpointUnreachable(
                f"{url} does not answer: {str(error.__cause__ or said).rstrip('.')}.",
                "Start the server, or correct TUTOR_ENDPOINT.",
            )
        case openai.AuthenticationError() | openai.PermissionDeniedError():
            return EndpointUnreachable(f"{url} refuses the key: {said}", "Set TUTOR_ENDPOINT_KEY to the server's key.")
        case openai.NotFoundError():
            return EndpointUnreachable(
                f"{url} has no model {model!r}, or no such address: {said}",
                "Set TUTOR_ENDPOINT_MODEL to a model that the server lists; TUTOR_ENDPOINT usually ends in /v1.",
            )
        case openai.RateLimitError():
            return EndpointUnreachable(f"{url} takes no more requests now: {said}", "Wait a minute, then ask again.")
        case openai.InternalServerError():
            return EndpointUnreachable(
                f"{url} has a problem: {said}", "See the server's log; it may still be loading its model."
            )
        case openai.APIStatusError():
            return ModelFailed(
                f"{url} refuses the request: {said}", "If the prompt is too long for it, lower TUTOR_MAX_CONTEXT."
            )
        case openai.APIError():
            return ModelFailed(f"{url} stopped while answering: {said}", "See the server's log, then ask again.")
        case _:
            return ModelFailed(
                f"What {url} sent is not an OpenAI answer: {said or type(error).__name__}.",
                "TUTOR_ENDPOINT must be the base URL of an OpenAI-compatible server; it usually ends in /v1.",
            )
