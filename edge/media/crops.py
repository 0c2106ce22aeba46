"""An image's crops as the vision encoder takes them: pixels, patch mask, position ids."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edge.media.crop_sizes import CROP
from edge.media.resize import resize_bilinear, shrink_bicubic
from edge.media.tiling import Tiling

_WHITE = 255
# (x / 255 - 0.5) / 0.5 in float32, for each grey level
_NORMALISED = (np.arange(256, dtype=np.float32) / np.float32(255) - np.float32(0.5)) / np.float32(0.5)


@dataclass(frozen=True, slots=True)
class Crops:
    """Crop 0 is the overview, then the grid in row-major order.

    `padded` is the fitted image with white padding, uint8 [448 rows, 448 columns, 3]; `overview` is float32
    [3, 448, 448]; `mask` is bool [crops, side, side] and `positions` are SigLIP position ids, int64 [crops, side²], for
    a side of 32 patches, or as many as the tiling's patch size makes.
    Pixels become float32 one crop at a time (2.4 MB each), so that an encoder that goes crop by crop never holds
    all of them.
    """

    tiling: Tiling
    padded: np.ndarray
    overview: np.ndarray
    mask: np.ndarray
    positions: np.ndarray

    def __len__(self) -> int:
        return self.tiling.crops

    def __getitem__(self, crop: int) -> np.ndarray:
        """float32 [3, 448, 448] in -1..1 (the overview a little beyond: bicubic overshoots)."""
        if not 0 <= crop < len(self):
            raise IndexError(f"crop {crop} of {len(self)}")
        if crop == 0:
            return self.overview
        row, column = divmod(crop - 1, self.tiling.columns)
        pixels = self.padded[row * CROP : (row + 1) * CROP, column * CROP : (column + 1) * CROP]
        return _NORMALISED.take(pixels.transpose(2, 0, 1))

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[crop] for crop in range(len(self)))

    def pixels(self) -> np.ndarray:
        """float32 [crops, 3, 448, 448], all at once (87 MB for 36 crops)."""
        return np.stack(list(self))


def image_crops(rgb: np.ndarray, tiling: Tiling) -> Crops:
    """The crops of `rgb` (uint8 [height, width, 3], as from `as_rgb`), which `tiling` was chosen for."""
    padded = np.full((*tiling.image_size, 3), _WHITE, np.uint8)
    padded[: tiling.height, : tiling.width] = resize_bilinear(rgb, tiling.width, tiling.height)
    # interpolation and normalisation change places: the taps sum to 1
    overview = shrink_bicubic(padded, tiling.rows, tiling.columns) * np.float32(2 / 255) - np.float32(1)
    mask = tiling.mask()
    return Crops(tiling, padded, np.ascontiguousarray(overview.transpose(2, 0, 1)), mask, position_ids(mask))


def position_ids(mask: np.ndarray) -> np.ndarray:
    """int64 [crops, side²] for bool [crops, side, side], whose valid patches are a rectangle at the top left.

    A crop with fewer valid patches spreads them over the whole position table: patch i of n takes entry
    floor(side i / n), computed in float32 like the reference, per axis. Padding has position 0.
    """
    side = mask.shape[-1]
    down = _buckets(mask[:, :, 0].sum(axis=1), side)
    across = _buckets(mask[:, 0, :].sum(axis=1), side)
    grid = down[:, :, None] * side + across[:, None, :]
    return np.where(mask, grid, 0).reshape(len(mask), -1)


def _buckets(valid: np.ndarray, side: int) -> np.ndarray:
    """int64 [crops, side] table entries along one axis that has `valid` [crops] patches; beyond them the last."""
    steps = np.float32(1) / np.maximum(valid, 1).astype(np.float32)
    fractions = np.arange(side, dtype=np.float32) * steps[:, None]
    return (np.minimum(fractions, np.float32(1 - 1e-6)) * side).astype(np.int64)
