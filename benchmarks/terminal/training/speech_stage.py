"""Stage 2: the speech encoder, its projector and the speech LoRA learn; the text base stays as it is.

First only the encoder, towards word pieces in order (CTC), which aligns it within minutes; then through the decoder,
with CTC at its side. A last phase adds recordings of people.
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
from benchmarks.terminal.language.vocabulary import SIZE
from benchmarks.terminal.speech.real_digits import Digit
from benchmarks.terminal.speech.recite import Recital
from benchmarks.terminal.training.answers import answer_loss, project
from benchmarks.terminal.training.feed import Feed
from benchmarks.terminal.training.lora import adapter_layers, adapter_parameters, use
from benchmarks.terminal.training.prompts import Renderer, rounded
from benchmarks.terminal.training.schedule import Run
from benchmarks.terminal.training.speech_encoder import encode
from benchmarks.terminal.training.spoken import Spoken, draw_first_lesson, draw_spoken, spoken_turn

BATCH, POOL = 32, 24_000
RATE = 1e-3
ANSWERED = slice(None, None, 2)
"""Of a batch, short and long alike: the decoder costs more than the encoder, which needs the examples more."""
CTC_WEIGHT = 1.0
BLANK = SIZE
COUNTED, COUNT_WEIGHT = 24, 0.3
"""Every state also tells how many pieces were said up to it: the decoder, which knows how many it wrote, would else
find its place by the last word alone, and lose it where a digit comes twice."""
SHORT_STEPS = 500
"""At first only one or two digits at a time, clearly spoken: CTC finds them within 200 steps. With noise and whole
commands from the start it had found nothing after 900."""


class SpeechStage:
    """Everything of the stage that a step needs; `head`, the CTC layer and the counter, is thrown away in the end."""

    def __init__(self, model: nn.Module, tokenizer: Tokenizer) -> None:
        self.model, self.renderer = model, Renderer(tokenizer)
        self.audio = model.model.embed_tokens_extend.audio_embed
        self.projector = nn.ModuleList([self.audio.up_proj_for_speech, self.audio.down_proj_for_speech])
        width = self.audio.encoder.config.hidden_size
        self.head = nn.ModuleList([nn.Linear(width, SIZE + 1), nn.Linear(width, COUNTED)])
        self.pieces = partial(_pieces, tokenizer)

    @property
    def modules(self) -> dict[str, nn.Module]:
        """What is learned, for the run's file."""
        return {"audio": self.audio, "head": self.head} | adapter_layers(self.model, "speech")

    @property
    def parameters(self) -> list[nn.Parameter]:
        used = [p for n, p in self.audio.named_parameters() if "vision_speech" not in n]
        return [*used, *self.head.parameters(), *adapter_parameters(self.model, "speech")]

    @property
    def matrices(self) -> list[nn.Parameter]:
        """Those inside the conformer."""
        return [p for p in self.audio.encoder.encoders.parameters() if p.ndim == 2 and min(p.shape) > 1]

    def encode(
        self, batch: Sequence[Spoken], mask_rng: np.random.Generator | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(hidden, tokens, loss of the heads) of a batch; `mask_rng` hides bands and stretches (SpecAugment)."""
        lengths = torch.tensor([len(spoken.features) for spoken in batch])
        features = self.audio.encoder.encoder_embedding.global_mean.expand(
            len(batch), 2 * rounded(-(-int(lengths.max()) // 2)), -1
        ).clone()
        for row, spoken in enumerate(batch):
            features[row, : len(spoken.features)] = torch.from_numpy(spoken.features.astype(np.float32))
            if mask_rng is not None:
                _hide(mask_rng, features[row, : len(spoken.features)], self.audio.encoder.encoder_embedding.global_mean)
        with torch.autocast("cpu", torch.bfloat16):
            hidden, tokens = encode(self.audio.encoder, features, lengths)
        scores = self.head[0](hidden.float()).log_softmax(-1)
        targets = [torch.tensor(self.pieces(spoken.words), dtype=torch.int64) for spoken in batch]
        ctc = nn.functional.ctc_loss(
            scores.transpose(0, 1), torch.cat(targets), tokens, torch.tensor([len(t) for t in targets]), BLANK,
            zero_infinity=True,
        )  # fmt: skip
        return hidden, tokens, ctc + COUNT_WEIGHT * self._count_loss(hidden, scores, tokens, targets)

    def _count_loss(
        self, hidden: torch.Tensor, scores: torch.Tensor, tokens: torch.Tensor, targets: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        count, known = counted(scores.argmax(-1), tokens, torch.tensor([len(target) for target in targets]))
        told = self.head[1](hidden[known].float())
        return nn.functional.cross_entropy(told, count[known].clamp(max=COUNTED - 1)) if known.any() else told.sum()

    def answer_loss(
        self, turns: Sequence[Turn], hidden: torch.Tensor, tokens: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(cross-entropy of the answers, bool [batch]: right from the first token to the last)."""
        sequences = [self.renderer.sequence(t, audio_tokens=int(n)) for t, n in zip(turns, tokens, strict=True)]
        valid = torch.arange(hidden.shape[1]) < tokens[:, None]
        speech = project(self.projector, hidden[valid])
        return answer_loss(self.model, self.renderer, sequences, speech=speech)


def counted(best: torch.Tensor, tokens: torch.Tensor, pieces: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(pieces that the CTC path `best` int64 [batch, time] has emitted up to each time; bool: is that known?).

    It is within a clip's `tokens` [batch], if the path has as many pieces as the clip, `pieces` [batch].
    """
    new = best != BLANK
    new[:, 1:] &= best[:, 1:] != best[:, :-1]
    within = torch.arange(best.shape[1]) < tokens[:, None]
    count = (new & within).cumsum(1)
    return count, within & (count[:, -1] == pieces)[:, None]


def train_speech(
    stage: SpeechStage,
    path: Path,
    steps: int,
    ctc_steps: int = 0,
    real: Sequence[Mapping[str, Sequence[Digit]]] = (),
    recitals: Sequence[Recital] = (),
    rate: float = RATE,
    seed: int = 21,
) -> Run:
    """`ctc_steps` without the decoder, then with it, up to `steps`."""
    run = Run(path, stage.modules, stage.parameters, steps, rate, stage.matrices)
    short = run.step < SHORT_STEPS and not real
    draw = draw_first_lesson if short else partial(draw_spoken, real=real, recitals=recitals)
    feed = Feed(draw, seed + run.step, POOL, reuse=5)
    feed.fill(600)
    rng = np.random.default_rng([seed, run.step])
    if run.step == 0 and not real:
        normalise(stage.audio.encoder, feed.seen())
    use(stage.model, "speech")
    exact = 0.0

    # one turn with tools would make all the others of its batch as long
    def size(asked: tuple[Spoken, Turn]) -> tuple[int, int]:
        return len(asked[1].tools), len(asked[0].features)

    for asked in feed.batches(rng, BATCH, size, lambda spoken: (spoken, spoken_turn(rng, spoken))):
        began = time.perf_counter()
        batch, turns = [spoken for spoken, _ in asked], [turn for _, turn in asked]
        hidden, tokens, ctc = stage.encode(batch, rng)
        loss = ctc
        if run.step >= ctc_steps:
            answer, right = stage.answer_loss(turns[ANSWERED], hidden[ANSWERED], tokens[ANSWERED])
            loss = answer + CTC_WEIGHT * ctc
            exact += 0.02 * (right.float().mean().item() - exact)
        run.update(loss)
        run.tell("speech", began, {"ctc": ctc.item(), "loss": loss.item(), "exact": exact})
        if run.step >= steps or (short and run.step >= SHORT_STEPS):
            break
    run.save()
    feed.close()
    if short and run.step < steps:
        return train_speech(stage, path, steps, ctc_steps, real, recitals, rate, seed)
    return run


def normalise(encoder: nn.Module, seen: Sequence[Spoken]) -> None:
    """Mean and deviation of each band over what was heard first."""
    frames = np.concatenate([spoken.features for spoken in seen]).astype(np.float32)
    encoder.encoder_embedding.global_mean.copy_(torch.from_numpy(frames.mean(0)))
    encoder.encoder_embedding.global_invstd.copy_(torch.from_numpy(1 / (frames.std(0) + 1e-3)))


def _pieces(tokenizer: Tokenizer, words: str) -> list[int]:
    """With a space before, so that a word is the same piece wherever it stands."""
    return tokenizer.encode(" " + words).ids if words else []


def _hide(rng: np.random.Generator, features: torch.Tensor, value: torch.Tensor) -> None:
    frames, bands = features.shape
    for _ in range(2):
        width, length = int(rng.integers(0, 13)), int(rng.integers(0, max(2, frames // 12)))
        band, start = int(rng.integers(0, bands - width)), int(rng.integers(0, max(1, frames - length)))
        features[:, band : band + width] = value[band : band + width]
        features[start : start + length] = value
