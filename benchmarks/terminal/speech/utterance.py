"""One training example of speech: a voice in a room with noise, through a microphone into a file."""

import contextlib
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.terminal.speech.channel import draw_channel, to_16_bits, to_peak
from benchmarks.terminal.speech.mixing import add_noise, surround
from benchmarks.terminal.speech.noises import draw_noise
from benchmarks.terminal.speech.rooms import draw_room, reverberate
from benchmarks.terminal.speech.synthesise import Crashed, speak, trim
from benchmarks.terminal.speech.talkers import talkers
from benchmarks.terminal.speech.voices import Split, draw_voice
from benchmarks.terminal.speech.warp import change_speed, warped_log_mel
from edge.media.log_mel import log_mel
from edge.media.waveform import Waveform

_VOICES_TRIED = 5


@dataclass(frozen=True, slots=True, eq=False)
class Utterance:
    """`samples` float32 [N] within ±1 at `rate` 8000 or 16000 Hz; `text` is what is said, empty for no speech."""

    samples: np.ndarray
    rate: int
    text: str


def draw_utterance(rng: np.random.Generator, text: str, split: Split = "train") -> Utterance:
    """`text` (plain words) spoken by some voice of `split` and recorded somewhere. Raises like speak()."""
    spoken, spoken_rate = _spoken(rng, text, split)
    return draw_recording(rng, trim(spoken), spoken_rate, text)


def draw_recording(rng: np.random.Generator, samples: np.ndarray, spoken_rate: int, text: str) -> Utterance:
    """`samples` float32 [N] at `spoken_rate` of a voice that says `text`, a little faster or slower, somewhere."""
    rate = draw_rate(rng)
    factor = rng.uniform(0.85, 1.18) if rng.random() < 0.5 else 1.0
    return degrade(rng, Utterance(change_speed(samples, spoken_rate, factor, rate), rate, text))


def draw_clear_utterance(rng: np.random.Generator, text: str, split: Split = "train") -> Utterance:
    """`text` spoken by some voice close to a good microphone, nothing else: for the first lessons."""
    spoken, spoken_rate = _spoken(rng, text, split)
    rate = draw_rate(rng)
    return clean(rng, Utterance(change_speed(trim(spoken), spoken_rate, 1.0, rate), rate, text))


def _spoken(rng: np.random.Generator, text: str, split: Split) -> tuple[np.ndarray, int]:
    for _ in range(_VOICES_TRIED - 1):
        with contextlib.suppress(Crashed):
            return speak(text, draw_voice(rng, split))
    return speak(text, draw_voice(rng, split))


def degrade(rng: np.random.Generator, utterance: Utterance) -> Utterance:
    """The same words with silence around them, in a room, with noise (5 to 40 dB below), through a channel."""
    rate = utterance.rate
    samples = surround(rng, utterance.samples, rate)
    if rng.random() < 0.5:
        samples = reverberate(samples, draw_room(rng, rate))
    if rng.random() < 0.9:
        snr = rng.uniform(12, 40) if rng.random() < 0.8 else rng.uniform(5, 12)
        samples = add_noise(samples, draw_noise(rng, len(samples), rate, talkers), snr)
    return replace(utterance, samples=draw_channel(rng, samples, rate))


def clean(rng: np.random.Generator, utterance: Utterance) -> Utterance:
    """The same words close to a good microphone: silence around them and some level, nothing else."""
    samples = to_peak(surround(rng, utterance.samples, utterance.rate), 10.0 ** (-rng.uniform(0, 38) / 20))
    return replace(utterance, samples=to_16_bits(samples))


def draw_no_speech(rng: np.random.Generator, people: bool = True) -> Utterance:
    """0.4 to 4 s of silence, hiss, noise, music or, with `people`, unintelligible babble; its text is ""."""
    rate = draw_rate(rng)
    length = int(rng.uniform(0.4, 4.0) * rate)
    if rng.random() < 0.1:
        return Utterance(np.zeros(length, np.float32), rate, "")
    samples = draw_noise(rng, length, rate, talkers if people else None)
    if rng.random() < 0.3:
        samples = reverberate(samples, draw_room(rng, rate))
    samples = draw_channel(rng, samples, rate)
    if rng.random() < 0.4:  # an empty room is quieter than any speech
        samples = to_16_bits(samples * np.float32(10.0 ** (-rng.uniform(15, 60) / 20)))
    return Utterance(samples, rate, "")


def features(utterance: Utterance, rng: np.random.Generator | None = None, warp: bool = False) -> np.ndarray:
    """Log-mel float32 [frames, 80] as the device computes them; with `warp`, of another vocal tract and tempo."""
    recording = Waveform(utterance.samples, utterance.rate)
    if not warp:
        return log_mel(recording)
    if rng is None:
        raise TypeError("a warp needs a random generator")
    tract = rng.uniform(0.82, 1.22) if rng.random() < 0.8 else 1.0
    tempo = rng.uniform(0.75, 1.35) if rng.random() < 0.5 else 1.0
    return warped_log_mel(recording, tract, tempo)


def draw_rate(rng: np.random.Generator) -> int:
    """8 kHz in two of five cases, else 16 kHz."""
    return 8_000 if rng.random() < 0.4 else 16_000
