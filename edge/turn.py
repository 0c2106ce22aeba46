"""A turn that has been checked and not begun yet."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge.answer import Answer
from edge.bundle.manifest import Manifest
from edge.events import Mode, Usage, mode_of
from edge.prompt.constraint import Constraint
from edge.prompt.message import Message
from edge.prompt.parts import Part, Placeholder
from edge.turn_options import TurnOptions

if TYPE_CHECKING:
    from edge.media.clip import Clip
    from edge.media.picture import Picture


@dataclass(slots=True)
class Known:
    """Parts of a conversation and the ids they were read or sampled as."""

    parts: list[Part] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Turn:
    """Everything a turn was checked for before its first event. `messages` and `attached` are of the conversation as
    it will be."""

    messages: list[Message]
    attached: "dict[str, Clip | Picture]"
    prompt: Known
    options: TurnOptions
    mode: Mode
    answer: Answer
    constraint: Constraint | None

    @property
    def placeholders(self) -> list[Placeholder]:
        return media_of(self.messages)

    def usage(self, manifest: Manifest, reused: int) -> Usage:
        vision, speech = (
            sum(one.count for one in self.placeholders if encoder and one.token == encoder.token)
            for encoder in (manifest.vision, manifest.speech)
        )
        return Usage(len(self.prompt.ids), vision, speech, self.answer.count, reused)


def media_of(messages: Sequence[Message]) -> list[Placeholder]:
    return [placeholder for message in messages for placeholder in message.media]


def mode_for(manifest: Manifest, messages: Sequence[Message]) -> Mode:
    tokens = {placeholder.token for placeholder in media_of(messages)}
    seen = manifest.vision is not None and manifest.vision.token in tokens
    heard = manifest.speech is not None and manifest.speech.token in tokens
    return mode_of(seen, heard)
