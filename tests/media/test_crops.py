import math

import numpy as np
import pytest
import torch
from PIL import Image
from transformers.models.phi4_multimodal.configuration_phi4_multimodal import Phi4MultimodalVisionConfig

from edge.media.crops import Crops, image_crops, position_ids
from edge.media.tiling import choose_tiling
from tests.media.pictures import smooth
from tests.media.reference_images import Phi4MultimodalImageProcessor, Phi4MultimodalVisionEmbeddings

LEVEL = 2 / 255  # one grey level after normalisation
# width, height, max_crops: portrait, landscape, tiny, exact multiples, panoramas, many crops
SIZES = [
    (600, 900, 36),
    (900, 500, 36),
    (30, 20, 36),
    (448, 448, 36),
    (1344, 896, 36),
    (449, 1344, 36),
    (5000, 150, 36),
    (120, 4000, 36),
    (1300, 1000, 4),
    (800, 1000, 1),
    (2700, 2600, 36),
]


def crops_of(width: int, height: int, max_crops: int) -> tuple[np.ndarray, Crops]:
    picture = smooth(height, width, seed=width)
    return picture, image_crops(picture, choose_tiling(width, height, max_crops))


def original(picture: np.ndarray, rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and mask as the model's first processing made them: Pillow's resize, white padding, torch's bicubic.

    The grid is given; choosing it is another test's matter.
    """
    height, width = picture.shape[:2]
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
    valid = torch.ones(32 * rows, 32 * columns, dtype=torch.bool)
    valid[32 * rows - math.floor((448 * rows - new_height) / 14) :] = False
    valid[:, 32 * columns - math.floor((448 * columns - new_width) / 14) :] = False
    pixels, masks = [overview], [torch.ones(32, 32, dtype=torch.bool)]
    for row in range(rows):
        for column in range(columns):
            pixels.append(plane[:, 448 * row : 448 * (row + 1), 448 * column : 448 * (column + 1)])
            masks.append(valid[32 * row : 32 * (row + 1), 32 * column : 32 * (column + 1)])
    return torch.stack(pixels).numpy(), torch.stack(masks).numpy()


@pytest.mark.parametrize("size", SIZES)
def test_crops_equal_the_original_processing(size: tuple[int, int, int]):
    picture, crops = crops_of(*size)
    pixels, mask = original(picture, crops.tiling.rows, crops.tiling.columns)
    assert (crops.mask == mask).all()
    difference = np.abs(crops.pixels() - pixels)
    assert difference[1:].max() == 0 and difference[0].max() < 2e-6


@pytest.mark.parametrize("size", SIZES)
def test_crops_agree_with_transformers_but_for_its_resize(size: tuple[int, int, int]):
    picture, crops = crops_of(*size)
    processor = Phi4MultimodalImageProcessor(dynamic_hd=size[2])
    expected = processor([torch.from_numpy(picture).permute(2, 0, 1)], return_tensors="pt")
    pixels, mask = expected["image_pixel_values"][0].numpy(), expected["image_attention_mask"][0].numpy()
    assert crops.pixels().shape == pixels.shape and (crops.mask == mask.astype(bool)).all()
    assert crops.tiling.image_size == tuple(expected["image_sizes"][0].tolist())
    assert crops.tiling.tokens == int(expected["num_img_tokens"][0])
    difference = np.abs(crops.pixels() - pixels)
    # it resizes tensors with coarser weights than Pillow
    assert difference[1:].max() < 1.01 * LEVEL and difference[0].max() < 2 * LEVEL
    assert difference.mean() < 0.01 * LEVEL


def test_position_ids_equal_transformers_for_every_padding():
    config = Phi4MultimodalVisionConfig(hidden_size=1, num_attention_heads=1, image_size=448, patch_size=14)
    embeddings = Phi4MultimodalVisionEmbeddings(config)
    with torch.no_grad():
        for parameter in embeddings.patch_embedding.parameters():
            parameter.zero_()
        embeddings.position_embedding.weight.copy_(torch.arange(1024.0)[:, None])  # an id looks up itself
        shapes = [(rows, 32) for rows in range(1, 33)] + [(32, columns) for columns in range(1, 33)] + [(7, 13), (1, 1)]
        mask = np.zeros((len(shapes), 32, 32), bool)
        for one, (rows, columns) in zip(mask, shapes, strict=True):
            one[:rows, :columns] = True
        expected = embeddings(torch.zeros(len(shapes), 3, 448, 448), torch.from_numpy(mask))[:, :, 0]
    result = position_ids(mask)
    assert result.dtype == np.int64 and (result == expected.numpy()).all()


def test_crops_carry_the_positions_of_their_masks():
    _, crops = crops_of(449, 1344, 36)
    assert crops.positions.shape == (7, 1024)
    assert (crops.positions[0] == np.arange(1024)).all()  # the overview is never padded
    assert (crops.positions[1] == np.arange(1024)).all()
    # the second column of crops holds one pixel: one column of patches, each at its row's first position
    assert (crops.positions[2].reshape(32, 32)[:, 0] == 32 * np.arange(32)).all()
    assert (crops.positions[2].reshape(32, 32)[:, 1:] == 0).all()


def test_one_crop_at_a_time_is_the_same_as_all():
    picture, crops = crops_of(900, 500, 36)
    before = picture.copy()
    together = crops.pixels()
    assert len(crops) == len(list(crops)) == together.shape[0] == crops.tiling.crops
    assert together.dtype == np.float32 and together.shape[1:] == (3, 448, 448)
    for number, one in enumerate(crops):
        assert one.flags.c_contiguous and (one == together[number]).all()
    for outside in (-1, len(crops)):
        with pytest.raises(IndexError):
            crops[outside]
    assert (picture == before).all()


def test_padding_is_white():
    _, crops = crops_of(900, 500, 36)
    bottom, right = crops.tiling.padding
    assert bottom > 0 and right == 0
    assert (crops[len(crops) - 1][:, 448 - bottom :] == 1).all()
