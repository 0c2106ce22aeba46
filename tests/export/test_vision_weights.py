"""Which tensors the vision tower takes, and what its config may say."""

from pathlib import Path
from typing import Any

import onnx
import pytest

from edge.errors import CheckpointError
from export.architectures.vision import IMAGE, TOWER, read_vision, unused_vision_tensors, vision_weights
from export.sources.checkpoint import TensorInfo
from export.sources.safetensors_dir import SafetensorsCheckpoint
from quant.formats import BlockFormat, ChannelFormat, FloatFormat
from tests.export.vision_reference import LAYERS, VisionGraphs, random_model, save_checkpoint

LAST = f"{TOWER}encoder.layers.{LAYERS - 1}."
DEAD = {
    *(
        f"{LAST}{part}.{kind}"
        for part in ("layer_norm1", "layer_norm2", "mlp.fc1", "mlp.fc2")
        for kind in ("weight", "bias")
    ),
    *(f"{LAST}self_attn.{part}_proj.{kind}" for part in ("q", "k", "v", "out") for kind in ("weight", "bias")),
    *(f"{TOWER}{part}.{kind}" for part in ("post_layernorm", "head.layernorm") for kind in ("weight", "bias")),
    *(f"{TOWER}head.mlp.{part}.{kind}" for part in ("fc1", "fc2") for kind in ("weight", "bias")),
    *(
        f"{TOWER}head.attention.{part}"
        for part in ("in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias")
    ),
    f"{TOWER}head.probe",
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> SafetensorsCheckpoint:
    return save_checkpoint(random_model(), tmp_path_factory.mktemp("weights") / "checkpoint")


def image_tensors(checkpoint: SafetensorsCheckpoint) -> dict[str, TensorInfo]:
    return {name: info for name, info in checkpoint.tensors.items() if name.startswith(IMAGE)}


def test_every_image_tensor_is_used_once_or_listed_as_unused(checkpoint: SafetensorsCheckpoint) -> None:
    spec = read_vision(checkpoint)
    sources = vision_weights(spec, checkpoint.tensors, FloatFormat())
    used = [part.tensor for source in sources for part in source.parts]
    unused = unused_vision_tensors(spec, checkpoint.tensors)
    assert set(unused) == DEAD
    assert sorted(used + unused) == sorted(image_tensors(checkpoint))


@pytest.mark.parametrize("fmt", [FloatFormat(), ChannelFormat(), BlockFormat(8, 32)], ids=["float", "int8", "blocks"])
def test_the_two_graphs_read_every_stored_array_and_share_none(
    fmt: Any, checkpoint: SafetensorsCheckpoint, tmp_path: Path
) -> None:
    graphs = VisionGraphs(checkpoint, fmt, tmp_path / "graphs")
    stored = [section.name for weight in graphs.weights.values() for section in weight.sections]
    read = []
    for model in map(onnx.load_from_string, graphs.models):
        taken = {name for node in model.graph.node for name in node.input}
        read += [one.name for one in model.graph.initializer if one.external_data and one.name in taken]
    assert sorted(read) == sorted(stored)


def test_only_linear_layers_are_quantised(checkpoint: SafetensorsCheckpoint) -> None:
    sources = vision_weights(read_vision(checkpoint), checkpoint.tensors, ChannelFormat())
    quantised = [source.name for source in sources if source.format == ChannelFormat()]
    layers = [f"vision.layers.{index}.{part}" for index in range(LAYERS - 1) for part in ("qkv", "out", "fc1", "fc2")]
    assert quantised == [*layers, "vision.projector.up", "vision.projector.down"]
    assert {source.group for source in sources} == {"vision"}
    assert all(source.name.startswith("vision.") for source in sources)


@pytest.mark.parametrize(
    "ending", ["patch_embedding.weight", "layers.1.self_attn.k_proj.bias", "sub_img_feature_extensor"]
)
def test_a_missing_tensor_is_named(ending: str, checkpoint: SafetensorsCheckpoint) -> None:
    name = next(one for one in image_tensors(checkpoint) if one.endswith(ending))
    tensors = {key: info for key, info in checkpoint.tensors.items() if key != name}
    with pytest.raises(CheckpointError, match=f"{name} is missing"):
        vision_weights(read_vision(checkpoint), tensors, FloatFormat())


@pytest.mark.parametrize(
    "ending",
    ["patch_embedding.weight", "position_embedding.weight", "layers.0.mlp.fc1.weight", "img_projection_up.bias"],
)
def test_a_tensor_of_another_shape_is_named(ending: str, checkpoint: SafetensorsCheckpoint) -> None:
    name = next(one for one in image_tensors(checkpoint) if one.endswith(ending))
    shape = checkpoint.tensors[name].shape
    wrong = {name: TensorInfo((shape[0] + 1, *shape[1:]), "F32", 0)}
    with pytest.raises(CheckpointError, match=f"{name} has shape"):
        vision_weights(read_vision(checkpoint), {**checkpoint.tensors, **wrong}, FloatFormat())


class Settings:
    """A checkpoint of which only config.json is looked at."""

    def __init__(self, **vision: Any) -> None:
        self.config = {"hidden_size": 3072, "vocab_size": 200064, "vision_config": vision}


def test_a_config_that_leaves_fields_out_means_the_released_model() -> None:
    spec = read_vision(Settings())  # type: ignore[arg-type]
    assert (spec.hidden, spec.intermediate, spec.heads, spec.head_size, spec.layers) == (1152, 4304, 16, 72, 26)
    assert (spec.crop, spec.patch, spec.side, spec.pooled) == (448, 14, 32, 256)
    assert (spec.norm_epsilon, spec.decoder_hidden, spec.image_token) == (1e-6, 3072, 200010)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("feature_layer", -1),
        ("hidden_act", "gelu"),
        ("num_channels", 4),
        ("image_size", 384),
        ("image_size", [448, 448]),
        ("crop_size", 462),
        ("patch_size", 15),
        ("num_attention_heads", 7),
        ("num_hidden_layers", 1),
        ("layer_norm_eps", "1e-6"),
        ("image_token_id", 200064),
        ("hidden_size", True),
    ],
)
def test_a_setting_without_a_graph_is_refused_by_its_name(field: str, value: object) -> None:
    with pytest.raises(CheckpointError, match=field) as caught:
        read_vision(Settings(**{field: value}))  # type: ignore[arg-type]
    assert caught.value.hint
