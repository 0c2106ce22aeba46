"""Small random Phi-4-multimodal checkpoints in both layouts, and transformers' model of one in each mode."""

import copy
import json
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file
from tokenizers import AddedToken, Tokenizer

from tests.checkpoints import VOCAB, tokenizer
from tests.multimodal_original import TARGETS, original_config, original_name
from tests.reference_import import import_transformers

IMAGE_TOKEN, AUDIO_TOKEN = "<|endoftext10|>", "<|endoftext11|>"
MODES = {"text": None, "speech": "speech", "vision": "vision", "vision_speech": "vision"}
"""The LoRA of each mode."""

RANKS = {"speech": 4, "vision": 6}
SAVED = {"format": "pt"}
ROTARY_PAIRS = 24


def multimodal_tokenizer() -> Tokenizer:
    """The tokenizer of `tests.checkpoints` with Phi-4's two placeholders behind the other special tokens."""
    made = tokenizer()
    made.add_special_tokens([AddedToken(token, special=True) for token in (IMAGE_TOKEN, AUDIO_TOKEN)])
    return made


def native_config(original_context: int = 4096, max_context: int = 8192, **changes: Any) -> dict[str, Any]:
    """config.json as transformers 5 writes it; changes are top-level fields."""
    tokens = multimodal_tokenizer()
    config = {
        "model_type": "phi4_multimodal",
        "architectures": ["Phi4MultimodalForCausalLM"],
        "vocab_size": VOCAB,
        "hidden_size": 256,
        "intermediate_size": 384,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "max_position_embeddings": max_context,
        "original_max_position_embeddings": original_context,
        "tie_word_embeddings": True,
        "sliding_window": None,
        "bos_token_id": None,
        "pad_token_id": None,
        "eos_token_id": [tokens.token_to_id("<|endoftext|>"), tokens.token_to_id("<|end|>")],
        "rope_parameters": {
            "rope_type": "longrope",
            "rope_theta": 10000.0,
            "partial_rotary_factor": 0.75,
            "original_max_position_embeddings": original_context,
            "short_factor": [1.0 + 0.01 * i for i in range(ROTARY_PAIRS)],
            "long_factor": [1.0 + i for i in range(ROTARY_PAIRS)],
        },
        "vision_config": {
            "model_type": "phi4_multimodal_vision",
            "hidden_size": 32,
            "intermediate_size": 112,  # like the real 4304, no multiple of 32
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
            "image_size": 448,
            "patch_size": 14,
            "crop_size": 448,
            "image_token_id": tokens.token_to_id(IMAGE_TOKEN),
        },
        "audio_config": {
            "model_type": "phi4_multimodal_audio",
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_blocks": 2,
            "num_attention_heads": 4,
            "nemo_conv_channels": 32,
            "ext_pw_out_channel": 64,
            "depthwise_separable_out_channel": 64,
            "bias_max_distance": 500,
            "audio_token_id": tokens.token_to_id(AUDIO_TOKEN),
        },
    }
    return config | changes


def write_native(
    directory: Path, seed: int = 0, original_context: int = 4096, max_context: int = 8192, **changes: Any
) -> Path:
    """The layout of transformers: one file of main weights, and a PEFT folder for each LoRA."""
    config = native_config(original_context, max_context, **changes)
    random = np.random.default_rng(seed)
    weights = {name: _random_tensor(random, name, shape) for name, shape in sorted(_native_shapes(config).items())}
    _write_texts(directory, config)
    save_file(weights, directory / "model.safetensors", SAVED)
    for adapter, rank in RANKS.items():
        folder = directory / f"{adapter}-lora"
        folder.mkdir()
        made = {}
        for name, (rows, columns) in _decoder_matrices(weights).items():
            key = f"base_model.model.{name.removesuffix('.weight')}"
            made[f"{key}.lora_A.weight"] = _random_tensor(random, "A", (rank, columns))
            made[f"{key}.lora_B.weight"] = _random_tensor(random, "B", (rows, rank))
        save_file(made, folder / "adapter_model.safetensors", SAVED)
        facts = {"peft_type": "LORA", "r": rank, "lora_alpha": 2 * rank, "target_modules": TARGETS, "bias": "none"}
        unset = {"use_dora": False, "use_rslora": False, "modules_to_save": None, "rank_pattern": {}}
        (folder / "adapter_config.json").write_text(json.dumps(facts | unset))
    return directory


def convert_to_original(native: Path, directory: Path) -> Path:
    """The same weights as the remote-code layout stores them: two shards that hold the LoRAs too."""
    config = json.loads((native / "config.json").read_text())
    weights = load_file(native / "model.safetensors")
    matrices = _decoder_matrices(weights)
    made = {original_name(name, name in matrices): tensor for name, tensor in weights.items()}
    for adapter in RANKS:
        for name, tensor in load_file(native / f"{adapter}-lora" / "adapter_model.safetensors").items():
            made[name.removeprefix("base_model.model.").replace(".weight", f".{adapter}.weight")] = tensor
    _write_texts(directory, original_config(config, RANKS))
    names, weight_map = sorted(made), {}
    for shard in range(2):
        file = f"model-0000{shard + 1}-of-00002.safetensors"
        own = names[shard::2]
        save_file({name: made[name] for name in own}, directory / file, SAVED)
        weight_map |= dict.fromkeys(own, file)
    (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return directory


def load_reference(native: Path, mode: str = "text") -> Any:
    """Phi4MultimodalForCausalLM, float32 and eager, with W + alpha / r · B·A of the mode's LoRA merged into W."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch

        torch.set_num_threads(1)
        model, loading = import_transformers().Phi4MultimodalForCausalLM.from_pretrained(
            native, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
        )
    assert not any(loading.values()), loading
    if adapter := MODES[mode]:
        folder = native / f"{adapter}-lora"
        facts = json.loads((folder / "adapter_config.json").read_text())
        lora = load_file(folder / "adapter_model.safetensors")
        with torch.no_grad():
            for name in (key for key in lora if key.endswith(".lora_A.weight")):
                down, up = lora[name], lora[name.replace("lora_A", "lora_B")]
                module = model.get_submodule(name.removeprefix("base_model.model.").removesuffix(".lora_A.weight"))
                module.weight += torch.from_numpy(facts["lora_alpha"] / facts["r"] * (up @ down))
    return model.eval()


def _native_shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """What transformers' class stores, so that a name is never this file's invention; the tied head is left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch

        module = import_transformers()
        with torch.device("meta"):  # the class writes into the config it is given
            model = module.Phi4MultimodalForCausalLM(module.Phi4MultimodalConfig(**copy.deepcopy(config)))
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items() if name != "lm_head.weight"}


def _random_tensor(random: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Lively values: a signal keeps its size from layer to layer, so that the inputs and not the biases decide."""
    noise = random.standard_normal(shape)
    if name.endswith("global_mean"):  # log-mel values lie between 0 and 25
        values = 12 + 2 * noise
    elif name.endswith("global_invstd"):
        values = 0.25 * np.exp(0.2 * noise)
    elif "norm" in name and name.endswith("weight"):
        values = 1 + 0.1 * noise
    elif name.endswith(("position_embedding.weight", "bias_values.weight")):
        values = noise
    elif len(shape) < 2 or name.endswith(("bias", ".b1", ".b2", "probe")):
        values = 0.1 * noise
    else:
        gain = 2.0 if ".embed.conv." in name else 1.0  # half of the signal ends in each ReLU between them
        values = gain / math.sqrt(math.prod(shape[1:])) * noise
    return values.astype(np.float32)


def _decoder_matrices(weights: dict[str, np.ndarray]) -> dict[str, tuple[int, int]]:
    found = {name: tensor.shape for name, tensor in weights.items() if name.startswith("model.layers.")}
    return {name: (shape[0], shape[1]) for name, shape in found.items() if len(shape) == 2}


def _write_texts(directory: Path, config: dict[str, Any]) -> None:
    directory.mkdir(parents=True)
    ends = config["eos_token_id"]
    (directory / "config.json").write_text(json.dumps(config))
    (directory / "generation_config.json").write_text(json.dumps({"eos_token_id": ends[::-1]}))
    (directory / "tokenizer.json").write_text(multimodal_tokenizer().to_str())
