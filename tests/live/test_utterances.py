"""When speech begins and ends, told from probabilities alone: S is a voiced window of 32 ms, a dot a silent one."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import UsageError
from edge.live.utterances import (
    WINDOW,
    Dismissed,
    Event,
    Listening,
    Paused,
    Resumed,
    Segmenter,
    SpeechEnded,
    SpeechGoesOn,
    SpeechStarted,
    Utterance,
)

STEP = 0.032
PROBABILITIES = {"S": 0.9, "m": 0.6, "s": 0.3, ".": 0.05}
SHORT = Listening(
    shortest_s=2 * STEP, pre_roll_s=2 * STEP, pause_s=2 * STEP, tail_s=2 * STEP, end_s=4 * STEP, longest_s=12 * STEP
)
"""Small enough to draw: 2 voiced windows are speech, 2 silent ones a pause, 4 the end, 12 windows the longest."""


class Scene:
    """A segmenter and the number of windows it got; all samples of window k are k."""

    def __init__(self, listening: Listening = SHORT, is_voice: bool = True) -> None:
        self.segmenter = Segmenter(listening, self._is_voice)
        self.is_voice = is_voice
        self.asked: list[float] = []
        self.windows = 0

    def _is_voice(self, samples: np.ndarray, peak: float) -> bool:
        self.asked.append(peak)
        return self.is_voice

    def push(self, drawn: str) -> list[Event]:
        events: list[Event] = []
        for mark in drawn:
            window = np.full(WINDOW, self.windows, np.float32)
            events += self.segmenter.push(window, PROBABILITIES[mark])
            window[:] = -1  # the caller's buffer is used again
            self.windows += 1
        return events


def windows_of(utterance: Utterance) -> list[int]:
    """Which windows it holds, each whole."""
    rows = utterance.samples.reshape(-1, WINDOW)
    assert (rows == rows[:, :1]).all()
    return rows[:, 0].astype(int).tolist()


def test_speech_starts_pauses_and_ends_with_what_was_around_it() -> None:
    started, paused, ended = Scene().push(".....SSSS......")
    assert isinstance(started, SpeechStarted)
    assert isinstance(paused, Paused)
    assert isinstance(ended, SpeechEnded)
    assert windows_of(ended.utterance) == [3, 4, 5, 6, 7, 8, 9, 10]
    assert ended.utterance.start_s == pytest.approx(3 * STEP)
    assert ended.utterance.seconds == pytest.approx(8 * STEP)
    assert not ended.utterance.cut


def test_what_a_pause_offers_is_the_very_utterance_that_ends() -> None:
    scene = Scene()
    _, paused = scene.push("...SSS..")
    (ended,) = scene.push("..")
    assert isinstance(paused, Paused)
    assert isinstance(ended, SpeechEnded)
    assert ended.utterance is paused.utterance


def test_less_silence_may_be_kept_than_makes_a_pause() -> None:
    scene = Scene(replace(SHORT, tail_s=STEP))
    *_, ended = scene.push("..SSS....")
    assert isinstance(ended, SpeechEnded)
    assert windows_of(ended.utterance) == list(range(6))


def test_one_who_goes_on_after_a_pause_is_heard_to_the_end() -> None:
    _, first, resumed, second, ended = Scene().push("..SSS...SS....")
    assert isinstance(first, Paused)
    assert resumed == Resumed()
    assert isinstance(second, Paused)
    assert isinstance(ended, SpeechEnded)
    assert windows_of(first.utterance) == list(range(7))
    assert windows_of(ended.utterance) == list(range(12))


def test_what_is_never_clearly_a_voice_is_told_of_at_its_pause() -> None:
    scene = Scene()
    assert scene.push("..mmmmm.") == []
    started, paused = scene.push(".")
    assert started == SpeechStarted()
    assert isinstance(paused, Paused)
    assert windows_of(paused.utterance) == list(range(9))


def test_what_a_second_look_takes_for_no_voice_ends_in_nothing() -> None:
    scene = Scene(is_voice=False)
    assert scene.push("..mmmm......mmsm.....") == []
    assert scene.push("SSSS........") == [SpeechStarted(), Dismissed()]
    assert scene.asked == [0.6, 0.6, 0.9]
    assert not scene.segmenter.speaking


def test_what_is_doubted_at_a_first_pause_may_be_believed_at_the_second_with_all_that_came_before() -> None:
    scene = Scene(is_voice=False)
    assert scene.push(".mm..") == []
    scene.is_voice = True
    *_, ended = scene.push("mm.....")
    assert isinstance(ended, SpeechEnded)
    assert windows_of(ended.utterance) == list(range(9))


def test_unclear_speech_without_a_pause_is_cut_like_any_other() -> None:
    started, ended = Scene().push("m" * 12)
    assert started == SpeechStarted()
    assert isinstance(ended, SpeechEnded)
    assert ended.utterance.cut
    assert Scene(is_voice=False).push("m" * 30) == []


def test_a_voice_is_looked_at_again_only_once() -> None:
    scene = Scene()
    scene.push("..SSS..SS..S....")
    assert len(scene.asked) == 1


def test_a_pressed_key_needs_no_voice() -> None:
    scene = Scene(is_voice=False)
    scene.segmenter.hold()
    scene.push("." * 11)
    (ended,) = scene.segmenter.finish()
    assert isinstance(ended, SpeechEnded)


def test_one_clear_moment_makes_speech_of_what_was_unclear_before() -> None:
    *_, ended = Scene().push("....mmmS....")
    assert isinstance(ended, SpeechEnded)
    assert windows_of(ended.utterance) == list(range(2, 10))


@pytest.mark.parametrize("held", [False, True], ids=["free", "key held"])
def test_who_speaks_long_is_told_every_five_seconds_with_all_that_was_said_so_far(held: bool) -> None:
    scene = Scene(Listening())
    begun = scene.segmenter.hold() if held else []
    events = begun + scene.push("S" * round(17 / STEP) + "." * round(1 / STEP))
    if held:
        events += scene.segmenter.finish()
    going = [event.samples for event in events if isinstance(event, SpeechGoesOn)]
    assert [round(len(samples) / 16_000) for samples in going] == [5, 10, 15]
    ended = events[-1]
    assert isinstance(ended, SpeechEnded)
    for samples in going:
        assert (ended.utterance.samples[: len(samples)] == samples).all()


def test_clicks_are_no_speech() -> None:
    assert Scene().push("..S....S...S......S..") == []


def test_a_gap_within_a_word_does_not_make_it_two_clicks() -> None:
    assert Scene().push("..S.S") == [SpeechStarted()]


def test_soft_voice_continues_speech_but_begins_none() -> None:
    assert Scene().push("..ssssssss....") == []
    *_, ended = Scene().push("..SSssss....")
    assert isinstance(ended, SpeechEnded)
    assert windows_of(ended.utterance) == list(range(10))


def test_speech_that_never_stops_is_cut_without_losing_a_sample() -> None:
    scene = Scene()
    ended = [event.utterance for event in scene.push("S" * 30 + "....") if isinstance(event, SpeechEnded)]
    assert [utterance.cut for utterance in ended] == [True, True, False]
    assert [index for utterance in ended for index in windows_of(utterance)] == list(range(32))


def test_two_utterances_share_no_sample() -> None:
    first, second = (event for event in Scene().push("SS....SS....") if isinstance(event, SpeechEnded))
    assert windows_of(first.utterance) == [0, 1, 2, 3]
    assert windows_of(second.utterance) == [4, 5, 6, 7, 8, 9]


def test_finishing_ends_at_once_what_is_running() -> None:
    scene = Scene()
    scene.push("..SSS")
    (ended,) = scene.segmenter.finish()
    assert isinstance(ended, SpeechEnded)
    assert windows_of(ended.utterance) == list(range(5))
    assert scene.segmenter.finish() == []


def test_finishing_in_a_pause_brings_what_it_offered() -> None:
    scene = Scene()
    *_, paused = scene.push("..SSS..")
    (ended,) = scene.segmenter.finish()
    assert isinstance(paused, Paused)
    assert isinstance(ended, SpeechEnded)
    assert ended.utterance is paused.utterance


def test_what_is_dropped_never_comes_back() -> None:
    scene = Scene()
    assert not scene.segmenter.drop()
    scene.push("..SSS")
    assert scene.segmenter.speaking
    assert scene.segmenter.drop()
    assert not scene.segmenter.speaking
    *_, ended = scene.push("SS....")
    assert isinstance(ended, SpeechEnded)
    assert windows_of(ended.utterance) == [5, 6, 7, 8]


def test_time_passes_while_nobody_may_hear() -> None:
    scene = Scene()
    for _ in range(100):
        scene.segmenter.skip()
    *_, ended = scene.push("SS....")
    assert isinstance(ended, SpeechEnded)
    assert ended.utterance.start_s == pytest.approx(100 * STEP)


class TestTheKey:
    """Held to talk: it decides, not the probabilities."""

    def test_all_is_recorded_while_it_is_held_and_a_moment_before(self) -> None:
        scene = Scene()
        scene.push(".....")
        assert scene.segmenter.hold() == [SpeechStarted()]
        assert scene.push(".........") == []
        (ended,) = scene.segmenter.finish()
        assert isinstance(ended, SpeechEnded)
        assert windows_of(ended.utterance) == list(range(3, 14))

    def test_a_slip_is_not_a_turn(self) -> None:
        scene = Scene()
        scene.push(".....")
        scene.segmenter.hold()
        scene.push("SSSSSSSS")
        assert scene.segmenter.finish() == []
        assert not scene.segmenter.speaking

    def test_holding_it_for_too_long_cuts_and_letting_go_adds_nothing(self) -> None:
        scene = Scene()
        scene.segmenter.hold()
        (ended,) = scene.push("." * 20)
        assert isinstance(ended, SpeechEnded)
        assert ended.utterance.cut
        assert windows_of(ended.utterance) == list(range(12))
        assert scene.segmenter.finish() == []

    def test_pressed_in_the_middle_of_a_sentence_it_keeps_the_beginning(self) -> None:
        scene = Scene()
        scene.push("..SS..")
        assert scene.segmenter.hold() == [Resumed()]
        assert scene.push("....") == []
        (ended,) = scene.segmenter.finish()
        assert isinstance(ended, SpeechEnded)
        assert windows_of(ended.utterance) == list(range(10))


CALLS = ("hold", "finish", "drop")


@given(st.lists(st.text("Ss.", max_size=30) | st.sampled_from(CALLS), max_size=20))
def test_events_alternate_and_utterances_are_pieces_of_the_stream_whatever_happens(script: list[str]) -> None:
    scene = Scene()
    events: list[Event | None] = []
    for part in script:
        if part not in CALLS:
            events += scene.push(part)
        elif part == "drop":
            scene.segmenter.drop()
        else:
            events += getattr(scene.segmenter, part)()
        if part in CALLS and not scene.segmenter.speaking:
            events.append(None)  # dropped, or a slip: there was no end
    running, offered, heard = False, None, -1
    for event in events:
        assert running or not isinstance(event, Paused | Resumed | SpeechEnded)
        match event:
            case None:
                running, offered = False, None
            case SpeechStarted():
                assert not running
                running = True
            case Paused(utterance):
                assert offered is None
                offered = utterance
            case Resumed():
                assert offered is not None
                offered = None
            case SpeechEnded(utterance):
                assert offered in (None, utterance)
                running, offered = False, None
                indices = windows_of(utterance)
                assert indices == list(range(indices[0], indices[0] + len(indices)))
                assert utterance.start_s == pytest.approx(indices[0] * STEP)
                assert heard < indices[0]
                assert len(indices) <= 12
                heard = indices[-1]
    assert running == scene.segmenter.speaking


def test_hours_of_chatter_are_not_kept() -> None:
    segmenter = Segmenter(Listening(longest_s=2.0))
    window = np.zeros(WINDOW, np.float32)
    tracemalloc.start()
    for _ in range(5_000):
        segmenter.push(window, 0.9)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 400_000  # two seconds are 128,000 bytes


def test_the_samples_of_an_utterance_cannot_be_changed() -> None:
    *_, ended = Scene().push("..SSS....")
    assert isinstance(ended, SpeechEnded)
    with pytest.raises(ValueError, match="read-only"):
        ended.utterance.samples[0] = 1


@pytest.mark.parametrize(
    "settings",
    [
        {"threshold": 1.5},
        {"threshold": float("nan")},
        {"release": 0.9},
        {"release": 0.0},
        {"tail_s": 0.5},
        {"pause_s": 2.0},
        {"end_s": float("nan")},
        {"shortest_s": -1.0},
        {"longest_s": 0.5},
        {"longest_s": float("inf")},
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        Listening(**settings)
