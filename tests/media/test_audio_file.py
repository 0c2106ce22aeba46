"""Recordings in the four formats become the samples that were in them."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from edge.media.audio_file import read_audio
from tests.media.recordings import chirp, encoded, wav, without_index

REAL = Path(__file__).parents[3] / "shared/data/spoken-digits"


@pytest.mark.parametrize("container", ["WAV", "WAVEX", "RF64"])
@pytest.mark.parametrize(
    ("subtype", "error"),
    [("PCM_U8", 1 / 128), ("PCM_16", 2**-15), ("PCM_24", 2**-23), ("PCM_32", 1e-7), ("FLOAT", 1e-7), ("DOUBLE", 1e-7)],
)
def test_every_sample_type_of_wav_gives_its_samples(container: str, subtype: str, error: float) -> None:
    samples = chirp(0.5, 16_000)
    clip = read_audio(encoded(samples, 16_000, container, subtype))
    assert (clip.rate, clip.samples.dtype, clip.samples.shape) == (16_000, np.float32, (8_000,))
    assert np.abs(clip.samples - samples[:, 0]).max() <= error


@pytest.mark.parametrize("subtype", ["ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM"])
def test_telephone_codings_in_wav_are_decoded(subtype: str) -> None:
    samples = chirp(0.5, 8_000)
    clip = read_audio(encoded(samples, 8_000, "WAV", subtype))
    assert clip.rate == 8_000
    assert np.corrcoef(clip.samples[:4_000], samples[:, 0])[0, 1] > 0.98


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_flac_gives_its_samples(subtype: str) -> None:
    samples = chirp(1.0, 16_000, 2)
    clip = read_audio(encoded(samples, 16_000, "FLAC", subtype))
    assert np.abs(clip.samples - samples.mean(1)).max() < 2**-15


@pytest.mark.parametrize(
    ("container", "subtype"), [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")], ids=lambda one: str(one)
)
@pytest.mark.parametrize("rate", [16_000, 48_000])
@pytest.mark.parametrize("seconds", [0.3, 1.0, 7.77])
def test_lossy_formats_give_the_whole_clip_in_time(container: str, subtype: str, rate: int, seconds: float) -> None:
    samples = chirp(seconds, rate)
    clip = read_audio(encoded(samples, rate, container, subtype))
    expected = soxr.resample(samples[:, 0], rate, 16_000)
    assert len(clip.samples) == len(expected)
    assert np.corrcoef(clip.samples, expected)[0, 1] > 0.97


@pytest.mark.parametrize(
    ("container", "subtype"), [("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")]
)
@pytest.mark.parametrize("channels", [1, 2])
def test_decoding_in_blocks_gives_what_decoding_at_once_gives(container: str, subtype: str, channels: int) -> None:
    data = encoded(chirp(10.0, 16_000, channels), 16_000, container, subtype)
    expected, _ = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    assert np.abs(read_audio(data).samples - expected.mean(1)).max() < 1e-6


@pytest.mark.parametrize("source", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000])
def test_mp3_rates_of_all_three_mpeg_versions_are_read_whole(source: int) -> None:
    samples = chirp(1.5, source)
    clip = read_audio(encoded(samples, source, "MP3"))
    assert abs(clip.seconds - 1.5) < 1e-3
    assert np.corrcoef(clip.samples, soxr.resample(samples[:, 0], source, clip.rate))[0, 1] > 0.97


@pytest.mark.parametrize(
    ("source", "target"),
    [(4_000, 8_000), (6_000, 8_000), (8_000, 8_000), (11_025, 8_000), (12_000, 8_000), (15_999, 8_000)]
    + [(rate, 16_000) for rate in (16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000)],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_any_rate_becomes_16_or_8_khz_and_blocks_leave_no_seam(source: int, target: int, channels: int) -> None:
    samples = chirp(18.0 if source < 50_000 else 3.0, source, channels)
    clip = read_audio(encoded(samples, source, "WAV", "FLOAT"))
    expected = soxr.resample(samples.astype(np.float32).mean(1), source, target)
    assert (clip.rate, len(clip.samples)) == (target, len(expected))
    assert np.abs(clip.samples - expected).max() < 1e-6


@pytest.mark.parametrize("channels", [1, 2, 6, 8, 64])
def test_channels_are_averaged(channels: int) -> None:
    samples = chirp(0.4, 16_000, channels)
    clip = read_audio(encoded(samples, 16_000, "WAV", "FLOAT"))
    assert np.abs(clip.samples - samples.mean(1)).max() < 1e-6


def test_loud_float_samples_are_kept_as_they_are() -> None:
    samples = chirp(0.2, 16_000) * 100
    clip = read_audio(encoded(samples, 16_000, "WAV", "FLOAT"))
    assert np.abs(clip.samples - samples[:, 0]).max() < 1e-4


def test_the_name_of_a_file_does_not_matter(tmp_path: Path) -> None:
    samples = chirp(0.3, 16_000)
    for container in ("WAV", "FLAC", "OGG", "MP3"):
        data = encoded(samples, 16_000, container)
        for name in ("clip", "clip.raw", "clip.sd2", "clip.mp3", "clip.wav", "clïp.txt"):
            path = tmp_path / name
            path.write_bytes(data)
            assert np.array_equal(read_audio(path).samples, read_audio(data).samples)


def test_an_id3_tag_in_front_changes_nothing() -> None:
    tag = b"ID3\x04\0\0" + bytes([0, 0, 1, 0]) + b"COMM\0\0\0\x20\0\0\x03eng" + b"\xff" * 114
    for container in ("WAV", "FLAC", "MP3"):
        data = encoded(chirp(0.5, 16_000), 16_000, container)
        assert np.array_equal(read_audio(tag + data).samples, read_audio(data).samples)


def test_a_tag_behind_an_mp3_is_no_audio() -> None:
    data = encoded(chirp(0.5, 16_000), 16_000, "MP3")
    assert np.array_equal(read_audio(data + b"TAG" + bytes(125)).samples, read_audio(data).samples)


@pytest.mark.parametrize("rate", [16_000, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
def test_an_mp3_without_an_index_is_read_to_its_end(rate: int, channels: int, mode: str) -> None:
    samples = np.concatenate([np.zeros((rate, channels)), chirp(3.0, rate, channels)])  # a quiet start takes few bits
    data = encoded(samples, rate, "MP3", bitrate_mode=mode, compression_level=0.8)
    with_index, without = read_audio(data), read_audio(without_index(data))
    assert with_index.seconds == 4.0
    assert 4.0 <= without.seconds < 4.2  # only the index says how much silence the encoder put around the clip
    size = len(with_index.samples)
    spectra = np.fft.rfft(without.samples, 2 * size), np.fft.rfft(with_index.samples, 2 * size)
    shift = int(np.fft.irfft(spectra[0] * spectra[1].conj()).argmax())
    assert np.abs(without.samples[shift:][: size - 2_000] - with_index.samples[: size - 2_000]).max() < 0.02


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000, 0x80000000])
def test_a_wav_written_into_a_pipe_ends_where_the_file_ends(size: int) -> None:
    samples = chirp(0.5, 16_000)[:, 0].astype("<f4")
    clip = read_audio(wav(samples.tobytes(), bits=32, tag=3, size=size))
    assert np.array_equal(clip.samples, samples)


def test_chunks_around_the_audio_and_an_odd_last_byte_are_no_audio() -> None:
    data = chirp(0.5, 16_000)[:, 0].astype("<f4").tobytes()
    plain = read_audio(wav(data, bits=32, tag=3)).samples
    info = b"LIST" + (3_000_001).to_bytes(4, "little") + b"INFO" + bytes(2_999_998)
    assert np.array_equal(read_audio(wav(data, bits=32, tag=3, before=info)).samples, plain)
    assert np.array_equal(read_audio(wav(data, bits=32, tag=3) + b"LIST\4\0\0\0INFO").samples, plain)
    assert np.array_equal(read_audio(wav(data + b"\1", bits=32, tag=3)).samples, plain)


def test_a_symbolic_link_to_a_recording_is_followed(tmp_path: Path) -> None:
    (tmp_path / "clip.wav").write_bytes(wav())
    (tmp_path / "link").symlink_to("clip.wav")
    assert read_audio(tmp_path / "link").seconds == 1.0


@pytest.mark.skipif(not REAL.is_dir(), reason="no real recordings: ../shared/data/spoken-digits is missing")
def test_real_recordings_are_what_another_reader_finds(tmp_path: Path) -> None:
    for path in sorted(REAL.rglob("*.wav"))[::50]:
        expected, rate = soundfile.read(path, dtype="float32")
        shutil.copy(path, tmp_path / "copy")
        clip = read_audio(tmp_path / "copy")
        assert clip.rate == rate == 8_000
        assert np.array_equal(clip.samples, expected)
