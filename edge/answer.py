"""One answer in the making: sampled tokens become text deltas and tool calls."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from edge.events import Event, TextDelta, TokenLogprob, ToolCall
from edge.prompt.answer_stream import AnswerStream
from edge.prompt.tools import Tool
from edge.runtime.generate import Sampled

if TYPE_CHECKING:
    from edge.model import Model


class Answer:
    """Turns sampled tokens into text deltas and keeps what the turn needs of them."""

    def __init__(self, model: "Model", tools: list[Tool], stop: tuple[str, ...], logprobs: bool) -> None:
        self._tokenizer = model.tokenizer
        self._stream = AnswerStream(model.tokenizer, model.chat_format, tools, stop)
        self._want_logprobs = logprobs
        self.ids: list[int] = []
        self.text = ""
        self.calls: list[ToolCall] = []
        self.count = 0

    @property
    def stopped(self) -> bool:
        """Whether a stop string ended the answer."""
        return self._stream.stopped

    def push(self, sampled: Sampled) -> Iterator[Event]:
        self.count += 1
        if sampled.stops:
            return
        self.ids.append(sampled.token)
        text = self._stream.push(sampled.token)
        logprobs: tuple[TokenLogprob, ...] = ()
        if self._want_logprobs:
            spelled = self._tokenizer.token_bytes(sampled.token).decode("utf-8", "replace")
            logprobs = (TokenLogprob(sampled.token, spelled, sampled.logprob, sampled.top),)
        if text or logprobs:
            self.text += text
            yield TextDelta(text, logprobs)

    def finish(self) -> Iterator[Event]:
        text, self.calls = self._stream.finish()
        if text:
            self.text += text
            yield TextDelta(text)
        yield from self.calls
