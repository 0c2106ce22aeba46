"""What a turn with media refuses, what it leaves behind when it is cancelled, and what it counts."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edge
from edge.errors import InputError, UsageError
from tests.multimodal.turns import (
    RecordedConversation,
    apart,
    ask,
    clips_of,
    picture,
    pictures_of,
    recording,
)

FEW = edge.TurnOptions(max_tokens=3)


@pytest.mark.parametrize("kind", ["images", "audio"])
def test_a_bundle_that_only_reads_text_says_so(kind: str, phi3_bundle: Path) -> None:
    media: dict[str, Any] = {"images": [picture(30, 30)], "audio": [recording(1.0)]}
    one_kind = {kind: media[kind]}
    with pytest.raises(InputError, match=f"{phi3_bundle.name} cannot take") as refused:
        edge.load(phi3_bundle, threads=1).conversation().generate("hi", FEW, **one_kind)
    assert "Phi-4-multimodal" in refused.value.hint


@pytest.mark.parametrize("samples", [0, 1, 399])
def test_a_recording_that_makes_no_token_is_refused_and_not_answered_as_text(
    samples: int, conversation: RecordedConversation
) -> None:
    with pytest.raises(InputError) as refused:
        conversation.generate("what is said?", FEW, audio=[(np.zeros(samples, np.float32), 16_000)])
    assert refused.value.hint and not conversation.messages


def test_a_recording_of_one_frame_is_one_token(conversation: RecordedConversation) -> None:
    turn = ask(conversation, limit=1, audio=[(np.zeros(400, np.float32), 16_000)])
    assert turn.done.usage.audio_tokens == 1


def test_a_prompt_too_long_because_of_its_picture_is_refused_with_both_counts(
    conversation: RecordedConversation,
) -> None:
    large = picture(2688, 2688)
    with pytest.raises(InputError, match=r"has 19,1\d\d tokens.*16,384") as refused:
        conversation.generate("", FEW, images=[large, large])
    assert "--max-crops" in refused.value.hint
    assert not conversation.messages


def test_words_are_needed_only_without_media(conversation: RecordedConversation) -> None:
    with pytest.raises(UsageError, match="empty"):
        conversation.generate("  ")
    assert len(ask(conversation, "", limit=2, audio=[recording(0.5)]).answer) == 2
    assert len(ask(conversation, "", limit=2, images=[picture(20, 20)]).answer) == 2


def test_usage_counts_the_media_of_the_whole_conversation(conversation: RecordedConversation) -> None:
    seen, heard = picture(500, 448), recording(2.0)
    image_tokens, audio_tokens = pictures_of(seen)[0].tokens, clips_of(heard)[0].tokens
    assert image_tokens > 545 and audio_tokens == 25
    turns: list[tuple[dict[str, Any], str, int, int]] = [
        ({}, "text", 0, 0),
        ({"images": [seen]}, "vision", 1, 0),
        ({}, "vision", 1, 0),
        ({"audio": [heard, heard]}, "vision_speech", 1, 2),
    ]
    for media, mode, images, clips in turns:
        done = ask(conversation, "a", limit=3, **media).done
        assert done.mode == mode
        assert (done.usage.image_tokens, done.usage.audio_tokens) == (images * image_tokens, clips * audio_tokens)
        assert done.usage.prompt_tokens > done.usage.image_tokens + done.usage.audio_tokens


@pytest.mark.parametrize("kind", ["images", "audio"])
def test_a_turn_cancelled_while_its_media_are_encoded_leaves_the_conversation_as_it_was(
    kind: str, conversation: RecordedConversation
) -> None:
    """From another thread, after the first of several crops or windows."""
    media: dict[str, Any] = {"images": [picture(900, 900, seed=30)], "audio": [recording(85.0, seed=30)]}
    one_kind = {kind: media[kind]}
    first = ask(conversation, "hello", limit=3)
    before = list(conversation.messages)
    events = []
    for event in conversation.generate("and this?", FEW, **one_kind):
        events.append(event)
        if len([one for one in events if isinstance(one, edge.Encode)]) == 1:
            thread = threading.Thread(target=conversation.cancel)
            thread.start()
            thread.join()
    done = events[-1]
    assert isinstance(done, edge.Done) and (done.finish_reason, done.text) == ("cancelled", "")
    assert not [event for event in events if isinstance(event, edge.Prefill | edge.TextDelta)]
    assert len([event for event in events if isinstance(event, edge.Encode)]) == 1
    assert (conversation.messages, conversation.mode) == (before, "text")

    again = ask(conversation, "and this?", limit=3, **one_kind)
    assert len(again.answer) == 3 and again.prompt[: len(first.prompt)] == first.prompt
    fresh = RecordedConversation(conversation.model)
    ask(fresh, "hello", limit=3)
    assert apart(ask(fresh, "and this?", limit=3, **one_kind).logits, again.logits) <= 1e-3


def test_an_answer_never_holds_a_placeholder_that_the_next_turn_would_take_for_media(
    conversation: RecordedConversation,
) -> None:
    """A model may rate one best; at temperature 20 this one chooses among all tokens alike."""
    manifest = conversation.model.manifest
    assert manifest.vision and manifest.speech
    placeholders = {manifest.vision.token, manifest.speech.token}
    said: set[int] = set()
    for seed in range(30):
        conversation.model.decoder.rewind(0)
        options = edge.TurnOptions(sampling=edge.SamplingOptions(temperature=20.0, seed=seed), max_tokens=200)
        chat = conversation.model.conversation()
        list(chat.generate("go on", options))
        said |= set(conversation.model.sequence.ids[8:])
    assert len(said) > 500, "of 510 tokens"
    assert not placeholders & said
