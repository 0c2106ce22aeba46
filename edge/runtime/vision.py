"""Crops to patch features, one crop at a time, and patch features to the embeddings of a picture's tokens."""

from collections.abc import Iterator

import numpy as np

from edge.media.crops import Crops
from edge.runtime.encoder import Encoders


def encode_crops(encoders: Encoders, crops: Crops, width: int) -> Iterator[np.ndarray]:
    """Features float32 [pooled², width] of each crop, the overview first.

    Only the part of a crop that holds any of the picture is computed; the features of the rest are zero and no token
    is made of them.
    """
    patch, side, pooled = crops.tiling.patch_size, crops.tiling.side, crops.tiling.pooled
    for index in range(len(crops)):
        mask = crops.mask[index]
        rows, columns = (_even(int(mask.any(axis=axis).sum())) for axis in (1, 0))
        whole = np.zeros((pooled, pooled, width), np.float32)
        if not rows:
            yield whole.reshape(pooled * pooled, width)
            continue
        positions = crops.positions[index].reshape(side, side)[:rows, :columns]
        visible = mask[:rows, :columns]
        features = encoders.run(
            "vision_encoder",
            pixels=np.ascontiguousarray(crops[index][None, :, : rows * patch, : columns * patch]),
            positions=positions.reshape(1, -1),
            key_bias=np.where(visible, np.float32(0), np.float32(-np.inf)).reshape(1, -1),
        )
        whole[: rows // 2, : columns // 2] = features.reshape(rows // 2, columns // 2, width)
        yield whole.reshape(pooled * pooled, width)


def _even(count: int) -> int:
    return count + count % 2
