"""A relative of the model with patches of 28 pixels, trained with two crops: transformers sees the same in it.

What the reference sees is made without our own tiling: transformers' processor chooses the grid and makes the mask,
Pillow and torch make the pixels.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import edge
from edge.errors import UsageError
from edge.media.clip import Clip
from export.exporter import run_export
from export.options import ExportOptions
from export.plan import plan_export
from tests.media.reference_images import Phi4MultimodalImageProcessor, original_processing
from tests.multimodal.reference import Reference
from tests.multimodal.turns import (
    TOLERANCE,
    RecordedConversation,
    Turn,
    apart,
    ask,
    clips_of,
    picture,
    prompt_logits,
    recording,
)
from tests.multimodal_checkpoints import native_config, write_native

PATCH_SIZE, MAX_CROPS = 28, 2
SHAPES = {  # (height, width): rows and columns of features, counted by hand
    "a photo of 16:9": ((720, 1280), (8, 15)),  # 448 x 796 in 1 x 2 crops: 29 of 32 columns of patches
    "the same, upright": ((1280, 720), (15, 8)),
    "landscape": ((130, 700), (3, 16)),  # 166 x 896: 6 of 16 rows of patches
    "tiny": ((12, 20), (5, 8)),  # 268 x 448: 10 of 16 rows
    "exactly one crop": ((448, 448), (8, 8)),
}
OVERVIEW = 8 * 9
"""8 rows of 8 features, each with its end."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    vision = native_config()["vision_config"] | {"patch_size": PATCH_SIZE}
    native = write_native(tmp_path_factory.mktemp("relative") / "native", vision_config=vision)
    (native / "preprocessor_config.json").write_text(json.dumps({"dynamic_hd": MAX_CROPS}))
    return native


@pytest.fixture(scope="module")
def relative(checkpoint: Path) -> edge.Model:
    run_export(plan_export(checkpoint, ExportOptions(bits=32)), checkpoint.with_name("relative"))
    return edge.load(checkpoint.with_name("relative"), threads=1)


@pytest.fixture(scope="module")
def peer(checkpoint: Path) -> Reference:
    return Reference(checkpoint)


def seen_by_transformers(rgb: np.ndarray, max_crops: int) -> dict[str, Any]:
    processor = Phi4MultimodalImageProcessor(dynamic_hd=max_crops, patch_size=PATCH_SIZE)
    told = processor([torch.from_numpy(rgb).permute(2, 0, 1)], return_tensors="pt")
    rows, columns = (told["image_sizes"][0] // 448).tolist()
    pixels, mask = original_processing(rgb, rows, columns, PATCH_SIZE)
    assert (told["image_attention_mask"][0].numpy() == mask).all()
    return {
        "image_pixel_values": torch.from_numpy(pixels)[None],
        "image_attention_mask": torch.from_numpy(mask)[None],
        "image_sizes": told["image_sizes"],
    }


def worst(model: edge.Model, peer: Reference, turn: Turn, rgb: np.ndarray, clips: list[Clip]) -> float:
    """Of all logits of prompt and answer."""
    expected = peer.logits(
        turn.done.mode, model.sequence.ids, clips, images=seen_by_transformers(rgb, max_crops=MAX_CROPS)
    )
    answer = apart(turn.logits, expected[len(turn.prompt) - 1 : -1])
    return max(answer, apart(prompt_logits(model), expected))


@pytest.mark.parametrize("with_clip", [False, True], ids=["vision", "vision and speech"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_picture_is_answered_as_by_transformers_with_a_quarter_of_the_tokens(
    shape: str, with_clip: bool, relative: edge.Model, peer: Reference
) -> None:
    size, (rows, columns) = SHAPES[shape]
    audio = [recording(1.7)] if with_clip else []
    turn = ask(RecordedConversation(relative), limit=8, images=[picture(*size)], audio=audio)
    assert turn.done.mode == ("vision_speech" if with_clip else "vision")
    assert turn.done.usage.image_tokens == rows * (columns + 1) + 1 + OVERVIEW
    found = worst(relative, peer, turn, picture(*size), clips_of(*audio))
    print(f"{shape}, {turn.done.usage.image_tokens} tokens: {found:.1e}")
    assert found <= TOLERANCE


def test_another_picture_would_be_far_off(relative: edge.Model, peer: Reference) -> None:
    """So that the comparison above could not pass by chance."""
    turn = ask(RecordedConversation(relative), limit=4, images=[picture(720, 1280)])
    assert worst(relative, peer, turn, picture(720, 1280, seed=1), []) > 100 * TOLERANCE


def test_fewer_crops_than_the_model_was_trained_with_may_be_asked_for_and_not_more(relative: edge.Model) -> None:
    conversation, photo = RecordedConversation(relative), picture(720, 1280)
    assert ask(conversation, limit=2, images=[photo], max_crops=1).done.usage.image_tokens == 5 * 9 + 1 + OVERVIEW
    for media in ({"images": [photo]}, {}):  # refused at once, not when the first picture comes
        with pytest.raises(UsageError, match="--max-crops is 3, but relative sees at most 2") as refused:
            conversation.generate("?", edge.TurnOptions(max_crops=3), **media)
        assert refused.value.hint and refused.value.exit_code == 2


def test_without_a_number_a_turn_takes_as_many_crops_as_the_model_was_trained_with(relative: edge.Model) -> None:
    conversation, photo = RecordedConversation(relative), picture(720, 1280)
    counts = [ask(conversation, limit=2, images=[photo], max_crops=n).done.usage.image_tokens for n in (None, 2)]
    assert counts[1] == 2 * counts[0], "the second turn counts the picture of the first as well"


def test_a_wanted_time_to_first_token_is_estimated_with_the_crops_and_tokens_of_the_model(relative: edge.Model) -> None:
    options = edge.TurnOptions(max_tokens=1, ttft_s=1000.0)
    *events, done = relative.conversation().generate("?", options, images=[picture(720, 1280)])
    (told,) = (event for event in events if isinstance(event, edge.Tiling))
    assert told.max_crops == MAX_CROPS
    assert isinstance(done, edge.Done) and done.usage.image_tokens == 8 * 16 + 1 + OVERVIEW
