"""What the remote-code layout of Phi-4-multimodal calls the weights of transformers' class, and its config.json."""

from typing import Any

TARGETS = r"model.layers.\d+.((self_attn.(qkv|o)_proj)|(mlp.(gate_up|down)_proj))"
EXTEND = "model.embed_tokens_extend."

ORIGINAL_NAMES = [  # native part, original part; the first that fits is used
    (".feed_forward_in.gate_up_proj.", ".feed_forward_in.net.0.linear."),
    (".feed_forward_in.down_proj.", ".feed_forward_in.net.2."),
    (".feed_forward_out.gate_up_proj.", ".feed_forward_out.net.0.linear."),
    (".feed_forward_out.down_proj.", ".feed_forward_out.net.2."),
    (".img_projection_up.", ".img_projection.0."),
    (".img_projection_down.", ".img_projection.2."),
    (".global_img_feature_extensor", ".glb_GN"),
    (".sub_img_feature_extensor", ".sub_GN"),
    (".up_proj_for_speech.", ".audio_projection.speech.0."),
    (".down_proj_for_speech.", ".audio_projection.speech.2."),
    (".up_proj_for_vision_speech.", ".audio_projection.vision.0."),
    (".down_proj_for_vision_speech.", ".audio_projection.vision.2."),
]


def original_name(name: str, has_lora: bool) -> str:
    """Where the remote-code layout keeps the main weight that transformers calls `name`."""
    if has_lora:
        return name.replace(".weight", ".base_layer.weight")
    for native, original in ORIGINAL_NAMES:
        if native in name and name.startswith(EXTEND):
            return name.replace(native, original)
    if ".audio_embed.encoder.encoders." in name:
        for part, original in {"q_proj": "linear_q", "k_proj": "linear_k", "v_proj": "linear_v"}.items():
            name = name.replace(f".self_attn.{part}.", f".self_attn.{original}.")
        return name.replace(".self_attn.o_proj.", ".self_attn.linear_out.")
    return name


def original_config(native: dict[str, Any], ranks: dict[str, int]) -> dict[str, Any]:
    """The remote code's config.json for the same model; vision_config states what that code has as constants."""
    rope, audio, vision = native["rope_parameters"], native["audio_config"], native["vision_config"]
    text = {key: native[key] for key in native if key not in ("rope_parameters", "audio_config", "vision_config")}
    adapters = {f"{a}_lora": {"dp": 0.0, "layer": TARGETS, "lora_alpha": 2 * r, "r": r} for a, r in ranks.items()}
    return text | {
        "model_type": "phi4mm",
        "architectures": ["Phi4MMForCausalLM"],
        "auto_map": {"AutoModelForCausalLM": "modeling_phi4mm.Phi4MMForCausalLM"},
        "rope_theta": rope["rope_theta"],
        "partial_rotary_factor": rope["partial_rotary_factor"],
        "rope_scaling": {"type": "longrope", **{key: rope[key] for key in ("short_factor", "long_factor")}},
        "attention_bias": False,
        "mlp_bias": False,
        "lm_head_bias": False,
        "img_processor": None,
        "vision_config": {key: vision[key] for key in ("num_attention_heads", "image_token_id")},
        "audio_config": {"audio_token_id": audio["audio_token_id"]},
        **adapters,
        "embd_layer": {
            "embedding_cls": "image_audio",
            "image_embd_layer": {
                "crop_size": vision["crop_size"],
                "embedding_cls": "tune_image",
                "hd_transform_order": "sub_glb",
                "image_token_compression_cls": "avg_pool_2d",
                "projection_cls": "mlp",
                "use_hd_transform": True,
                "with_learnable_separator": True,
            },
            "audio_embd_layer": {
                "compression_rate": 8,
                "downsample_rate": 1,
                "embedding_cls": "audio",
                "projection_cls": "mlp",
                "use_conv_downsample": False,
                "use_qformer": False,
            },
        },
        "audio_processor": {
            "name": "cascades",
            "config": {
                "activation": "swish",
                "activation_checkpointing": {"interval": 1, "module": "transformer", "offload": False},
                "attention_dim": audio["hidden_size"],
                "attention_heads": audio["num_attention_heads"],
                "batch_norm": False,
                "bias_in_glu": True,
                "causal": True,
                "chunk_size": -1,
                "cnn_layer_norm": True,
                "conv_activation": "swish",
                "conv_glu_type": "swish",
                "depthwise_multiplier": 1,
                "depthwise_seperable_out_channel": audio["depthwise_separable_out_channel"],
                "dropout_rate": 0.0,
                "encoder_embedding_config": {"input_size": 80},
                "ext_pw_kernel_size": 1,
                "ext_pw_out_channel": audio["ext_pw_out_channel"],
                "input_layer": "nemo_conv",
                "input_size": 80,
                "kernel_size": 3,
                "left_chunk": 18,
                "linear_units": audio["intermediate_size"],
                "nemo_conv_settings": {"conv_channels": audio["nemo_conv_channels"]},
                "num_blocks": audio["num_blocks"],
                "relative_attention_bias_args": {"t5_bias_max_distance": audio["bias_max_distance"], "type": "t5"},
                "time_reduction": 8,
            },
        },
    }
