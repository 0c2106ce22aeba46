"""Files that a user attaches, read before anything slow, so that a bad one is refused at once."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from edge.media.clip import Clip


def read_media(images: Sequence[Path], audio: Sequence[Path]) -> "tuple[list[np.ndarray], list[Clip]]":
    """RGB pixels of the pictures and features of the recordings. Raises InputError."""
    if not images and not audio:
        return [], []
    from edge.media.clip import read_clip
    from edge.media.image_file import read_image

    return [read_image(path) for path in images], [read_clip(path) for path in audio]
