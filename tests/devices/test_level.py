"""The numbers of the meter, and what it says about them."""

import numpy as np
import pytest

from edge.devices.level import SILENCE_DBFS, Level

RATE = 16000


def sine(amplitude: float, seconds: float = 1.5) -> np.ndarray:
    """int16 [n, 1]; full scale is 1."""
    wave = amplitude * 32767 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * RATE)) / RATE)
    return np.round(wave).astype(np.int16)[:, None]


def level_of(*recordings: np.ndarray) -> Level:
    level = Level()
    for frames in recordings:
        for start in range(0, len(frames), 512):
            level.add(frames[start : start + 512], RATE)
    return level


@pytest.mark.parametrize("amplitude", [1.0, 0.5, 0.01])
def test_a_sine_has_its_peak_and_an_rms_3_db_below(amplitude: float) -> None:
    level = Level()
    level.add(sine(amplitude), RATE)
    assert level.peak == pytest.approx(20 * np.log10(amplitude), abs=0.02)
    assert level.rms == pytest.approx(level.peak - 3.01, abs=0.02)


@pytest.mark.parametrize(
    ("amplitude", "verdict"),
    [(0, "no signal"), (5e-5, "no signal"), (0.01, "too quiet"), (0.2, "good"), (1, "clipping")],
)
def test_the_verdict_follows_the_peak_of_the_last_second(amplitude: float, verdict: str) -> None:
    level = level_of(sine(amplitude))
    assert level.verdict == verdict
    assert (level.advice == "") == (verdict == "good")


def test_the_most_negative_sample_counts_as_full_scale() -> None:
    level = level_of(np.full((512, 2), -32768, np.int16))
    assert (level.peak, level.rms) == (0, 0)
    assert level.verdict == "clipping"


def test_a_peak_is_held_for_a_second_and_no_longer() -> None:
    assert level_of(sine(0.5), sine(0.01, 0.9)).held == pytest.approx(-6.02, abs=0.02)
    assert level_of(sine(0.5), sine(0.01, 1.1)).held == pytest.approx(-40, abs=0.1)


def test_exact_zeros_for_more_than_a_second_are_told_apart_from_a_quiet_room() -> None:
    zeros, quiet = np.zeros((RATE * 2, 1), np.int16), np.ones((RATE * 2, 1), np.int16)
    assert level_of(zeros).advice == "only zeros: muted or unplugged?"
    assert level_of(zeros).held == SILENCE_DBFS
    assert not level_of(zeros[: RATE // 2]).only_zeros
    assert not level_of(zeros, quiet[:10]).only_zeros
    assert level_of(quiet).verdict == "no signal"


def test_one_silent_channel_is_no_silence() -> None:
    assert level_of(np.hstack([np.zeros_like(sine(0.5)), sine(0.5)])).verdict == "good"


def test_an_empty_block_changes_nothing() -> None:
    level = level_of(sine(0.5), np.zeros((0, 1), np.int16))
    assert level.verdict == "good"
