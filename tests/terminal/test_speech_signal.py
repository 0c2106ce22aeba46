"""Warps, noises, rooms and channels do to a signal what their names and figures say."""

from collections.abc import Sequence

import numpy as np
import pytest

from benchmarks.terminal.speech import noises
from benchmarks.terminal.speech.channel import codec, draw_channel, mu_law, telephone, to_16_bits
from benchmarks.terminal.speech.mixing import add_noise, surround
from benchmarks.terminal.speech.rooms import draw_room, fast_length, reverberate
from benchmarks.terminal.speech.utterance import Utterance, features
from benchmarks.terminal.speech.warp import change_speed, warped_log_mel
from edge.media.log_mel import log_mel
from edge.media.waveform import Waveform
from tests.terminal.speech_signals import RATES, bursts, tone


@RATES
def test_a_warp_by_nothing_changes_no_bit(rate: int) -> None:
    clip = Waveform(noises.music(np.random.default_rng(0), 3 * rate, rate) * np.float32(0.1), rate)
    assert np.array_equal(warped_log_mel(clip, 1.0, 1.0), log_mel(clip))


@RATES
@pytest.mark.parametrize("tract", [0.85, 0.93, 1.1, 1.18])
def test_another_vocal_tract_moves_a_tone_to_its_multiple(rate: int, tract: float) -> None:
    moved = warped_log_mel(Waveform(tone(1500, rate), rate), tract).mean(0)
    expected = log_mel(Waveform(tone(1500 * tract, rate), rate)).mean(0)
    assert abs(int(moved.argmax()) - int(expected.argmax())) <= 1


@RATES
def test_the_end_of_the_band_stays_in_place_when_the_vocal_tract_changes(rate: int) -> None:
    hiss = Waveform(noises.coloured(np.random.default_rng(1), rate, rate, 0.0) * np.float32(0.1), rate)
    plain = log_mel(hiss).mean(0)
    for tract in (0.85, 1.18):
        assert np.abs(warped_log_mel(hiss, tract).mean(0) - plain).max() < 1.0


@pytest.mark.parametrize("tempo", [0.8, 1.3])
def test_tempo_changes_the_number_of_frames_and_keeps_their_order(tempo: float) -> None:
    sweep = (0.1 * np.sin(np.cumsum(np.linspace(200, 3000, 32_000)) * 2 * np.pi / 16_000)).astype(np.float32)
    clip = Waveform(sweep, 16_000)
    before, after = log_mel(clip), warped_log_mel(clip, tempo=tempo)
    assert len(after) == pytest.approx(len(before) / tempo, abs=1)
    assert np.array_equal(after[[0, -1]], before[[0, -1]])
    assert (np.diff(after.argmax(1)) >= -1).all()


@RATES
def test_playing_faster_is_shorter_and_higher_by_the_same_factor(rate: int) -> None:
    faster = change_speed(tone(440, rate), rate, 1.1)
    assert len(faster) == pytest.approx(rate / 1.1, abs=2)
    assert loudest_hz(faster, rate) == pytest.approx(484, abs=3)


def test_a_warp_without_a_random_generator_is_refused() -> None:
    with pytest.raises(TypeError, match="random generator"):
        features(Utterance(bursts(8_000), 8_000, ""), warp=True)


@RATES
@pytest.mark.parametrize("snr", [5.0, 20.0, 40.0])
def test_noise_is_as_far_below_the_speech_as_asked_however_long_the_silence(rate: int, snr: float) -> None:
    speech = np.pad(bursts(rate), (0, 3 * rate))
    hiss = noises.coloured(np.random.default_rng(0), len(speech), rate, 1.0)
    noise = add_noise(speech, hiss, snr).astype(np.float64) - speech
    assert 10 * np.log10(0.045 / np.mean(noise**2)) == pytest.approx(snr, abs=0.3)


@RATES
@pytest.mark.parametrize("seconds", [0.15, 2.0])
def test_all_noises_have_unit_loudness_and_the_length_asked_for(rate: int, seconds: float) -> None:
    length = int(seconds * rate)
    for seed in range(60):
        noise = noises.draw_noise(np.random.default_rng(seed), length, rate, fake_talkers)
        assert noise.shape == (length,) and noise.dtype == np.float32
        assert np.sqrt(np.mean(noise.astype(np.float64) ** 2)) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(("exponent", "fall"), [(0.0, 0.0), (1.0, 3.01), (2.0, 6.02)])
def test_the_power_of_coloured_noise_falls_by_its_exponent_per_octave(exponent: float, fall: float) -> None:
    power = np.abs(np.fft.rfft(noises.coloured(np.random.default_rng(2), 160_000, 16_000, exponent))) ** 2
    hertz = np.arange(len(power)) / 10
    low, high = (power[(hertz > f / 1.2) & (hertz < f * 1.2)].mean() for f in (400, 3200))
    assert 10 * np.log10(low / high) / 3 == pytest.approx(fall, abs=0.3)


def test_silence_around_speech_is_at_most_0_6_seconds_and_sometimes_none() -> None:
    rng = np.random.default_rng(0)
    speech = bursts(8_000)
    added = [len(surround(rng, speech, 8_000)) - len(speech) for _ in range(300)]
    assert min(added) == 0 and 0.6 * 8_000 < max(added) <= 1.2 * 8_000


@RATES
def test_a_room_keeps_the_length_and_the_direct_sound(rate: int) -> None:
    speech = bursts(rate)
    for seed in range(20):
        heard = reverberate(speech, draw_room(np.random.default_rng(seed), rate))
        first_reflection = int(0.001 * rate)
        assert heard.shape == speech.shape
        assert np.allclose(heard[:first_reflection], speech[:first_reflection], atol=1e-5)
        assert not np.allclose(heard, speech, atol=1e-3)


@RATES
def test_the_sound_of_a_room_dies_away(rate: int) -> None:
    for seed in range(20):
        room = draw_room(np.random.default_rng(seed), rate).astype(np.float64) ** 2
        late = room[int(0.04 * rate) + 1 :]
        half = len(late) // 2
        assert room[0] == 1.0 and 0.1 * rate - 1 <= len(room) <= 0.7 * rate
        assert late[half:].sum() < 0.3 * late[:half].sum() and late.sum() < 10**-0.2


def test_reverberation_is_the_convolution_with_the_impulse_response() -> None:
    rng = np.random.default_rng(0)
    for length in (1, 37, 500):
        speech, room = rng.standard_normal(length), rng.standard_normal(160)
        assert np.allclose(reverberate(speech, room), np.convolve(speech, room)[:length], atol=1e-4)


def test_the_length_of_a_transform_suffices_and_wastes_no_more_than_a_third() -> None:
    assert all(n <= fast_length(n) <= max(4, 4 / 3 * n) for n in range(1, 5000))


@RATES
def test_every_channel_keeps_the_length_and_stays_within_full_scale_in_16_bits(rate: int) -> None:
    for seed in range(100):
        for samples in (bursts(rate, 0.6), 5 * bursts(rate, 0.6), np.zeros(rate // 4, np.float32)):
            heard = draw_channel(np.random.default_rng(seed), samples, rate)
            assert heard.shape == samples.shape and heard.dtype == np.float32
            assert np.abs(heard).max() <= 1.0
            assert np.array_equal(heard * 32768, np.round(heard * 32768))


def test_what_is_too_loud_for_16_bits_is_clipped_and_does_not_wrap_around() -> None:
    loud = np.array([-3.0, -1.0, 0.0, 1.0, 3.0], np.float32)
    assert (to_16_bits(loud) * 32768).astype(int).tolist() == [-32768, -32768, 0, 32767, 32767]


@RATES
@pytest.mark.parametrize(
    "encoding",
    [("OGG", "VORBIS", 0.95), ("MP3", "MPEG_LAYER_III", 0.95), ("OGG", "OPUS", 0.99), ("WAV", "GSM610", None)],
)
def test_a_codec_keeps_the_speech_in_its_place(rate: int, encoding: tuple[str, str, float | None]) -> None:
    speech = bursts(rate)
    decoded = codec(speech, rate, *encoding)
    loudness = [np.abs(x.reshape(-1, rate // 20)).mean(1) for x in (speech, decoded)]
    assert decoded.shape == speech.shape and np.corrcoef(*loudness)[0, 1] > 0.95


def test_mu_law_has_about_38_db_of_signal_to_noise_for_loud_and_quiet_alike() -> None:
    for level in (1.0, 0.1):
        speech = tone(440, 8_000) * np.float32(10 * level)
        error = mu_law(speech).astype(np.float64) - speech
        assert 30 < 10 * np.log10(np.mean(speech.astype(np.float64) ** 2) / np.mean(error**2)) < 45


def test_a_telephone_passes_nothing_above_4_khz() -> None:
    heard = telephone(tone(1000, 16_000) + tone(5000, 16_000), 16_000)
    spectrum = np.abs(np.fft.rfft(heard))
    assert spectrum[5000] < 1e-3 * spectrum[1000]


def loudest_hz(samples: np.ndarray, rate: int) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(samples)))) * rate / len(samples)


def fake_talkers(rate: int) -> Sequence[np.ndarray]:
    return [bursts(rate), tone(200, rate)]
