"""Listening and answering: what is heard, shown and remembered, whatever happens in whatever moment."""

import numpy as np
import pytest

from edge.errors import ResourceError
from edge.events import Done, Encode, TextDelta, ToolCall
from edge.live.actions import Action
from edge.live.mind import Told
from edge.live.utterances import Paused, Resumed, SpeechGoesOn
from tests.live.parts import RecordingJournal, Scene, utterance

HELLO = TextDelta("Hello.")


def test_an_answer_is_held_back_until_it_is_certain_that_all_was_said() -> None:
    scene = Scene()
    said = scene.pause()
    scene.answer(HELLO)
    assert scene.state == "hearing" and not scene.screen.all("text") and ("keep",) not in scene.mind.log
    scene.end(said)
    assert scene.screen.all("text") == ["Hello."]
    assert [report.first_token_s for report in scene.screen.all("turn")] == [0.0]
    assert scene.mind.answered == [said], "the very same utterance, and only once"
    assert scene.screen.all("state") == ["deaf", "listening", "hearing", "thinking", "answering", "listening"]


def test_an_answer_that_is_still_being_made_at_the_end_goes_on() -> None:
    scene = Scene()
    said = scene.pause()
    scene.tell(Encode("speech", 1, 1), TextDelta("Hel"))
    scene.end(said)
    scene.now_s += 0.5
    scene.answer(TextDelta("lo."))
    assert scene.screen.all("text") == ["Hel", "lo."]
    assert scene.state == "listening"


def test_nothing_of_a_pause_that_was_not_the_end_is_ever_shown() -> None:
    scene = Scene()
    scene.pause()
    early = scene.mind.job
    scene.tell(TextDelta("void"))
    scene.loop.heard(Resumed())
    scene.tell(TextDelta("still on its way"), Done("void", "stop"), None)
    said = utterance(2.0)
    scene.loop.heard(Paused(said))
    assert scene.mind.job > early
    scene.end(said)
    scene.answer(HELLO)
    assert scene.screen.all("text") == ["Hello."]
    assert scene.mind.log.count(("drop answer",)) == 1 and scene.mind.log.count(("keep",)) == 1


@pytest.mark.parametrize(("ahead", "told"), [(True, [("heard", 5)]), (False, [])])
def test_what_was_heard_of_a_long_recording_is_read_while_it_goes_on(ahead: bool, told: list[object]) -> None:
    scene = Scene(ahead=ahead)
    scene.begin()
    scene.loop.heard(SpeechGoesOn(np.zeros(5, np.float32)))
    assert [entry for entry in scene.mind.log if entry[0] == "heard"] == told
    assert scene.state == "hearing"
    scene.ask()
    scene.answer(HELLO)
    assert scene.screen.all("text") == ["Hello."]


def test_a_turn_is_kept_once_with_what_was_asked_and_what_was_answered_first() -> None:
    journal = RecordingJournal()
    call = ToolCall("stop", {})
    scene = Scene({"stop": Action(safe=True, timeout_s=1.0, required=frozenset())}, journal=journal, reply=True)
    said = scene.ask()
    scene.answer(call)
    scene.ran()
    scene.answer(TextDelta("It stands."))
    assert journal.kept == [(said, [], "", [call])]


def test_what_was_interrupted_is_not_kept() -> None:
    journal = RecordingJournal()
    scene = Scene(journal=journal)
    scene.ask()
    scene.tell(TextDelta("It is"))
    scene.ask()
    scene.answer(HELLO)
    assert [text for _, _, text, _ in journal.kept] == ["Hello."]


def test_a_journal_that_fails_is_told_of_once() -> None:
    journal = RecordingJournal()
    scene = Scene(journal=journal)
    journal.fault = "the disk is full"
    scene.wait(1.0)
    scene.wait(1.0)
    assert scene.screen.all("note") == ["the disk is full"]


def test_words_that_end_without_a_pause_are_answered_once() -> None:
    scene = Scene()
    said = scene.begin()
    scene.end(said)
    scene.answer(HELLO)
    assert scene.mind.answered == [said] and scene.screen.all("text") == ["Hello."]


def test_an_end_with_other_words_than_the_pause_is_answered_anew() -> None:
    scene = Scene()
    scene.pause()
    scene.tell(TextDelta("void"))
    said = utterance(40.0, cut=True)
    scene.end(said)
    scene.answer(HELLO)
    assert scene.mind.answered[-1] is said and scene.screen.all("text") == ["Hello."]
    assert "longer than 40 s" in scene.screen.all("note")[0]


def test_without_computing_ahead_all_of_it_comes_after_the_end() -> None:
    scene = Scene(ahead=False)
    said = scene.pause()
    assert scene.mind.log == []
    scene.end(said)
    scene.answer(HELLO)
    assert scene.screen.all("text") == ["Hello."] and scene.mind.answered == [said]


def test_the_times_of_a_turn_count_from_its_certain_end_and_from_the_voice() -> None:
    scene = Scene(silence_s=0.7)
    scene.ask()
    scene.now_s += 2.0
    scene.answer(HELLO)
    (report,) = scene.screen.all("turn")
    assert (report.utterance.seconds, report.first_token_s, report.after_voice_s) == (1.0, 2.0, 2.7)


@pytest.mark.parametrize("state", ["thinking", "answering"])
def test_somebody_who_speaks_interrupts_an_answer_that_was_then_never_asked(state: str) -> None:
    scene = Scene()
    scene.ask()
    first = scene.mind.job
    if state == "answering":
        scene.tell(TextDelta("Hel"))
    assert scene.state == state
    scene.begin()
    assert scene.state == "hearing" and scene.screen.all("note") == ["interrupted"]
    assert ("clear", None) in scene.screen.log
    scene.loop.told(Told(first, Done("Hello", "stop")))
    assert not scene.screen.all("turn") and ("keep",) not in scene.mind.log
    scene.end(utterance())
    scene.answer(HELLO)
    assert scene.screen.all("text")[-1] == "Hello." and len(scene.screen.all("turn")) == 1


@pytest.mark.parametrize("error", [ResourceError("no memory", "a smaller bundle"), RuntimeError("what")])
def test_an_answer_that_fails_is_taken_back_and_told_and_the_next_one_starts_afresh(error: Exception) -> None:
    scene = Scene(remember=3)
    scene.ask()
    scene.tell(TextDelta("half an ans"), error)
    assert scene.screen.all("error") == [error]
    assert ("clear", None) in scene.screen.log and not scene.screen.all("turn")
    assert scene.state == "listening" and ("forget",) in scene.mind.log
    scene.ask()
    scene.answer(HELLO)
    assert len(scene.screen.all("turn")) == 1


def test_an_answer_that_failed_in_a_pause_is_told_at_the_end_only() -> None:
    scene = Scene()
    said = scene.pause()
    scene.tell(ResourceError("no memory"))
    assert not scene.screen.all("error")
    scene.end(said)
    assert len(scene.screen.all("error")) == 1 and scene.state == "listening"


@pytest.mark.parametrize(("remember", "forgotten"), [(0, [1, 2, 3, 4]), (2, [3])])
def test_so_many_earlier_turns_are_known_as_was_asked_for(remember: int, forgotten: list[int]) -> None:
    scene, found = Scene(remember=remember), []
    for turn in range(1, 5):
        scene.mind.log.clear()
        scene.ask()
        scene.answer(HELLO)
        if ("forget",) in scene.mind.log:
            found.append(turn)
    assert found == forgotten


def test_an_interrupted_turn_does_not_count_as_remembered() -> None:
    scene = Scene(remember=1)
    for _ in range(3):
        scene.ask()
        scene.begin()
    scene.end(utterance())
    scene.answer(HELLO)
    assert ("forget",) not in scene.mind.log
