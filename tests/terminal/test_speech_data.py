"""Spoken training data: reproducible, as the device hears it, and never mixing held-out voices into training."""

import subprocess
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.terminal.speech import noises
from benchmarks.terminal.speech.accents import pronounce, shifted
from benchmarks.terminal.speech.channel import draw_channel
from benchmarks.terminal.speech.synthesise import speak, trim
from benchmarks.terminal.speech.utterance import Utterance, clean, draw_no_speech, draw_utterance, features
from benchmarks.terminal.speech.voices import ACCENTS, FLITE_VOICES, VARIANTS, Voice, draw_voice
from edge.errors import EdgeError, InputError
from edge.media.clip import read_clip
from tests.terminal.speech_signals import RATES, bursts, tone

TEXT = "set line three to forty percent"


def test_no_held_out_accent_variant_or_flite_voice_is_ever_drawn_for_training() -> None:
    rng = np.random.default_rng(0)
    train = [draw_voice(rng, "train") for _ in range(4000)]
    held_out = [draw_voice(rng, "held_out") for _ in range(1500)]
    assert {v.name for v in train}.isdisjoint(v.name for v in held_out)
    assert {v.variant for v in train if v.variant}.isdisjoint(v.variant for v in held_out)
    assert {v.engine for v in train} == {v.engine for v in held_out} == {"espeak", "flite"}


def test_every_voice_is_drawn_and_a_sixth_of_the_variants_is_held_out() -> None:
    rng = np.random.default_rng(1)
    train = [draw_voice(rng, "train") for _ in range(6000)]
    assert {v.variant for v in train if v.engine == "espeak"} == set(VARIANTS["train"])
    assert {v.name for v in train} == set(ACCENTS["train"]) | set(FLITE_VOICES["train"])
    assert np.mean([v.engine == "flite" for v in train]) == pytest.approx(0.25, abs=0.03)
    assert 0.12 < len(VARIANTS["held_out"]) / sum(map(len, VARIANTS.values())) < 0.2


def test_the_programs_know_all_voices_by_these_names(speech_programs: None) -> None:
    def listed(*command: str) -> str:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    variants, accents = listed("espeak-ng", "--voices=variant"), listed("espeak-ng", "--voices=en")
    for split in ("train", "held_out"):
        assert [name for name in VARIANTS[split] if f"!v/{name} " not in variants] == []
        assert [name for name in ACCENTS[split] if f" {name} " not in accents] == []
        assert set(FLITE_VOICES[split]) <= set(listed("flite", "-lv").split())


def test_a_missing_program_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for engine, program in (("espeak", "espeak-ng"), ("flite", "flite")):
        with pytest.raises(EdgeError, match=program) as caught:
            speak("stop", Voice(engine, "slt", "", 100, 10, 170))  # type: ignore[arg-type]
        assert caught.value.hint == f"apt install {program}"


def test_a_text_without_words_is_refused() -> None:
    with pytest.raises(InputError, match="nothing to speak"):
        speak(" . ", Voice("espeak", "en-us", "", 50, 100, 170))


def test_an_unknown_voice_is_an_error_and_not_another_voice(speech_programs: None) -> None:
    with pytest.raises(EdgeError, match="nobody"):
        speak("stop", Voice("espeak", "nobody", "", 50, 100, 170))


@pytest.mark.parametrize(("engine", "name"), [("espeak", "en-gb"), ("flite", "slt")])
def test_a_faster_voice_is_shorter_and_a_higher_one_is_higher(speech_programs: None, engine: str, name: str) -> None:
    low, high = (20, 80) if engine == "espeak" else (130, 240)
    slow = speak(TEXT, Voice(engine, name, "", low, 10, 120))  # type: ignore[arg-type]
    fast = speak(TEXT, Voice(engine, name, "", low, 10, 230))  # type: ignore[arg-type]
    squeaky = speak(TEXT, Voice(engine, name, "", high, 10, 120))  # type: ignore[arg-type]
    assert len(fast[0]) < 0.75 * len(slow[0])
    assert median_pitch(*squeaky) > 1.2 * median_pitch(*slow)


def test_characters_of_markup_are_spoken_and_not_obeyed(speech_programs: None) -> None:
    voice = Voice("espeak", "en-us", "", 50, 100, 170)
    assert len(trim(speak("a & b <break time='9s'/> c", voice)[0])) > 2 * len(trim(speak("a", voice)[0]))


def test_trim_keeps_all_sound_and_drops_the_silence_around_it() -> None:
    samples = np.concatenate([np.zeros(500), tone(300, 8_000)[1:-1], np.zeros(900)]).astype(np.float32)
    assert len(trim(samples)) == pytest.approx(7_998, abs=2)
    assert len(trim(np.zeros(100, np.float32))) == 100


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_the_same_seed_gives_the_same_utterance_and_another_seed_another(speech_programs: None, split: str) -> None:
    seen = set()
    for seed in range(12):
        one = draw_utterance(np.random.default_rng(seed), TEXT, split)  # type: ignore[arg-type]
        two = draw_utterance(np.random.default_rng(seed), TEXT, split)  # type: ignore[arg-type]
        assert one.samples.tobytes() == two.samples.tobytes() and (one.rate, one.text) == (two.rate, TEXT)
        seen.add(one.samples.tobytes())
    assert len(seen) == 12


def test_utterances_are_finite_unclipped_and_of_both_rates(speech_programs: None) -> None:
    rng = np.random.default_rng(3)
    drawn = [draw_utterance(rng, "stop conveyor two") for _ in range(40)] + [draw_no_speech(rng) for _ in range(40)]
    assert {u.rate for u in drawn} == {8_000, 16_000}
    for utterance in drawn:
        assert utterance.samples.dtype == np.float32 and np.abs(utterance.samples).max() <= 1.0
        mel = features(utterance, rng, warp=True)
        assert mel.shape[1] == 80 and mel.dtype == np.float32 and np.isfinite(mel).all()
    assert {u.text for u in drawn} == {"stop conveyor two", ""}


def test_a_clip_without_speech_depends_on_its_seed_only(speech_programs: None) -> None:
    one, two = (draw_no_speech(np.random.default_rng(8)) for _ in range(2))
    assert one.samples.tobytes() == two.samples.tobytes() and one.text == ""


def test_a_clean_utterance_is_the_speech_itself_at_another_level_between_silences() -> None:
    speech = bursts(8_000)
    result = clean(np.random.default_rng(0), Utterance(speech, 8_000, TEXT)).samples
    around = len(result) - len(speech)
    fits = [np.corrcoef(result[at : at + len(speech)], speech)[0, 1] for at in range(around + 1)]
    assert max(fits) > 0.9999 and 0 <= around <= 1.2 * 8_000


@RATES
def test_unwarped_features_are_those_the_device_computes_from_the_file(rate: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(rate)
    utterance = Utterance(draw_channel(rng, noises.motor(rng, 2 * rate, rate), rate), rate, "")
    path = tmp_path / "clip.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((utterance.samples * 32768).astype("<i2").tobytes())
    assert np.array_equal(features(utterance), read_clip(path).features)


def median_pitch(samples: np.ndarray, rate: int) -> float:
    """Hz, by the autocorrelation of 50 ms windows, of those that are loud and periodic."""
    pitches = []
    for window in np.lib.stride_tricks.sliding_window_view(samples, rate // 20)[:: rate // 100]:
        correlation = np.correlate(window, window, "full")[len(window) - 1 :]
        lag = rate // 400 + int(np.argmax(correlation[rate // 400 : rate // 60]))
        if np.std(window) > 0.02 and correlation[lag] > 0.5 * correlation[0]:
            pitches.append(rate / lag)
    return float(np.median(pitches))


def test_an_accent_changes_the_sounds_it_names_and_nothing_else(speech_programs: None) -> None:
    sounds = pronounce("set line three", "en-us")
    assert shifted(sounds, {}) == "[[s'Et l'aIn Tr'i:]]"
    assert shifted(sounds, {"aI": "OI", "T": "s"}) == "[[s'Et l'OIn sr'i:]]"


def test_a_voice_with_an_accent_says_the_text_and_not_its_markup(speech_programs: None) -> None:
    plain = Voice("espeak", "en-us", "m3", pitch=50, pitch_range=80, speed=160)
    accented = replace(plain, accent=(("aI", "OI"), ("T", "s")))
    text = "set line three to forty five percent"
    theirs, own = speak(text, plain)[0], speak(text, accented)[0]
    assert len(own) / len(theirs) == pytest.approx(1, abs=0.1)
    assert not np.array_equal(own[: len(theirs)], theirs[: len(own)])


def test_accents_belong_to_training_only() -> None:
    rng = np.random.default_rng(11)
    assert not any(draw_voice(rng, "held_out").accent for _ in range(200))
    accents = [draw_voice(rng, "train").accent for _ in range(200)]
    assert 20 < sum(map(bool, accents)) < 100
    assert len({accent for accent in accents if accent}) > 20
