"""What sets one decoder-only transformer apart from another, as far as the graph is concerned."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from edge.bundle.manifest import Rotary


@dataclass(frozen=True, slots=True)
class LayerTensors:
    """Checkpoint tensors of one layer; several names for a matrix are stacked by rows (q, k, v or gate, up)."""

    input_norm: str
    qkv: tuple[str, ...]
    attention_out: str
    mlp_norm: str
    gate_up: tuple[str, ...]
    down: str


@dataclass(frozen=True, slots=True)
class DecoderSpec:
    """A pre-norm decoder with grouped-query attention and a gated SiLU MLP."""

    architecture: str
    layers: int
    hidden_size: int
    intermediate_size: int
    heads: int
    kv_heads: int
    head_size: int
    vocab_size: int
    context_length: int
    norm_epsilon: float
    rotary: Rotary
    tied_embedding: bool
    layer_tensors: Sequence[LayerTensors]
    sliding_window: int = 0
    embedding_multiplier: float = 1.0
    attention_scale: float = 0.0
    """0 means 1/sqrt(head_size)."""
    residual_multiplier: float = 1.0
    logits_divisor: float = 1.0
    embedding_tensor: str = "model.embed_tokens.weight"
    norm_tensor: str = "model.norm.weight"
    head_tensor: str = "lm_head.weight"
    stop_tokens: list[int] = field(default_factory=list)
    bos_token: int | None = None

    @property
    def qkv_rows(self) -> tuple[int, int, int]:
        return self.heads * self.head_size, self.kv_heads * self.head_size, self.kv_heads * self.head_size
