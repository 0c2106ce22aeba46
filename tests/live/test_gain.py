"""Soft sounds are made louder before somebody is looked for in them; loud ones and silence stay as they are."""

import numpy as np
import pytest

from edge.live.gain import LARGEST, WANTED, Gain
from edge.live.voice_activity import AUDIBLE, RATE, WINDOW


def hiss(level: float, seed: int = 0) -> np.ndarray:
    """A window with exactly this RMS."""
    made = np.random.default_rng(seed).standard_normal(WINDOW)
    made -= made.mean()
    return (made * level / made.std()).astype(np.float32)


def seconds(of: float) -> int:
    return round(of * RATE / WINDOW)


@pytest.mark.parametrize("level", [0.01, 0.03])
def test_a_soft_sound_gets_the_wanted_level(level: float) -> None:
    assert Gain().louder(hiss(level)).std() == pytest.approx(WANTED, rel=1e-3)


def test_a_very_soft_one_is_not_lifted_without_end() -> None:
    assert Gain().louder(hiss(0.001)).std() == pytest.approx(0.001 * LARGEST, rel=1e-3)


@pytest.mark.parametrize("level", [WANTED * 1.01, 0.2])
def test_a_loud_sound_stays_as_it_is(level: float) -> None:
    np.testing.assert_array_equal(Gain().louder(hiss(level)), hiss(level))


@pytest.mark.parametrize("level", [0.0, AUDIBLE * 0.9])
def test_what_nobody_hears_stays_as_it_is(level: float) -> None:
    window = hiss(level) if level else np.zeros(WINDOW, np.float32)
    np.testing.assert_array_equal(Gain().louder(window), window)


def test_a_click_in_a_soft_window_stays_within_full_scale() -> None:
    window = np.zeros(WINDOW, np.float32)
    window[7] = 0.9
    assert np.abs(Gain().louder(window)).max() == 1.0


def test_soft_sounds_within_a_loud_sentence_stay_soft_and_are_lifted_again_when_it_is_long_over() -> None:
    gain = Gain()
    gain.louder(hiss(0.4))
    np.testing.assert_array_equal(gain.louder(hiss(0.01)), hiss(0.01))
    for number in range(seconds(12)):
        lifted = gain.louder(hiss(0.01, number))
    assert lifted.std() == pytest.approx(WANTED, rel=1e-3)


def test_what_was_given_is_left_as_it_was() -> None:
    window = hiss(0.01)
    Gain().louder(window)
    np.testing.assert_array_equal(window, hiss(0.01))
