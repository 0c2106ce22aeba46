"""A microphone's samples become utterances: one for each thing that is said, none for noise."""

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest
import soxr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.terminal.speech.noises import motor
from benchmarks.terminal.speech.utterance import draw_no_speech
from edge.live import voice_activity
from edge.live.ear import Ear
from edge.live.utterances import Event, Paused, Resumed, SpeechEnded, SpeechStarted, Utterance

RATE = 16_000
Say = Callable[[str], np.ndarray]


def room(seconds: float, level: float = 3e-4) -> np.ndarray:
    """What a microphone delivers when nobody speaks."""
    return (np.random.default_rng(2).standard_normal(round(seconds * RATE)) * level).astype(np.float32)


def said_in_a_room(spoken: np.ndarray, before: float = 1.0, after: float = 1.5) -> np.ndarray:
    padded = np.pad(spoken, (int(before * RATE), int(after * RATE)))
    return padded + room(len(padded) / RATE)


def ended(events: list[Event]) -> list[Utterance]:
    return [event.utterance for event in events if isinstance(event, SpeechEnded)]


def described(events: list[Event]) -> list[tuple[object, ...]]:
    """Equal for equal events; utterances compare by what they hold."""
    return [
        (type(event), event.utterance.start_s, event.utterance.cut, event.utterance.samples.tobytes())
        if isinstance(event, Paused | SpeechEnded)
        else (type(event),)
        for event in events
    ]


@pytest.mark.parametrize(
    "words", ["stop", "emergency stop", "set pump three to forty five percent", "one two seven nine"]
)
def test_what_is_said_is_one_utterance_that_holds_all_of_it(say: Say, words: str) -> None:
    spoken = said_in_a_room(say(words))
    ear = Ear()
    events = ear.hear(spoken)
    (utterance,) = ended(events)
    start = round(utterance.start_s * RATE)
    assert np.array_equal(utterance.samples, spoken[start : start + len(utterance.samples)])
    rest = np.concatenate([spoken[:start], spoken[start + len(utterance.samples) :]])
    assert np.square(rest, dtype=np.float64).sum() < 1e-3 * np.square(spoken, dtype=np.float64).sum()
    assert utterance.seconds < len(say(words)) / RATE + 0.8
    assert not ear.speaking


def test_two_sentences_are_two_utterances(say: Say) -> None:
    sentence = said_in_a_room(say("open valve three"))
    assert len(ended(Ear().hear(np.tile(sentence, 2)))) == 2


def test_who_speaks_softly_is_heard_after_who_shouts(say: Say) -> None:
    """A network that remembers the loud voice misses most of these words."""
    ear, heard = Ear(), 0
    for word in ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"):
        assert len(ended(ear.hear(said_in_a_room(2 * say("emergency stop"), after=1.2)))) == 1
        heard += len(ended(ear.hear(said_in_a_room(say(word) * np.float32(0.04), before=0.5))))
    assert heard >= 8


@pytest.mark.parametrize("level", [0.0, 1e-4, 0.01, 0.3])
def test_noise_and_silence_are_none(level: float) -> None:
    assert Ear().hear(np.concatenate([room(1.0, level), np.zeros(2 * RATE, np.float32)])) == []


def test_sixty_clips_of_noise_music_and_alarms_are_none() -> None:
    rng = np.random.default_rng(604)
    for _ in range(60):
        clip = draw_no_speech(rng, people=False)
        samples = soxr.resample(clip.samples.astype(np.float32), clip.rate, RATE)
        assert ended(Ear().hear(said_in_a_room(samples))) == []


def test_a_clap_is_none() -> None:
    clap = room(0.05, 0.5) * np.exp(-np.linspace(0, 6, RATE // 20, dtype=np.float32))
    assert Ear().hear(said_in_a_room(clap)) == []


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 9_000), max_size=40))
def test_how_the_sound_is_split_into_reads_makes_no_difference(say: Say, reads: list[int]) -> None:
    spoken = said_in_a_room(say("call maintenance"))
    at_once = Ear().hear(spoken)
    ear, events = Ear(), []
    for read in np.split(spoken, np.minimum(np.cumsum(reads, dtype=int), len(spoken))):
        events += ear.hear(read)
    assert described(events) == described(at_once)
    assert ended(at_once)


def test_what_is_said_while_muted_is_in_no_utterance(say: Say) -> None:
    ear = Ear()
    ear.hear(room(1.0))
    ear.mute(True)
    answer = said_in_a_room(say("line four runs at sixty percent"))
    assert ear.hear(answer) == []
    ear.mute(False)
    (utterance,) = ended(ear.hear(said_in_a_room(say("thank you"), before=0.1)))
    assert utterance.start_s >= 1.0 + len(answer) / RATE - 0.032
    assert utterance.seconds < 1.5


def test_not_one_sample_from_around_a_muted_time_is_heard_later() -> None:
    """A window may be half full when the ear is shut, and when it is opened."""
    ear, loud = Ear(push_to_talk=True), np.full(700, 0.5, np.float32)
    ear.hear(loud)
    ear.mute(True)
    ear.hear(loud)
    ear.mute(False)
    ear.hold()
    ear.hear(np.zeros(RATE, np.float32))
    (utterance,) = ended(ear.finish())
    assert not utterance.samples.any()


def test_muting_in_the_middle_of_a_sentence_loses_it_and_a_fan_does_not_continue_it(say: Say) -> None:
    spoken = say("how many parts on line seven")
    ear = Ear()
    assert SpeechStarted() in ear.hear(said_in_a_room(spoken[: len(spoken) // 5], after=0.0))
    assert ear.mute(True)
    assert not ear.mute(True)
    assert not ear.mute(False)
    fan = motor(np.random.default_rng(3), 2 * RATE, RATE) * np.float32(0.01)
    assert ear.hear(np.concatenate([fan, room(1.5)])) == []


def test_opening_an_ear_that_is_open_does_not_disturb_a_sentence(say: Say) -> None:
    spoken = said_in_a_room(say("heat oven two to two hundred degrees"))
    ear = Ear()
    events = ear.hear(spoken[: 2 * RATE])
    assert not ear.mute(False)
    events += ear.hear(spoken[2 * RATE :])
    assert described(events) == described(Ear().hear(spoken))


def test_a_microphone_that_goes_away_takes_the_sentence_with_it(say: Say) -> None:
    sentence = say("set the speed of conveyor four to eighty percent")
    ear = Ear()
    ear.hear(said_in_a_room(sentence[: len(sentence) // 2], after=0.0))
    assert ear.speaking
    assert ear.lost()
    assert not ear.speaking
    assert ear.hear(np.concatenate([room(2.0, 0.01), room(1.0)])) == []


def test_another_microphone_is_heard_as_if_there_had_been_none_before(say: Say) -> None:
    spoken = said_in_a_room(say("start fan one"), before=0.1)
    ear = Ear()
    ear.hear(said_in_a_room(say("switch off"), after=0.0)[: RATE + 700])
    ear.lost()
    (utterance,), (expected,) = ended(ear.hear(spoken)), ended(Ear().hear(spoken))
    assert np.array_equal(utterance.samples, expected.samples)


def test_a_driver_that_delivers_rubbish_does_not_make_it_deaf(say: Say) -> None:
    ear = Ear()
    for rubbish in (np.nan, np.inf, -1e30):
        ear.hear(np.full(1_000, rubbish, np.float32))
    ear.hear(room(2.0))
    (utterance,) = ended(ear.hear(said_in_a_room(say("close valve six"))))
    assert np.isfinite(utterance.samples).all()


class TestPushToTalk:
    def test_nothing_is_heard_but_what_is_said_while_the_key_is_held(self, say: Say) -> None:
        ear = Ear(push_to_talk=True)
        assert ear.hear(said_in_a_room(say("not for you"))) == []
        assert ear.hold() == [SpeechStarted()]
        assert ear.hear(np.concatenate([say("read the pressure"), room(2.0)])) == []
        assert ear.speaking
        (utterance,) = ended(ear.finish())
        assert utterance.seconds == pytest.approx(0.3 + len(say("read the pressure")) / RATE + 2.0, abs=0.1)
        assert not ear.speaking

    def test_no_voice_detector_is_needed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def missing(name: str) -> None:
            raise PackageNotFoundError(name)

        monkeypatch.setattr(voice_activity, "distribution", missing)
        ear = Ear(push_to_talk=True)
        ear.hold()
        ear.hear(room(1.0))
        assert len(ended(ear.finish())) == 1

    def test_the_key_does_nothing_while_muted(self) -> None:
        ear = Ear(push_to_talk=True)
        ear.mute(True)
        assert ear.hold() == []
        assert ear.hear(room(1.0)) == []
        assert ear.finish() == []


def test_a_pause_within_a_sentence_is_taken_back(say: Say) -> None:
    gap = np.zeros(int(0.45 * RATE), np.float32)
    events = Ear().hear(said_in_a_room(np.concatenate([say("set pump four"), gap, say("to sixty percent")])))
    kinds = [type(event) for event in events]
    assert kinds == [SpeechStarted, Paused, Resumed, Paused, SpeechEnded]
    assert events[-1].utterance is events[-2].utterance
    assert events[-1].utterance.seconds > events[1].utterance.seconds + 0.5


@pytest.mark.parametrize("words", ["stop", "read the pressure of pump two"])
def test_a_voice_forty_decibels_below_full_scale_is_heard(say: Say, words: str) -> None:
    spoken = say(words)
    spoken = spoken * np.float32(0.01 / np.abs(spoken).max())
    assert len(ended(Ear().hear(said_in_a_room(spoken)))) == 1
