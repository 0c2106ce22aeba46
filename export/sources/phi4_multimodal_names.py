"""Tensor names of Phi-4-multimodal: every layout is read under the names of transformers' Phi4MultimodalForCausalLM.

LoRA matrices, which that class does not have, are called `lora.{speech,vision}.layers.N.{matrix}.{A,B}` with `matrix`
one of MATRICES' values.
"""

import re

from edge.errors import CheckpointError

ADAPTERS = ("speech", "vision")
MATRICES = {
    "self_attn.qkv_proj": "qkv",
    "self_attn.o_proj": "attention_out",
    "mlp.gate_up_proj": "gate_up",
    "mlp.down_proj": "down",
}
"""The decoder's modules that have a LoRA in this model, and what each is called here."""

_MODULE = rf"model\.layers\.([0-9]{{1,4}})\.({'|'.join(map(re.escape, MATRICES))})"
_ORIGINAL_LORA = re.compile(_MODULE + r"\.lora_([AB])\.(\w+)\.weight")
# PEFT itself writes the prefix, transformers' conversion script does not
_PEFT_LORA = re.compile(r"(?:base_model\.model\.)?" + _MODULE + r"\.lora_([AB])\.weight")
_BASE_LAYER = re.compile(_MODULE + r"\.base_layer\.weight")

_EXTEND = "model.embed_tokens_extend."
_RENAMED = {
    "image_embed.img_projection.0.": "image_embed.img_projection_up.",
    "image_embed.img_projection.2.": "image_embed.img_projection_down.",
    "image_embed.glb_GN": "image_embed.global_img_feature_extensor",
    "image_embed.sub_GN": "image_embed.sub_img_feature_extensor",
    "audio_embed.audio_projection.speech.0.": "audio_embed.up_proj_for_speech.",
    "audio_embed.audio_projection.speech.2.": "audio_embed.down_proj_for_speech.",
    "audio_embed.audio_projection.vision.0.": "audio_embed.up_proj_for_vision_speech.",
    "audio_embed.audio_projection.vision.2.": "audio_embed.down_proj_for_vision_speech.",
}
_RENAMED_IN_BLOCK = {
    "feed_forward_in.net.0.linear": "feed_forward_in.gate_up_proj",
    "feed_forward_in.net.2": "feed_forward_in.down_proj",
    "feed_forward_out.net.0.linear": "feed_forward_out.gate_up_proj",
    "feed_forward_out.net.2": "feed_forward_out.down_proj",
    "self_attn.linear_q": "self_attn.q_proj",
    "self_attn.linear_k": "self_attn.k_proj",
    "self_attn.linear_v": "self_attn.v_proj",
    "self_attn.linear_out": "self_attn.o_proj",
}
_BLOCK = re.compile(re.escape(_EXTEND) + r"audio_embed\.encoder\.encoders\.[0-9]+\.")


def lora_name(adapter: str, layer: int, matrix: str, side: str) -> str:
    """`matrix` is one of MATRICES' values, `side` A (rank × in) or B (out × rank)."""
    return f"lora.{adapter}.layers.{layer}.{matrix}.{side}"


def from_original(stored: str) -> str:
    """The name of a tensor of the remote-code layout.

    A name that is not renamed stays, also a third adapter's. Raises CheckpointError for a LoRA weight of a matrix
    that has none in this model: leaving it out would change the model.
    """
    if ".lora_" in stored:
        found = _ORIGINAL_LORA.fullmatch(stored)
        if not found:
            raise _foreign(stored)
        layer, module, side, adapter = found.groups()
        return lora_name(adapter, int(layer), MATRICES[module], side) if adapter in ADAPTERS else stored
    if found := _BASE_LAYER.fullmatch(stored):
        return stored.replace(".base_layer.", ".")
    if block := _BLOCK.match(stored):
        part, dot, leaf = stored[block.end() :].rpartition(".")
        return block[0] + _RENAMED_IN_BLOCK.get(part, part) + dot + leaf
    for old, new in _RENAMED.items():
        if stored.startswith(_EXTEND + old):
            return _EXTEND + new + stored[len(_EXTEND + old) :]
    return stored


def from_peft(stored: str, adapter: str) -> str:
    """The name of a tensor of a PEFT folder. Raises CheckpointError for anything but a LoRA weight of MATRICES."""
    found = _PEFT_LORA.fullmatch(stored)
    if not found:
        raise _foreign(stored, f"{adapter}-lora: ")
    return lora_name(adapter, int(found[1]), MATRICES[found[2]], found[3])


def printable(name: str) -> str:
    """A tensor name for a message: no control characters, cut short."""
    return ascii(name)[1:-1][:120]


def _foreign(stored: str, where: str = "") -> CheckpointError:
    return CheckpointError(
        f"{where}tensor {printable(stored)} is no LoRA weight of the decoder's {', '.join(MATRICES.values())}",
        "only the LoRAs that Phi-4-multimodal was released with, or ones trained on the same matrices, can be exported",
    )
