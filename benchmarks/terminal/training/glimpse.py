"""A drawn picture as the tower sees it: once it has learned, its features are made once and kept, not at every step."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import nn

from benchmarks.terminal.pictures.picture import Glyph
from benchmarks.terminal.training.seen import MAX_CROPS, PATCH, Seen, draw_seen
from benchmarks.terminal.training.vision_encoder import encode, pool
from edge.media.crops import image_crops
from edge.media.tiling import CROP, Tiling, choose_tiling

KINDS = {"display": 0.50, "printed": 0.13, "label": 0.11, "lamp": 0.10, "unrelated": 0.16}
"""Shares of the kinds of pictures here: few examples of "no display" leave one unrelated picture in six read as one."""


@dataclass(frozen=True, slots=True, eq=False)
class Glimpse:
    """Pooled `features` float16 [crops, side, side, width]; `characters` [crops, side, side] are those that alone have
    their centre there, else ""; the rest is what there is to ask about."""

    features: np.ndarray
    characters: np.ndarray
    tiling: Tiling
    kind: str
    answer: str
    unit: str


def draw_glimpse(rng: np.random.Generator, tower: nn.Module) -> Glimpse:
    """Of a picture of any kind."""
    return look_at(draw_seen(rng, str(rng.choice(list(KINDS), p=list(KINDS.values())))), tower)


@torch.no_grad()
def look_at(seen: Seen, tower: nn.Module) -> Glimpse:
    rgb = np.ascontiguousarray(cv2.imdecode(np.frombuffer(seen.jpeg, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1])
    height, width = rgb.shape[:2]
    tiling = choose_tiling(width, height, MAX_CROPS, PATCH)
    crops = image_crops(rgb, tiling)
    mask, positions = torch.from_numpy(crops.mask), torch.from_numpy(crops.positions)
    with torch.autocast("cpu", torch.bfloat16):
        features = pool(encode(tower, torch.from_numpy(crops.pixels()), mask, positions).float())
    found = _characters(seen.glyphs, tiling, (tiling.width / width, tiling.height / height))
    return Glimpse(features.numpy().astype(np.float16), found, tiling, seen.kind, seen.answer, seen.unit)


def _characters(glyphs: Sequence[Glyph], tiling: Tiling, scale: tuple[float, float]) -> np.ndarray:
    found = np.full((tiling.crops, tiling.pooled, tiling.pooled), "", "<U1")
    taken, size = np.zeros(found.shape, bool), CROP / tiling.pooled
    for character, x, y, *_ in glyphs:
        if character in ".,":  # small, and mostly in the cell of a figure
            continue
        x, y = x * scale[0], y * scale[1]
        column, row = min(int(x // CROP), tiling.columns - 1), min(int(y // CROP), tiling.rows - 1)
        places = [
            (0, x / tiling.columns, y / tiling.rows),
            (1 + row * tiling.columns + column, x - column * CROP, y - row * CROP),
        ]
        for crop, across, down in places:
            cell = np.clip((down // size, across // size), 0, tiling.pooled - 1).astype(int)
            place = crop, cell[0], cell[1]
            found[place] = "" if taken[place] else character
            taken[place] = True
    return found
