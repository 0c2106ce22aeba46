"""Greedy turns of a conversation with the logits that every token was chosen from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

import edge
from edge.conversation import Conversation
from edge.events import Event
from edge.media.clip import Clip, read_clip
from edge.media.picture import Picture
from edge.media.tiling import choose_tiling
from edge.prompt.constraint import Constraint
from edge.runtime.decoder import CHUNK
from edge.runtime.media_tokens import media_between
from tests.media.pictures import smooth
from tests.media.recordings import chirp
from tests.multimodal.reference import Reference

TOLERANCE = 2e-3
STEPS = 32


@dataclass(frozen=True)
class Turn:
    """`logits` float32 [n, vocab] are those of the n tokens of `answer`."""

    events: list[Event]
    done: edge.Done
    prompt: list[int]
    answer: list[int]
    logits: np.ndarray

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


class Recorder:
    """A logits filter that keeps what it saw and lets an answer end after `limit` tokens, no sooner and no later."""

    def __init__(self, stops: Sequence[int], limit: int) -> None:
        self._stops, self._limit = list(stops), limit
        self.rows: list[np.ndarray] = []

    def apply(self, logits: np.ndarray) -> None:
        ends = len(self.rows) == self._limit
        if not ends:
            self.rows.append(logits.copy())
        logits[self._stops] = np.inf if ends else -np.inf

    def accept(self, token: int) -> None:
        pass


class RecordedConversation(Conversation):
    """A conversation whose answers have exactly `limit` tokens."""

    limit = STEPS
    recorder: Recorder

    def _constraint(self, options: edge.TurnOptions) -> Constraint:
        self.recorder = Recorder(self.model.manifest.tokens.stop, self.limit)
        return cast(Constraint, self.recorder)


def ask(
    conversation: RecordedConversation,
    prompt: str = "what is it?",
    *,
    limit: int = STEPS,
    max_crops: int | None = None,
    bounded: bool = True,
    images: Sequence[Any] = (),
    audio: Sequence[Any] = (),
) -> Turn:
    """`bounded`: the turn says how long its answer will be at most, so that the position factors are chosen for it."""
    conversation.limit = limit
    options = edge.TurnOptions(max_tokens=limit + 1 if bounded else None, max_crops=max_crops)
    events = list(conversation.generate(prompt, options, images=images, audio=audio))
    done = events[-1]
    assert isinstance(done, edge.Done) and done.finish_reason == "stop"
    ids, asked = conversation.model.sequence.ids, done.usage.prompt_tokens
    return Turn(events, done, ids[:asked], ids[asked:], np.array(conversation.recorder.rows))


def worst_difference(
    reference: Reference, turn: Turn, clips: Sequence[Clip] = (), pictures: Sequence[Picture] = ()
) -> float:
    """Of all logits of the answer, against one call of the reference on prompt and answer."""
    expected = reference.logits(turn.done.mode, turn.prompt + turn.answer[:-1], clips, pictures)
    return apart(turn.logits, expected[len(turn.prompt) - 1 :])


def apart(ours: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference of logits that both computed: there is -inf where an id is no token."""
    assert ours.shape == expected.shape
    used = np.isfinite(ours).all(axis=0) & np.isfinite(expected).all(axis=0)
    assert used.sum() > 500 and expected[:, used].std() > 0.3, "such logits say nothing"
    return float(np.abs(ours[:, used] - expected[:, used]).max())


def prompt_logits(model: edge.Model) -> np.ndarray:
    """Every row of what the KV cache stands for, read again in the chunks of a prefill."""
    sequence, decoder = model.sequence, model.decoder
    decoder.rewind(0)
    rows = []
    for start in range(0, len(sequence.ids), CHUNK):
        part = sequence.ids[start : start + CHUNK]
        media = media_between(sequence.media, start, start + len(part))
        rows.append(decoder.prefill(part, list(range(len(part))), *media))
    return np.concatenate(rows)


def recording(seconds: float, rate: int = 16_000, seed: int = 0) -> tuple[np.ndarray, int]:
    return chirp(seconds, rate, seed=seed), rate


def clips_of(*sources: Any) -> list[Clip]:
    return [read_clip(source) for source in sources]


def pictures_of(*pixels: np.ndarray, max_crops: int = 36) -> list[Picture]:
    """uint8 [height, width, 3] in the tilings that a turn without a time limit gives them, in patches of 14 pixels."""
    return [Picture(rgb, choose_tiling(rgb.shape[1], rgb.shape[0], max_crops)) for rgb in pixels]


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return smooth(height, width, seed)
