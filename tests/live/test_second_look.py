"""What passes for a voice for a moment does not when it is looked at as a whole."""

import shutil
from collections.abc import Callable

import numpy as np
import pytest
import soxr

from benchmarks.terminal.speech.synthesise import speak
from benchmarks.terminal.speech.voices import Voice
from edge.live.second_look import SecondLook, likeness

RATE = 16_000


def beeps(first: float, second: float, harmonics: int) -> np.ndarray:
    """An alarm of two tones for two seconds."""
    time = np.arange(2 * RATE) / RATE
    pitch = np.where((time * 4).astype(int) % 2, first, second)
    tones = sum(np.sin(2 * np.pi * order * np.cumsum(pitch) / RATE) / order for order in range(1, harmonics + 1))
    return (0.1 * tones + 1e-3 * np.random.default_rng(1).standard_normal(len(time))).astype(np.float32)


@pytest.mark.parametrize("word", ["stop", "eight", "two", "call maintenance"])
@pytest.mark.parametrize("level", [0.03, 1.0], ids=["soft", "loud"])
def test_a_word_is_a_voice_however_loud(say: Callable[[str], np.ndarray], word: str, level: float) -> None:
    spoken = np.pad(say(word) * np.float32(level), 4000)
    spoken += 3e-4 * np.random.default_rng(3).standard_normal(len(spoken)).astype(np.float32)
    assert SecondLook().is_voice(spoken, 0.6)


@pytest.mark.parametrize("pitches", [(600.0, 800.0), (310.0, 420.0), (150.0, 200.0)])
def test_an_alarm_is_none_even_if_it_was_taken_for_one(pitches: tuple[float, float]) -> None:
    alarm = beeps(*pitches, harmonics=4)
    assert likeness(alarm) > 0.99
    assert not SecondLook().is_voice(alarm, 0.99)


@pytest.mark.parametrize("level", [1e-4, 0.01, 0.3])
def test_hiss_is_none_even_if_it_was_taken_for_one(level: float) -> None:
    assert not SecondLook().is_voice((np.random.default_rng(4).standard_normal(RATE) * level).astype(np.float32), 0.99)


@pytest.mark.parametrize("samples", [0, 1, 511, 600, 1024])
def test_silence_and_what_is_very_short_are_none(samples: int) -> None:
    assert not SecondLook().is_voice(np.zeros(samples, np.float32), 0.99)


def test_a_long_recording_is_judged_by_its_beginning(say: Callable[[str], np.ndarray]) -> None:
    spoken = np.pad(say("set pump three to forty percent"), 4000)
    hum = 0.01 * np.random.default_rng(5).standard_normal(20 * RATE).astype(np.float32)
    assert SecondLook().is_voice(np.concatenate([spoken, hum]), 0.95)


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="speaks with espeak-ng (apt install espeak-ng)")
@pytest.mark.parametrize("variant", ["", "f2"])
def test_a_voice_without_melody_that_repeats_a_word_is_a_voice(variant: str) -> None:
    robot = Voice("espeak", "en-us", variant=variant, pitch=90, pitch_range=0, speed=130)
    samples, rate = speak("one one one one", robot)
    spoken = np.pad(soxr.resample(samples, rate, RATE), 4000)
    spoken *= 0.5 / np.abs(spoken).max()
    spoken += 3e-4 * np.random.default_rng(6).standard_normal(len(spoken))
    assert likeness(spoken.astype(np.float32)) > 0.985
    assert SecondLook().is_voice(spoken.astype(np.float32), 0.95)
