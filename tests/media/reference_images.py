"""The image side of transformers' Phi-4-multimodal, and of the model's original processing."""

import math

import numpy as np
import torch
from PIL import Image

from tests.reference_import import declare_torchvision_operators

declare_torchvision_operators()

from transformers.models.phi4_multimodal.image_processing_phi4_multimodal import (  # noqa: E402
    Phi4MultimodalImageProcessor,
)
from transformers.models.phi4_multimodal.modeling_phi4_multimodal import Phi4MultimodalVisionEmbeddings  # noqa: E402

__all__ = ["Phi4MultimodalImageProcessor", "Phi4MultimodalVisionEmbeddings", "original_processing"]


def original_processing(picture: np.ndarray, rows: int, columns: int, patch: int = 14) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and mask as the model's first processing made them: Pillow's resize, white padding, torch's bicubic.

    The grid is given; choosing it is another test's matter.
    """
    height, width = picture.shape[:2]
    side = 448 // patch
    ratio_width, ratio_height = 448 * columns / width, 448 * rows / height
    if ratio_width < ratio_height:
        new_width, new_height = 448 * columns, int(height * ratio_width)
    else:
        new_width, new_height = int(width * ratio_height), 448 * rows
    padded = Image.new("RGB", (448 * columns, 448 * rows), (255, 255, 255))
    # width first, as Pillow did it then; now it chooses
    wide = Image.fromarray(picture).resize((new_width, height), Image.Resampling.BILINEAR)
    padded.paste(wide.resize((new_width, new_height), Image.Resampling.BILINEAR))
    plane = torch.from_numpy(np.array(padded)).permute(2, 0, 1).float().div(255).sub(0.5).div(0.5)
    overview = torch.nn.functional.interpolate(plane[None], size=(448, 448), mode="bicubic")[0]
    valid = torch.ones(side * rows, side * columns, dtype=torch.bool)
    valid[side * rows - math.floor((448 * rows - new_height) / patch) :] = False
    valid[:, side * columns - math.floor((448 * columns - new_width) / patch) :] = False
    pixels, masks = [overview], [torch.ones(side, side, dtype=torch.bool)]
    for row in range(rows):
        for column in range(columns):
            pixels.append(plane[:, 448 * row : 448 * (row + 1), 448 * column : 448 * (column + 1)])
            masks.append(valid[side * row : side * (row + 1), side * column : side * (column + 1)])
    return torch.stack(pixels).numpy(), torch.stack(masks).numpy()
