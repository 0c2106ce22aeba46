"""Microphone, camera, keys and voice around the loop: whatever they do, it goes on and can be heard again."""

import numpy as np
import pytest

from edge.events import TextDelta, ToolCall
from edge.live.utterances import SpeechEnded, SpeechStarted
from tests.live.parts import GONE, LIVE, RecordingVoice, Scene, StillCamera, utterance

HELLO = TextDelta("Hello.")


def test_a_microphone_that_goes_away_takes_half_a_command_with_it() -> None:
    scene = Scene()
    scene.pause()
    scene.loop.microphone(GONE)
    assert scene.state == "deaf" and "say it again" in scene.screen.all("note")[0]
    scene.answer(HELLO)
    assert not scene.screen.all("text")
    scene.loop.microphone(LIVE)
    assert scene.state == "listening"


@pytest.mark.parametrize("state", ["thinking", "answering"])
def test_a_microphone_that_goes_away_later_does_not_harm_the_answer(state: str) -> None:
    scene = Scene()
    scene.ask()
    if state == "answering":
        scene.tell(TextDelta("Well. "))
    scene.loop.microphone(GONE)
    assert scene.state == state
    scene.answer(HELLO)
    assert scene.screen.all("text")[-1] == "Hello." and scene.state == "deaf"
    scene.loop.microphone(LIVE)
    assert scene.state == "listening"


def test_each_question_comes_with_its_own_picture() -> None:
    scene = Scene(camera=StillCamera())
    scene.ask()
    scene.answer(HELLO)
    scene.ask()
    assert len(scene.screen.all("picture")) == 2
    assert [entry[1] for entry in scene.mind.log if entry[0] == "read ahead"] == [1, 1]


def test_without_a_good_picture_the_reason_is_told_and_the_words_are_answered_alone() -> None:
    scene = Scene(camera=StillCamera("the camera shows only black"))
    scene.ask()
    scene.answer(HELLO)
    assert [str(error) for error in scene.screen.all("error")] == ["the camera shows only black"]
    assert not scene.screen.all("picture") and scene.screen.all("text") == ["Hello."]
    assert ("read ahead", 0) in scene.mind.log


def test_a_muted_terminal_hears_nothing_until_it_is_asked_to() -> None:
    scene = Scene()
    scene.loop.key("m")
    assert scene.state == "deaf" and scene.ear.muted
    scene.loop.microphone(GONE)
    scene.loop.microphone(LIVE)
    assert scene.state == "deaf"
    scene.loop.key("m")
    assert scene.state == "listening" and not scene.ear.muted


def test_muting_while_somebody_speaks_drops_what_was_said() -> None:
    scene = Scene()
    scene.pause()
    scene.loop.key("m")
    assert scene.state == "deaf" and scene.ear.muted and scene.screen.all("note") == ["muted"]
    scene.answer(HELLO)
    assert not scene.screen.all("text")


def test_muting_during_an_answer_is_heard_at_once_and_stays() -> None:
    scene = Scene()
    scene.ask()
    scene.loop.key("m")
    assert scene.ear.muted and scene.state == "thinking"
    scene.answer(HELLO)
    assert scene.state == "deaf" and scene.screen.all("text") == ["Hello."]


@pytest.mark.parametrize("state", ["hearing", "thinking", "answering"])
def test_escape_stops_what_goes_on(state: str) -> None:
    scene = Scene()
    if state == "hearing":
        scene.pause()
    else:
        scene.ask()
    if state == "answering":
        scene.tell(TextDelta("Hel"))
    scene.loop.key("escape")
    assert scene.state == "listening" and scene.screen.all("note") == ["stopped"] and not scene.ear.speaking
    scene.answer(HELLO)
    assert not scene.screen.all("turn")


def test_the_button_starts_and_ends_what_is_said() -> None:
    scene = Scene()
    scene.ear.press = [SpeechStarted()]
    scene.loop.key("space")
    assert scene.state == "hearing"
    said = utterance()
    scene.ear.press, scene.ear.speaking = [SpeechEnded(said)], True
    scene.loop.key("space")
    assert scene.state == "thinking" and scene.mind.answered == [said]


def test_a_slip_of_the_button_is_told_and_nothing_is_asked() -> None:
    scene = Scene()
    scene.ear.press = [SpeechStarted()]
    scene.loop.key("space")
    scene.ear.press, scene.ear.speaking = [], True
    scene.loop.key("space")
    assert scene.state == "listening" and "too short" in scene.screen.all("note")[0] and scene.mind.answered == []


def test_the_button_does_nothing_without_a_microphone() -> None:
    scene = Scene()
    scene.loop.microphone(GONE)
    scene.ear.press = [SpeechStarted()]
    scene.loop.key("space")
    assert scene.state == "deaf"


def test_sentences_are_read_out_as_they_are_complete_and_the_terminal_does_not_hear_itself() -> None:
    voice = RecordingVoice()
    scene = Scene(voice=voice)
    scene.ask()
    scene.tell(TextDelta("It is five. And"))
    assert voice.said == ["It is five."] and scene.ear.muted
    scene.answer(TextDelta(" that is all."))
    assert voice.said == ["It is five.", "And that is all."] and scene.state == "speaking"
    scene.wait(5)
    assert scene.state == "speaking" and scene.ear.muted
    voice.speaking = False
    scene.wait(0.2)
    assert scene.state == "speaking", "the room still sounds"
    scene.wait(0.2)
    assert scene.state == "listening" and not scene.ear.muted


def test_escape_silences_the_voice_and_the_terminal_listens_again() -> None:
    voice = RecordingVoice()
    scene = Scene(voice=voice)
    scene.ask()
    scene.answer(HELLO)
    scene.loop.key("escape")
    assert not voice.speaking
    scene.wait(1)
    assert scene.state == "listening" and not scene.ear.muted


def test_a_voice_that_fails_is_told_once() -> None:
    voice = RecordingVoice()
    scene = Scene(voice=voice)
    voice.fault = "The voice espeak-ng failed."
    scene.wait(0.2)
    scene.wait(0.2)
    assert scene.screen.all("note") == ["The voice espeak-ng failed."]


def test_an_answer_without_a_word_leaves_the_ear_open_all_the_time() -> None:
    scene = Scene(voice=RecordingVoice())
    scene.ask()
    scene.answer(ToolCall("unknown", {}))
    assert scene.state == "listening" and not scene.ear.muted


def test_sound_that_comes_after_an_event_that_shuts_the_ear_is_not_heard() -> None:
    """One long read may hold the end of a question and the beginning of the loudspeaker's echo."""
    scene = Scene(voice=RecordingVoice())
    said = scene.pause()
    scene.answer(HELLO)
    scene.ear.press = [SpeechEnded(said)]
    scene.loop.sound(np.zeros(1600, np.float32))
    assert scene.state == "speaking" and scene.ear.muted
    assert max(scene.ear.heard) <= 512 and sum(scene.ear.heard) == 1600
