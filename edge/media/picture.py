"""A picture ready for the vision encoder, with its tiling and token count."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from edge.media.crops import Crops, image_crops
from edge.media.image_file import as_rgb, read_image
from edge.media.tiling import Tiling, assembly

ImageSource = Path | str | bytes | np.ndarray
"""A file, its bytes, or RGB pixels [height, width, 3]."""


@dataclass(frozen=True)
class Picture:
    """A picture with the tiling it will be seen in. `key` names its content and the tiling."""

    rgb: np.ndarray
    tiling: Tiling

    @property
    def tokens(self) -> int:
        return self.tiling.tokens

    @cached_property
    def key(self) -> str:
        digest = hashlib.sha256(repr((self.rgb.shape, self.tiling)).encode())
        digest.update(np.ascontiguousarray(self.rgb).data)
        return "picture:" + digest.hexdigest()

    def crops(self) -> Crops:
        return image_crops(self.rgb, self.tiling)

    def order(self) -> np.ndarray:
        """int64 [tokens], rows of the feature matrix; see `assembly`."""
        return assembly(self.tiling)


def read_pixels(source: ImageSource) -> np.ndarray:
    """uint8 [height, width, 3] in RGB order. Raises InputError for a picture that cannot be used."""
    if isinstance(source, np.ndarray):
        return as_rgb(source)
    return read_image(source if isinstance(source, bytes) else Path(source))
