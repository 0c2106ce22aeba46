"""Turns with pictures of any shape and number answer as transformers does, and count the tokens they cost."""

from pathlib import Path

import pytest

import edge
from tests.multimodal.reference import Reference
from tests.multimodal.turns import (
    STEPS,
    TOLERANCE,
    RecordedConversation,
    apart,
    ask,
    clips_of,
    picture,
    pictures_of,
    prompt_logits,
    recording,
    worst_difference,
)

SHAPES = {  # (height, width): tokens, from the counting rule 256·h·w + 16·h + 273 less the padding
    "exactly one crop": ((448, 448), 545),
    "exactly two by three crops": ((896, 1344), 1841),
    "portrait": ((500, 130), 2 * 16 * (9 + 1) + 273),
    "landscape": ((130, 700), 6 * (2 * 16 + 1) + 273),
    "tiny": ((12, 20), 10 * (16 + 1) + 273),
    "a single pixel": ((1, 1), 545),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_picture_of_any_shape_is_answered_as_by_transformers(
    shape: str, conversation: RecordedConversation, reference: Reference
) -> None:
    size, tokens = SHAPES[shape]
    turn = ask(conversation, images=[picture(*size)])
    (seen,) = pictures_of(picture(*size))
    assert turn.done.usage.image_tokens == tokens
    worst = worst_difference(reference, turn, pictures=[seen])
    print(f"{shape}, {seen.tokens} tokens: {worst:.1e}")
    assert worst <= TOLERANCE


def test_a_picture_of_36_crops_is_answered_as_by_transformers(bundle: Path, reference: Reference) -> None:
    """It passes 4,096 tokens by itself, so the long position factors apply to all of it, and that is announced."""
    source = picture(2688, 2688)
    turn = ask(RecordedConversation(edge.load(bundle, threads=1)), images=[source])
    assert turn.done.usage.image_tokens == 9585
    assert turn.of(edge.LongContext) == [edge.LongContext(len(turn.prompt), 4096)]
    worst = worst_difference(reference, turn, pictures=pictures_of(source))
    print(f"36 crops: {worst:.1e}")
    assert worst <= TOLERANCE


def test_fewer_crops_on_request_are_what_transformers_sees_of_the_smaller_grid(
    conversation: RecordedConversation, reference: Reference
) -> None:
    source = picture(1000, 1400)
    turn = ask(conversation, limit=4, max_crops=4, images=[source])
    (seen,) = pictures_of(source, max_crops=4)
    assert (seen.tiling.crops, turn.done.usage.image_tokens) == (5, seen.tokens)
    assert worst_difference(reference, turn, pictures=[seen]) <= TOLERANCE


def test_two_pictures_and_a_clip_in_one_turn_are_answered_as_by_transformers(
    model: edge.Model, conversation: RecordedConversation, reference: Reference
) -> None:
    """Also in the order they were given: the other order is another answer."""
    first, second, heard = picture(500, 600, seed=1), picture(300, 440, seed=2), recording(1.9)
    turn = ask(conversation, images=[first, second], audio=[heard])
    seen, clips = pictures_of(first, second), clips_of(heard)
    usage = turn.done.usage
    assert (usage.image_tokens, usage.audio_tokens) == (seen[0].tokens + seen[1].tokens, clips[0].tokens)
    assert turn.done.mode == "vision_speech" and len(turn.answer) == STEPS
    assert worst_difference(reference, turn, clips, seen) <= TOLERANCE
    swapped = ask(RecordedConversation(model), limit=4, images=[second, first], audio=[heard])
    assert apart(swapped.logits[:1], turn.logits[:1]) > 100 * TOLERANCE


def test_a_picture_is_read_the_same_whatever_chunk_its_tokens_fall_into(
    model: edge.Model, conversation: RecordedConversation, reference: Reference
) -> None:
    """The prompt before it moves every border of the prefill's chunks through the picture."""
    source = picture(60, 448)
    (seen,) = pictures_of(source)
    for length in (0, 3, 200):
        conversation = RecordedConversation(model, system="s" * length)
        turn = ask(conversation, limit=1, images=[source])
        expected = reference.logits("vision", model.sequence.ids, pictures=[seen])
        assert apart(prompt_logits(model), expected) <= TOLERANCE, length
        assert apart(turn.logits, expected[-2:-1]) <= TOLERANCE, length
