"""Stage 4: a picture and a spoken question. The projector of speech for pictures learns, the vision LoRA goes on.

Both encoders rest, so their features are as good as in their own modes; typed questions are mixed in, so that reading
stays as good as it was.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.terminal.language.questions import draw_question
from benchmarks.terminal.language.talk import NO_SPEECH
from benchmarks.terminal.language.turn import Turn
from benchmarks.terminal.speech.utterance import draw_no_speech, draw_utterance, features
from benchmarks.terminal.speech.voices import Split
from benchmarks.terminal.training.answers import answer_loss
from benchmarks.terminal.training.feed import Feed
from benchmarks.terminal.training.lora import adapter_layers, adapter_parameters, use
from benchmarks.terminal.training.schedule import Run
from benchmarks.terminal.training.seen import Seen, draw_seen, seen_turn
from benchmarks.terminal.training.speech_encoder import encode as encode_speech
from benchmarks.terminal.training.speech_stage import SpeechStage
from benchmarks.terminal.training.vision_stage import BATCH, VisionStage

POOL = 4_000
RATE = 4e-4
TYPED = 0.4
"""Share of the questions that are typed."""


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A picture and, with `features` float16 [frames, 80], what was asked about it."""

    seen: Seen
    turn: Turn
    features: np.ndarray | None


def draw_asked(rng: np.random.Generator, split: Split = "train", typed: float = TYPED) -> Asked:
    seen = draw_seen(rng)
    if rng.random() < typed:
        return Asked(seen, seen_turn(rng, seen), None)
    if rng.random() < 0.08:
        return Asked(seen, Turn("", NO_SPEECH), features(draw_no_speech(rng)).astype(np.float16))
    question, answer = draw_question(rng, seen.kind, seen.answer, seen.unit or None)
    said = draw_utterance(rng, question, split)
    heard = features(said, rng, warp=split == "train" and rng.random() < 0.5)
    return Asked(seen, Turn("", answer), heard.astype(np.float16))


class BothStage:
    def __init__(self, vision: VisionStage, speech: SpeechStage) -> None:
        self.vision, self.audio, self.model, self.renderer = vision, speech.audio, vision.model, vision.renderer
        self.projector = nn.ModuleList([self.audio.up_proj_for_vision_speech, self.audio.down_proj_for_vision_speech])
        self.image_projector = nn.ModuleList([vision.image.img_projection_up, vision.image.img_projection_down])

    def start(self) -> None:
        """From the projector of speech alone, which knows the words."""
        for own, other in zip(
            self.projector, (self.audio.up_proj_for_speech, self.audio.down_proj_for_speech), strict=True
        ):
            own.load_state_dict(other.state_dict())

    @property
    def modules(self) -> dict[str, nn.Module]:
        """What is learned, for the run's file."""
        own = {"projector": self.projector, "image_projector": self.image_projector}
        return own | adapter_layers(self.model, "vision")

    @property
    def parameters(self) -> list[nn.Parameter]:
        projectors = [*self.projector.parameters(), *self.image_projector.parameters()]
        return [*projectors, *adapter_parameters(self.model, "vision")]

    def answer_loss(self, batch: list[Asked]) -> tuple[torch.Tensor, torch.Tensor]:
        """(cross-entropy of the answers, bool [batch]: right from the first token to the last)."""
        with torch.no_grad():
            features, tilings = self.vision.encode([asked.seen for asked in batch])
            heard = [self._hear(asked.features) for asked in batch]
        counts = [0 if h is None else h.shape[1] for h in heard]
        sequences = [
            self.renderer.sequence(asked.turn, tiling.tokens, count)
            for asked, tiling, count in zip(batch, tilings, counts, strict=True)
        ]
        speech = None
        if any(counts):
            up, down = self.projector
            with torch.autocast("cpu", torch.bfloat16):
                speech = down(nn.functional.gelu(up(torch.cat([h[0] for h in heard if h is not None]))))
        pictures = self.vision.picture_tokens(features, tilings)
        return answer_loss(self.model, self.renderer, sequences, pictures, speech)

    def _hear(self, features: np.ndarray | None) -> torch.Tensor | None:
        if features is None:
            return None
        clip = torch.from_numpy(features.astype(np.float32))[None]
        return encode_speech(self.audio.encoder, clip, torch.tensor([len(features)]))[0]


def train_both(
    stage: BothStage, path: Path, steps: int, rate: float = RATE, seed: int = 41, until: float = float("inf")
) -> Run:
    if not path.exists():
        stage.start()
    run = Run(path, stage.modules, stage.parameters, steps, rate)
    feed = Feed(draw_asked, seed + run.step, POOL)
    feed.fill(100)
    rng = np.random.default_rng([seed, run.step])
    use(stage.model, "vision")
    exact = 0.0
    for batch in feed.batches(rng, BATCH, lambda asked: 0 if asked.features is None else len(asked.features)):
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
