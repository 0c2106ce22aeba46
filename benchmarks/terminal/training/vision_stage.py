"""Stage 4: the projector of pictures and the vision LoRA learn to answer from what the tower sees; it rests."""

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn

from benchmarks.terminal.language.turn import Turn
from benchmarks.terminal.training.answers import answer_loss, project
from benchmarks.terminal.training.feed import Feed
from benchmarks.terminal.training.glimpse import Glimpse, draw_glimpse
from benchmarks.terminal.training.lora import adapter_layers, adapter_parameters, use
from benchmarks.terminal.training.prompts import Renderer
from benchmarks.terminal.training.schedule import Run
from benchmarks.terminal.training.seen import seen_turn
from edge.media.tiling import assembly

BATCH, POOL, REUSE = 24, 16_000, 5
RATE = 1e-3
SPELLING = 0.1
"""Weight of the likeness of a feature's embedding to that of the character it shows: so it reads like text at once."""

SHARPNESS = 4.0
"""Embeddings are about 1.4 long: with this, those that match stand out and need not grow."""


class VisionStage:
    """Everything of the stage that a step needs."""

    def __init__(self, model: nn.Module, tokenizer: Tokenizer) -> None:
        self.model, self.renderer, self.token = model, Renderer(tokenizer), tokenizer.token_to_id
        self.image = model.model.embed_tokens_extend.image_embed
        self.projector = nn.ModuleList([self.image.img_projection_up, self.image.img_projection_down])
        self.gaps = nn.ParameterList([self.image.sub_img_feature_extensor, self.image.global_img_feature_extensor])

    @property
    def modules(self) -> dict[str, nn.Module]:
        """What is learned, for the run's file."""
        return {"projector": self.projector, "gaps": self.gaps} | adapter_layers(self.model, "vision")

    @property
    def parameters(self) -> list[nn.Parameter]:
        return [*self.projector.parameters(), *self.gaps, *adapter_parameters(self.model, "vision")]

    def embed(self, glimpses: Sequence[Glimpse]) -> tuple[torch.Tensor, torch.Tensor]:
        """(embeddings [tokens, hidden] of all pictures in reading order; int64 [tokens], the token of the character
        that a feature shows, -1 for none)."""
        made, shown = [], []
        for glimpse in glimpses:
            order = torch.from_numpy(assembly(glimpse.tiling))
            features = torch.from_numpy(glimpse.features).flatten(0, 2).float()
            made.append(torch.cat([*(gap.view(1, -1) for gap in self.gaps), features])[order])
            tokens = [-1, -1, *(self.token(c) if c else -1 for c in glimpse.characters.flat)]
            shown.append(torch.tensor([-1 if token is None else token for token in tokens])[order])
        return project(self.projector, torch.cat(made)), torch.cat(shown)

    def answer_loss(self, turns: Sequence[Turn], glimpses: Sequence[Glimpse]) -> tuple[torch.Tensor, torch.Tensor]:
        """(cross-entropy of the answers and, at its side, of the spelling; bool [batch]: right from the first token to
        the last)."""
        sequences = [self.renderer.sequence(turn, g.tiling.tokens) for turn, g in zip(turns, glimpses, strict=True)]
        embedded, shown = self.embed(glimpses)
        loss, right = answer_loss(self.model, self.renderer, sequences, embedded)
        return loss + SPELLING * self.spelling_loss(embedded, shown), right

    def spelling_loss(self, embedded: torch.Tensor, shown: torch.Tensor) -> torch.Tensor:
        there = shown >= 0
        logits = SHARPNESS * embedded[there].float() @ self.model.model.embed_tokens.weight.T
        return nn.functional.cross_entropy(logits, shown[there]) if there.any() else embedded.sum() * 0


def train_vision(stage: VisionStage, path: Path, steps: int, rate: float = RATE, seed: int = 35) -> Run:
    run = Run(path, stage.modules, stage.parameters, steps, rate)
    feed = Feed(partial(draw_glimpse, tower=stage.image.img_processor), seed + run.step, POOL, REUSE)
    feed.fill(600)
    rng = np.random.default_rng([seed, run.step])
    use(stage.model, "vision")
    exact = 0.0
    # one turn with tools would make all the others of its batch as long
    asked = feed.batches(rng, BATCH, lambda asked: len(asked[1].tools), lambda seen: (seen, seen_turn(rng, seen)))
    for batch in asked:
        began = time.perf_counter()
        loss, right = stage.answer_loss([turn for _, turn in batch], [glimpse for glimpse, _ in batch])
        run.update(loss)
        exact += 0.02 * (right.float().mean().item() - exact)
        run.tell("vision", began, {"loss": loss.item(), "exact": exact})
        if run.step >= steps:
            break
    run.save()
    feed.close()
    return run
