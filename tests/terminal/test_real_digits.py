"""Recordings of people saying digits, joined into strings that somebody could have said in one go."""

import wave
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from benchmarks.terminal.language.numbers import DIGITS
from benchmarks.terminal.speech.real_digits import Digit, draw_recorded, join, load_digits
from benchmarks.terminal.speech.rooms import fast_length
from edge.errors import InputError
from tests.terminal.speech_signals import bursts


def fake_recordings(seed: int = 0) -> dict[str, list[Digit]]:
    """Two takes of each digit by two speakers; every take is a noise burst of its own."""
    rng = np.random.default_rng(seed)

    def take() -> np.ndarray:
        return (0.1 * rng.standard_normal(int(rng.integers(1200, 4000)))).astype(np.float32)

    return {name: [Digit(take(), digit, name) for digit in range(10) for _ in range(2)] for name in ("ann", "bob")}


def find(part: np.ndarray, whole: np.ndarray) -> int | None:
    """Where `part`, scaled by anything, is first in `whole`."""
    size = fast_length(len(part) + len(whole))
    match = np.fft.irfft(np.fft.rfft(whole, size) * np.conj(np.fft.rfft(part, size)), size)[: len(whole)]
    for at in np.flatnonzero(match > 0.4 * match.max()):
        candidate = whole[at : at + len(part)]
        if len(candidate) == len(part) and np.corrcoef(part, candidate)[0, 1] > 0.999:
            return int(at)
    return None


def locate(words: list[str], takes: list[Digit], whole: np.ndarray, edge: int) -> list[tuple[int, int]] | None:
    """Start and end of every word's recording in `whole`, each searched after the one before."""
    spans: list[tuple[int, int]] = []
    for word in words:
        position = spans[-1][1] - edge if spans else 0
        found = []
        for take in (t.samples for t in takes if DIGITS[t.digit] == word):
            at = find(take[edge:-edge], whole[position:])
            if at is not None:
                found.append((position + at - edge, position + at - edge + len(take)))
        if not found:
            return None
        spans.append(min(found))
    return spans


def test_a_joined_string_holds_recordings_of_one_speaker_in_order_with_pauses_between_them() -> None:
    recordings = fake_recordings()
    edge = 40  # samples that fade into the pause
    for seed in range(12):
        utterance = join(np.random.default_rng(seed), recordings)
        words = utterance.text.split()
        assert 1 <= len(words) <= 6 and utterance.rate == 8_000
        fits = [locate(words, takes, utterance.samples, edge) for takes in recordings.values()]
        assert sum(fit is not None for fit in fits) == 1, "exactly one speaker says all of it"
        spans = fits[0] or fits[1] or []
        assert spans[0][0] == 0 and spans[-1][1] == len(utterance.samples)
        pauses = [start - stop for (_, stop), (start, _) in pairwise(spans)]
        assert all(0.05 * 8_000 - 2 * edge <= pause <= 0.4 * 8_000 for pause in pauses)


def test_a_single_digit_is_the_recording_itself() -> None:
    recordings = fake_recordings()
    takes = [digit.samples.tobytes() for digits in recordings.values() for digit in digits if digit.digit == 7]
    utterance = join(np.random.default_rng(0), recordings, [7])
    assert utterance.text == "seven" and utterance.samples.tobytes() in takes


def test_a_pause_is_as_quiet_as_the_quietest_part_of_its_neighbours() -> None:
    rng = np.random.default_rng(0)
    take = np.concatenate([0.3 * np.sin(np.arange(2400)), 0.001 * rng.standard_normal(800)]).astype(np.float32)
    joined = join(rng, {"ann": [Digit(take, 5, "ann")]}, [5, 5]).samples
    pause = joined[len(take) : -len(take)].astype(np.float64)
    assert np.sqrt(np.mean(pause**2)) == pytest.approx(0.001, rel=0.3)


def test_digits_are_loaded_by_speaker(tmp_path: Path) -> None:
    write_digit(tmp_path / "ann" / "3_ann_0.wav", 8_000)
    write_digit(tmp_path / "ann" / "9_ann_1.wav", 8_000)
    loaded = load_digits(tmp_path, ["ann"])
    assert [(d.digit, d.speaker, d.utterance.text) for d in loaded["ann"]] == [(3, "ann", "three"), (9, "ann", "nine")]


def test_missing_or_foreign_recordings_are_named(tmp_path: Path) -> None:
    write_digit(tmp_path / "bob" / "3_bob_0.wav", 16_000)
    with pytest.raises(InputError, match="no recordings of 'ann'"):
        load_digits(tmp_path, ["ann"])
    with pytest.raises(InputError, match=r"3_bob_0\.wav"):
        load_digits(tmp_path, ["bob"])
    with pytest.raises(InputError, match="no recording of the digit 4"):
        join(np.random.default_rng(0), {"ann": [Digit(bursts(8_000), 3, "ann")]}, [4])


def test_recorded_digits_are_degraded_reproducibly(speech_programs: None) -> None:
    for seed in range(10):
        one, two = (draw_recorded(np.random.default_rng(seed), fake_recordings()) for _ in range(2))
        assert one.samples.tobytes() == two.samples.tobytes() and one.text == two.text and one.rate == 8_000
        assert np.abs(one.samples).max() <= 1.0


def write_digit(path: Path, rate: int) -> None:
    path.parent.mkdir(exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(bytes(2 * 800))
