"""A checkpoint that our sources read, as the Hugging Face directory that other exporters read."""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from export.sources import open_checkpoint


def write_hf_directory(source: Path, out: Path) -> None:
    """float32 safetensors, configs and tokenizer. All tensors are in memory at once: for small models."""
    checkpoint = open_checkpoint(source)
    out.mkdir(parents=True)
    tensors = {
        name: np.ascontiguousarray(checkpoint.rows(name, 0, info.shape[0])) for name, info in checkpoint.tensors.items()
    }
    save_file(tensors, out / "model.safetensors", {"format": "pt"})
    (out / "tokenizer.json").write_bytes(checkpoint.tokenizer_json())
    added = {token["id"]: token["content"] for token in json.loads(checkpoint.tokenizer_json())["added_tokens"]}
    tokens = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": added.get(checkpoint.config.get("bos_token_id")),
        "eos_token": added.get(checkpoint.config.get("eos_token_id")),
        "chat_template": checkpoint.chat_template(),
    }
    texts = {
        "config.json": checkpoint.config,
        "generation_config.json": checkpoint.generation_config,
        "tokenizer_config.json": {key: value for key, value in tokens.items() if value},
    }
    for name, content in texts.items():
        (out / name).write_text(json.dumps(content))
