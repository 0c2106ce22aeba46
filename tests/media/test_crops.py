import numpy as np
import pytest
import torch
from transformers.models.phi4_multimodal.configuration_phi4_multimodal import Phi4MultimodalVisionConfig

from edge.media.crop_sizes import PATCH_SIZES
from edge.media.crops import Crops, image_crops, position_ids
from edge.media.tiling import choose_tiling
from tests.media.pictures import smooth
from tests.media.reference_images import (
    Phi4MultimodalImageProcessor,
    Phi4MultimodalVisionEmbeddings,
    original_processing,
)

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


OTHER_PATCHES = [
    (1280, 720, 2, 28),
    (500, 900, 2, 28),
    (30, 20, 36, 28),
    (796, 448, 2, 28),
    (700, 900, 36, 56),
    (60, 448, 36, 7),
]
PATCHED = [(*size, 14) for size in SIZES] + OTHER_PATCHES


def crops_of(width: int, height: int, max_crops: int, patch_size: int = 14) -> tuple[np.ndarray, Crops]:
    picture = smooth(height, width, seed=width)
    return picture, image_crops(picture, choose_tiling(width, height, max_crops, patch_size))


@pytest.mark.parametrize("size", PATCHED)
def test_crops_equal_the_original_processing(size: tuple[int, int, int, int]):
    picture, crops = crops_of(*size)
    pixels, mask = original_processing(picture, crops.tiling.rows, crops.tiling.columns, size[3])
    assert (crops.mask == mask).all()
    difference = np.abs(crops.pixels() - pixels)
    assert difference[1:].max() == 0 and difference[0].max() < 2e-6


@pytest.mark.parametrize("size", PATCHED)
def test_crops_agree_with_transformers_but_for_its_resize(size: tuple[int, int, int, int]):
    picture, crops = crops_of(*size)
    processor = Phi4MultimodalImageProcessor(dynamic_hd=size[2], patch_size=size[3])
    expected = processor([torch.from_numpy(picture).permute(2, 0, 1)], return_tensors="pt")
    pixels, mask = expected["image_pixel_values"][0].numpy(), expected["image_attention_mask"][0].numpy()
    assert crops.pixels().shape == pixels.shape and (crops.mask == mask.astype(bool)).all()
    assert crops.tiling.image_size == tuple(expected["image_sizes"][0].tolist())
    # it counts the overview's 16 x 16 features and row ends whatever the patch size
    overview = (448 // size[3] // 2) ** 2 + 448 // size[3] // 2
    assert crops.tiling.tokens == int(expected["num_img_tokens"][0]) - 272 + overview
    difference = np.abs(crops.pixels() - pixels)
    # it resizes tensors with coarser weights than Pillow
    assert difference[1:].max() < 1.01 * LEVEL and difference[0].max() < 2 * LEVEL
    assert difference.mean() < 0.01 * LEVEL


@pytest.mark.parametrize("patch_size", PATCH_SIZES)
def test_position_ids_equal_transformers_for_every_padding(patch_size: int):
    side = 448 // patch_size
    config = Phi4MultimodalVisionConfig(hidden_size=1, num_attention_heads=1, image_size=448, patch_size=patch_size)
    embeddings = Phi4MultimodalVisionEmbeddings(config)
    with torch.no_grad():
        for parameter in embeddings.patch_embedding.parameters():
            parameter.zero_()
        embeddings.position_embedding.weight.copy_(torch.arange(float(side**2))[:, None])  # an id looks up itself
        lengths = range(1, side + 1)
        shapes = [(rows, side) for rows in lengths] + [(side, columns) for columns in lengths] + [(7, 13), (1, 1)]
        mask = np.zeros((len(shapes), side, side), bool)
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
