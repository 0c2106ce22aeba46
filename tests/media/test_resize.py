import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edge.media.resize import resize_bilinear, shrink_bicubic
from tests.media.pictures import smooth


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def by_pillow(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """In two calls, because Pillow 13 chooses by cost which side comes first; the model's Pillow 11 never did."""
    wide = Image.fromarray(image).resize((width, len(image)), Image.Resampling.BILINEAR)
    return np.asarray(wide.resize((width, height), Image.Resampling.BILINEAR))


SIDE = st.integers(1, 400)


@given(SIDE, SIDE, SIDE, SIDE, st.integers(0, 9))
def test_it_is_pillow_bit_for_bit_at_any_size(height: int, width: int, new_height: int, new_width: int, seed: int):
    picture = noise(height, width, seed)
    assert (resize_bilinear(picture, new_width, new_height) == by_pillow(picture, new_width, new_height)).all()


@pytest.mark.parametrize(
    ("size", "new_size"),
    [
        ((3000, 4000), (1344, 1792)),
        ((4000, 3000), (1790, 1344)),
        ((1080, 1920), (1512, 2688)),
        ((20, 30), (298, 448)),
        ((300, 9000), (537, 16128)),
    ],
)
def test_photos_and_panoramas_are_pillow_bit_for_bit(size: tuple[int, int], new_size: tuple[int, int]):
    picture = smooth(*size)
    result = resize_bilinear(picture, new_size[1], new_size[0])
    assert (result == by_pillow(picture, new_size[1], new_size[0])).all()
    direct = Image.fromarray(picture).resize((new_size[1], new_size[0]), Image.Resampling.BILINEAR)
    assert np.abs(result.astype(int) - np.asarray(direct)).max() <= 1


def test_black_and_white_stay_exactly_what_they_are():
    for level in (0, 255):
        picture = np.full((37, 53, 3), level, np.uint8)
        assert (resize_bilinear(picture, 448, 311) == level).all()
        assert (resize_bilinear(picture, 11, 10) == level).all()


def test_the_same_size_changes_nothing_and_the_source_stays_untouched():
    picture = noise(50, 70)
    before = picture.copy()
    assert (resize_bilinear(picture, 70, 50) == picture).all()
    resize_bilinear(picture, 33, 99)
    assert (picture == before).all()


@pytest.mark.parametrize("factors", [(1, 1), (1, 2), (2, 3), (4, 5), (6, 6), (9, 4), (1, 36), (36, 1)])
def test_the_overview_is_torchs_bicubic(factors: tuple[int, int]):
    rows, columns = factors
    picture = np.random.default_rng(1).random((40 * rows, 40 * columns, 3), np.float32)
    planes = torch.from_numpy(picture).permute(2, 0, 1)[None]
    expected = torch.nn.functional.interpolate(planes, size=(40, 40), mode="bicubic", align_corners=False)
    result = shrink_bicubic(picture, rows, columns)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected[0].permute(1, 2, 0).numpy(), atol=1e-6, rtol=0)
