"""Which pictures a working camera would not take."""

import numpy as np
import pytest

from edge.devices.frames import BLACK, FROZEN_S, ONE_COLOUR, Stillness, fault_of, thin_out

CHANCE = np.random.default_rng(0)
SHAPE = (480, 640, 3)


def noisy(level: float, deviation: float = 2.0) -> np.ndarray:
    return np.clip(CHANCE.normal(level, deviation, SHAPE), 0, 255).astype(np.uint8)


def scene() -> np.ndarray:
    return np.broadcast_to(np.linspace(30, 220, SHAPE[1])[:, None], SHAPE)


def seen(*taken: tuple[float, np.ndarray]) -> float:
    """Seconds without change at the end of pictures at given times."""
    stillness = Stillness()
    return [stillness.add(thin_out(picture.astype(np.uint8)), time_s) for time_s, picture in taken][-1]


@pytest.mark.parametrize("level", [0, 16])
def test_a_covered_lens_is_black_in_spite_of_noise(level: float) -> None:
    assert fault_of(thin_out(noisy(level))) == BLACK


def test_a_lamp_in_the_night_is_a_picture() -> None:
    picture = noisy(2)
    picture[200:280, 300:400] = 240
    assert fault_of(thin_out(picture)) is None


@pytest.mark.parametrize("colour", [(0, 135, 0), (128, 128, 128), (255, 255, 255), (0, 0, 255)])
def test_a_broken_decoder_shows_one_colour(colour: tuple[int, int, int]) -> None:
    assert fault_of(thin_out(np.full(SHAPE, colour, np.uint8))) == ONE_COLOUR


def test_a_white_wall_is_a_picture() -> None:
    assert fault_of(thin_out(noisy(200))) is None


@pytest.mark.parametrize("shape", [(1, 1, 3), (448, 3, 3), (2, 3000, 3)])
def test_pictures_of_any_size_are_thinned_out(shape: tuple[int, int, int]) -> None:
    assert thin_out(np.zeros(shape, np.uint8)).shape == (48, 64, 3)


def test_the_same_picture_again_is_frozen_for_as_long_as_it_stays() -> None:
    assert seen((10.0, scene()), (11.0, scene()), (10.1 + FROZEN_S, scene())) == pytest.approx(0.1 + FROZEN_S)


def test_noise_alone_is_not_frozen() -> None:
    quiet = [(time_s, scene() + CHANCE.normal(0, 0.5, SHAPE)) for time_s in (0.0, 1.0, 2.0)]
    assert seen(*quiet) == 0


def test_a_decoder_that_repeats_a_picture_not_quite_exactly_is_frozen() -> None:
    again = scene().copy()
    again[:, ::100] += 1
    assert seen((0.0, scene()), (1.0, again), (2.0, scene())) == 2.0


def test_slow_change_is_not_frozen() -> None:
    picture = np.full(SHAPE, 100, np.uint8)
    pictures = []
    for step in range(12):
        picture = picture.copy()
        picture[40 * step : 40 * (step + 1), :64] += 1
        pictures.append((float(step), picture))
    assert seen(*pictures) < 6


def test_a_picture_after_a_freeze_counts_from_itself() -> None:
    assert seen((0.0, scene()), (5.0, scene()), (6.0, noisy(100)), (6.5, scene())) == 0
