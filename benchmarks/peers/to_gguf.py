"""Hugging Face directory of a `phi3` model -> GGUF Q4_0, the way llama.cpp's own tools get there.

First a bf16 GGUF with the checkpoint's bytes, then llama.cpp's quantiser (`llama_model_quantize`), so that the type
of every tensor is its own choice: Q4_0 for projections, Q6_K for the tied embedding. gguf-py alone cannot write
Q6_K. Runs in the peers' interpreter: `python -m benchmarks.peers.to_gguf CHECKPOINT OUT.gguf [--threads N]`.
"""

import argparse
import ctypes
import json
import math
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from benchmarks.peers.synthetic_tokenizer import PLAIN, SPECIAL

NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "input_layernorm.weight": "attn_norm.weight",
    "self_attn.qkv_proj.weight": "attn_qkv.weight",
    "self_attn.o_proj.weight": "attn_output.weight",
    "post_attention_layernorm.weight": "ffn_norm.weight",
    "mlp.gate_up_proj.weight": "ffn_up.weight",
    "mlp.down_proj.weight": "ffn_down.weight",
}


def gguf_name(name: str) -> str:
    if name in NAMES:
        return NAMES[name]
    _, _, layer, rest = name.split(".", 3)
    return f"blk.{layer}.{NAMES[rest]}"


def bf16_tensors(checkpoint: Path) -> dict[str, np.memmap]:
    """Every tensor as its raw bf16 bits, uint16, mapped from its shard."""
    index = json.loads((checkpoint / "model.safetensors.index.json").read_text())["weight_map"]
    tensors: dict[str, np.memmap] = {}
    for shard in sorted(set(index.values())):
        path = checkpoint / shard
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        for name, entry in header.items():
            start = 8 + length + entry["data_offsets"][0]
            tensors[name] = np.memmap(path, np.uint16, "r", start, tuple(entry["shape"]))
    return tensors


def add_metadata(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    head = config["hidden_size"] // config["num_attention_heads"]
    original, context = config["original_max_position_embeddings"], config["max_position_embeddings"]
    writer.add_name("random Phi-4-mini geometry")
    writer.add_context_length(context)
    writer.add_rope_scaling_orig_ctx_len(original)
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_dimension_count(int(config["partial_rotary_factor"] * head))
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_rope_scaling_attn_factors(math.sqrt(1 + math.log(context / original) / math.log(original)))
    writer.add_sliding_window(config["sliding_window"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)


def add_tokenizer(writer: gguf.GGUFWriter, checkpoint: Path, vocab_size: int) -> None:
    model = json.loads((checkpoint / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    tokens = [f"[PAD{index}]" for index in range(vocab_size)]
    types = [gguf.TokenType.UNUSED] * vocab_size
    for token, index in model["vocab"].items():
        tokens[index] = token
        types[index] = gguf.TokenType.NORMAL
    for index in SPECIAL:
        types[index] = gguf.TokenType.USER_DEFINED if index in PLAIN else gguf.TokenType.CONTROL
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-4o")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges([" ".join(pair) for pair in model["merges"]])
    writer.add_bos_token_id(199999)
    writer.add_eos_token_id(200020)
    writer.add_add_bos_token(False)


def write_bf16(checkpoint: Path, path: Path) -> None:
    """The same weights as a GGUF file: projections as they are, norms and rotary factors as float32."""
    config = json.loads((checkpoint / "config.json").read_text())
    writer = gguf.GGUFWriter(path, "phi3")
    add_metadata(writer, config)
    add_tokenizer(writer, checkpoint, config["vocab_size"])
    small: dict[str, np.ndarray] = {
        f"rope_factors_{kind}.weight": np.asarray(config["rope_scaling"][f"{kind}_factor"], np.float32)
        for kind in ("long", "short")
    }
    large: dict[str, np.ndarray] = {}
    for name, bits in bf16_tensors(checkpoint).items():
        if bits.ndim == 1:
            small[gguf_name(name)] = (bits.astype(np.uint32) << 16).view(np.float32)
        else:
            large[gguf_name(name)] = bits
    for name, values in small.items():
        writer.add_tensor_info(name, values.shape, values.dtype, values.nbytes)
    for name, values in large.items():
        writer.add_tensor_info(
            name, values.shape, values.dtype, values.nbytes, raw_dtype=gguf.GGMLQuantizationType.BF16
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for values in (*small.values(), *large.values()):
        writer.write_tensor_data(values)
    writer.close()


def quantise(source: Path, target: Path, threads: int) -> None:
    import llama_cpp

    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0
    parameters.nthread = threads
    status = llama_cpp.llama_model_quantize(str(source).encode(), str(target).encode(), ctypes.byref(parameters))
    if status != 0:
        raise SystemExit(f"llama.cpp could not quantise {source} (status {status})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    intermediate = arguments.out.with_suffix(".bf16.gguf")
    try:
        write_bf16(arguments.checkpoint, intermediate)
        quantise(intermediate, arguments.out, arguments.threads)
    finally:
        intermediate.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
