"""Crops to patch features, one crop at a time, and patch features to the embeddings of a picture's tokens."""

from collections.abc import Iterator

import numpy as np

from edge.media.crops import Crops
from edge.media.tiling import PATCH, PATCHES, POOLED
from edge.runtime.encoder import Encoders


def encode_crops(encoders: Encoders, crops: Crops, width: int) -> Iterator[np.ndarray]:
    """Features float32 [256, width] of each crop, the overview first.

    Only the part of a crop that holds any of the picture is computed; the features of the rest are zero and no token
    is made of them.
    """
    for index in range(len(crops)):
        mask = crops.mask[index]
        rows, columns = (_even(int(mask.any(axis=axis).sum())) for axis in (1, 0))
        whole = np.zeros((POOLED, POOLED, width), np.float32)
        if not rows:
            yield whole.reshape(POOLED * POOLED, width)
            continue
        positions = crops.positions[index].reshape(PATCHES, PATCHES)[:rows, :columns]
        visible = mask[:rows, :columns]
        features = encoders.run(
            "vision_encoder",
            pixels=np.ascontiguousarray(crops[index][None, :, : rows * PATCH, : columns * PATCH]),
            positions=positions.reshape(1, -1),
            key_bias=np.where(visible, np.float32(0), np.float32(-np.inf)).reshape(1, -1),
        )
        whole[: rows // 2, : columns // 2] = features.reshape(rows // 2, columns // 2, width)
        yield whole.reshape(POOLED * POOLED, width)


def _even(count: int) -> int:
    return count + count % 2
