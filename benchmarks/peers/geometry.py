"""Shapes and configuration of Phi-4-mini, the model whose size the peers are compared at."""

from dataclasses import dataclass, field
from typing import Any

LONG_FACTOR = [
    1.0, 1.118320672, 1.250641126, 1.398617824, 1.564103225, 1.74916897, 1.956131817, 2.187582649,
    2.446418898, 2.735880826, 3.059592084, 3.421605075, 3.826451687, 4.279200023, 4.785517845, 5.351743533,
    5.984965424, 6.693110555, 7.485043894, 8.370679318, 9.36110372, 10.4687158, 11.70738129, 13.09260651,
    14.64173252, 16.37415215, 18.31155283, 20.47818807, 22.90118105, 25.61086418, 28.64115884, 32.03,
    32.1, 32.13, 32.23, 32.6, 32.61, 32.64, 32.66, 32.7, 32.71, 32.93, 32.97, 33.28, 33.49, 33.5, 44.16,
    47.77,
]  # fmt: skip
"""LongRoPE divisors of the 48 rotary frequencies for sequences longer than the original context."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """Sizes of a `phi3` decoder with fused projections and a tied embedding; Phi-4-mini's by default."""

    layers: int = 32
    hidden: int = 3072
    intermediate: int = 8192
    heads: int = 24
    kv_heads: int = 8
    vocab: int = 200064
    end_of_text: int = 199999
    end_of_turn: int = 200020
    partial_rotary: float = 0.75
    context: int = 131072
    original_context: int = 4096
    long_factor: list[float] = field(default_factory=lambda: list(LONG_FACTOR))

    @property
    def head_size(self) -> int:
        return self.hidden // self.heads

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape ([out_features, in_features] for a projection), in the order a decoder uses them."""
        qkv = (self.heads + 2 * self.kv_heads) * self.head_size
        shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (self.vocab, self.hidden)}
        for layer in range(self.layers):
            prefix = f"model.layers.{layer}"
            shapes |= {
                f"{prefix}.input_layernorm.weight": (self.hidden,),
                f"{prefix}.self_attn.qkv_proj.weight": (qkv, self.hidden),
                f"{prefix}.self_attn.o_proj.weight": (self.hidden, self.heads * self.head_size),
                f"{prefix}.post_attention_layernorm.weight": (self.hidden,),
                f"{prefix}.mlp.gate_up_proj.weight": (2 * self.intermediate, self.hidden),
                f"{prefix}.mlp.down_proj.weight": (self.hidden, self.intermediate),
            }
        return shapes | {"model.norm.weight": (self.hidden,)}

    def config(self) -> dict[str, Any]:
        """config.json in the form that Phi-4-mini's own repository uses."""
        return {
            "architectures": ["Phi3ForCausalLM"],
            "model_type": "phi3",
            "attention_bias": False,
            "attention_dropout": 0.0,
            "bos_token_id": self.end_of_text,
            "embd_pdrop": 0.0,
            "eos_token_id": self.end_of_text,
            "hidden_act": "silu",
            "hidden_size": self.hidden,
            "initializer_range": 0.02,
            "intermediate_size": self.intermediate,
            "max_position_embeddings": self.context,
            "num_attention_heads": self.heads,
            "num_hidden_layers": self.layers,
            "num_key_value_heads": self.kv_heads,
            "original_max_position_embeddings": self.original_context,
            "pad_token_id": self.end_of_text,
            "partial_rotary_factor": self.partial_rotary,
            "resid_pdrop": 0.0,
            "rms_norm_eps": 1e-05,
            "rope_scaling": {
                "type": "longrope",
                "short_factor": [1.0] * len(self.long_factor),
                "long_factor": self.long_factor,
            },
            "rope_theta": 10000.0,
            "sliding_window": 262144,
            "tie_word_embeddings": True,
            "torch_dtype": "bfloat16",
            "use_cache": True,
            "vocab_size": self.vocab,
        }

    def generation_config(self) -> dict[str, Any]:
        end = self.end_of_text
        return {"bos_token_id": end, "eos_token_id": [self.end_of_turn, end], "pad_token_id": end}
