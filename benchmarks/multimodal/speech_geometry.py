"""The speech encoder of Phi-4-multimodal as its original layout stores it."""

from dataclasses import dataclass
from typing import Any

from benchmarks.multimodal.vision_geometry import linear

EMBED = "model.embed_tokens_extend.audio_embed."


@dataclass(frozen=True, slots=True)
class SpeechGeometry:
    """A conformer with its subsampling convolutions and the two projectors."""

    hidden: int = 1024
    intermediate: int = 1536
    blocks: int = 24
    heads: int = 16
    channels: int = 1024
    mel_bins: int = 80
    kernel: int = 3
    max_distance: int = 500

    def tensors(self, decoder_hidden: int) -> dict[str, tuple[int, ...]]:
        encoder, channels = EMBED + "encoder.", self.channels
        shapes: dict[str, tuple[int, ...]] = {}
        for branch in ("speech", "vision"):
            shapes |= linear(f"{EMBED}audio_projection.{branch}.0", decoder_hidden, self.hidden)
            shapes |= linear(f"{EMBED}audio_projection.{branch}.2", decoder_hidden, decoder_hidden)
        shapes |= {
            f"{encoder}encoder_embedding.global_mean": (self.mel_bins,),
            f"{encoder}encoder_embedding.global_invstd": (self.mel_bins,),
            f"{encoder}relative_attention_bias_layer.bias_values.weight": (2 * self.max_distance, self.heads),
            **linear(f"{encoder}embed.out", self.hidden, channels * self.mel_bins // 8),
        }
        for depthwise in (0, 2, 5):
            shapes |= linear(f"{encoder}embed.conv.{depthwise}", channels, 1, 3, 3)
        for pointwise in (3, 6):
            shapes |= linear(f"{encoder}embed.conv.{pointwise}", channels, channels, 1, 1)
        for block in range(self.blocks):
            shapes |= self._block(f"{encoder}encoders.{block}")
        return shapes

    def _block(self, name: str) -> dict[str, tuple[int, ...]]:
        size = self.hidden
        shapes = linear(f"{name}.layer_norm_att", size) | linear(f"{name}.layer_norm", size)
        for part in ("feed_forward_in", "feed_forward_out"):
            shapes |= linear(f"{name}.{part}.layer_norm", size)
            shapes |= linear(f"{name}.{part}.net.0.linear", 2 * self.intermediate, size)
            shapes |= linear(f"{name}.{part}.net.2", size, self.intermediate)
        for part in ("linear_q", "linear_k", "linear_v", "linear_out"):
            shapes |= linear(f"{name}.self_attn.{part}", size, size)
        conv = f"{name}.conv"
        return shapes | {
            **linear(f"{conv}.layer_norm", size),
            f"{conv}.glu.b1": (1, size, 1),
            f"{conv}.glu.b2": (1, size, 1),
            **linear(f"{conv}.glu.ext_pw_conv_1d", 2 * size, size, 1),
            **linear(f"{conv}.dw_sep_conv_1d.dw_conv", size, 1, self.kernel),
            **linear(f"{conv}.dw_sep_conv_1d.pw_conv", size, size, 1),
            **linear(f"{conv}.ext_pw_conv_1d", size, size, 1),
        }

    def config(self) -> dict[str, Any]:
        """The conformer's section of config.json; `seperable` is spelt as there."""
        return {
            "activation": "swish",
            "activation_checkpointing": {"interval": 1, "module": "transformer", "offload": False},
            "attention_dim": self.hidden,
            "attention_heads": self.heads,
            "batch_norm": False,
            "bias_in_glu": True,
            "causal": True,
            "chunk_size": -1,
            "cnn_layer_norm": True,
            "conv_activation": "swish",
            "conv_glu_type": "swish",
            "depthwise_multiplier": 1,
            "depthwise_seperable_out_channel": self.hidden,
            "dropout_rate": 0.0,
            "encoder_embedding_config": {"input_size": self.mel_bins},
            "ext_pw_kernel_size": 1,
            "ext_pw_out_channel": self.hidden,
            "input_layer": "nemo_conv",
            "input_size": self.mel_bins,
            "kernel_size": self.kernel,
            "left_chunk": 18,
            "linear_units": self.intermediate,
            "nemo_conv_settings": {"conv_channels": self.channels},
            "num_blocks": self.blocks,
            "relative_attention_bias_args": {"t5_bias_max_distance": self.max_distance, "type": "t5"},
            "time_reduction": 8,
        }

    def embedding_config(self) -> dict[str, Any]:
        return {
            "compression_rate": 8,
            "downsample_rate": 1,
            "embedding_cls": "audio",
            "enable_gradient_checkpointing": True,
            "projection_cls": "mlp",
            "use_conv_downsample": False,
            "use_qformer": False,
        }
