"""Cancelling through the Python API, from another thread: the conversation goes on as if nothing had been asked."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import edge
from edge.events import Event
from edge.runtime.decoder import CHUNK

OPTIONS = edge.TurnOptions(max_tokens=24)
LONG = edge.TurnOptions(max_tokens=10_000)


@pytest.fixture(scope="module")
def slow_model(slow_bundle: Path) -> edge.Model:
    return edge.load(slow_bundle)


def ask(conversation: edge.Conversation, prompt: str, options: edge.TurnOptions = OPTIONS) -> edge.Done:
    *_, done = conversation.generate(prompt, options)
    assert isinstance(done, edge.Done)
    return done


def ask_and_cancel(
    conversation: edge.Conversation, prompt: str, when: Callable[[Event], bool], options: edge.TurnOptions = LONG
) -> edge.Done:
    """Another thread cancels as soon as an event satisfies `when`, while this one goes on reading events."""
    reached = threading.Event()

    def cancel() -> None:
        assert reached.wait(60)
        conversation.cancel()

    other = threading.Thread(target=cancel)
    last: Event | None = None
    events = conversation.generate(prompt, options)
    other.start()
    for last in events:
        if when(last):
            reached.set()
    other.join()
    assert isinstance(last, edge.Done)
    return last


CASES = {
    "while the prompt is read": ("x" * 20_000, lambda event: isinstance(event, edge.Prefill), 0),
    "in the answer": ("tell me more", lambda event: isinstance(event, edge.TextDelta), 1),
}


@pytest.mark.parametrize("case", CASES)
def test_after_a_cancel_the_next_answer_is_that_of_an_untouched_conversation(
    slow_model: edge.Model, slow_bundle: Path, case: str
) -> None:
    prompt, when, least = CASES[case]
    fresh = edge.load(slow_bundle).conversation()
    expected = [ask(fresh, "good morning"), ask(fresh, "and then?")]

    conversation = slow_model.conversation()
    first = ask(conversation, "good morning")
    messages = list(conversation.messages)
    cancelled = ask_and_cancel(conversation, prompt, when)
    assert cancelled.finish_reason == "cancelled"
    assert least <= cancelled.usage.completion_tokens < 10_000
    assert conversation.messages == messages
    second = ask(conversation, "and then?")
    assert [first.text, second.text] == [done.text for done in expected]
    assert second.finish_reason == "length"
    assert second.usage.reused_tokens >= expected[1].usage.reused_tokens > 0


def test_a_cancel_between_turns_changes_nothing(slow_model: edge.Model) -> None:
    conversation = slow_model.conversation()
    conversation.cancel()
    done = ask(conversation, "hello")
    conversation.cancel()
    assert done.finish_reason == "length"
    assert ask(conversation, "again").finish_reason == "length"


def test_a_cancel_after_generate_has_been_called_stops_the_turn_before_any_compute(slow_model: edge.Model) -> None:
    conversation = slow_model.conversation()
    events = conversation.generate("hello", LONG)
    conversation.cancel()
    assert [type(event) for event in events] == [edge.Done]
    assert conversation.messages == []


def test_an_answer_that_is_no_longer_read_leaves_the_conversation_usable(slow_model: edge.Model) -> None:
    expected = ask(slow_model.conversation(), "hello")
    conversation = slow_model.conversation()
    for event in conversation.generate("something else", LONG):
        if isinstance(event, edge.TextDelta):
            break
    assert conversation.messages == []
    assert ask(conversation, "hello").text == expected.text


def test_a_cancelled_reread_of_the_conversation_does_not_harm_the_next_turn(phi3_float_bundle: Path) -> None:
    """Beyond 64 tokens the miniature reads everything again with other position factors; below, back again."""
    untouched = edge.load(phi3_float_bundle).conversation()
    expected = ask(untouched, "hello"), ask(untouched, "bye")

    conversation = edge.load(phi3_float_bundle).conversation()
    assert ask(conversation, "hello").text == expected[0].text
    kinds = []
    for event in conversation.generate("y" * 100, OPTIONS):
        kinds.append(type(event))
        if isinstance(event, edge.Reprefill):
            conversation.cancel()
    assert kinds == [edge.Reprefill, edge.Done]
    after = ask(conversation, "bye")
    assert after.text == expected[1].text
    assert after.usage.reused_tokens == 0, "all of it was computed again"


@pytest.mark.parametrize("seen", [1, 3])
def test_a_cancelled_prompt_asked_again_continues_where_it_stopped(slow_bundle: Path, seen: int) -> None:
    prompt = "".join(f"{number} " for number in range(700))
    expected = ask(edge.load(slow_bundle).conversation(), prompt)
    conversation = edge.load(slow_bundle).conversation()
    chunks = []
    for event in conversation.generate(prompt, OPTIONS):
        if isinstance(event, edge.Prefill):
            chunks.append(event)
            if len(chunks) == seen:
                conversation.cancel()
    assert len(chunks) == seen
    again = ask(conversation, prompt)
    assert again.usage.reused_tokens == chunks[-1].done == seen * CHUNK
    assert again.text == expected.text
