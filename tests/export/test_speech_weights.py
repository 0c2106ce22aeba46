"""Which weights the speech encoder takes from a checkpoint, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from safetensors.numpy import load_file, save_file

from edge.errors import CheckpointError
from export.architectures.speech import read_speech, speech_weights
from export.sources.safetensors_dir import SafetensorsCheckpoint
from quant.formats import ChannelFormat
from tests.export.speech_graph import export_speech
from tests.export.speech_reference import (
    PREFIX,
    audio_embedding,
    audio_tensors_of_the_whole_model,
    write_speech_checkpoint,
)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_speech_checkpoint(tmp_path_factory.mktemp("speech") / "checkpoint", audio_embedding())


def test_every_audio_tensor_is_stored_and_every_stored_array_is_read(checkpoint: Path, tmp_path: Path) -> None:
    exported = export_speech(checkpoint, tmp_path / "int8", ChannelFormat())
    in_checkpoint = audio_tensors_of_the_whole_model()
    listed = [part.tensor for weight in exported.weights.values() for part in weight.source.parts]
    assert sorted(listed) == sorted(in_checkpoint)
    assert in_checkpoint == {name: info.shape for name, info in SafetensorsCheckpoint(checkpoint).tensors.items()}
    read: set[str] = set()
    for graph in exported.graphs.values():
        loaded = onnx.load_from_string(graph).graph
        inputs = {name for node in loaded.node for name in node.input}
        read |= {tensor.name for tensor in loaded.initializer if tensor.external_data and tensor.name in inputs}
    assert read == {section.name for weight in exported.weights.values() for section in weight.sections}
    assert all(name.startswith("speech.") for name in read)


@pytest.mark.parametrize(
    "tensor",
    [
        "encoder.encoder_embedding.global_mean",
        "encoder.embed.conv.6.weight",
        "encoder.relative_attention_bias_layer.bias_values.weight",
        "encoder.encoders.2.self_attn.k_proj.bias",
        "encoder.encoders.1.conv.glu.b2",
        "down_proj_for_vision_speech.weight",
    ],
)
def test_a_missing_or_misshapen_tensor_is_named(tensor: str, checkpoint: Path, tmp_path: Path) -> None:
    name = PREFIX + tensor
    tensors = load_file(checkpoint / "model.safetensors")
    whole = tensors.pop(name)
    for damage, kept in (("missing", tensors), ("shape", {**tensors, name: np.repeat(whole, 2, axis=-1)})):
        directory = tmp_path / damage
        directory.mkdir()
        (directory / "config.json").write_text((checkpoint / "config.json").read_text())
        save_file(kept, directory / "model.safetensors")
        source = SafetensorsCheckpoint(directory)
        with pytest.raises(CheckpointError) as refused:
            speech_weights(read_speech(source), source.tensors, ChannelFormat())
        assert tensor in str(refused.value) and damage in str(refused.value) and refused.value.hint


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("activation", "gelu"),
        ("conv_activation", "relu"),
        ("conv_glu_type", "sigmoid"),
        ("nemo_activation", "swish"),
        ("chunk_size", 18),
        ("bias_symmetric", True),
        ("time_reduction", 4),
        ("downsample_rate", 2),
        ("depthwise_multiplier", 2),
        ("ext_pw_out_channel", 32),
        ("depthwise_separable_out_channel", 128),
        ("num_attention_heads", 5),
        ("num_blocks", "24"),
        ("audio_token_id", 512),
    ],
)
def test_a_setting_without_a_graph_is_refused_by_name(
    field: str, value: object, checkpoint: Path, tmp_path: Path
) -> None:
    config = json.loads((checkpoint / "config.json").read_text())
    config["audio_config"][field] = value
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes((checkpoint / "model.safetensors").read_bytes())
    expected = "attention heads" if field == "num_attention_heads" else field
    with pytest.raises(CheckpointError, match=expected) as refused:
        read_speech(SafetensorsCheckpoint(tmp_path))
    assert "audio_config" in str(refused.value) and refused.value.hint
