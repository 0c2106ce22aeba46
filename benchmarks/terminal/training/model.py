"""The model: exactly Phi-4-multimodal's architecture with about 10 million parameters, and how it starts."""

from typing import Any

import torch
from tokenizers import Tokenizer
from torch import nn

from benchmarks.terminal.language.vocabulary import AUDIO, IMAGE, SIZE
from benchmarks.terminal.training.seen import PATCH
from benchmarks.terminal.training.tower_start import start_tower
from tests.reference_import import import_transformers

CONTEXT = 4096
RANKS = {"speech": 32, "vision": 32}
"""Rank of each LoRA; alpha is twice that, as in the original."""


def model_config(tokenizer: Tokenizer) -> dict[str, Any]:
    """config.json of the checkpoint."""
    token = tokenizer.token_to_id
    return {
        "model_type": "phi4_multimodal",
        "architectures": ["Phi4MultimodalForCausalLM"],
        "vocab_size": SIZE,
        "hidden_size": 256,
        "intermediate_size": 768,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "max_position_embeddings": CONTEXT,
        "original_max_position_embeddings": CONTEXT,
        "tie_word_embeddings": True,
        "sliding_window": None,
        "bos_token_id": None,
        "pad_token_id": None,
        "eos_token_id": [token("<|endoftext|>"), token("<|end|>")],
        "rope_parameters": {
            "rope_type": "longrope",
            "rope_theta": 10000.0,
            "partial_rotary_factor": 0.75,
            "original_max_position_embeddings": CONTEXT,
            "short_factor": [1.0] * 24,
            "long_factor": [1.0] * 24,
        },
        "vision_config": {
            "model_type": "phi4_multimodal_vision",
            "hidden_size": 128,
            "intermediate_size": 512,
            "num_hidden_layers": 6,
            "num_attention_heads": 4,
            "image_size": 448,
            "crop_size": 448,
            "patch_size": PATCH,
            "image_token_id": token(IMAGE),
        },
        "audio_config": {
            "model_type": "phi4_multimodal_audio",
            "hidden_size": 192,
            "intermediate_size": 384,
            "num_blocks": 6,
            "num_attention_heads": 4,
            "nemo_conv_channels": 64,
            "ext_pw_out_channel": 192,
            "depthwise_separable_out_channel": 192,
            "bias_max_distance": 500,
            "audio_token_id": token(AUDIO),
        },
    }


def build(tokenizer: Tokenizer, seed: int = 0) -> nn.Module:
    """Phi4MultimodalForCausalLM with weights from which every part can learn.

    transformers starts all linear layers at a deviation of 0.02, and those of the vision tower at 1: the signal dies
    in the convolutions and drowns in the tower. Both encoders start the way PyTorch starts its layers instead.
    """
    transformers = import_transformers()
    torch.manual_seed(seed)
    config = transformers.Phi4MultimodalConfig(
        **{k: v for k, v in model_config(tokenizer).items() if k != "architectures"}
    )
    model = transformers.Phi4MultimodalForCausalLM._from_config(config, attn_implementation="sdpa", dtype=torch.float32)
    _start(model.model.embed_tokens_extend)
    return model


def _start(extension: nn.Module) -> None:
    for module in extension.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear | nn.Conv1d):
            module.reset_parameters()
    vision = extension.image_embed
    start_tower(vision.img_processor)
    for gap in (vision.global_img_feature_extensor, vision.sub_img_feature_extensor):
        nn.init.normal_(gap, std=0.02)
    nn.init.zeros_(extension.audio_embed.encoder.relative_attention_bias_layer.bias_values.weight)
