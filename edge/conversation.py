"""Turns: messages in, events out. The KV cache is reused for everything that did not change since the last turn."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from edge.errors import InputError, UsageError
from edge.events import Done, Event, FinishReason, Reprefill, TextDelta, Timing, TokenLogprob, ToolCall, Usage
from edge.prompt.answer_stream import AnswerStream
from edge.prompt.constraint import Constraint
from edge.prompt.continuation import rest_after
from edge.prompt.message import Message
from edge.prompt.parts import Part, Text
from edge.prompt.schema_constraint import schema_constraint
from edge.prompt.tool_constraint import tool_constraint
from edge.prompt.tools import Tool
from edge.runtime.decoder import Cancelled
from edge.runtime.generate import Clock, Sampled, generate
from edge.runtime.sampling import Sampler, SamplingOptions

if TYPE_CHECKING:
    from edge.model import Model

ToolChoice = Literal["auto", "required", "none"]


@dataclass(frozen=True, slots=True)
class TurnOptions:
    """`max_tokens` None: until the model stops or the context is full."""

    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    tool_choice: ToolChoice = "auto"
    parallel_calls: bool = True
    schema: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.max_tokens is not None and self.max_tokens < 1:
            raise UsageError(f"--max-tokens is {self.max_tokens}, it must be at least 1", "leave it out for no limit")


@dataclass(slots=True)
class _Known:
    """Parts of the conversation so far and the ids they were read or sampled as."""

    parts: list[Part] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)


class Conversation:
    """Ask with `generate`; `cancel` may be called from any thread. One turn at a time per model."""

    def __init__(self, model: "Model", system: str = "", tools: Sequence[Tool] = (), thinking: bool = False) -> None:
        self.model = model
        self.tools = list(tools)
        self.thinking = thinking
        self.messages: list[Message] = [Message("system", system)] if system else []
        self._known = _Known()

    def cancel(self) -> None:
        """Ends the running answer within one token or prefill chunk; its last event says 'cancelled'."""
        self.model.decoder.cancel()

    def generate(self, prompt: str, options: TurnOptions | None = None) -> Iterator[Event]:
        """One user turn. A cancelled or failed turn leaves the conversation as it was before.

        Raises UsageError (empty prompt), InputError (context too long, unusable schema), ResourceError.
        """
        if not prompt.strip():
            raise UsageError("the prompt is empty", "say something, for example  edge run 'Hello'")
        return self._turn([*self.messages, Message("user", prompt)], options or TurnOptions())

    def answer_tools(self, results: Sequence[str], options: TurnOptions | None = None) -> Iterator[Event]:
        """Continues after tool calls, with one result text per call."""
        turns = [Message("tool", result) for result in results]
        return self._turn([*self.messages, *turns], options or TurnOptions())

    def _turn(self, messages: list[Message], options: TurnOptions) -> Iterator[Event]:
        """Checks and reads everything before the first event, so that a bad call costs no compute."""
        model = self.model
        model.decoder.resume()  # first of all: from here on a cancel is meant for this turn
        parts = model.chat_format.render(messages, self.tools or None, self.thinking)
        ids = self._encode(parts)
        context = model.manifest.decoder.context_length
        if len(ids) + (options.max_tokens or 1) > context:
            wanted = f" and {options.max_tokens:,} for the answer" if options.max_tokens else ""
            raise InputError(
                f"the conversation has {len(ids):,} tokens{wanted}, the context holds {context:,}",
                "shorten the prompt, start a new conversation, or lower --max-tokens",
            )
        constraint = self._constraint(options)
        answer = _Answer(model, self.tools if options.tool_choice != "none" else [], options)
        reused = model.sequence.reuse(ids)
        clock = Clock()
        sampled = generate(
            model.sequence,
            Sampler(options.sampling),
            frozenset(model.manifest.tokens.stop),
            options.max_tokens or context - len(ids),
            options.max_tokens is not None,
            model.manifest.tokens.first_unused,
            constraint,
            clock,
        )
        return self._events(sampled, answer, messages, _Known(parts, ids), reused, clock)

    def _events(
        self,
        sampled: Iterator[Any],
        answer: "_Answer",
        messages: list[Message],
        prompt: _Known,
        reused: int,
        clock: Clock,
    ) -> Iterator[Event]:
        finish: FinishReason = "length"
        try:
            for item in sampled:
                if isinstance(item, Reprefill) and not answer.count:
                    reused = 0
                if not isinstance(item, Sampled):
                    yield item
                    continue
                yield from answer.push(item)
                if item.stops or answer.stopped:
                    finish = "stop"
                    break
        except Cancelled:
            finish = "cancelled"
        yield from answer.finish()
        if finish != "cancelled":
            finish = "tool_calls" if answer.calls else finish
            self.messages = [*messages, Message("assistant", answer.text, tuple(answer.calls))]
            whole = [] if answer.stopped or answer.calls else [Text(answer.text)]
            self._known = _Known([*prompt.parts, *whole], prompt.ids + answer.ids if whole else prompt.ids)
        yield Done(
            answer.text,
            finish,
            tool_calls=tuple(answer.calls),
            usage=Usage(len(prompt.ids), completion_tokens=answer.count, reused_tokens=reused),
            timing=_timing(clock, len(prompt.ids) - reused, answer.count),
        )

    def _encode(self, parts: list[Part]) -> list[int]:
        """Earlier answers keep the ids they were sampled with, so that their KV entries stay valid."""
        rest = rest_after(self._known.parts, parts) if self._known.ids else None
        if rest is None:
            return self.model.tokenizer.encode_parts(parts)
        return self._known.ids + self.model.tokenizer.encode_parts(rest)

    def _constraint(self, options: TurnOptions) -> Constraint | None:
        model = self.model
        if options.schema is not None:
            if self.tools:
                raise UsageError("--schema and --tools cannot be used together", "choose one of them")
            return schema_constraint(model.grammar_vocab, options.schema)
        if self.tools or options.tool_choice == "required":
            return tool_constraint(
                model.grammar_vocab, model.chat_format, self.tools, options.tool_choice, options.parallel_calls
            )
        return None


class _Answer:
    """Turns sampled tokens into text deltas and keeps what the turn needs of them."""

    def __init__(self, model: "Model", tools: list[Tool], options: TurnOptions) -> None:
        self._tokenizer = model.tokenizer
        self._stream = AnswerStream(model.tokenizer, model.chat_format, tools, options.stop)
        self._want_logprobs = options.sampling.logprobs is not None
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


def _timing(clock: Clock, prompt_tokens: int, new_tokens: int) -> Timing:
    prompt_s = (clock.prefilled or time.monotonic()) - clock.start
    decode_s = clock.last - clock.prefilled
    return Timing(
        prompt_s,
        prompt_tokens / prompt_s if prompt_s > 0 else 0.0,
        (new_tokens - 1) / decode_s if new_tokens > 1 and decode_s > 0 else 0.0,
    )
