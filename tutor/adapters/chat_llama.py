"""A GGUF model through llama.cpp, as a LangChain chat model.

One instance owns one loaded model. llama.cpp writes one text at a time, so a stream holds a lock from its first token
until it ends or is closed; other threads wait. The prompt is rendered with the model's own chat template, and marks of
that template inside a message are made harmless, so that a note cannot end its turn and speak as somebody else.

This module must not know what is asked or why. It never cuts a prompt: one that is too long is an error.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel, generate_from_stream
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import Field, PrivateAttr
from typing_extensions import override

from tutor import interrupt
from tutor.errors import ModelCorrupt, ModelFailed, ModelMissing, TutorError

_ROLES = {"system": "system", "human": "user", "ai": "assistant"}
_CHATML_STOP = "<|im_end|>"


class ChatLlama(BaseChatModel):
    """A GGUF file as a chat model. Loading happens here, in the constructor; ``close()`` frees the memory.

    ``n_ctx`` is the largest context wanted, in tokens; ``context_tokens`` is what it came to. ``threads`` are CPU
    threads. At temperature 0 the most likely token is taken each time.

    Constructing raises ModelMissing, ModelCorrupt or ModelFailed (no memory, unknown architecture). Generating raises
    ModelFailed.
    """

    model_path: str
    n_ctx: int = Field(default=8192, ge=64)
    threads: int = Field(default=1, ge=1)
    temperature: float = Field(default=0.0, ge=0.0)
    max_tokens: int = Field(default=512, ge=1)

    _llama: Any = PrivateAttr(default=None)
    _formatter: Any = PrivateAttr(default=None)
    _stop: list[str] = PrivateAttr(default_factory=list)
    _control: dict[int, str] = PrivateAttr(default_factory=dict)
    _lock: threading.Lock = PrivateAttr(default_factory=threading.Lock)
    _writer: int | None = PrivateAttr(default=None)

    @override
    def model_post_init(self, context: Any, /) -> None:
        """Load the model and its chat template."""
        super().model_post_init(context)
        self._llama = _load(self.model_path, self.n_ctx, self.threads)
        self._formatter, self._stop = _chat_formatter(self._llama)

    def close(self) -> None:
        """Free the model's memory. A stream that is being read ends first; using the model afterwards is an error."""
        with self._lock:
            llama, self._llama = self._llama, None
            if llama is not None:
                llama.close()

    @property
    def context_tokens(self) -> int:
        """Tokens that prompt and answer may have together: the least of what was asked for and what was trained."""
        llama = self._loaded()
        return min(self.n_ctx, int(llama.n_ctx()), _trained_context(llama) or self.n_ctx)

    def count_tokens(self, text: str) -> int:
        """Tokens of a text by itself."""
        return len(self.get_token_ids(text))

    def prompt_tokens(self, messages: Sequence[BaseMessage]) -> int:
        """Tokens of a whole prompt, with what the chat template adds. Raises ModelFailed as ``stream`` would."""
        return len(self._prompt(messages))

    @override
    def get_token_ids(self, text: str) -> list[int]:
        """The model's own tokens of a text, in which marks of the template are plain text."""
        return self._tokenize(text, special=False)

    @override
    def get_num_tokens(self, text: str) -> int:
        """LangChain's name for ``count_tokens``."""
        return self.count_tokens(text)

    @override
    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Sequence[Any] | None = None) -> int:
        """LangChain's name for ``prompt_tokens``; tools are not supported."""
        return self.prompt_tokens(messages)

    @property
    def _name(self) -> str:
        return Path(self.model_path).name

    @property
    @override
    def _llm_type(self) -> str:
        return "llama.cpp"

    @property
    @override
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self._name, "n_ctx": self.n_ctx, "temperature": self.temperature}

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
        """Yield a chunk for each token; the last has the finish reason (``stop`` or ``length``) and the token counts.

        ``max_tokens`` and ``temperature`` may be given for one call.
        """
        with self._writing():
            prompt = self._prompt(messages)
            room = self.context_tokens - len(prompt)
            if room < 1:
                raise ModelFailed(
                    f"The prompt has {len(prompt):,} tokens; {self._name} reads {self.context_tokens:,}.",
                    "Use fewer passages (--k) or a shorter question, raise TUTOR_MAX_CONTEXT, or choose another model.",
                )
            try:
                parts = self._loaded().create_completion(
                    prompt=prompt,
                    max_tokens=min(int(kwargs.get("max_tokens", self.max_tokens)), room),
                    temperature=float(kwargs.get("temperature", self.temperature)),
                    stop=[*(stop or ()), *self._stop],
                    stream=True,
                )
                with contextlib.closing(parts):
                    yield from _chunks(parts, len(prompt))
            except Exception as error:
                raise ModelFailed(
                    f"{self._name} stopped while writing: {error or type(error).__name__}.",
                    "Try again with `--engine extractive`, or another model (`tutor models list`).",
                ) from error

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold the model. Waiting for oneself would be waiting for ever, so that is an error."""
        if self._writer == threading.get_ident():
            raise ModelFailed(
                "The model is still writing another answer for the same reader.",
                "Close the first stream, then ask again.",
            )
        with self._lock:
            self._writer = threading.get_ident()
            try:
                yield
            finally:
                self._writer = None

    def _loaded(self) -> Any:
        if self._llama is None:
            raise ModelFailed(f"{self._name} has been closed.", "Load the model again.")
        return self._llama

    def _prompt(self, messages: Sequence[BaseMessage]) -> list[int]:
        """Render messages with the chat template and cut the text into tokens."""
        chat = [{"role": _role(message), "content": self._harmless(str(message.text))} for message in messages]
        try:
            try:
                text = self._render(chat)
            except Exception:  # noqa: BLE001 - templates raise what they like; many know no system role
                text = self._render(_without_system(chat))
        except Exception as error:
            raise ModelFailed(
                f"The chat template of {self._name} cannot render the prompt: {error}.",
                "Use another model (`tutor models list`), or serve this one and set TUTOR_ENDPOINT.",
            ) from error
        return self._tokenize(text, special=True)

    def _render(self, chat: list[dict[str, str]]) -> str:
        # Models with an optional thinking phase skip it: thoughts would be neither notes nor citable.
        return str(self._formatter(messages=chat, enable_thinking=False).prompt)

    def _tokenize(self, text: str, *, special: bool) -> list[int]:
        data = text.encode("utf-8", errors="replace")
        return list(self._loaded().tokenize(data, add_bos=False, special=special)) if data else []

    def _harmless(self, text: str) -> str:
        """Put a space into every mark of the template that a text contains, as in ``< |im_end|>``."""
        for mark in {self._control_text(token) for token in self._tokenize(text, special=True)}:
            if len(mark) > 1:
                text = text.replace(mark, f"{mark[0]} {mark[1:]}")
        return text

    def _control_text(self, token: int) -> str:
        """The text of a control token, empty for any other token."""
        if token not in self._control:
            native, _ = _llama_cpp()
            vocab = native.llama_model_get_vocab(self._loaded().model)
            is_control = native.llama_vocab_get_attr(vocab, token) & native.LLAMA_TOKEN_ATTR_CONTROL
            self._control[token] = _token_text(self._loaded(), token) if is_control else ""
        return self._control[token]


def _role(message: BaseMessage) -> str:
    if message.type not in _ROLES:
        raise ModelFailed(f"A {message.type} message cannot be given to a local model.", "Send text messages only.")
    return _ROLES[message.type]


def _without_system(chat: list[dict[str, str]]) -> list[dict[str, str]]:
    """The same conversation for a template without a system role: its text opens the first message."""
    if len(chat) < 2 or chat[0]["role"] != "system":
        return chat
    first, second, *rest = chat
    return [{**second, "content": f"{first['content']}\n\n{second['content']}"}, *rest]


def _chunks(parts: Iterator[Any], prompt_tokens: int) -> Iterator[ChatGenerationChunk]:
    """Translate llama.cpp's pieces. ``prompt_tokens`` is counted into the usage of the last one."""
    written = 0
    for part in parts:
        choice = part["choices"][0]
        text, reason = choice["text"], choice["finish_reason"]
        written += bool(text)
        if not reason:
            yield ChatGenerationChunk(message=AIMessageChunk(content=text))
            continue
        usage = UsageMetadata(input_tokens=prompt_tokens, output_tokens=written, total_tokens=prompt_tokens + written)
        last = AIMessageChunk(content=text, chunk_position="last", usage_metadata=usage)
        yield ChatGenerationChunk(message=last, generation_info={"finish_reason": reason})


# --- loading -------------------------------------------------------------------------------------------------------


@functools.cache
def _llama_cpp() -> tuple[Any, deque[str]]:
    """The library, and the last lines that its native code logged.

    llama-cpp-python keeps llama.cpp quiet by pointing the whole process's stdout and stderr at /dev/null while a model
    loads: what other threads print meanwhile is lost, and two loads at once can lose it for good. Native code logs
    through a callback, so it is enough to take the callback and leave the streams alone.
    """
    native: Any = importlib.import_module("llama_cpp")
    lines: deque[str] = deque(maxlen=200)

    @native.llama_log_callback  # type: ignore[untyped-decorator]
    def keep(_level: int, text: bytes, _data: ctypes.c_void_p) -> None:
        lines.append(text.decode("utf-8", errors="replace").strip())

    native.llama_log_set(keep, ctypes.c_void_p(0))
    for name in ("llama_cpp.llama", "llama_cpp._internals"):
        module: Any = importlib.import_module(name)
        if hasattr(module, "suppress_stdout_stderr"):
            module.suppress_stdout_stderr = lambda disable=True: contextlib.nullcontext(disable)
    native.keep_log_callback = keep  # ctypes does not keep it alive
    return native, lines


def _load(path: str, n_ctx: int, threads: int) -> Any:
    if not Path(path).is_file():
        raise ModelMissing(f"There is no model file {path}.", "Check the path, or see `tutor models list`.")
    native, log = _llama_cpp()
    log.clear()

    def open_with(context: int) -> Any:
        with interrupt.held_back():  # it would strike in the log callback and be lost
            return native.Llama(
                model_path=path, n_ctx=context, n_threads=threads, n_threads_batch=threads, verbose=False
            )

    try:
        llama = open_with(n_ctx)
        trained = _trained_context(llama)
        if trained and trained < n_ctx:  # more would cost memory, and the model cannot use it
            llama.close()
            llama = open_with(trained)
    except TutorError:
        raise
    except Exception as error:
        raise _load_error(
            path, error, [line for line in log if "error" in line.lower() or "fail" in line.lower()]
        ) from error
    return llama


def _load_error(path: str, error: Exception, log: list[str]) -> TutorError:
    name, said = Path(path).name, " ".join(log)
    if "unknown model architecture" in said:
        return ModelFailed(
            f"{name} is of an architecture that this llama.cpp does not know.",
            "Update llama-cpp-python (`pip install -U llama-cpp-python`), or use another model.",
        )
    if "context" in str(error) or "alloc" in said:
        return ModelFailed(
            f"{name} does not fit into memory.", "Lower TUTOR_MAX_CONTEXT, close programs, or use a smaller model."
        )
    reason = log[0] if log else str(error)
    return ModelCorrupt(
        f"{path} cannot be loaded: {reason}.", "The file is damaged or no chat model; download it again."
    )


def _trained_context(llama: Any) -> int:
    """The context that the model was trained with, in tokens; 0 when the file does not say."""
    architecture = llama.metadata.get("general.architecture", "")
    stated = str(llama.metadata.get(f"{architecture}.context_length", ""))
    return int(stated) if stated.isdigit() else 0


def _chat_formatter(llama: Any) -> tuple[Any, list[str]]:
    """The renderer of the model's chat template, and texts that end an answer besides the model's own end token.

    A file without a template gets ChatML, which most models have seen.
    """
    formats: Any = importlib.import_module("llama_cpp.llama_chat_format")
    template = llama.metadata.get("tokenizer.chat_template", "")
    try:
        formatter = formats.Jinja2ChatFormatter(
            template=template or formats.CHATML_CHAT_TEMPLATE,
            bos_token=_token_text(llama, llama.token_bos()),
            eos_token=_token_text(llama, llama.token_eos()),
        )
    except Exception as error:
        llama.close()
        raise ModelCorrupt(f"The chat template of the model is broken: {error}.", "Use another file of it.") from error
    return formatter, ([] if template else [_CHATML_STOP])


def _token_text(llama: Any, token: int) -> str:
    return str(llama.detokenize([token], special=True).decode("utf-8", errors="replace")) if token >= 0 else ""
