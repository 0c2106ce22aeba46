"""Mono samples at a rate the speech model knows, made block by block from any channel count and rate."""

from dataclasses import dataclass

import numpy as np
import soxr

from edge.errors import InputError

MAX_SECONDS = 2 * 3600
MAX_CHANNELS = 64
MIN_RATE, MAX_RATE = 4_000, 384_000
_BLOCK_FRAMES = 1 << 15
_FULL_SCALE = {"int16": 1 << 15, "int32": 1 << 31, "float16": 1, "float32": 1, "float64": 1}


@dataclass(frozen=True, slots=True, eq=False)
class Waveform:
    """One clip: `samples` float32 [N], full scale is ±1 (louder float recordings are not clipped);
    `rate` 8000 or 16000 Hz."""

    samples: np.ndarray
    rate: int

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate


def waveform(samples: np.ndarray, rate: float, name: str = "The audio clip") -> Waveform:
    """The clip in `samples` [N] or [N, channels] at `rate` Hz: int16, int32, or floats whose full scale is ±1.

    Channels are averaged; 16 kHz and more become 16 kHz, all below becomes 8 kHz. `name` is for errors.
    Raises InputError: another type or shape, a rate or channel count out of range, no samples, NaN or
    infinity, more than 2 hours.
    """
    scale = _FULL_SCALE.get(samples.dtype.name)
    if scale is None or samples.ndim not in (1, 2):
        raise InputError(
            f"{name} is an array of type {samples.dtype} and shape {samples.shape}.",
            "give int16 or float32 samples of shape [N] or [N, channels]",
        )
    frames = samples[:, None] if samples.ndim == 1 else samples
    builder = WaveformBuilder(rate, frames.shape[1], name)
    check_length(len(frames), rate, name)
    for start in range(0, len(frames), _BLOCK_FRAMES):
        builder.add(frames[start : start + _BLOCK_FRAMES] / scale)
    return builder.finish()


def check_format(rate: float, channels: int, name: str) -> None:
    """Raises InputError when a recording has an impossible sample rate or number of channels."""
    if not MIN_RATE <= rate <= MAX_RATE:
        raise InputError(
            f"{name} has a sample rate of {rate:,} Hz, possible are {MIN_RATE:,} to {MAX_RATE:,}.",
            "record or convert it at 16,000 Hz",
        )
    if not 1 <= channels <= MAX_CHANNELS:
        raise InputError(f"{name} has {channels:,} channels, possible are 1 to {MAX_CHANNELS}.", "convert it to mono")


def check_length(frames: int, rate: float, name: str) -> None:
    """Raises InputError when a recording has, or says it has, more than 2 hours."""
    if frames > MAX_SECONDS * rate:
        raise InputError(
            f"{name} is longer than {MAX_SECONDS // 3600} hours, the limit for one clip.",
            "cut it into parts, for instance with: ffmpeg -i FILE -f segment -segment_time 3600 part%d.wav",
        )


class WaveformBuilder:
    """Takes blocks of a recording and holds no more than the resulting mono samples. Raises InputError."""

    def __init__(self, rate: float, channels: int, name: str) -> None:
        check_format(rate, channels, name)
        self._source_rate = rate
        self._rate = 16_000 if rate >= 16_000 else 8_000
        self._name = name
        self._frames = 0
        self._mono = bytearray()  # grows in place, where a list of arrays would need all of it twice at the end
        self._resampler = soxr.ResampleStream(rate, self._rate, 1) if rate != self._rate else None

    def add(self, block: np.ndarray) -> None:
        """`block` is float [n, channels]; full scale is ±1."""
        with np.errstate(over="ignore", invalid="ignore"):
            mono = block.mean(axis=1, dtype=np.float64).astype(np.float32)
        finite = np.isfinite(mono)
        if not finite.all():
            at = (self._frames + int(finite.argmin())) / self._source_rate
            raise self._not_finite(f"{at:.3f} s")
        self._frames += len(mono)
        self._append(mono, last=False)

    def finish(self) -> Waveform:
        if not self._frames:
            raise InputError(f"{self._name} holds no audio samples.", "record it again")
        self._append(np.zeros(0, np.float32), last=True)
        samples = np.frombuffer(self._mono, np.float32)
        samples.flags.writeable = False
        return Waveform(samples, self._rate)

    def _append(self, mono: np.ndarray, last: bool) -> None:
        if self._resampler is not None:
            mono = self._resampler.resample_chunk(mono, last=last)
            if not np.isfinite(mono).all():  # finite numbers near the largest float overflow in the filter
                raise self._not_finite(f"{self._frames / self._source_rate:.3f} s")
        self._mono += mono.data

    def _not_finite(self, where: str) -> InputError:
        return InputError(
            f"{self._name} holds a sample that is not a finite number near {where}.", "export it again as 16-bit WAV"
        )
