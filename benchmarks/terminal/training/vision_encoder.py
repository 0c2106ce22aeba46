"""The vision tower's forward pass over crops, up to the layer whose features are used."""

import torch
from torch import nn

from edge.media.tiling import CROP


def encode(tower: nn.Module, pixels: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Features [crops, side, side, width] of the patches of `pixels` [crops, 3, 448, 448].

    `mask` is bool [crops, patches, patches], False for padding; `positions` are the ids of each patch in the position
    table, int64 [crops, patches²].
    """
    crops, side = mask.shape[:2]
    x = encode_patches(tower, to_patches(pixels, CROP // side), positions, mask.flatten(1))
    return x.reshape(crops, side, side, -1)


def to_patches(pixels: torch.Tensor, patch: int) -> torch.Tensor:
    """[n, rows · columns, 3 · patch²] of pixels [n, 3, height, width]."""
    n, _, height, width = pixels.shape
    rows, columns = height // patch, width // patch
    cut = pixels.reshape(n, 3, rows, patch, columns, patch).permute(0, 2, 4, 1, 3, 5)
    return cut.reshape(n, rows * columns, -1)


def encode_patches(
    tower: nn.Module, patches: torch.Tensor, positions: torch.Tensor, mask: torch.Tensor | None = None
) -> torch.Tensor:
    """Features [n, count, width] of `patches` [n, count, 3 · patch²] at `positions` [n, count], any part of a crop.

    The last layer is never run: the model takes the features before it. Written out with the patch convolution as the
    matrix product that it is: half as long again as fast as through transformers.
    """
    embeddings = tower.embeddings
    weight = embeddings.patch_embedding.weight.flatten(1)
    x = nn.functional.linear(patches, weight, embeddings.patch_embedding.bias) + embeddings.position_embedding(
        positions
    )
    bias = None if mask is None else torch.where(mask, 0.0, -1e4)[:, None, None, :]
    for layer in tower.encoder.layers[:-1]:
        x = x + _attend(layer.self_attn, layer.layer_norm1(x), bias)
        x = x + layer.mlp(layer.layer_norm2(x))
    return x


def pool(features: torch.Tensor) -> torch.Tensor:
    """2 × 2 patches to one feature, [n, rows / 2, columns / 2, width]: what the projector gets."""
    n, rows, columns = features.shape[:3]
    return features.reshape(n, rows // 2, 2, columns // 2, 2, -1).mean((2, 4))


def _attend(attention: nn.Module, x: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    heads = (x.shape[0], x.shape[1], attention.num_heads, attention.head_dim)
    query, key, value = (
        part(x).view(heads).transpose(1, 2) for part in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    weights = query @ key.transpose(2, 3) * attention.scaling
    weights = (weights if bias is None else weights + bias).softmax(-1)
    return attention.out_proj((weights.to(value.dtype) @ value).transpose(1, 2).flatten(2))
