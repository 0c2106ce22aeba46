"""Recordings of people saying digits (Free Spoken Digit Dataset, CC BY-SA 4.0), single and joined into strings."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.terminal.language.numbers import DIGITS
from benchmarks.terminal.speech.utterance import Utterance, clean, degrade
from benchmarks.terminal.speech.warp import change_speed
from edge.errors import InputError

RATE = 8_000
SPEAKERS = ("jackson", "lucas", "nicolas", "theo")
_FADE = 40  # samples (5 ms) over which pieces are joined, so that no click tells where
_BLOCK = 160


@dataclass(frozen=True, slots=True, eq=False)
class Digit:
    """One recording: `samples` float32 [N] at 8 kHz of `speaker` saying `digit`."""

    samples: np.ndarray
    digit: int
    speaker: str

    @property
    def utterance(self) -> Utterance:
        return Utterance(self.samples, RATE, DIGITS[self.digit])


def load_digits(folder: Path | str, speakers: Collection[str] = SPEAKERS) -> dict[str, list[Digit]]:
    """All recordings FOLDER/SPEAKER/DIGIT_SPEAKER_N.wav by speaker, in the order of their names.

    Raises InputError when a speaker has none, or one is not mono at 8 kHz.
    """
    recordings: dict[str, list[Digit]] = {}
    for speaker in speakers:
        files = sorted((Path(folder) / speaker).glob("[0-9]_*.wav"))
        if not files:
            raise InputError(f"{folder} has no recordings of {speaker!r}.", "give the folder that holds SPEAKER/*.wav")
        recordings[speaker] = [_load(file, speaker) for file in files]
    return recordings


def join(
    rng: np.random.Generator, recordings: Mapping[str, Sequence[Digit]], digits: Sequence[int] | None = None
) -> Utterance:
    """One speaker's recordings, 1 to 6 drawn at random (or of `digits`), with pauses of 0.05 to 0.4 s between them.

    Each is brought near the first one's loudness; the pauses hold noise like the quietest part of their neighbours.
    A single digit is the recording itself. Raises InputError when the speaker has no recording of a digit.
    """
    speaker = sorted(recordings)[rng.integers(len(recordings))]
    if digits is None:
        digits = rng.integers(10, size=rng.integers(1, 7)).tolist()
    if not digits:
        raise InputError("There is no digit to join.", "give one to six digits")
    joined = _take(rng, recordings[speaker], digits[0])
    level = _rms(joined)
    for digit in digits[1:]:
        take = _take(rng, recordings[speaker], digit)
        take = take * np.float32(level / max(_rms(take), 1e-6) * 10.0 ** (rng.uniform(-2, 2) / 20))
        quiet = min(_quietest(joined[-2 * len(take) :]), _quietest(take), key=_rms)
        pause = _noise_like(rng, quiet, int(rng.uniform(0.05, 0.4) * RATE))
        joined = _cross_fade(_cross_fade(joined, pause), take)
    peak = float(np.max(np.abs(joined), initial=0.0))
    return Utterance(joined / np.float32(max(1.0, peak)), RATE, " ".join(DIGITS[digit] for digit in digits))


def draw_recorded(
    rng: np.random.Generator, recordings: Mapping[str, Sequence[Digit]], digits: Sequence[int] | None = None
) -> Utterance:
    """join(), played faster or slower in half of the cases, then degraded or (one in three) left clean."""
    utterance = join(rng, recordings, digits)
    if rng.random() < 0.5:
        samples = change_speed(utterance.samples, RATE, rng.uniform(0.85, 1.18))
        utterance = Utterance(samples, RATE, utterance.text)
    return clean(rng, utterance) if rng.random() < 1 / 3 else degrade(rng, utterance)


def _load(file: Path, speaker: str) -> Digit:
    samples, rate = soundfile.read(file, dtype="float32")
    if rate != RATE or samples.ndim != 1:
        raise InputError(f"{file} is not a mono recording at {RATE:,} Hz.", "use the data set's own files")
    return Digit(samples, int(file.name[0]), speaker)


def _take(rng: np.random.Generator, recordings: Sequence[Digit], digit: int) -> np.ndarray:
    takes = [recording.samples for recording in recordings if recording.digit == digit]
    if not takes:
        raise InputError(f"The speaker has no recording of the digit {digit}.", "load more recordings")
    return takes[rng.integers(len(takes))]


def _cross_fade(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """One after the other, the last 5 ms of `first` fading into the first 5 ms of `second`."""
    length = min(_FADE, len(first), len(second))
    rise = np.linspace(0, 1, length, dtype=np.float32)
    seam = first[len(first) - length :] * (1 - rise) + second[:length] * rise
    return np.concatenate([first[: len(first) - length], seam, second[length:]])


def _noise_like(rng: np.random.Generator, quiet: np.ndarray, length: int) -> np.ndarray:
    """Noise of the loudness and the spectrum of `quiet`."""
    spectrum = np.fft.rfft(rng.standard_normal(length, dtype=np.float32))
    model = np.convolve(np.abs(np.fft.rfft(quiet * np.hanning(len(quiet)))), np.full(5, 0.2), mode="same")
    spectrum *= np.interp(np.linspace(0, 1, len(spectrum)), np.linspace(0, 1, len(model)), model)
    noise = np.fft.irfft(spectrum, length)
    return (noise * (_rms(quiet) / max(_rms(noise), 1e-9))).astype(np.float32)


def _quietest(samples: np.ndarray) -> np.ndarray:
    """The block of 20 ms with the least power."""
    blocks = samples[: len(samples) // _BLOCK * _BLOCK].reshape(-1, _BLOCK)
    return blocks[np.argmin(np.sum(np.square(blocks), axis=1))] if len(blocks) else samples


def _rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if len(samples) else 0.0
