"""Speech features against their formulas, written here as loops, and against the transformers port at 16 kHz."""

import math
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from edge.errors import InputError
from edge.media.audio_file import read_audio
from edge.media.log_mel import audio_tokens, frames, log_mel
from edge.media.waveform import Waveform, waveform
from tests.media.recordings import chirp
from tests.reference_import import import_transformers

REAL = Path(__file__).parents[3] / "shared/data/spoken-digits"


@cache
def reference_filters() -> list[list[float]]:
    """Weights of FFT bins 0 to 256 at 16 kHz in each of the 80 filters; only bins 1 to 245 have any."""
    corners = [1127 * math.log(1 + 7690 / 700) * i / 81 for i in range(82)]
    filters = []
    for low, centre, high in zip(corners, corners[1:], corners[2:], strict=False):
        weights = [0.0] * 257
        for k in range(1, 246):
            mel = 1127 * math.log(1 + k * 16_000 / 512 / 700)
            if low < mel <= centre:
                weights[k] = (mel - low) / (centre - low)
            elif centre < mel < high:
                weights[k] = (high - mel) / (high - centre)
        filters.append(weights)
    return filters


def reference_features(samples: np.ndarray, rate: int) -> np.ndarray:
    """One frame after the other, each DFT as a sum, in float64."""
    size, hop, n_fft = (400, 160, 512) if rate == 16_000 else (200, 80, 256)
    angles = np.outer(np.arange(n_fft // 2 + 1), np.arange(size)) * 2 * np.pi / n_fft
    rows = []
    for start in range(0, len(samples) - size + 1, hop):
        frame = [float(one) for one in samples[start : start + size]]
        emphasised = [(frame[n] - 0.97 * frame[max(n - 1, 0)]) * 32768 for n in range(size)]
        windowed = [x * (0.54 - 0.46 * math.cos(2 * math.pi * n / (size - 1))) for n, x in enumerate(emphasised)]
        power = (np.cos(angles) @ windowed) ** 2 + (np.sin(angles) @ windowed) ** 2
        if rate == 8_000:
            power = np.concatenate([power[:128], np.zeros(129)])
        rows.append([math.log(max(float(power @ weights), 1.0)) for weights in reference_filters()])
    return np.array(rows)


def speech(seconds: float, rate: int) -> np.ndarray:
    return chirp(seconds, rate)[:, 0].astype(np.float32)


def noise(count: int, level: float) -> np.ndarray:
    return (np.random.default_rng(1).standard_normal(count) * level).astype(np.float32)


SIGNALS: dict[str, Callable[[int, int], np.ndarray]] = {
    "chirp": lambda count, rate: speech(count / rate, rate),
    "noise": lambda count, rate: noise(count, 0.1),
    "faint noise": lambda count, rate: noise(count, 1e-5),
    "constant": lambda count, rate: np.full(count, 0.5, np.float32),
    "full-scale square": lambda count, rate: np.where(np.arange(count) % 40 < 20, 1, -1).astype(np.float32),
    "click": lambda count, rate: np.eye(1, count, 300, dtype=np.float32)[0],
}


@pytest.mark.parametrize("rate", [16_000, 8_000])
@pytest.mark.parametrize("signal", SIGNALS.values(), ids=SIGNALS.keys())
def test_features_follow_the_formulas(signal: Callable[[int, int], np.ndarray], rate: int) -> None:
    samples = signal(rate // 4 + 37, rate)
    expected = reference_features(samples, rate)
    features = log_mel(Waveform(samples, rate))
    assert features.dtype == np.float32
    assert features.shape == expected.shape
    assert np.abs(features - expected).max() < 2e-5


@pytest.mark.skipif(not REAL.is_dir(), reason="no real recordings: ../shared/data/spoken-digits is missing")
def test_features_of_real_recordings_follow_the_formulas() -> None:
    for path in sorted(REAL.rglob("*.wav"))[::400]:
        clip = read_audio(path)
        assert np.abs(log_mel(clip) - reference_features(clip.samples, clip.rate)).max() < 2e-5
        up = waveform(np.repeat(clip.samples, 2), 16_000)
        assert np.abs(log_mel(up) - reference_features(up.samples, 16_000)).max() < 2e-5


def test_the_transformers_port_differs_by_one_weight_only() -> None:
    """The port gives bin 246 (7687.5 Hz) a weight of about 0.01 in the last filter, the original none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        port = import_transformers().Phi4MultimodalFeatureExtractor()
    weights = np.array(reference_filters()).T
    extra = port.mel_filters - weights
    assert 0 < extra[246, 79] < 0.012
    extra[246, 79] = 0
    assert np.abs(extra).max() < 1e-6
    for signal in SIGNALS.values():
        samples = signal(3 * 16_000 + 77, 16_000)
        theirs = port(samples, sampling_rate=16_000, return_tensors="np")
        ours = log_mel(Waveform(samples, 16_000))
        difference = theirs["audio_input_features"][0] - ours
        assert audio_tokens(len(ours)) == theirs["audio_embed_sizes"][0]
        assert np.abs(difference[:, :79]).max() < 1e-3
        # 0.0097 of one bin beside the 15 bins of the filter itself, whose weights go up to 1
        assert -1e-5 < difference[:, 79].min() <= difference[:, 79].max() < 0.03


def test_a_tone_is_loudest_in_the_filter_around_its_pitch() -> None:
    corners = 700 * (np.exp(np.linspace(0, 1127 * math.log(1 + 7690 / 700), 82) / 1127) - 1)
    for rate, pitches in [(16_000, (300, 1_000, 3_000, 7_000)), (8_000, (300, 1_000, 3_000))]:
        for pitch in pitches:
            tone = 0.5 * np.sin(2 * np.pi * pitch * np.arange(rate) / rate)
            loudest = log_mel(waveform(tone, rate)).mean(0).argmax()
            assert corners[loudest] < pitch < corners[loudest + 2]


@pytest.mark.parametrize("rate", [16_000, 8_000])
def test_silence_gives_zeros(rate: int) -> None:
    features = log_mel(waveform(np.zeros(rate), rate))
    assert features.shape == (98, 80)
    assert not features.any()


def test_an_8_khz_clip_has_nothing_above_4_khz() -> None:
    features = log_mel(waveform(noise(8_000, 1.0), 8_000))
    corners = 700 * (np.exp(np.linspace(0, 1127 * math.log(1 + 7690 / 700), 82) / 1127) - 1)
    above = corners[:80] >= 4_000
    assert above.sum() > 15
    assert not features[:, above].any()
    assert features[:, corners[2:] < 4_000].min() > 0


@pytest.mark.parametrize(
    ("samples", "rate", "count"),
    [
        (400, 16_000, 1),
        (559, 16_000, 1),
        (560, 16_000, 2),
        (561, 16_000, 2),
        (160_000, 16_000, 998),
        (200, 8_000, 1),
        (279, 8_000, 1),
        (280, 8_000, 2),
        (80_000, 8_000, 998),
    ],
)
def test_only_whole_windows_count(samples: int, rate: int, count: int) -> None:
    assert frames(samples, rate) == count
    assert log_mel(Waveform(np.zeros(samples, np.float32), rate)).shape == (count, 80)


@pytest.mark.parametrize(("samples", "rate"), [(399, 16_000), (1, 16_000), (0, 16_000), (199, 8_000)])
def test_a_clip_shorter_than_a_window_is_refused(samples: int, rate: int) -> None:
    for attempt in (lambda: frames(samples, rate), lambda: log_mel(Waveform(np.zeros(samples, np.float32), rate))):
        with pytest.raises(InputError, match="shorter than 25 ms") as refusal:
            attempt()
        assert refusal.value.hint


def test_another_rate_is_refused() -> None:
    with pytest.raises(InputError, match="44,100"):
        log_mel(Waveform(np.zeros(44_100, np.float32), 44_100))


def test_every_started_80_ms_is_one_token() -> None:
    assert [audio_tokens(count) for count in (1, 7, 8, 9, 16, 17)] == [1, 1, 1, 2, 2, 3]
    assert audio_tokens(frames(30 * 16_000, 16_000)) == audio_tokens(frames(30 * 8_000, 8_000)) == 375


def test_frames_do_not_depend_on_what_else_is_in_a_long_clip() -> None:
    """Also where the computation passes from one slab of frames to the next."""
    samples = speech(25.0, 16_000)
    features = log_mel(Waveform(samples, 16_000))
    for first in (0, 500, 511, 512, 513, 1_023, 1_024, 2_000):
        piece = log_mel(Waveform(samples[first * 160 : first * 160 + 880], 16_000))
        assert np.abs(piece - features[first : first + 4]).max() < 1e-6


def test_the_loudest_finite_samples_give_finite_features() -> None:
    loud = np.tile(np.array([3e38, -3e38], np.float32), 400)
    for rate in (8_000, 16_000):
        assert np.isfinite(log_mel(waveform(loud, rate))).all()


def test_the_callers_samples_are_left_alone() -> None:
    clip = waveform(speech(0.5, 16_000), 16_000)
    before = clip.samples.copy()
    log_mel(clip)
    assert np.array_equal(clip.samples, before)
