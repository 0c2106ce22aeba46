"""Both layouts of a checkpoint become the same bundle, of all tensors but those that cannot change an answer."""

import json
import shutil
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from edge.errors import CheckpointError
from export.exporter import run_export
from export.options import ExportOptions
from export.plan import plan_export

OPTIONS = {
    "float32": ExportOptions(bits=32),
    "int4 with fast prefill": ExportOptions(bits=4, fast_prefill=True),
    "int8": ExportOptions(bits=8),
}
TOWER = "model.embed_tokens_extend.image_embed.img_processor."
LAST_LAYER = f"{TOWER}encoder.layers.2."
ATTENTION, NORMS, MLP = ("k_proj", "out_proj", "q_proj", "v_proj"), ("layer_norm1", "layer_norm2"), ("fc1", "fc2")
DEAD = {
    *(f"{LAST_LAYER}self_attn.{one}.{kind}" for one in ATTENTION for kind in ("weight", "bias")),
    *(f"{LAST_LAYER}{one}.{kind}" for one in NORMS for kind in ("weight", "bias")),
    *(f"{LAST_LAYER}mlp.{one}.{kind}" for one in MLP for kind in ("weight", "bias")),
    *(f"{TOWER}post_layernorm.{kind}" for kind in ("weight", "bias")),
    f"{TOWER}head.probe",
    *(f"{TOWER}head.attention.in_proj_{kind}" for kind in ("weight", "bias")),
    *(f"{TOWER}head.attention.out_proj.{kind}" for kind in ("weight", "bias")),
    *(f"{TOWER}head.layernorm.{kind}" for kind in ("weight", "bias")),
    *(f"{TOWER}head.mlp.{one}.{kind}" for one in MLP for kind in ("weight", "bias")),
}
"""SigLIP's features are the input of its last layer; only its own classifier needs more."""

AUDIO, IMAGE = "model.embed_tokens_extend.audio_embed.", "model.embed_tokens_extend.image_embed."
NEEDED = [  # one of each kind: (name in the native layout)
    "model.embed_tokens.weight",
    "model.norm.weight",
    "model.layers.1.self_attn.qkv_proj.weight",
    "model.layers.2.mlp.down_proj.weight",
    "model.layers.0.post_attention_layernorm.weight",
    f"{TOWER}embeddings.patch_embedding.weight",
    f"{TOWER}embeddings.position_embedding.weight",
    f"{TOWER}encoder.layers.1.self_attn.v_proj.bias",
    f"{IMAGE}global_img_feature_extensor",
    f"{IMAGE}sub_img_feature_extensor",
    f"{IMAGE}img_projection_up.weight",
    f"{AUDIO}encoder.encoder_embedding.global_invstd",
    f"{AUDIO}encoder.embed.conv.5.weight",
    f"{AUDIO}encoder.relative_attention_bias_layer.bias_values.weight",
    f"{AUDIO}encoder.encoders.1.conv.glu.b2",
    f"{AUDIO}encoder.encoders.0.self_attn.o_proj.bias",
    f"{AUDIO}down_proj_for_vision_speech.weight",
]
ADAPTER = "base_model.model.model.layers.1.mlp.gate_up_proj"


@pytest.mark.parametrize("options", OPTIONS)
def test_the_same_weights_in_both_layouts_make_the_same_bundle(
    options: str, native: Path, original: Path, tmp_path: Path
) -> None:
    reports = [
        run_export(plan_export(layout, OPTIONS[options]), tmp_path / layout.name) for layout in (native, original)
    ]
    assert reports[0].weights_sha256 == reports[1].weights_sha256
    graphs = [sorted(path.name for path in report.out.glob("*.onnx")) for report in reports]
    assert graphs[0] == graphs[1]
    for name in graphs[0]:
        assert (reports[0].out / name).read_bytes() == (reports[1].out / name).read_bytes(), name


@pytest.mark.parametrize("layout", ["native", "original"])
@pytest.mark.parametrize("options", OPTIONS)
def test_only_what_lies_behind_the_vision_features_is_left_out(
    layout: str, options: str, request: pytest.FixtureRequest
) -> None:
    plan = plan_export(request.getfixturevalue(layout), OPTIONS[options])
    assert set(plan.unused) == DEAD
    used = {part.tensor for weight in plan.weights for part in weight.source.parts}
    assert used | DEAD == set(plan.checkpoint.tensors) and not used & DEAD


@pytest.mark.parametrize("name", NEEDED)
def test_a_missing_tensor_is_named(name: str, native: Path, tmp_path: Path) -> None:
    damaged = shutil.copytree(native, tmp_path / "damaged")
    _drop(damaged / "model.safetensors", name)
    assert name in _refusal(damaged)


@pytest.mark.parametrize("adapter", ["speech", "vision"])
@pytest.mark.parametrize("side", ["lora_A", "lora_B"])
def test_a_missing_matrix_of_an_adapter_is_named(adapter: str, side: str, native: Path, tmp_path: Path) -> None:
    damaged = shutil.copytree(native, tmp_path / "damaged")
    _drop(damaged / f"{adapter}-lora" / "adapter_model.safetensors", f"{ADAPTER}.{side}.weight")
    message = _refusal(damaged)
    assert adapter in message and "layers.1" in message and "gate_up" in message and f".{side[-1]}" in message


def test_a_missing_tensor_of_the_original_layout_is_named(original: Path, tmp_path: Path) -> None:
    damaged = shutil.copytree(original, tmp_path / "damaged")
    name = f"{AUDIO}encoder.encoders.1.feed_forward_in.net.2.weight"
    index = damaged / "model.safetensors.index.json"
    places = json.loads(index.read_text())["weight_map"]
    _drop(damaged / places.pop(name), name)
    index.write_text(json.dumps({"weight_map": places}))
    assert "encoders.1.feed_forward_in" in _refusal(damaged)


def _drop(file: Path, name: str) -> None:
    weights = load_file(file)
    del weights[name]
    save_file(weights, file)


def _refusal(checkpoint: Path) -> str:
    with pytest.raises(CheckpointError) as raised:
        plan_export(checkpoint, ExportOptions(bits=32))
    assert raised.value.hint
    return str(raised.value)
