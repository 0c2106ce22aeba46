"""What is read while somebody still speaks does not change the answer, and is not computed again."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edge
from edge.errors import InputError
from edge.events import ModeSwitch
from tests.multimodal.turns import RecordedConversation, ask, picture, recording

SYSTEM = "you are a terminal on a factory floor, " * 6
SPOKEN = recording(1.7, seed=5)
SHOWN = picture(150, 260, seed=6)


@pytest.mark.parametrize("images", [[], [SHOWN], [SHOWN, picture(60, 90, seed=7)]])
def test_the_answer_after_reading_ahead_is_the_one_without(bundle: Path, images: list[np.ndarray]) -> None:
    plain = ask(RecordedConversation(edge.load(bundle, threads=1), SYSTEM), "", audio=[SPOKEN], images=images)
    conversation = RecordedConversation(edge.load(bundle, threads=1), SYSTEM)
    ahead = list(conversation.read_ahead(images=images))
    assert sum(isinstance(event, edge.Encode) for event in ahead) >= len(images)
    turn = ask(conversation, "", audio=[SPOKEN], images=images)
    assert turn.answer == plain.answer
    assert np.array_equal(turn.prompt, plain.prompt)
    before_the_recording = turn.prompt.index(conversation.model.manifest.speech.token)  # type: ignore[union-attr]
    assert before_the_recording - 1 <= turn.done.usage.reused_tokens <= before_the_recording
    assert not any(event.kind == "vision" for event in turn.of(edge.Encode)), "pictures are encoded once"


def test_earlier_turns_are_read_ahead_in_the_mode_to_come(bundle: Path) -> None:
    """A recording switches the mode: all that was said before is read again while it is still being made."""
    conversation = RecordedConversation(edge.load(bundle, threads=1), SYSTEM)
    ask(conversation, "hello there")
    list(conversation.read_ahead())
    turn = ask(conversation, "", audio=[SPOKEN])
    assert turn.of(ModeSwitch), "the switch is still told"
    assert turn.done.usage.reused_tokens >= len(SYSTEM.split())
    again = RecordedConversation(edge.load(bundle, threads=1), SYSTEM)
    ask(again, "hello there")
    assert ask(again, "", audio=[SPOKEN]).answer == turn.answer


def test_reading_ahead_for_nothing_changes_nothing(bundle: Path) -> None:
    conversation = RecordedConversation(edge.load(bundle, threads=1), SYSTEM)
    fresh = RecordedConversation(edge.load(bundle, threads=1), SYSTEM)
    list(conversation.read_ahead(images=[SHOWN]))
    assert conversation.mode == "text" and conversation.messages == fresh.messages
    assert ask(conversation, "hello").answer == ask(fresh, "hello").answer


def test_a_cancel_ends_reading_ahead_quietly_and_the_next_turn_is_right(bundle: Path) -> None:
    conversation = RecordedConversation(edge.load(bundle, threads=1), SYSTEM)
    seen: list[Any] = []
    for event in conversation.read_ahead(images=[SHOWN]):
        seen.append(event)
        conversation.cancel()
    assert len(seen) == 1, "it goes on for no more than what was running"
    fresh = RecordedConversation(edge.load(bundle, threads=1), SYSTEM)
    turn = ask(conversation, "", audio=[SPOKEN], images=[SHOWN])
    assert turn.answer == ask(fresh, "", audio=[SPOKEN], images=[SHOWN]).answer


def test_a_copy_goes_on_by_itself(bundle: Path) -> None:
    conversation = RecordedConversation(edge.load(bundle, threads=1))
    ask(conversation, "one")
    other = conversation.copy()
    ask(other, "two")
    assert [message.content for message in conversation.messages if message.role == "user"] == ["one"]
    assert [message.content for message in other.messages if message.role == "user"] == ["one", "two"]


def test_windows_of_a_long_recording_are_encoded_while_it_goes_on(bundle: Path) -> None:
    samples, rate = recording(84.0, seed=8)
    conversation = RecordedConversation(edge.load(bundle, threads=1), SYSTEM)

    def encoded(seconds: float) -> int:
        heard = (samples[: int(seconds * rate)], rate)
        return sum(isinstance(event, edge.Encode) for event in conversation.read_ahead(heard=heard))

    assert [encoded(seconds) for seconds in (30.0, 42.0, 60.0, 82.0)] == [0, 1, 0, 1]
    turn = ask(conversation, "", audio=[(samples, rate)])
    assert [(event.done, event.total) for event in turn.of(edge.Encode)] == [(3, 3)], "the last window only"
    plain = RecordedConversation(edge.load(bundle, threads=1), SYSTEM)
    assert ask(plain, "", audio=[(samples, rate)]).answer == turn.answer


def test_a_bundle_that_cannot_hear_says_so(phi3_bundle: Path) -> None:
    with pytest.raises(InputError, match="cannot take recordings"):
        edge.load(phi3_bundle, threads=1).conversation().read_ahead()
