"""One picture of a camera."""

import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edge.bundle.files import write_bytes_durably
from edge.errors import UsageError
from edge.media.crop_sizes import MAX_CROPS, PATCH
from edge.media.resize import resize_bilinear
from edge.media.tiling import choose_tiling

_OPTIONS = {
    ".png": [cv2.IMWRITE_PNG_COMPRESSION, 3],
    ".jpg": [cv2.IMWRITE_JPEG_QUALITY, 95],
    ".jpeg": [cv2.IMWRITE_JPEG_QUALITY, 95],
}


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """`rgb` is uint8 [height, width, 3], not writable; `taken_s` is in the time of `time.monotonic()`; `number` counts
    the pictures since the camera was made."""

    rgb: np.ndarray
    taken_s: float
    number: int

    @property
    def age_s(self) -> float:
        return time.monotonic() - self.taken_s

    def save(self, path: Path) -> None:
        """As PNG or JPEG, whole or not at all. Raises UsageError for another suffix, ResourceError for a full disk."""
        if path.suffix.lower() not in _OPTIONS:
            raise UsageError(f"{path.name} would be no picture.", "End the name with .png or .jpg.")
        _, data = cv2.imencode(path.suffix, cv2.cvtColor(self.rgb, cv2.COLOR_RGB2BGR), _OPTIONS[path.suffix.lower()])
        write_bytes_durably(path, data.tobytes())


def seen_by_model(rgb: np.ndarray, max_crops: int = MAX_CROPS, patch_size: int = PATCH) -> np.ndarray:
    """uint8 [height, width, 3] of the same picture as the model's crops hold it, put together, without the padding."""
    tiling = choose_tiling(rgb.shape[1], rgb.shape[0], max_crops, patch_size)
    return resize_bilinear(rgb, tiling.width, tiling.height)
