"""The vision tower of Phi-4-multimodal as its original layout stores it."""

from dataclasses import dataclass
from typing import Any

EMBED = "model.embed_tokens_extend.image_embed."


@dataclass(frozen=True, slots=True)
class VisionGeometry:
    """SigLIP with all its layers and its pooling head, which the model never computes but the shards hold."""

    hidden: int = 1152
    intermediate: int = 4304
    layers: int = 27
    crop: int = 448
    patch: int = 14

    def tensors(self, decoder_hidden: int) -> dict[str, tuple[int, ...]]:
        tower, size = EMBED + "img_processor.", self.hidden
        shapes = {
            EMBED + "glb_GN": (1, 1, size),
            EMBED + "sub_GN": (1, 1, 1, size),
            **linear(EMBED + "img_projection.0", decoder_hidden, size),
            **linear(EMBED + "img_projection.2", decoder_hidden, decoder_hidden),
            **linear(tower + "embeddings.patch_embedding", size, 3, self.patch, self.patch),
            tower + "embeddings.position_embedding.weight": ((self.crop // self.patch) ** 2, size),
        }
        for layer in range(self.layers):
            shapes |= self._layer(f"{tower}encoder.layers.{layer}")
        head = tower + "head"
        return shapes | {
            **linear(tower + "post_layernorm", size),
            f"{head}.probe": (1, 1, size),
            f"{head}.attention.in_proj_weight": (3 * size, size),
            f"{head}.attention.in_proj_bias": (3 * size,),
            **linear(f"{head}.attention.out_proj", size, size),
            **linear(f"{head}.layernorm", size),
            **self._mlp(f"{head}.mlp"),
        }

    def _layer(self, name: str) -> dict[str, tuple[int, ...]]:
        shapes = linear(f"{name}.layer_norm1", self.hidden) | linear(f"{name}.layer_norm2", self.hidden)
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            shapes |= linear(f"{name}.self_attn.{part}", self.hidden, self.hidden)
        return shapes | self._mlp(f"{name}.mlp")

    def _mlp(self, name: str) -> dict[str, tuple[int, ...]]:
        wide = linear(f"{name}.fc1", self.intermediate, self.hidden)
        return wide | linear(f"{name}.fc2", self.hidden, self.intermediate)

    def embedding_config(self) -> dict[str, Any]:
        return {
            "crop_size": self.crop,
            "embedding_cls": "tune_image",
            "enable_gradient_checkpointing": True,
            "hd_transform_order": "sub_glb",
            "image_token_compression_cls": "avg_pool_2d",
            "projection_cls": "mlp",
            "use_hd_transform": True,
            "with_learnable_separator": True,
        }


def linear(name: str, *shape: int) -> dict[str, tuple[int, ...]]:
    """Weight of `shape` and a bias of its first dimension: Linear, convolution or LayerNorm alike."""
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
