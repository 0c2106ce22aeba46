"""Arrays from a microphone or a caller become the same clips as files do."""

from typing import Any

import numpy as np
import pytest

from edge.errors import InputError
from edge.media.audio_file import read_audio
from edge.media.waveform import MAX_SECONDS, waveform
from tests.media.recordings import chirp, encoded


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
@pytest.mark.parametrize("channels", [1, 2])
def test_an_array_gives_the_samples_of_a_file_that_holds_it(rate: int, channels: int) -> None:
    samples = np.round(chirp(5.0, rate, channels) * 32_767).astype(np.int16)
    from_file = read_audio(encoded(samples, rate, "WAV", "PCM_16"))
    from_array = waveform(samples, rate)
    assert from_array.rate == from_file.rate
    assert np.abs(from_array.samples - from_file.samples).max() < 1e-6


def test_types_of_arrays_mean_the_same_sound() -> None:
    samples = np.round(chirp(0.5, 16_000)[:, 0] * 32_767).astype(np.int16)
    plain = waveform(samples, 16_000).samples
    assert np.array_equal(plain, samples / np.float32(32_768))
    same: list[np.ndarray] = [
        samples[:, None],
        samples.astype(np.int32) << 16,
        samples / 32_768,
        np.repeat(samples, 2)[::2],
    ]
    for other in same:
        assert np.array_equal(waveform(other, 16_000).samples, plain)
    assert np.array_equal(waveform(samples, 16_000.0).samples, plain)


def test_a_tone_keeps_its_pitch_phase_and_loudness_when_resampled() -> None:
    """Against the tone itself, computed at the new sample times."""
    for source, target in [(44_100, 16_000), (48_000, 16_000), (22_050, 16_000), (11_025, 8_000), (6_000, 8_000)]:
        clip = waveform(0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * source) / source), source)
        expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * target) / target)
        assert clip.rate == target
        middle = slice(target // 4, -target // 4)
        assert np.abs(clip.samples[middle] - expected[middle]).max() < 1e-4


def test_what_the_new_rate_cannot_hold_is_filtered_out() -> None:
    tone = np.sin(2 * np.pi * 11_000 * np.arange(88_200) / 44_100)
    assert np.abs(waveform(tone, 44_100).samples[4_000:-4_000]).max() < 1e-4


def test_the_samples_of_a_clip_cannot_be_changed_and_are_not_the_callers() -> None:
    mine = np.zeros(800, np.float32)
    clip = waveform(mine, 16_000)
    mine[:] = 1
    assert not clip.samples.any()
    with pytest.raises(ValueError, match="read-only"):
        clip.samples[0] = 1


NAN = np.where(np.arange(16_000) == 8_000, np.nan, 0.0)


@pytest.mark.parametrize(
    ("samples", "rate", "words"),
    [
        (np.zeros(0, np.float32), 16_000, "no audio samples"),
        (np.zeros((0, 2), np.float32), 44_100, "no audio samples"),
        (np.zeros((800, 0), np.float32), 16_000, "0 channels"),
        (np.zeros((800, 65_535), np.int16), 16_000, "65,535 channels"),
        (np.zeros((2, 3, 4), np.float32), 16_000, r"shape \(2, 3, 4\)"),
        (np.zeros(800, np.uint8), 16_000, "uint8"),
        (np.zeros(800, np.complex64), 16_000, "complex64"),
        (np.array(["a"]), 16_000, "<U1"),
        (np.zeros(800), 0, "0 Hz"),
        (np.zeros(800), -16_000, "-16,000 Hz"),
        (np.zeros(800), 3_999, "3,999 Hz"),
        (np.zeros(800), 2**32 - 1, "4,294,967,295 Hz"),
        (np.zeros(800), float("nan"), "nan Hz"),
        (np.zeros(800), float("inf"), "inf Hz"),
        (NAN, 16_000, r"0\.500 s"),
        (np.stack([NAN, np.zeros(16_000)], 1), 16_000, r"0\.500 s"),
        (np.full(800, np.inf, np.float32), 16_000, "finite"),
        (np.stack([np.full(800, np.inf), np.full(800, -np.inf)], 1), 16_000, "finite"),
        (np.full(800, 1e300), 16_000, "finite"),
        (np.tile(np.array([3e38, -3e38], np.float32), 4_000), 15_000, "finite"),
        (np.broadcast_to(np.float32(0), (MAX_SECONDS * 8_000 + 1,)), 8_000, "2 hours"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_array_that_is_no_clip_is_refused_with_the_reason(samples: Any, rate: float, words: str) -> None:
    with pytest.raises(InputError, match=words) as refusal:
        waveform(samples, rate)
    assert refusal.value.hint
