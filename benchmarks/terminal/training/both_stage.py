"""Stage 5: a picture and a spoken question. The projector of speech for pictures learns, the vision LoRA goes on.

Both encoders rest, so their features are as good as in their own modes; typed questions are mixed in, so that reading
stays as good as it was.
"""

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.terminal.language.questions import draw_question
from benchmarks.terminal.language.talk import NO_SPEECH
from benchmarks.terminal.language.turn import Turn
from benchmarks.terminal.speech.utterance import draw_no_speech, draw_utterance, features
from benchmarks.terminal.training.answers import answer_loss, project
from benchmarks.terminal.training.feed import Feed
from benchmarks.terminal.training.glimpse import Glimpse, draw_glimpse
from benchmarks.terminal.training.hearing import hear
from benchmarks.terminal.training.lora import adapter_layers, adapter_parameters, use
from benchmarks.terminal.training.schedule import Run
from benchmarks.terminal.training.seen import seen_turn
from benchmarks.terminal.training.speech_stage import SpeechStage
from benchmarks.terminal.training.vision_stage import BATCH, SPELLING, VisionStage

POOL = 4_000
RATE = 4e-4
TYPED = 0.4
"""Share of the questions that are typed."""


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A picture and, as `heard` float16 [tokens, width] by the speech encoder, what was asked about it."""

    glimpse: Glimpse
    turn: Turn
    heard: np.ndarray | None


def draw_asked(rng: np.random.Generator, tower: nn.Module, encoder: nn.Module) -> Asked:
    glimpse = draw_glimpse(rng, tower)
    if rng.random() < TYPED:
        return Asked(glimpse, seen_turn(rng, glimpse), None)
    if rng.random() < 0.08:
        return Asked(glimpse, Turn("", NO_SPEECH), hear(features(draw_no_speech(rng)), encoder))
    question, answer = draw_question(rng, glimpse.kind, glimpse.answer, glimpse.unit or None)
    said = features(draw_utterance(rng, question), rng, warp=rng.random() < 0.5)
    return Asked(glimpse, Turn("", answer), hear(said, encoder))


class BothStage:
    def __init__(self, vision: VisionStage, speech: SpeechStage) -> None:
        self.vision, self.speech, self.model, self.renderer = vision, speech, vision.model, vision.renderer
        audio = speech.audio
        self.projector = nn.ModuleList([audio.up_proj_for_vision_speech, audio.down_proj_for_vision_speech])

    def start(self) -> None:
        """From the projector of speech alone, which knows the words."""
        self.projector.load_state_dict(self.speech.projector.state_dict())

    @property
    def modules(self) -> dict[str, nn.Module]:
        """What is learned, for the run's file."""
        own = {"projector": self.projector, "image_projector": self.vision.projector}
        return own | adapter_layers(self.model, "vision")

    @property
    def parameters(self) -> list[nn.Parameter]:
        projectors = [*self.projector.parameters(), *self.vision.projector.parameters()]
        return [*projectors, *adapter_parameters(self.model, "vision")]

    def answer_loss(self, batch: list[Asked]) -> tuple[torch.Tensor, torch.Tensor]:
        """(cross-entropy of the answers, and of the spelling; bool [batch]: right from the first token to the last)."""
        heard = [torch.from_numpy(asked.heard).float() for asked in batch if asked.heard is not None]
        counts = [0 if asked.heard is None else len(asked.heard) for asked in batch]
        sequences = [
            self.renderer.sequence(asked.turn, asked.glimpse.tiling.tokens, count)
            for asked, count in zip(batch, counts, strict=True)
        ]
        speech = project(self.projector, torch.cat(heard)) if heard else None
        pictures, shown = self.vision.embed([asked.glimpse for asked in batch])
        loss, right = answer_loss(self.model, self.renderer, sequences, pictures, speech)
        return loss + SPELLING * self.vision.spelling_loss(pictures, shown), right


def train_both(stage: BothStage, path: Path, steps: int, rate: float = RATE, seed: int = 41) -> Run:
    if not path.exists():
        stage.start()
    run = Run(path, stage.modules, stage.parameters, steps, rate)
    draw = partial(draw_asked, tower=stage.vision.image.img_processor, encoder=stage.speech.audio.encoder)
    feed = Feed(draw, seed + run.step, POOL)
    feed.fill(100)
    rng = np.random.default_rng([seed, run.step])
    use(stage.model, "vision")
    exact = 0.0
    for batch in feed.batches(rng, BATCH, lambda asked: 0 if asked.heard is None else len(asked.heard)):
        began = time.perf_counter()
        loss, right = stage.answer_loss(batch)
        exact += 0.02 * (right.float().mean().item() - exact)
        run.update(loss)
        run.tell("both", began, {"loss": loss.item(), "exact": exact})
        if run.step >= steps:
            break
    run.save()
    feed.close()
    return run
