"""In each of the four modes a float32 bundle computes what transformers computes with that mode's LoRA."""

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
from tests.multimodal_checkpoints import MODES

CLIP, PICTURE = recording(3.7), picture(300, 400)


@pytest.mark.parametrize("mode", MODES)
def test_every_logit_of_prompt_and_answer_is_that_of_transformers(
    mode: str, model: edge.Model, conversation: RecordedConversation, reference: Reference
) -> None:
    audio = [CLIP] if "speech" in mode else []
    images = [PICTURE] if "vision" in mode else []
    turn = ask(conversation, "text and more text", images=images, audio=audio)
    assert turn.done.mode == mode and len(turn.answer) == STEPS

    clips, pictures = clips_of(*audio), pictures_of(*images)
    chosen = worst_difference(reference, turn, clips, pictures)
    whole = apart(prompt_logits(model), reference.logits(mode, model.sequence.ids, clips, pictures))
    print(f"{mode}: {len(turn.prompt)} prompt tokens, answer {chosen:.1e}, all rows {whole:.1e}")
    assert max(chosen, whole) <= TOLERANCE


@pytest.mark.parametrize("mode", ["speech", "vision", "vision_speech"])
def test_without_its_lora_or_with_the_other_one_a_mode_would_be_far_off(
    mode: str, conversation: RecordedConversation, reference: Reference
) -> None:
    """So that the comparison above could not pass by chance."""
    audio = [CLIP] if "speech" in mode else []
    images = [PICTURE] if "vision" in mode else []
    turn = ask(conversation, limit=4, images=images, audio=audio)
    ids = turn.prompt + turn.answer[:-1]
    for other in {"text", "speech", "vision"} - {"vision" if images else "speech"}:
        wrong = reference.logits(other, ids, clips_of(*audio), pictures_of(*images))
        assert apart(turn.logits, wrong[len(turn.prompt) - 1 :]) > 100 * TOLERANCE


def test_a_clip_beside_a_picture_is_projected_by_the_projector_for_vision(
    conversation: RecordedConversation, reference: Reference
) -> None:
    """The same features through the other projector give another answer, although the LoRA is the same."""
    turn = ask(conversation, limit=4, images=[PICTURE], audio=[CLIP])
    ids = turn.prompt + turn.answer[:-1]
    clips, pictures, start = clips_of(CLIP), pictures_of(PICTURE), len(turn.prompt) - 1
    right, wrong = (
        reference.logits("vision_speech", ids, clips, pictures, projector)[start:]
        for projector in ("vision_speech", "speech")
    )
    assert apart(turn.logits, right) <= TOLERANCE
    assert apart(turn.logits, wrong) > 100 * TOLERANCE
