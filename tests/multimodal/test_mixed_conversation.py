"""A conversation that mixes all modes: what is reused never changes an answer."""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edge
from tests.multimodal.reference import Reference
from tests.multimodal.turns import (
    TOLERANCE,
    RecordedConversation,
    Turn,
    ask,
    clips_of,
    picture,
    pictures_of,
    recording,
    worst_difference,
)

CLIPS = [recording(1.3, seed=1), recording(2.2, 8_000, seed=2)]
PICTURES = [picture(120, 200, seed=1), picture(300, 90, seed=2), picture(40, 60, seed=3)]
ANSWER = 12

PROMPTS = ["hello there", "", "and this?", "again", "in a word", "compare"]
FIRST, SECOND = {"audio": CLIPS[:1]}, {"images": PICTURES[:1]}
THIRD, FOURTH = {"audio": CLIPS[1:]}, {"images": PICTURES[1:]}
ORDERS: dict[str, tuple[list[dict[str, Any]], list[str]]] = {
    "recording first": ([{}, FIRST, SECOND, THIRD, {}, FOURTH], ["text", "speech", *["vision_speech"] * 4]),
    "picture first": ([{}, SECOND, FIRST, FOURTH, {}, THIRD], ["text", "vision", *["vision_speech"] * 4]),
}
"""Media of each turn and the mode it has."""


def cold(conversation: RecordedConversation, bundle: Path) -> RecordedConversation:
    """The same conversation on a model that has computed nothing. Turns replace a conversation's state as a whole, so
    that a shallow copy is one of its own."""
    made = copy.copy(conversation)
    made.model = edge.load(bundle, threads=1)
    return made


@dataclass(frozen=True)
class Talk:
    """Each turn of a conversation, and the same turn computed from nothing."""

    media: list[dict[str, Any]]
    modes: list[str]
    warm: list[Turn]
    cold: list[Turn]


@pytest.fixture(scope="module", params=ORDERS)
def talk(request: pytest.FixtureRequest, bundle: Path) -> Talk:
    made = Talk(*ORDERS[request.param], [], [])
    conversation = RecordedConversation(edge.load(bundle, threads=1), system="be brief")
    for prompt, media in zip(PROMPTS, made.media, strict=True):
        fresh = cold(conversation, bundle)
        made.warm.append(ask(conversation, prompt, limit=ANSWER, **media))
        made.cold.append(ask(fresh, prompt, limit=ANSWER, **media))
    return made


def test_six_turns_in_changing_modes_equal_six_cold_runs_token_for_token(talk: Talk) -> None:
    assert [turn.done.mode for turn in talk.warm] == talk.modes
    for number, (warm, fresh) in enumerate(zip(talk.warm, talk.cold, strict=True), 1):
        assert (warm.prompt, warm.answer) == (fresh.prompt, fresh.answer), f"turn {number}"
        assert fresh.done.usage.reused_tokens == 0
        assert len(warm.answer) == ANSWER


def test_six_turns_in_changing_modes_are_those_of_transformers(talk: Talk, reference: Reference) -> None:
    """Every turn sees all recordings and pictures so far, each where it was said."""
    heard: list[Any] = []
    seen: list[Any] = []
    for media, turn in zip(talk.media, talk.warm, strict=True):
        heard, seen = heard + media.get("audio", []), seen + media.get("images", [])
        worst = worst_difference(reference, turn, clips_of(*heard), pictures_of(*seen))
        print(f"{turn.done.mode}, {len(turn.prompt)} prompt tokens: {worst:.1e}")
        assert worst <= TOLERANCE


def test_a_change_of_the_lora_is_announced_and_keeps_nothing_all_else_keeps_everything(talk: Talk) -> None:
    """Pictures with and without recordings share a LoRA."""
    said = [0] + [len(turn.prompt) + len(turn.answer) for turn in talk.warm]
    modes = ["", *talk.modes]
    for number, turn in enumerate(talk.warm):
        before, after = modes[number : number + 2]
        shared = (before.startswith("vision") and after.startswith("vision")) or before == after
        lost = 0 if shared else said[number]
        expected = [edge.ModeSwitch(before, after, lost)] if number and before != after else []  # type: ignore[arg-type]
        assert turn.of(edge.ModeSwitch) == expected
        kept = said[number] if shared else 0
        assert kept - 1 <= turn.done.usage.reused_tokens <= kept, f"turn {number + 1}"


def test_each_recording_and_picture_is_encoded_once(talk: Talk) -> None:
    for media, warm, fresh in zip(talk.media, talk.warm, talk.cold, strict=True):
        kinds = {event.kind for event in warm.of(edge.Encode)}
        assert kinds == {kind for kind, given in (("vision", "images"), ("speech", "audio")) if given in media}
        assert len(fresh.of(edge.Encode)) >= len(warm.of(edge.Encode))


def test_a_second_question_about_a_picture_reuses_its_tokens(conversation: RecordedConversation) -> None:
    first = ask(conversation, limit=3, images=[PICTURES[0]])
    second = ask(conversation, "and now?", limit=3)
    assert not second.of(edge.Encode) + second.of(edge.ModeSwitch)
    assert second.done.usage.image_tokens == first.done.usage.image_tokens
    assert second.done.usage.reused_tokens >= len(first.prompt) + 2


@pytest.mark.parametrize("kind", ["picture", "recording"])
def test_other_media_of_the_same_size_in_the_same_place_are_not_taken_for_the_first(
    kind: str, model: edge.Model
) -> None:
    """Their placeholders are the same ids; only what they stand for differs."""

    def media(seed: int) -> dict[str, Any]:
        if kind == "picture":
            return {"images": [picture(120, 200, seed=seed)]}
        return {"audio": [recording(1.0, seed=seed)]}

    one = ask(RecordedConversation(model), limit=2, **media(5))
    other = ask(RecordedConversation(model), limit=2, **media(6))
    again = ask(RecordedConversation(model), limit=2, **media(6))
    assert one.prompt == other.prompt == again.prompt
    assert other.done.usage.reused_tokens == 1, "the user's role token stands before the media"
    assert again.done.usage.reused_tokens == len(one.prompt) - 1
    assert np.abs(one.logits[0, :500] - other.logits[0, :500]).max() > 100 * TOLERANCE
    np.testing.assert_array_equal(other.answer, again.answer)
