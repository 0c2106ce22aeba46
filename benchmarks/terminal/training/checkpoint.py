"""The trained weights as a checkpoint in transformers' layout, bfloat16, with the two LoRAs as PEFT folders."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import nn

from benchmarks.terminal.training.lora import TARGETS, AdaptedLinear
from benchmarks.terminal.training.model import RANKS, model_config
from benchmarks.terminal.training.seen import MAX_CROPS

SAVED = {"format": "pt"}


def write_checkpoint(model: nn.Module, tokenizer: Tokenizer, directory: Path) -> Path:
    """`model` with its adapters (see lora.adapt), `tokenizer` and the configs into `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    config = model_config(tokenizer)
    ends = {"eos_token_id": config["eos_token_id"][::-1]}
    for name, content in (
        ("config.json", config),
        ("generation_config.json", ends),
        ("preprocessor_config.json", {"dynamic_hd": MAX_CROPS}),
    ):
        (directory / name).write_text(json.dumps(content, indent=1) + "\n")
    tokenizer.save(str(directory / "tokenizer.json"))
    adapted = {name: m for name, m in model.named_modules() if isinstance(m, AdaptedLinear)}
    weights = {
        name.replace(".base.", "."): tensor
        for name, tensor in model.state_dict().items()
        if name != "lm_head.weight" and not any(f"{key}.{side}." in name for key in adapted for side in "ab")
    }
    save_file({name: _stored(tensor) for name, tensor in weights.items()}, directory / "model.safetensors", SAVED)
    for adapter, rank in RANKS.items():
        folder = directory / f"{adapter}-lora"
        folder.mkdir(exist_ok=True)
        facts = {
            "peft_type": "LORA",
            "r": rank,
            "lora_alpha": 2 * rank,
            "target_modules": list(TARGETS),
            "bias": "none",
        }
        (folder / "adapter_config.json").write_text(json.dumps(facts, indent=1) + "\n")
        made = {}
        for name, module in adapted.items():
            made[f"base_model.model.{name}.lora_A.weight"] = _stored(module.a[adapter].weight)
            made[f"base_model.model.{name}.lora_B.weight"] = _stored(module.b[adapter].weight)
        save_file(made, folder / "adapter_model.safetensors", SAVED)
    return directory


def _stored(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().to(torch.bfloat16).contiguous()
