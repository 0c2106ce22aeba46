"""How an image is cut into crops, and how many tokens that makes. Arithmetic only, no pixels.

An image becomes an overview and a grid of 448-pixel crops; it is fitted into the grid from the top left, the rest
is padding. A crop is cut into patches, pooled 2 x 2 to features, one token each: in the released model 32 x 32 patches
of 14 pixels and 16 x 16 features, in a relative with patches of 28 pixels 16 x 16 and 8 x 8.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from edge.errors import InputError, UsageError
from edge.media.crop_sizes import CROP, MAX_CROPS, PATCH

MIN_SIDE = 10  # pixels of the fitted image: thinner ones carry nothing

# rows of the matrix that `assembly` points into
ROW_END, OVERVIEW_START, FIRST_FEATURE = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Tiling:
    """`rows` x `columns` crops that hold an image resized to `width` x `height` pixels at the top left.

    `patch_size` is the model's, in pixels.
    """

    rows: int
    columns: int
    width: int
    height: int
    patch_size: int = PATCH

    @property
    def side(self) -> int:
        """Patches along each side of a crop."""
        return CROP // self.patch_size

    @property
    def pooled(self) -> int:
        """Features along each side of a crop."""
        return self.side // 2

    @property
    def crops(self) -> int:
        """Crops of the grid and the overview."""
        return self.rows * self.columns + 1

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) in pixels of the padded image."""
        return self.rows * CROP, self.columns * CROP

    @property
    def padding(self) -> tuple[int, int]:
        """Pixels of padding (at the bottom, at the right)."""
        return self.rows * CROP - self.height, self.columns * CROP - self.width

    @property
    def valid_patches(self) -> tuple[int, int]:
        """(rows, columns) of patches in the whole grid that hold any of the image."""
        bottom, right = self.padding
        return self.rows * self.side - bottom // self.patch_size, self.columns * self.side - right // self.patch_size

    @property
    def useful_features(self) -> tuple[int, int]:
        """(rows, columns) of pooled features in the whole grid that become tokens."""
        rows, columns = self.valid_patches
        return (rows + 1) // 2, (columns + 1) // 2

    @property
    def tokens(self) -> int:
        """Image tokens: the grid's features, a row end after each row, a separator, the same for the overview."""
        rows, columns = self.useful_features
        return rows * (columns + 1) + 1 + self.pooled * (self.pooled + 1)

    def mask(self) -> np.ndarray:
        """bool [crops, side, side], False for patches of padding; crop 0 is the overview and has none."""
        side, (rows, columns) = self.side, self.valid_patches
        plane = np.zeros((self.rows * side, self.columns * side), bool)
        plane[:rows, :columns] = True
        grid = plane.reshape(self.rows, side, self.columns, side).swapaxes(1, 2)
        overview = np.ones((1, side, side), bool)
        return np.concatenate([overview, grid.reshape(-1, side, side)])


def choose_tiling(width: int, height: int, max_crops: int = MAX_CROPS, patch_size: int = PATCH) -> Tiling:
    """The tiling of an image of `width` x `height` pixels with at most `max_crops` crops beside the overview.

    An image whose own size needs no more crops than that gets the grid that covers it; a larger one gets the
    grid of the closest aspect ratio. It is then enlarged or reduced until it fills the grid one way.
    Raises InputError for an image so narrow that less than 10 pixels would be left, UsageError for
    `max_crops` below 1.
    """
    if max_crops < 1:
        raise UsageError(f"{max_crops} crops are not possible.", "Choose at least 1 for --max-crops.")
    if width < 1 or height < 1:
        raise InputError(f"A picture of {width} x {height} pixels is empty.", "Give another picture.")
    columns, rows = math.ceil(width / CROP), math.ceil(height / CROP)
    if columns * rows > max_crops:
        columns, rows = _closest_grid(width, height, max_crops)
    # which side limits, and the truncation, in the same floating-point steps as the model's own processing
    across, down = columns * CROP / width, rows * CROP / height
    if across < down:
        fitted = Tiling(rows, columns, columns * CROP, int(height * across), patch_size)
    else:
        fitted = Tiling(rows, columns, int(width * down), rows * CROP, patch_size)
    if min(fitted.width, fitted.height) < MIN_SIDE:
        raise InputError(
            f"A picture of {width} x {height} pixels is too narrow: fitted to the model's grid it is "
            f"{fitted.width} x {fitted.height}, and each side needs {MIN_SIDE}.",
            "Cut out the part that matters.",
        )
    return fitted


def assembly(tiling: Tiling) -> np.ndarray:
    """int64 [tokens]: for each image token, in the order the decoder reads them, a row of the feature matrix.

    The matrix holds the row-end vector (sub_GN), the overview separator (glb_GN), then the pooled features of
    each crop in row-major order, the overview's crop first. The order is the grid's rows over its whole width, each
    with a row end, the separator, and the overview's rows, each with a row end.
    """
    pooled, (rows, columns) = tiling.pooled, tiling.useful_features
    row, column = np.arange(rows)[:, None], np.arange(columns)[None, :]
    crop = 1 + row // pooled * tiling.columns + column // pooled
    grid = FIRST_FEATURE + pooled * pooled * crop + row % pooled * pooled + column % pooled
    overview = FIRST_FEATURE + np.arange(pooled * pooled).reshape(pooled, pooled)
    return np.concatenate([_with_row_ends(grid), [OVERVIEW_START], _with_row_ends(overview)])


def _with_row_ends(features: np.ndarray) -> np.ndarray:
    return np.pad(features, ((0, 0), (0, 1)), constant_values=ROW_END).ravel()


def _closest_grid(width: int, height: int, max_crops: int) -> tuple[int, int]:
    """(columns, rows) whose ratio is closest; among equals the last that the image fills by more than half."""
    best, best_difference = (1, 1), math.inf
    for columns, rows in _grids(max_crops):
        difference = abs(width / height - columns / rows)
        if difference < best_difference:
            best, best_difference = (columns, rows), difference
        elif difference == best_difference and width * height > 0.5 * CROP * CROP * columns * rows:
            best = columns, rows
    return best


@cache
def _grids(max_crops: int) -> list[tuple[int, int]]:
    """All (columns, rows) of at most `max_crops`, fewest crops first."""
    grids = [(columns, rows) for columns in range(1, max_crops + 1) for rows in range(1, max_crops // columns + 1)]
    return sorted(grids, key=math.prod)
