"""Turns as token ids, rendered by the very code that renders them on the device."""

from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer as Backend

from benchmarks.terminal.language.turn import Turn
from benchmarks.terminal.language.vocabulary import AUDIO, IMAGE
from edge.prompt.formats.phi4 import Phi4Format
from edge.prompt.message import Message
from edge.prompt.parts import Placeholder, Special, Text
from edge.prompt.tokenizer import Tokenizer

IGNORED = -100
"""Label of a position that is not learned."""


@dataclass(frozen=True, slots=True)
class Sequence:
    """int64 `ids` of prompt and answer; the first `prompt` of them are not learned."""

    ids: np.ndarray
    prompt: int


class Renderer:
    """Ids of whole turns."""

    def __init__(self, tokenizer: Backend) -> None:
        self.tokenizer = Tokenizer(tokenizer.to_str())
        self.image, self.audio = tokenizer.token_to_id(IMAGE), tokenizer.token_to_id(AUDIO)
        self._format = Phi4Format()

    def prompt(self, turn: Turn, image_tokens: int = 0, audio_tokens: int = 0) -> list[int]:
        """Where the answer begins. Media tokens come first, pictures before recordings."""
        counts = ((self.image, image_tokens, "image"), (self.audio, audio_tokens, "audio"))
        media = tuple(Placeholder(token, count, key) for token, count, key in counts if count)
        message = Message("user", turn.prompt, media=media)
        return self.tokenizer.encode_parts(self._format.render([message], list(turn.tools) or None))

    def sequence(self, turn: Turn, image_tokens: int = 0, audio_tokens: int = 0) -> Sequence:
        from edge.prompt.tool_calls import dump_calls

        prompt = self.prompt(turn, image_tokens, audio_tokens)
        answer: list[Special | Text] = [Text(turn.answer)]
        if turn.calls:
            answer = [Special("<|tool_call|>"), Text(dump_calls(turn.calls)), Special("<|/tool_call|>")]
        ids = prompt + self.tokenizer.encode_parts([*answer, Special("<|end|>")])
        return Sequence(np.array(ids), len(prompt))


def rounded(length: int) -> int:
    """Up to a multiple of 16: kernels are prepared per shape, and few shapes are prepared once."""
    return -(-length // 16) * 16


def pad(sequences: list[Sequence]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(ids, attention mask, labels), int64 [batch, longest], padded on the right."""
    longest = rounded(max(len(s.ids) for s in sequences))
    ids = torch.zeros(len(sequences), longest, dtype=torch.int64)
    labels = torch.full_like(ids, IGNORED)
    mask = torch.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        length = len(sequence.ids)
        ids[row, :length] = torch.from_numpy(sequence.ids)
        labels[row, sequence.prompt : length] = ids[row, sequence.prompt : length]
        mask[row, :length] = 1
    return ids, mask, labels
