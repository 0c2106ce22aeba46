"""Stage 3: the projector of speech and the speech LoRA go on; the encoder rests, which makes a step half as dear.

The encoder names the words long before the decoder has learned to write down six of them in a row.
"""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn

from benchmarks.terminal.language.turn import Turn
from benchmarks.terminal.speech.real_digits import Digit
from benchmarks.terminal.speech.recite import Recital
from benchmarks.terminal.training.answers import answer_loss
from benchmarks.terminal.training.feed import Feed
from benchmarks.terminal.training.hearing import Heard, draw_heard
from benchmarks.terminal.training.lora import adapter_layers, adapter_parameters, use
from benchmarks.terminal.training.prompts import Renderer
from benchmarks.terminal.training.schedule import Run
from benchmarks.terminal.training.spoken import spoken_turn

BATCH, POOL, REUSE = 32, 24_000, 4
RATE = 1e-3


class ListeningStage:
    """Everything of the stage that a step needs."""

    def __init__(self, model: nn.Module, tokenizer: Tokenizer) -> None:
        self.model, self.renderer = model, Renderer(tokenizer)
        self.audio = model.model.embed_tokens_extend.audio_embed
        self.projector = nn.ModuleList([self.audio.up_proj_for_speech, self.audio.down_proj_for_speech])

    @property
    def modules(self) -> dict[str, nn.Module]:
        """What is learned, for the run's file."""
        return {"projector": self.projector} | adapter_layers(self.model, "speech")

    @property
    def parameters(self) -> list[nn.Parameter]:
        return [*self.projector.parameters(), *adapter_parameters(self.model, "speech")]

    def answer_loss(self, turns: Sequence[Turn], heard: Sequence[Heard]) -> tuple[torch.Tensor, torch.Tensor]:
        """(cross-entropy of the answers, bool [batch]: right from the first token to the last)."""
        pairs = zip(turns, heard, strict=True)
        sequences = [self.renderer.sequence(turn, audio_tokens=len(one.states)) for turn, one in pairs]
        states = torch.from_numpy(np.concatenate([one.states for one in heard])).float()
        up, down = self.projector
        with torch.autocast("cpu", torch.bfloat16):
            speech = down(nn.functional.gelu(up(states)))
        return answer_loss(self.model, self.renderer, sequences, speech=speech)


def train_listening(
    stage: ListeningStage,
    path: Path,
    steps: int,
    real: Mapping[str, Sequence[Digit]] | None = None,
    recitals: Sequence[Recital] = (),
    rate: float = RATE,
    seed: int = 55,
) -> Run:
    run = Run(path, stage.modules, stage.parameters, steps, rate)
    draw = partial(draw_heard, encoder=stage.audio.encoder, real=real, recitals=recitals)
    feed = Feed(draw, seed + run.step, POOL, REUSE)
    feed.fill(600)
    rng = np.random.default_rng([seed, run.step])
    use(stage.model, "speech")
    exact = 0.0

    # one turn with tools would make all the others of its batch as long
    def size(asked: tuple[Heard, Turn]) -> tuple[int, int]:
        return len(asked[1].tools), len(asked[0].states)

    for asked in feed.batches(rng, BATCH, size, lambda heard: (heard, spoken_turn(rng, heard.spoken))):
        began = time.perf_counter()
        loss, right = stage.answer_loss([turn for _, turn in asked], [heard for heard, _ in asked])
        run.update(loss)
        exact += 0.02 * (right.float().mean().item() - exact)
        run.tell("listening", began, {"loss": loss.item(), "exact": exact})
        if run.step >= steps:
            break
    run.save()
    feed.close()
    return run
