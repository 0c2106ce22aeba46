"""Turns: messages in, events out. The KV cache is reused for everything that did not change since the last turn."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from edge.answer import Answer
from edge.errors import InputError, UsageError
from edge.events import (
    Done,
    Encode,
    Event,
    FinishReason,
    LongContext,
    Mode,
    ModeSwitch,
    Prefill,
    Reprefill,
)
from edge.prompt.constraint import Constraint
from edge.prompt.continuation import rest_after
from edge.prompt.message import Message
from edge.prompt.parts import Part, Placeholder, Text
from edge.prompt.schema_constraint import schema_constraint
from edge.prompt.tool_constraint import tool_constraint
from edge.prompt.tools import Tool
from edge.runtime.clock import Clock
from edge.runtime.generate import Sampled, generate, prefill
from edge.runtime.media_tokens import MediaTokens
from edge.runtime.sampling import Sampler
from edge.runtime.stoppable import Cancelled
from edge.turn import Known, Turn, mode_for
from edge.turn_options import TurnOptions

if TYPE_CHECKING:
    from edge.attachments import Attachments
    from edge.media.clip import AudioSource, Clip
    from edge.media.picture import ImageSource, Picture
    from edge.model import Model


class Conversation:
    """Ask with `generate`; `cancel` may be called from any thread. One turn at a time per model.

    `mode` follows from what has been attached so far: text, speech, vision, or vision_speech.
    """

    def __init__(self, model: "Model", system: str = "", tools: Sequence[Tool] = (), thinking: bool = False) -> None:
        self.model = model
        self.tools = list(tools)
        self.thinking = thinking
        self.messages: list[Message] = [Message("system", system)] if system else []
        self.mode: Mode = "text"
        self._attached: dict[str, Clip | Picture] = {}
        self._known = Known()

    def cancel(self) -> None:
        """Ends the running answer within one token, prefill chunk, crop or window of speech; its last event says
        'cancelled'."""
        self.model.decoder.cancel()
        self.model.encoders.cancel()

    def generate(
        self,
        prompt: str,
        options: TurnOptions | None = None,
        *,
        images: "Sequence[ImageSource]" = (),
        audio: "Sequence[AudioSource]" = (),
    ) -> Iterator[Event]:
        """One user turn: pictures, then recordings, then the words. With either of them `prompt` may be empty.

        A cancelled or failed turn leaves the conversation as it was before. Raises UsageError (empty prompt,
        more crops than the model sees), InputError (unusable media, context too long, unusable schema), ResourceError.
        """
        options = options or TurnOptions()
        if not prompt.strip() and not images and not audio:
            raise UsageError("the prompt is empty", "say something, for example  edge run 'Hello'")
        options.check_for(self.model.manifest)
        self._begin()
        if not images and not audio:
            return self._turn([*self.messages, Message("user", prompt)], options)
        from edge.attachments import attach

        others = len(self._known.ids) + len(self.model.tokenizer.encode_text(prompt))
        found = attach(self.model, images, audio, options.max_crops, options.ttft_s, others)
        turn = Message("user", prompt, media=found.placeholders)
        return self._turn([*self.messages, turn], options, found)

    def read_ahead(
        self,
        options: TurnOptions | None = None,
        *,
        images: "Sequence[ImageSource]" = (),
        heard: "AudioSource | None" = None,
    ) -> Iterator[Event]:
        """While a recording is still being made: reads what stands before it in a turn with these `images`, and
        encodes the windows of 40 s that what was `heard` of it so far completes.

        `generate` with the same pictures then computes the rest only; its answer is the same. Yields progress. A
        cancel ends it. The conversation stays as it is. Raises like `generate`.
        """
        from edge.attachments import attach, recording_to_come
        from edge.media.clip import read_clip

        options = options or TurnOptions()
        options.check_for(self.model.manifest)
        self._begin()
        to_come = recording_to_come(self.model)
        found = attach(self.model, images, (), options.max_crops, options.ttft_s, len(self._known.ids))
        message = Message("user", "", media=(*found.placeholders, to_come))
        clip = read_clip(heard) if heard is not None else None
        return self._read(self._checked([*self.messages, message], options, found), to_come, clip)

    def copy(self) -> "Conversation":
        """Another one that goes on from here on its own. Both use the same model, one turn at a time."""
        return copy.copy(self)  # a turn replaces what a conversation knows, it never changes it

    def answer_tools(self, results: Sequence[str], options: TurnOptions | None = None) -> Iterator[Event]:
        """Continues after tool calls, with one result text per call."""
        self._begin()
        turns = [Message("tool", result) for result in results]
        return self._turn([*self.messages, *turns], options or TurnOptions())

    def _begin(self) -> None:
        """First of all in a turn: from here on a cancel is meant for this turn."""
        self.model.decoder.resume()
        self.model.encoders.resume()

    def _turn(
        self, messages: list[Message], options: TurnOptions, found: "Attachments | None" = None
    ) -> Iterator[Event]:
        tiling = [found.tiling] if found and found.tiling else []
        return chain(tiling, self._events(self._checked(messages, options, found)))

    def _checked(self, messages: list[Message], options: TurnOptions, found: "Attachments | None") -> Turn:
        """Checks and reads everything before the first event, so that a bad call costs no compute."""
        model = self.model
        parts = model.chat_format.render(messages, self.tools or None, self.thinking)
        ids = self._encode(parts)
        context = model.manifest.decoder.context_length
        if len(ids) + (options.max_tokens or 1) > context:
            wanted = f" and {options.max_tokens:,} for the answer" if options.max_tokens else ""
            raise InputError(
                f"the conversation has {len(ids):,} tokens{wanted}, the context holds {context:,}",
                "shorten the prompt, start a new conversation, or lower --max-tokens or --max-crops",
            )
        tools = self.tools if options.tool_choice != "none" else []
        answer = Answer(model, tools, options.stop, options.sampling.logprobs is not None)
        mode = mode_for(self.model.manifest, messages)
        attached = self._attached | (found.media if found else {})
        return Turn(messages, attached, Known(parts, ids), options, mode, answer, self._constraint(options))

    def _read(self, turn: Turn, end: Placeholder, heard: "Clip | None") -> Iterator[Event]:
        """Encodes and prefills what is before the placeholder `end`, the last of all, and then what was `heard`."""
        ids, limit = turn.prompt.ids, turn.options.max_tokens
        del ids[len(ids) - 1 - ids[::-1].index(end.token) :]
        turn.messages[-1] = replace(turn.messages[-1], media=turn.messages[-1].media[:-1])
        try:
            media = []
            for item in self._prepare(turn):
                if isinstance(item, MediaTokens):
                    media.append(item)
                elif isinstance(item, Encode):
                    yield item
            self._reuse(turn, media)
            for progress in prefill(self.model.sequence, limit or 0, limit is not None):
                if isinstance(progress, Prefill):
                    yield progress
            if heard:
                yield from self.model.media.encode_ahead(heard.features)
        except Cancelled:
            return

    def _events(self, turn: Turn) -> Iterator[Event]:
        answer, clock = turn.answer, Clock()
        reused, finish = 0, "length"
        try:
            media = []
            for found in self._prepare(turn):
                if isinstance(found, MediaTokens):
                    media.append(found)
                else:
                    yield found
            clock.encoded()
            reused = self._reuse(turn, media)
            if not reused and self._becomes_long(turn):
                yield LongContext(len(turn.prompt.ids), self.model.decoder.rotary.short_limit or 0)
            for item in self._sampled(turn, clock):
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
        yield self._finish(turn, finish, reused, clock)  # type: ignore[arg-type]

    def _prepare(self, turn: Turn) -> Iterator[Any]:
        """A mode switch, progress of encoders, and MediaTokens for everything attached so far."""
        model = self.model
        if turn.mode != self.mode and self._known.ids:
            same = model.decoder_graph(turn.mode) == model.decoder_graph(self.mode)
            yield ModeSwitch(self.mode, turn.mode, 0 if same else len(self._known.ids))
        if turn.placeholders:
            yield from model.media.embed(turn.prompt.ids, turn.placeholders, turn.attached, turn.mode)

    def _reuse(self, turn: Turn, media: list[MediaTokens]) -> int:
        """How many tokens of the prompt are in the KV cache already.

        A first turn takes nothing of another conversation that was read with other position factors: nobody needs to
        hear that it is read again.
        """
        decoder = self.model.decoder
        if not self._known.ids and decoder.rotary.long != decoder.rotary.needs_long(self._expected(turn)):
            decoder.rewind(0)
        return self.model.sequence.reuse(turn.prompt.ids, media, self.model.decoder_graph(turn.mode))

    def _becomes_long(self, turn: Turn) -> bool:
        needs_long = self.model.decoder.rotary.needs_long
        return needs_long(self._expected(turn)) and not needs_long(len(self._known.ids))

    def _expected(self, turn: Turn) -> int:
        """Tokens that the position factors are chosen for before the prompt is read."""
        return len(turn.prompt.ids) + (turn.options.max_tokens or 0)

    def _sampled(self, turn: Turn, clock: Clock) -> Iterator[Any]:
        manifest, options = self.model.manifest, turn.options
        placeholders = tuple(encoder.token for encoder in (manifest.vision, manifest.speech) if encoder)
        return generate(
            self.model.sequence,
            Sampler(options.sampling),
            frozenset(manifest.tokens.stop),
            options.max_tokens or manifest.decoder.context_length - len(turn.prompt.ids),
            options.max_tokens is not None,
            self.model.first_unused,
            turn.constraint,
            clock,
            placeholders,
        )

    def _finish(self, turn: Turn, finish: FinishReason, reused: int, clock: Clock) -> Done:
        answer, prompt = turn.answer, turn.prompt
        if finish != "cancelled":
            finish = "tool_calls" if answer.calls else finish
            self.messages = [*turn.messages, Message("assistant", answer.text, tuple(answer.calls))]
            self.mode, self._attached = turn.mode, turn.attached
            whole = [] if answer.stopped or answer.calls else [Text(answer.text)]
            self._known = Known([*prompt.parts, *whole], prompt.ids + answer.ids if whole else prompt.ids)
        usage = turn.usage(self.model.manifest, reused)
        timing = clock.timing(len(prompt.ids) - reused, answer.count)
        return Done(answer.text, finish, turn.mode, tuple(answer.calls), usage, timing)

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
