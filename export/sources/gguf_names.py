"""GGUF tensor names and their Hugging Face names, for the architectures that can be exported."""

import re
from collections.abc import Iterable

from edge.errors import CheckpointError
from export.sources.gguf_header import DAMAGED_HINT

ARCHITECTURES = ("llama", "phi3")

SIDE_TENSORS = {
    "llama": ("rope_freqs.weight",),
    "phi3": ("rope_factors_long.weight", "rope_factors_short.weight"),
}
"""Constants that become part of the config, not weights."""

_WHOLE_MODEL = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
}
_EVERY_LAYER = {
    "attn_norm": "input_layernorm",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_down": "mlp.down_proj",
}
_LAYER = {
    "llama": _EVERY_LAYER
    | {
        "attn_q": "self_attn.q_proj",
        "attn_k": "self_attn.k_proj",
        "attn_v": "self_attn.v_proj",
        "ffn_gate": "mlp.gate_proj",
        "ffn_up": "mlp.up_proj",
    },
    # Phi-3 keeps q, k, v in one matrix, and gate above up in another, in both worlds
    "phi3": _EVERY_LAYER | {"attn_qkv": "self_attn.qkv_proj", "ffn_up": "mlp.gate_up_proj"},
}
_BIASED = {"llama": ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"), "phi3": ()}
_OF_LAYER = re.compile(r"blk\.(0|[1-9][0-9]{0,4})\.([a-z_]+)\.(weight|bias)")


def hugging_face_names(names: Iterable[str], architecture: str, layers: int, where: str) -> dict[str, str]:
    """Hugging Face name -> GGUF name of every weight; side tensors are left out.

    Raises CheckpointError for a tensor that has no place in the model (leaving it out would change the answers),
    and for a weight that is missing. `where` names the file in the message.
    """
    names = list(names)
    if layers > len(names):
        raise CheckpointError(f"{where} claims {layers} layers but holds {len(names)} tensors", DAMAGED_HINT)
    found: dict[str, str] = {}
    for name in names:
        if name not in SIDE_TENSORS[architecture]:
            found[_hugging_face_name(name, architecture, layers, where)] = name
    required = [f"{_WHOLE_MODEL[part]}.weight" for part in ("token_embd", "output_norm")]
    for layer in range(layers):
        required += [f"model.layers.{layer}.{part}.weight" for part in _LAYER[architecture].values()]
    missing = [name for name in required if name not in found]
    if missing:
        raise CheckpointError(
            f"{where} lacks {len(missing)} of the {len(required)} weights that {architecture} needs, "
            f"the first is {missing[0]}",
            "download the whole model again, or convert it again with a current llama.cpp",
        )
    return found


def _hugging_face_name(name: str, architecture: str, layers: int, where: str) -> str:
    part, _, end = name.rpartition(".")
    if part in _WHOLE_MODEL and end == "weight":
        return f"{_WHOLE_MODEL[part]}.weight"
    if match := _OF_LAYER.fullmatch(name):
        layer, part, end = match.groups()
        known = _LAYER[architecture] if end == "weight" else _BIASED[architecture]
        if part in known and int(layer) < layers:
            return f"model.layers.{layer}.{_LAYER[architecture][part]}.{end}"
    raise CheckpointError(
        f"{where} holds the tensor {name!r}, which has no place in a {architecture} model of {layers} layers",
        "only plain llama and phi3 models can be exported, without experts or extra heads",
    )
