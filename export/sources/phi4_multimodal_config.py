"""config.json of either Phi-4-multimodal layout in one form: the one that transformers' Phi4MultimodalConfig writes.

Where a config is silent, tensor shapes decide, and after them the constants of the released model: the original layout
keeps its vision tower's numbers in code that is never run here.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from export.architectures.config import ConfigReader
from export.architectures.rope import ABOVE
from export.sources.checkpoint import TensorInfo

ORIGINAL, NATIVE = "phi4mm", "phi4_multimodal"

TEXT = (
    *("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"),
    *("num_key_value_heads", "head_dim", "hidden_act", "rms_norm_eps"),
    *("max_position_embeddings", "original_max_position_embeddings", "sliding_window", "tie_word_embeddings"),
    *("bos_token_id", "eos_token_id", "pad_token_id"),
)
VISION: dict[str, Any] = {
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_hidden_layers": 27,
    "num_attention_heads": 16,
    "num_channels": 3,
    "image_size": 448,
    "patch_size": 14,
    "crop_size": 448,
    "hidden_act": "gelu_pytorch_tanh",
    "layer_norm_eps": 1e-6,
    "feature_layer": -2,
    "image_token_id": 200010,
}
AUDIO: dict[str, Any] = {
    "hidden_size": 1024,
    "intermediate_size": 1536,
    "num_blocks": 24,
    "num_attention_heads": 16,
    "input_size": 80,
    "time_reduction": 8,
    "nemo_conv_channels": 1024,
    "nemo_activation": "relu",
    "activation": "swish",
    "conv_activation": "swish",
    "conv_glu_type": "swish",
    "kernel_size": 3,
    "ext_pw_out_channel": 1024,
    "depthwise_separable_out_channel": 1024,
    "depthwise_multiplier": 1,
    "bias_max_distance": 500,
    "bias_symmetric": False,
    "chunk_size": -1,
    "left_chunk": 18,
    "downsample_rate": 1,
    "audio_token_id": 200011,
}
AUDIO_RENAMED = {
    "attention_dim": "hidden_size",
    "attention_heads": "num_attention_heads",
    "linear_units": "intermediate_size",
    "depthwise_seperable_out_channel": "depthwise_separable_out_channel",
}
TOWER = "model.embed_tokens_extend.image_embed.img_processor."
CONFORMER = "model.embed_tokens_extend.audio_embed.encoder."


def normalised(
    config: dict[str, Any],
    tensors: Mapping[str, TensorInfo],
    loras: Mapping[str, dict[str, Any]],
    dynamic_hd: int,
) -> dict[str, Any]:
    """The native form of `config`, with `tensors` under canonical names and {"r", "lora_alpha"} of each adapter.

    Text fields (TEXT, those that are given) stand at the top, rope_parameters holds all rotary keys, vision_config and
    audio_config have exactly the keys of VISION and AUDIO, speech_lora, vision_lora and the image processor's
    dynamic_hd are added. Values are copied unchecked: their reader checks type and range. Raises CheckpointError for a
    section that is no object, or a variant of the original code that the native form cannot express.
    """
    reader = ConfigReader(config)
    for key in ("attention_bias", "mlp_bias", "lm_head_bias"):
        reader.require(key, False, False)
    image, speech = _original_encoders(reader) if config["model_type"] == ORIGINAL else ({}, {})
    # the two sections win in the original layout too: a fine-tune may say there what the code had fixed
    vision = (reader.section("vision_config").values, image, _vision_shapes(tensors))
    audio = (reader.section("audio_config").values, speech, _audio_shapes(tensors))
    return {
        **{key: config[key] for key in TEXT if key in config},
        "model_type": NATIVE,
        "rope_parameters": _rope(reader),
        "vision_config": _first_known(VISION, *vision),
        "audio_config": _first_known(AUDIO, *audio),
        **{f"{adapter}_lora": facts for adapter, facts in loras.items()},
        "dynamic_hd": dynamic_hd,
    }


def _first_known(constants: dict[str, Any], *sources: dict[str, Any]) -> dict[str, Any]:
    """For every key of `constants` the first source's value that is given, or the constant."""
    return {
        key: next((source[key] for source in sources if source.get(key) is not None), constant)
        for key, constant in constants.items()
    }


def _rope(reader: ConfigReader) -> dict[str, Any]:
    """Older configs spread the rotary keys over the top level and rope_scaling, and call rope_type type."""
    rope = {key: reader.values[key] for key in ABOVE if reader.values.get(key) is not None}
    rope |= reader.section("rope_parameters").values or reader.section("rope_scaling").values
    kind = rope.pop("type", "default")
    return {"rope_type": kind, **rope}


def _original_encoders(reader: ConfigReader) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the original config says about the vision and the audio encoder, under native names."""
    embedding = reader.section("embd_layer")
    image, audio = embedding.section("image_embd_layer"), embedding.section("audio_embd_layer")
    tower, speech = reader.section("img_processor"), reader.section("audio_processor")
    conformer = speech.section("config")
    bias = conformer.section("relative_attention_bias_args")
    only: tuple[tuple[ConfigReader, dict[str, Any]], ...] = (
        (image, {"use_hd_transform": True, "with_learnable_separator": True, "hd_transform_order": "sub_glb"}),
        (image, {"image_token_compression_cls": "avg_pool_2d", "projection_cls": "mlp"}),
        (audio, {"projection_cls": "mlp", "use_qformer": False, "use_conv_downsample": False}),
        (tower, {"type_feature": "patch"}),
        (speech, {"name": "cascades"}),
        (conformer, {"input_layer": "nemo_conv", "causal": True, "batch_norm": False, "cnn_layer_norm": True}),
        (conformer, {"bias_in_glu": True, "ext_pw_kernel_size": 1}),
        (bias, {"type": "t5"}),
    )
    for section, variants in only:
        for key, variant in variants.items():
            section.require(key, variant, variant)
    vision_facts = {"crop_size": image.values.get("crop_size"), "feature_layer": tower.values.get("layer_idx")}
    audio_facts = {AUDIO_RENAMED.get(key, key): value for key, value in conformer.values.items()} | {
        "nemo_conv_channels": conformer.section("nemo_conv_settings").values.get("conv_channels"),
        "bias_max_distance": bias.values.get("t5_bias_max_distance"),
        "bias_symmetric": bias.values.get("t5_bias_symmetric"),
        "downsample_rate": audio.values.get("downsample_rate"),
    }
    return vision_facts, audio_facts


def _vision_shapes(tensors: Mapping[str, TensorInfo]) -> dict[str, Any]:
    hidden, channels, patch, _ = _shape(tensors, TOWER + "embeddings.patch_embedding.weight", 4)
    positions, _ = _shape(tensors, TOWER + "embeddings.position_embedding.weight", 2)
    return {
        "hidden_size": hidden,
        "num_channels": channels,
        "patch_size": patch,
        "image_size": patch * math.isqrt(positions) if patch and positions else None,
        "intermediate_size": _shape(tensors, TOWER + "encoder.layers.0.mlp.fc1.weight", 2)[0],
        "num_hidden_layers": _count(tensors, TOWER + "encoder.layers."),
    }


def _audio_shapes(tensors: Mapping[str, TensorInfo]) -> dict[str, Any]:
    block = CONFORMER + "encoders.0."
    buckets, heads = _shape(tensors, CONFORMER + "relative_attention_bias_layer.bias_values.weight", 2)
    return {
        "hidden_size": _shape(tensors, CONFORMER + "embed.out.weight", 2)[0],
        "nemo_conv_channels": _shape(tensors, CONFORMER + "embed.conv.0.weight", 4)[0],
        "input_size": _shape(tensors, CONFORMER + "encoder_embedding.global_mean", 1)[0],
        "num_blocks": _count(tensors, CONFORMER + "encoders."),
        "intermediate_size": _shape(tensors, block + "feed_forward_in.down_proj.weight", 2)[1],
        "num_attention_heads": heads,
        "bias_max_distance": buckets // 2 if buckets else None,
        "kernel_size": _shape(tensors, block + "conv.dw_sep_conv_1d.dw_conv.weight", 3)[2],
        "ext_pw_out_channel": _shape(tensors, block + "conv.ext_pw_conv_1d.weight", 3)[0],
        "depthwise_separable_out_channel": _shape(tensors, block + "conv.dw_sep_conv_1d.pw_conv.weight", 3)[0],
    }


def _shape(tensors: Mapping[str, TensorInfo], name: str, rank: int) -> tuple[int | None, ...]:
    """The shape of a tensor, or nothing known when it is missing or has another rank."""
    info = tensors.get(name)
    return info.shape if info and len(info.shape) == rank else (None,) * rank


def _count(tensors: Mapping[str, TensorInfo], series: str) -> int | None:
    """One more than the highest N of the names that begin with `series`N."""
    pattern = re.compile(re.escape(series) + r"([0-9]{1,4})\.")
    return max((int(found[1]) + 1 for name in tensors if (found := pattern.match(name))), default=None)
