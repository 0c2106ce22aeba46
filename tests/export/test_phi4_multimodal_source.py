"""Both layouts of Phi-4-multimodal are one checkpoint: same names, values and facts, and the same refusals."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from edge.errors import CheckpointError
from export.architectures.config import ConfigReader
from export.architectures.rope import read_rotary
from export.sources import open_checkpoint
from export.sources.checkpoint import Checkpoint
from tests.multimodal_checkpoints import RANKS, convert_to_original, load_reference, write_native

LAYOUTS = ("native", "original")
QKV = "model.layers.1.self_attn.qkv_proj"
WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same random model in both layouts; tests copy them before a change."""
    place = tmp_path_factory.mktemp("multimodal")
    native = write_native(place / "native")
    return {"native": native, "original": convert_to_original(native, place / "original")}


@pytest.fixture
def native(checkpoints: dict[str, Path], tmp_path: Path) -> Path:
    return shutil.copytree(checkpoints["native"], tmp_path / "native")


@pytest.fixture
def original(checkpoints: dict[str, Path], tmp_path: Path) -> Path:
    return shutil.copytree(checkpoints["original"], tmp_path / "original")


def whole(checkpoint: Checkpoint, name: str) -> np.ndarray:
    return checkpoint.rows(name, 0, checkpoint.tensors[name].shape[0])


def edit(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    values = json.loads(file.read_text())
    change(values)
    file.write_text(json.dumps(values))


def edit_weights(file: Path, change: Callable[[dict[str, np.ndarray]], object]) -> None:
    weights = load_file(file)
    change(weights)
    save_file(weights, file)


def edit_original(directory: Path, change: Callable[[dict[str, np.ndarray]], object]) -> None:
    """Changes the weights of an original checkpoint, which becomes one file."""
    shards = sorted(directory.glob("*.safetensors"))
    weights = {name: tensor for shard in shards for name, tensor in load_file(shard).items()}
    for file in (*shards, directory / "model.safetensors.index.json"):
        file.unlink()
    change(weights)
    save_file(weights, directory / "model.safetensors")


def refused(directory: Path) -> str:
    with pytest.raises(CheckpointError) as raised:
        open_checkpoint(directory)
    message = str(raised.value)
    assert message.isprintable() and 10 < len(message) < 400 and raised.value.hint
    return message


def test_both_layouts_have_the_same_names_shapes_and_values(checkpoints: dict[str, Path]) -> None:
    native, original = (open_checkpoint(checkpoints[layout]) for layout in LAYOUTS)
    assert {n: i.shape for n, i in native.tensors.items()} == {n: i.shape for n, i in original.tensors.items()}
    for name in native.tensors:
        np.testing.assert_array_equal(whole(native, name), whole(original, name), name)


def test_both_layouts_state_the_same_facts(checkpoints: dict[str, Path]) -> None:
    native, original = (open_checkpoint(checkpoints[layout]) for layout in LAYOUTS)
    assert native.config == original.config
    assert native.generation_config == original.generation_config
    assert native.tokenizer_json() == original.tokenizer_json()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_main_weights_have_the_names_and_values_of_transformers_class(
    checkpoints: dict[str, Path], layout: str
) -> None:
    checkpoint = open_checkpoint(checkpoints[layout])
    reference = {name: value.numpy() for name, value in load_reference(checkpoints["native"]).state_dict().items()}
    del reference["lm_head.weight"]  # tied
    assert {name for name in checkpoint.tensors if not name.startswith("lora.")} == set(reference)
    for name, value in reference.items():
        np.testing.assert_array_equal(whole(checkpoint, name), value, name)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("adapter", RANKS)
def test_loras_have_canonical_names_and_add_what_the_config_says(
    checkpoints: dict[str, Path], layout: str, adapter: str
) -> None:
    checkpoint = open_checkpoint(checkpoints[layout])
    reference = load_reference(checkpoints["native"], adapter).state_dict()
    facts = checkpoint.config[f"{adapter}_lora"]
    assert facts == {"r": RANKS[adapter], "lora_alpha": 2 * RANKS[adapter]}
    modules = {"qkv": "self_attn.qkv_proj", "attention_out": "self_attn.o_proj"}
    modules |= {"gate_up": "mlp.gate_up_proj", "down": "mlp.down_proj"}
    expected = {f"lora.{adapter}.layers.{i}.{m}.{side}" for i in range(3) for m in modules for side in "AB"}
    assert {name for name in checkpoint.tensors if name.startswith(f"lora.{adapter}.")} == expected
    for index in range(3):
        for matrix, module in modules.items():
            base = whole(checkpoint, f"model.layers.{index}.{module}.weight")
            a, b = (whole(checkpoint, f"lora.{adapter}.layers.{index}.{matrix}.{side}") for side in "AB")
            merged = reference[f"model.layers.{index}.{module}.weight"].numpy()
            np.testing.assert_allclose(base + facts["lora_alpha"] / facts["r"] * b @ a, merged, rtol=0, atol=1e-5)
            assert np.abs(merged - base).max() > 0.01


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rotary_facts_are_complete_whatever_the_layout(checkpoints: dict[str, Path], layout: str) -> None:
    config = open_checkpoint(checkpoints[layout]).config
    rotary = read_rotary(ConfigReader(config), head_size=64, context_length=config["max_position_embeddings"])
    assert (rotary.dim, rotary.original_context, len(rotary.long_inv_freq)) == (48, 4096, 24)
    assert rotary.attention_factor == pytest.approx((1 + np.log(2) / np.log(4096)) ** 0.5)
    assert rotary.long_inv_freq[23] == pytest.approx(10000 ** (-46 / 48) / 24)


def test_what_the_original_config_does_not_say_comes_from_the_tensors_or_the_released_model(original: Path) -> None:
    def silence(config: dict[str, Any]) -> None:
        for key in ("vision_config", "audio_config", "embd_layer", "audio_processor", "img_processor"):
            del config[key]

    edit(original / "config.json", silence)
    config = open_checkpoint(original).config
    vision, audio = config["vision_config"], config["audio_config"]
    assert (vision["hidden_size"], vision["intermediate_size"], vision["num_hidden_layers"]) == (32, 112, 3)
    assert (vision["patch_size"], vision["image_size"], vision["crop_size"]) == (14, 448, 448)
    assert (vision["num_attention_heads"], vision["image_token_id"], audio["audio_token_id"]) == (16, 200010, 200011)
    assert (audio["hidden_size"], audio["intermediate_size"], audio["num_blocks"]) == (64, 96, 2)
    assert (audio["num_attention_heads"], audio["bias_max_distance"], audio["kernel_size"]) == (4, 500, 3)
    assert (audio["nemo_conv_channels"], audio["time_reduction"], audio["input_size"]) == (32, 8, 80)


def test_the_adapter_folders_beside_an_original_checkpoint_are_not_read(original: Path) -> None:
    before = open_checkpoint(original)
    for adapter in RANKS:
        (original / f"{adapter}-lora").mkdir()
        (original / f"{adapter}-lora" / WEIGHTS).write_bytes(b"not safetensors")
        (original / f"{adapter}-lora" / CONFIG).write_bytes(b"not JSON")
    after = open_checkpoint(original)
    assert (after.config, after.tensors) == (before.config, before.tensors)


def test_adapters_as_transformers_conversion_script_names_them_are_read(
    native: Path, checkpoints: dict[str, Path]
) -> None:
    def without_prefix(weights: dict[str, np.ndarray]) -> None:
        for name in list(weights):
            weights[name.removeprefix("base_model.model.")] = weights.pop(name)

    edit_weights(native / "speech-lora" / WEIGHTS, without_prefix)
    assert open_checkpoint(native).tensors == open_checkpoint(checkpoints["native"]).tensors


def test_a_list_of_the_four_target_modules_is_as_good_as_a_pattern(native: Path) -> None:
    targets = ["down_proj", "qkv_proj", "gate_up_proj", "self_attn.o_proj"]
    edit(native / "speech-lora" / CONFIG, lambda c: c.update(target_modules=targets))
    open_checkpoint(native)


def test_a_third_adapter_in_the_shards_keeps_its_name_and_harms_nothing(original: Path) -> None:
    third = f"{QKV}.lora_A.music.weight"
    before = set(open_checkpoint(original).tensors)
    edit_original(original, lambda w: w.update({third: np.ones((2, 256), np.float32)}))
    assert set(open_checkpoint(original).tensors) == before | {third}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_missing_weight_is_left_to_its_consumer_to_name(checkpoints: dict[str, Path], layout: str, tmp_path: Path):
    directory = shutil.copytree(checkpoints[layout], tmp_path / "model")
    gone = "model.embed_tokens_extend.audio_embed.encoder.encoders.1.conv.glu.b1"
    edit_original(directory, lambda w: w.pop(gone)) if layout == "original" else edit_weights(
        directory / "model.safetensors", lambda w: w.pop(gone)
    )
    assert gone not in open_checkpoint(directory).tensors


@pytest.mark.parametrize("adapter", RANKS)
@pytest.mark.parametrize("what", ["", CONFIG, WEIGHTS])
def test_a_missing_adapter_folder_or_file_is_named(native: Path, adapter: str, what: str) -> None:
    path = native / f"{adapter}-lora" / what
    path.unlink() if what else shutil.rmtree(path)
    assert f"{adapter}-lora/{what}".rstrip("/") + " is missing" in refused(native)


ADAPTER_CONFIGS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "no alpha": (lambda c: c.pop("lora_alpha"), "no lora_alpha"),
    "no rank": (lambda c: c.pop("r"), "no r"),
    "a rank of text": (lambda c: c.update(r="4"), "r is '4'"),
    "a rank of nothing": (lambda c: c.update(r=0), "r is 0"),
    "a negative alpha": (lambda c: c.update(lora_alpha=-8), "lora_alpha is -8"),
    "another rank": (lambda c: c.update(r=5), "r=5"),
    "other targets": (lambda c: c.update(target_modules=["qkv_proj", "o_proj"]), "target_modules"),
    "more targets": (
        lambda c: c.update(target_modules=["qkv_proj", "o_proj", "gate_up_proj", "down_proj", "lm_head"]),
        "target_modules",
    ),
    "DoRA": (lambda c: c.update(use_dora=True), "use_dora"),
    "rank-stabilised": (lambda c: c.update(use_rslora=True), "use_rslora"),
    "biases": (lambda c: c.update(bias="lora_only"), "bias is 'lora_only'"),
    "modules to save": (lambda c: c.update(modules_to_save=["embed_tokens"]), "modules_to_save"),
    "ranks by pattern": (lambda c: c.update(rank_pattern={"o_proj": 8}), "rank_pattern"),
    "scales by pattern": (lambda c: c.update(alpha_pattern={"o_proj": 8}), "alpha_pattern"),
    "some layers only": (lambda c: c.update(layers_to_transform=[0]), "layers_to_transform"),
    "another method": (lambda c: c.update(peft_type="LOHA"), "peft_type is 'LOHA'"),
}


@pytest.mark.parametrize("kind", ADAPTER_CONFIGS)
def test_an_adapter_that_is_no_plain_lora_is_refused_by_file_and_option(native: Path, kind: str) -> None:
    change, said = ADAPTER_CONFIGS[kind]
    edit(native / "vision-lora" / CONFIG, change)
    message = refused(native)
    assert said in message and "vision" in message


@pytest.mark.parametrize("content", [b"", b"[]", b'{"r": NaN}', b'{"r": 4, "r": 4}', b"\xff"])
def test_a_damaged_adapter_config_is_refused(native: Path, content: bytes) -> None:
    (native / "speech-lora" / CONFIG).write_bytes(content)
    assert CONFIG in refused(native)


def test_a_damaged_adapter_file_is_named_with_its_folder(native: Path) -> None:
    file = native / "vision-lora" / WEIGHTS
    file.write_bytes(file.read_bytes()[:-4])
    assert f"vision-lora/{WEIGHTS}" in refused(native)


def test_nan_in_an_adapter_is_found_and_named_with_its_folder(native: Path) -> None:
    stored = f"base_model.model.{QKV}.lora_B.weight"
    edit_weights(native / "vision-lora" / WEIGHTS, lambda w: w[stored].__setitem__((3, 1), np.nan))
    checkpoint = open_checkpoint(native)
    with pytest.raises(CheckpointError, match=rf"{stored} in vision-lora/{WEIGHTS} contains NaN"):
        whole(checkpoint, "lora.vision.layers.1.qkv.B")


PEFT = "base_model.model.model."
FOREIGN = [
    f"{PEFT}embed_tokens.lora_embedding_A",
    f"{PEFT}layers.0.self_attn.q_proj.lora_A.weight",
    f"{PEFT}layers.0.self_attn.qkv_proj.lora_magnitude_vector",
    f"{PEFT}embed_tokens_extend.audio_embed.encoder.encoders.0.self_attn.o_proj.lora_A.weight",
    "model.norm.weight",
    "\x1b[2J" * 99,
]


@pytest.mark.parametrize("name", FOREIGN)
def test_an_adapter_weight_that_would_be_lost_is_refused(native: Path, name: str) -> None:
    edit_weights(native / "speech-lora" / WEIGHTS, lambda w: w.update({name: np.ones((4, 4), np.float32)}))
    assert ascii(name)[1:-1][:100] in refused(native)


@pytest.mark.parametrize("module", ["self_attn.q_proj.lora_A", "mlp.down_proj.lora_magnitude_vector"])
def test_a_lora_weight_in_the_shards_that_would_be_lost_is_refused(original: Path, module: str) -> None:
    name = f"model.layers.0.{module}.speech.weight"
    edit_original(original, lambda w: w.update({name: np.ones((4, 4), np.float32)}))
    assert name in refused(original)


def test_an_original_checkpoint_without_one_lora_is_refused(original: Path) -> None:
    edit_original(original, lambda w: [w.pop(name) for name in list(w) if ".speech.weight" in name])
    assert "speech LoRA" in refused(original)


def test_an_adapter_without_weights_for_a_matrix_is_refused(native: Path) -> None:
    file = native / "speech-lora" / WEIGHTS
    edit_weights(file, lambda w: [w.pop(name) for name in list(w) if "gate_up" in name])
    assert "speech LoRA" in refused(native) and "gate_up" in refused(native)


@pytest.mark.parametrize("adapter", RANKS)
@pytest.mark.parametrize("key", ["r", "lora_alpha"])
def test_an_original_config_without_rank_or_scale_is_refused(original: Path, adapter: str, key: str) -> None:
    edit(original / "config.json", lambda c: c[f"{adapter}_lora"].pop(key))
    assert f"{adapter}_lora has no {key}" in refused(original)


def test_ranks_that_differ_from_the_original_config_are_refused_by_tensor(original: Path) -> None:
    edit(original / "config.json", lambda c: c["vision_lora"].update(r=8))
    message = refused(original)
    assert ".lora_A.vision.weight" in message or ".lora_B.vision.weight" in message
    assert "r=8" in message


def test_a_weight_with_and_without_its_lora_wrapper_is_ambiguous(original: Path) -> None:
    edit_original(original, lambda w: w.update({f"{QKV}.weight": w[f"{QKV}.base_layer.weight"] + 1}))
    message = refused(original)
    assert f"{QKV}.weight" in message and f"{QKV}.base_layer.weight" in message


VARIANTS: dict[str, Callable[[dict[str, Any]], object]] = {
    "hd_transform_order": lambda c: c["embd_layer"]["image_embd_layer"].update(hd_transform_order="glb_sub"),
    "projection_cls": lambda c: c["embd_layer"]["image_embd_layer"].update(projection_cls="linear"),
    "use_qformer": lambda c: c["embd_layer"]["audio_embd_layer"].update(use_qformer=True),
    "input_layer": lambda c: c["audio_processor"]["config"].update(input_layer="conv2d"),
    "causal": lambda c: c["audio_processor"]["config"].update(causal=False),
    "audio_processor": lambda c: c.update(audio_processor=[]),
    "mlp_bias": lambda c: c.update(mlp_bias=True),
}


@pytest.mark.parametrize("key", VARIANTS)
def test_a_variant_of_the_original_code_without_a_native_form_is_refused(original: Path, key: str) -> None:
    edit(original / "config.json", VARIANTS[key])
    assert key in refused(original)


def test_the_fingerprint_covers_the_adapter_folders(native: Path) -> None:
    before = open_checkpoint(native).fingerprint()
    assert open_checkpoint(native).fingerprint() == before
    edit_weights(native / "vision-lora" / WEIGHTS, lambda w: None)
    rewritten = open_checkpoint(native).fingerprint()
    edit(native / "speech-lora" / CONFIG, lambda c: c.update(lora_alpha=99))
    assert len({before, rewritten, open_checkpoint(native).fingerprint()}) == 3


@pytest.mark.parametrize("layout", LAYOUTS)
def test_code_in_the_folder_is_never_run(checkpoints: dict[str, Path], layout: str, tmp_path: Path) -> None:
    directory, ran = shutil.copytree(checkpoints[layout], tmp_path / "model"), tmp_path / "ran"
    for module in ("modeling_phi4mm", "configuration_phi4mm", "processing_phi4mm", "__init__", "conftest"):
        (directory / f"{module}.py").write_text(f"open({str(ran)!r}, 'w').write('pwned')")
    edit(directory / "config.json", lambda c: c.update(auto_map={"AutoConfig": "configuration_phi4mm.Phi4MMConfig"}))
    checkpoint = open_checkpoint(directory)
    for name in checkpoint.tensors:
        whole(checkpoint, name)
    checkpoint.tokenizer_json(), checkpoint.chat_template(), checkpoint.fingerprint()
    assert not ran.exists()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_chat_template_is_the_one_in_the_folder(checkpoints: dict[str, Path], layout: str, tmp_path: Path) -> None:
    directory = shutil.copytree(checkpoints[layout], tmp_path / "model")
    assert open_checkpoint(directory).chat_template() is None
    (directory / "chat_template.jinja").write_text("{{ messages }}")
    assert open_checkpoint(directory).chat_template() == "{{ messages }}"
