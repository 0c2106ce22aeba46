"""Stage 3: the vision tower learns to tell which character has its centre in which patch.

The drawings know that, so it costs no decoder: ten times as cheap as answers about whole pictures.
"""

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.terminal.training.feed import Feed
from benchmarks.terminal.training.schedule import SAVED, Run
from benchmarks.terminal.training.seen import PATCH
from benchmarks.terminal.training.vision_encoder import encode_patches, pool, to_patches
from benchmarks.terminal.training.windows import NAMES, Window, cut_window, draw_plate

BATCH, POOL, REUSE = 48, 6_000, 6
RATE = 1e-3
TOLD = len(NAMES) + 4
"""Numbers told of a patch: each name, with the first for any at all; a point; and its colour, so that it is kept."""
CHECKED = 192
"""Windows that are never learned from."""
FIRST_LESSON, LESSON = 0.3, 500
"""How disturbed the pictures are at first; they get harder every so many steps, up to the middle of the stage."""


class TowerStage:
    """The tower and `head`, which reads characters off its features and is thrown away in the end."""

    def __init__(self, model: nn.Module) -> None:
        self.image = model.model.embed_tokens_extend.image_embed
        self.tower = self.image.img_processor
        width = self.image.image_dim_out
        # off each patch, and off the pooled feature for its four patches
        self.head = nn.ModuleList([nn.Linear(width, TOLD), nn.Linear(width, 4 * TOLD)])

    @property
    def modules(self) -> dict[str, nn.Module]:
        """What is learned, for the run's file."""
        return {"tower": self.tower, "head": self.head}

    @property
    def parameters(self) -> list[nn.Parameter]:
        dead = f"layers.{len(self.tower.encoder.layers) - 1}."
        unused = ("head.", "post_layernorm", dead)
        used = [p for n, p in self.tower.named_parameters() if not any(u in n for u in unused)]
        return [*used, *self.head.parameters()]

    @property
    def matrices(self) -> list[nn.Parameter]:
        """Those of the layers that are used."""
        return [p for layer in self.tower.encoder.layers[:-1] for p in layer.parameters() if p.ndim == 2]

    def look(self, batch: Sequence[Window]) -> tuple[torch.Tensor, float]:
        """(loss of the patches, share of the characters named right) of windows."""
        pixels = torch.from_numpy(np.stack([window.pixels for window in batch])).float() * (2 / 255) - 1
        positions = torch.from_numpy(np.stack([window.positions for window in batch]))
        with torch.autocast("cpu", torch.bfloat16):
            patches = encode_patches(self.tower, to_patches(pixels, PATCH), positions.flatten(1))
        patches = patches.float().view(*positions.shape, -1)
        target = _Target(batch, pixels)
        first, _ = target.loss(self.head[0](patches))
        second, right = target.loss(unpool(self.head[1](pool(patches))))
        return first + second, right

    def check(self, windows: Sequence[Window]) -> float:
        """Share of the characters named right."""
        with torch.no_grad():
            return float(np.mean([self.look(windows[i : i + BATCH])[1] for i in range(0, len(windows), BATCH)]))


def unpool(told: torch.Tensor) -> torch.Tensor:
    """What is told of the four patches of each pooled feature [n, rows, columns, 4 · k] at their places [n, 2 · rows,
    2 · columns, k]."""
    n, rows, columns, width = told.shape
    told = told.view(n, rows, columns, 2, 2, width // 4).permute(0, 1, 3, 2, 4, 5)
    return told.reshape(n, 2 * rows, 2 * columns, width // 4)


class _Target:
    """What stands in the patches of a batch."""

    def __init__(self, batch: Sequence[Window], pixels: torch.Tensor) -> None:
        self.colours = nn.functional.avg_pool2d(pixels, PATCH).permute(0, 2, 3, 1)
        self.classes = torch.from_numpy(np.stack([window.classes for window in batch]))
        self.nearness = torch.from_numpy(np.stack([window.nearness for window in batch]))
        self.points = torch.from_numpy(np.stack([window.points for window in batch]))

    def loss(self, told: torch.Tensor) -> tuple[torch.Tensor, float]:
        """Which character, wherever one is near; whether there is one, or a point, everywhere."""
        near = self.nearness > 0.2
        weight, target = self.nearness[near], self.classes[near]
        logits = told[near][:, 1 : len(NAMES)]
        which = nn.functional.cross_entropy(logits, target - 1, reduction="none")
        loss = (which * weight).sum() / weight.sum()
        loss = loss + nn.functional.mse_loss(told[..., -3:], self.colours)
        for logit, there in ((told[..., 0], self.nearness), (told[..., len(NAMES)], self.points)):
            everywhere = nn.functional.binary_cross_entropy_with_logits(logit, there, reduction="sum")
            loss = loss + everywhere / there.sum().clamp(min=1)
        central = weight > 0.5
        right = (logits.argmax(-1) == target - 1)[central].float().mean().item() if central.any() else 0.0
        return loss, right


def train_tower(stage: TowerStage, path: Path, steps: int, rate: float = RATE, seed: int = 31) -> Run:
    """A lesson after the other, up to `steps`."""
    run = Run(path, stage.modules, stage.parameters, steps, rate, stage.matrices)
    rng = np.random.default_rng([seed, 0])
    unseen = [cut_window(rng, draw_plate(rng)) for _ in range(CHECKED)]
    named = 0.0
    while run.step < steps:
        hardest = min(1.0, FIRST_LESSON + (1 - FIRST_LESSON) * 2 * run.step / steps)
        last = steps if hardest == 1.0 else min(steps, run.step + LESSON)
        feed = Feed(partial(draw_plate, hardest=hardest), seed + run.step, POOL, REUSE)
        feed.fill(600)
        rng = np.random.default_rng([seed, 1 + run.step])
        for batch in feed.batches(rng, BATCH, lambda _: 0, partial(cut_window, rng)):
            began = time.perf_counter()
            loss, right = stage.look(batch)
            run.update(loss)
            named += max(0.02, 1 / run.step) * (right - named)
            figures = {"loss": loss.item(), "characters": named}
            if run.step % SAVED == 0:
                figures["unseen"] = stage.check(unseen)
            run.tell("tower", began, figures)
            if run.step >= last:
                break
        feed.close()
    run.save()
    return run
