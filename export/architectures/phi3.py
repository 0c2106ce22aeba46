"""Phi-3 and Phi-4-mini: fused qkv and gate_up matrices, partial rotary embedding, LongRoPE."""

from export.architectures.common import base_spec
from export.architectures.spec import DecoderSpec, LayerTensors
from export.sources.checkpoint import Checkpoint


def read(checkpoint: Checkpoint) -> DecoderSpec:
    return base_spec(checkpoint, fused_layer)


def fused_layer(index: int) -> LayerTensors:
    """Names of the layers that Phi-3, Phi-4-mini and Phi-4-multimodal share."""
    prefix = f"model.layers.{index}."
    return LayerTensors(
        input_norm=prefix + "input_layernorm.weight",
        qkv=(prefix + "self_attn.qkv_proj.weight",),
        attention_out=prefix + "self_attn.o_proj.weight",
        mlp_norm=prefix + "post_attention_layernorm.weight",
        gate_up=(prefix + "mlp.gate_up_proj.weight",),
        down=prefix + "mlp.down_proj.weight",
    )
