"""Quantised bundles choose the tokens that transformers chooses in float32, in every mode about as often.

The decoder has learned a small language, because a random one's best tokens are nearly tied, and its LoRAs are a fifth
of its weights in size. What a recording or picture says is not part of that language: the encoders' own accuracy is
measured where they are tested alone.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

import edge
from export.exporter import run_export
from export.options import ExportOptions
from export.plan import plan_export
from tests.export.toy_language import learn, sentences
from tests.multimodal.reference import Reference
from tests.multimodal.turns import RecordedConversation, Turn, ask, clips_of, picture, pictures_of, recording
from tests.multimodal_checkpoints import MODES, RANKS, SAVED, load_reference, write_native

SIZES = {
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
}
SENTENCES, LENGTH = 5, 250
LORA = 0.1
"""Of the size that makes W and alpha / r · B·A twice as large as W."""

EXPORTS = {
    "int8": (ExportOptions(bits=8), 0.98),
    "int4": (ExportOptions(bits=4), 0.85),
    "int4 with fast prefill": (ExportOptions(bits=4, fast_prefill=True), 0.85),
}
"""And how often a mode has to agree at least."""

CLIP, PICTURE = recording(3.7), picture(300, 400)


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    native = write_native(tmp_path_factory.mktemp("taught") / "native", **SIZES)
    for adapter in RANKS:
        file = native / f"{adapter}-lora" / "adapter_model.safetensors"
        weights = load_file(file)
        save_file({name: LORA * w if ".lora_B." in name else w for name, w in weights.items()}, file, SAVED)
    model = load_reference(native)
    torch.set_num_threads(1)  # as in Reference
    model.model.embed_tokens_extend.requires_grad_(False)
    learn(model)
    learned = model.state_dict()
    stored = load_file(native / "model.safetensors")
    save_file({name: learned[name].numpy() for name in stored}, native / "model.safetensors", SAVED)
    return native


@pytest.fixture(scope="module")
def expected(taught: Path) -> dict[str, list[np.ndarray]]:
    """Filled by the first export that needs it: per mode the reference's choices after each token."""
    return {}


def media(mode: str) -> tuple[list[Any], list[Any]]:
    return [CLIP] if "speech" in mode else [], [PICTURE] if "vision" in mode else []


def choices(model: edge.Model, turn: Turn, sentence: list[int]) -> np.ndarray:
    """Reads the prompt of `turn` again and then the sentence, a token at a time, as an answer is decoded."""
    sequence, decoder = model.sequence, model.decoder
    decoder.rewind(len(turn.prompt))
    decoder.reserve(len(turn.prompt) + len(sentence), False)
    assert decoder.length == len(turn.prompt) and sequence.ids[: decoder.length] == turn.prompt
    return np.array([decoder.step(token).argmax() for token in sentence])


@pytest.mark.parametrize("name", EXPORTS)
def test_no_mode_agrees_less_than_text_by_more_than_2_points(
    name: str, taught: Path, expected: dict[str, list[np.ndarray]], tmp_path: Path
) -> None:
    options, least = EXPORTS[name]
    run_export(plan_export(taught, options), tmp_path / "bundle")
    model, reference = edge.load(tmp_path / "bundle", threads=1), Reference(taught)
    language = sentences(SENTENCES, LENGTH, seed=1 << 20).tolist()
    agreement = {}
    for mode in MODES:
        audio, images = media(mode)
        turn = ask(RecordedConversation(model), "go", limit=1, audio=audio, images=images)
        if mode not in expected:
            clips, pictures = clips_of(*audio), pictures_of(*images)
            rows = [reference.logits(mode, turn.prompt + one, clips, pictures)[-LENGTH:] for one in language]
            expected[mode] = [row.argmax(axis=1) for row in rows]
        right = [one[1:-1] == np.array(said[2:]) for one, said in zip(expected[mode], language, strict=True)]
        assert np.mean(right) >= 0.5, "the reference has not learned the language, so agreement would say nothing"
        pairs = zip(expected[mode], language, strict=True)
        agreement[mode] = float(np.mean([one[1:] == choices(model, turn, said)[1:] for one, said in pairs]))
    print(f"{name}, {SENTENCES * (LENGTH - 1)} tokens: " + ", ".join(f"{k} {v:.2%}" for k, v in agreement.items()))
    assert min(agreement.values()) >= least
    assert min(agreement.values()) >= agreement["text"] - 0.02
