"""Stage 3: the vision tower, its projector and the vision LoRA learn; the text base stays as it is.

The tower learns from windows around characters: every patch says which character has its centre there, a target that
the drawings know. That is ten times as cheap as answers about whole pictures. The projector and the LoRA learn from
those, with the tower's features as they are, from the time on when it can read.
"""

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn

from benchmarks.terminal.language.turn import Turn
from benchmarks.terminal.training.answers import answer_loss
from benchmarks.terminal.training.feed import Feed
from benchmarks.terminal.training.lora import adapter_layers, adapter_parameters, use
from benchmarks.terminal.training.prompts import Renderer
from benchmarks.terminal.training.schedule import Run
from benchmarks.terminal.training.seen import (
    CLASSES,
    NOTHING,
    PATCH,
    Seen,
    Window,
    crops_of,
    draw_seen,
    draw_window,
    seen_turn,
)
from benchmarks.terminal.training.vision_encoder import encode, encode_patches, pool, to_patches
from edge.media.crops import Crops
from edge.media.tiling import CROP, Tiling, assembly

BATCH, POOL = 12, 12_000
RATE = 1e-3
PATCH_WEIGHT = 0.5
WINDOWS = 48
FIRST_LESSON, LESSON = 0.3, 500
"""How disturbed the pictures are at first while the tower learns alone; they get harder every so many steps."""


class VisionStage:
    """Everything of the stage that a step needs; `head` reads characters off features and is thrown away in the end."""

    def __init__(self, model: nn.Module, tokenizer: Tokenizer) -> None:
        self.model, self.renderer = model, Renderer(tokenizer)
        self.image = model.model.embed_tokens_extend.image_embed
        # a class and whether there is a point: read off each patch, and for all four patches off their pooled feature
        width = self.image.image_dim_out
        self.head = nn.ModuleList([nn.Linear(width, CLASSES + 1), nn.Linear(width, 4 * (CLASSES + 1))])

    @property
    def modules(self) -> dict[str, nn.Module]:
        """What is learned, for the run's file."""
        return {"image": self.image, "head": self.head} | adapter_layers(self.model, "vision")

    @property
    def parameters(self) -> list[nn.Parameter]:
        dead = f"layers.{len(self.image.img_processor.encoder.layers) - 1}."
        unused = ("img_processor.head", "post_layernorm", dead)
        used = [p for n, p in self.image.named_parameters() if not any(part in n for part in unused)]
        return [*used, *self.head.parameters(), *adapter_parameters(self.model, "vision")]

    def look(self, batch: Sequence[Window]) -> tuple[torch.Tensor, float]:
        """(loss of the patches, share of characters right) of windows."""
        pixels = torch.from_numpy(np.stack([window.pixels for window in batch])).float() * (2 / 255) - 1
        positions = torch.from_numpy(np.stack([window.positions for window in batch]))
        with torch.autocast("cpu", torch.bfloat16):
            patches = encode_patches(self.image.img_processor, to_patches(pixels, PATCH), positions.flatten(1))
        patches = patches.float().view(*positions.shape, -1)
        classes = torch.from_numpy(np.stack([window.classes for window in batch]))
        points = torch.from_numpy(np.stack([window.points for window in batch]))
        return self._patch_loss(patches, pool(patches), classes, points, torch.ones_like(points))

    def encode(self, batch: Sequence[Seen]) -> tuple[torch.Tensor, list[Tiling]]:
        """(features of all crops [crops, side, side, width], tiling of each picture)."""
        cut = [crops_of(seen)[0] for seen in batch]
        pixels = torch.cat([_pixels(crops) for crops in cut])
        mask = torch.from_numpy(np.concatenate([crops.mask for crops in cut]))
        positions = torch.from_numpy(np.concatenate([crops.positions for crops in cut]))
        with torch.autocast("cpu", torch.bfloat16):
            features = encode(self.image.img_processor, pixels, mask, positions)
        return pool(features.float()), [crops.tiling for crops in cut]

    def _patch_loss(
        self,
        patches: torch.Tensor,
        pooled: torch.Tensor,
        classes: torch.Tensor,
        points: torch.Tensor,
        mask: torch.Tensor,
    ) -> tuple[torch.Tensor, float]:
        n, rows, columns = pooled.shape[:3]
        of_pooled = self.head[1](pooled).view(n, rows, columns, 2, 2, CLASSES + 1).permute(0, 1, 3, 2, 4, 5)
        of_pooled = of_pooled.reshape(n, 2 * rows, 2 * columns, CLASSES + 1)
        first, _ = _characters_loss(self.head[0](patches), classes, points, mask)
        second, right = _characters_loss(of_pooled, classes, points, mask)
        return first + second, right

    def picture_tokens(self, features: torch.Tensor, tilings: Sequence[Tiling]) -> torch.Tensor:
        """Embeddings [tokens, hidden] of all pictures: their features in reading order, projected."""
        gaps = [
            gap.view(1, -1) for gap in (self.image.sub_img_feature_extensor, self.image.global_img_feature_extensor)
        ]
        made, first = [], 0
        for tiling in tilings:
            own = features[first : first + tiling.crops].flatten(0, 2)
            first += tiling.crops
            made.append(torch.cat([*gaps, own.float()])[torch.from_numpy(assembly(tiling))])
        up, down = self.image.img_projection_up, self.image.img_projection_down
        with torch.autocast("cpu", torch.bfloat16):
            return down(nn.functional.gelu(up(torch.cat(made))))

    def answer_loss(
        self, turns: Sequence[Turn], features: torch.Tensor, tilings: Sequence[Tiling]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(cross-entropy of the answers, bool [batch]: right from the first token to the last)."""
        sequences = [self.renderer.sequence(turn, t.tokens) for turn, t in zip(turns, tilings, strict=True)]
        return answer_loss(self.model, self.renderer, sequences, self.picture_tokens(features, tilings))


def _characters_loss(
    told: torch.Tensor, classes: torch.Tensor, points: torch.Tensor, mask: torch.Tensor
) -> tuple[torch.Tensor, float]:
    """Characters and empty patches weigh the same, however few of the patches have one."""
    logits, point = told[..., :CLASSES], told[..., CLASSES]
    there, empty = classes != NOTHING, (classes == NOTHING) & mask
    loss = nn.functional.cross_entropy(logits[empty], classes[empty])
    right = 0.0
    if there.any():
        loss = loss + nn.functional.cross_entropy(logits[there], classes[there])
        right = (logits[there].argmax(-1) == classes[there]).float().mean().item()
    weight = torch.tensor(10.0)
    loss = loss + nn.functional.binary_cross_entropy_with_logits(point[mask], points[mask].float(), pos_weight=weight)
    return loss, right


def _pixels(crops: Crops) -> torch.Tensor:
    """Crops.pixels(), made in a third of the time."""
    rows, columns = crops.tiling.rows, crops.tiling.columns
    grid = torch.from_numpy(crops.padded).view(rows, CROP, columns, CROP, 3).permute(0, 2, 4, 1, 3)
    grid = grid.reshape(-1, 3, CROP, CROP).float() * (2 / 255) - 1
    return torch.cat([torch.from_numpy(crops.overview)[None], grid])


def train_vision(
    stage: VisionStage, path: Path, steps: int, patch_steps: int = 0, rate: float = RATE, seed: int = 31
) -> Run:  # fmt: skip
    """`patch_steps` without the decoder, then with it, up to `steps`."""
    run = Run(path, stage.modules, stage.parameters, steps, rate)
    alone = run.step < patch_steps
    if alone:
        hardest = FIRST_LESSON + (1 - FIRST_LESSON) * run.step / patch_steps
        feed = Feed(partial(draw_window, hardest=hardest), seed + run.step, POOL // 2, reuse=8)
    else:
        feed = Feed(draw_seen, seed + run.step, POOL)
        beside = Feed(partial(draw_window, hardest=1.0), seed + run.step + 1, POOL // 2, reuse=8)
        beside.fill(200)
        windows = beside.batches(np.random.default_rng([seed, run.step, 1]), WINDOWS // 2, lambda _: 0)
    feed.fill(400)
    rng = np.random.default_rng([seed, run.step])
    use(stage.model, "vision")
    exact = seen_right = 0.0
    last = min(patch_steps, run.step + LESSON) if alone else steps
    if alone:
        batches = feed.batches(rng, WINDOWS, lambda _: 0)
    else:
        batches = feed.batches(rng, BATCH, lambda asked: len(asked[1].tools), lambda seen: (seen, seen_turn(rng, seen)))
    for batch in batches:
        began = time.perf_counter()
        loss, right = stage.look(batch if alone else next(windows))
        seen_right += 0.02 * (right - seen_right)
        patch_loss = loss.item()
        if not alone:
            with torch.no_grad():
                features, tilings = stage.encode([seen for seen, _ in batch])
            answer, all_right = stage.answer_loss([turn for _, turn in batch], features, tilings)
            loss = answer + PATCH_WEIGHT * loss
            exact += 0.02 * (all_right.float().mean().item() - exact)
        run.update(loss)
        figures = {"patches": patch_loss, "loss": loss.item(), "characters": seen_right, "exact": exact}
        run.tell("vision", began, figures)
        if run.step >= last:
            break
    run.save()
    feed.close()
    if not alone:
        beside.close()
    if alone and run.step < steps:
        return train_vision(stage, path, steps, patch_steps, rate, seed)
    return run
