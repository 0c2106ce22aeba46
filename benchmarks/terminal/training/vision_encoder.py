"""The vision tower's forward pass over crops, up to the layer whose features are used."""

import torch
from torch import nn

from edge.media.tiling import CROP


def encode(tower: nn.Module, pixels: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Features [crops, side, side, width] of `pixels` [crops, 3, 448, 448], pooled 2 × 2 from patches.

    `mask` is bool [crops, patches, patches], False for padding; `positions` are the ids of each patch in the position
    table, int64 [crops, patches²]. The last layer is never run: the model takes the features before it.
    Written out, since a compiler makes twice the speed of it: the patch convolution as the matrix product that it is,
    attention as matrix products.
    """
    embeddings, crops, side = tower.embeddings, pixels.shape[0], mask.shape[1]
    weight, patch = embeddings.patch_embedding.weight, CROP // side
    patches = pixels.reshape(crops, 3, side, patch, side, patch).permute(0, 2, 4, 1, 3, 5).reshape(crops, side**2, -1)
    x = nn.functional.linear(patches, weight.flatten(1), embeddings.patch_embedding.bias)
    x = x + embeddings.position_embedding(positions)
    bias = torch.where(mask.flatten(1), 0.0, -1e4)[:, None, None, :]
    for layer in tower.encoder.layers[:-1]:
        x = x + _attend(layer.self_attn, layer.layer_norm1(x), bias)
        x = x + layer.mlp(layer.layer_norm2(x))
    return x.reshape(crops, side // 2, 2, side // 2, 2, -1).mean((2, 4))


def _attend(attention: nn.Module, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    heads = (x.shape[0], x.shape[1], attention.num_heads, attention.head_dim)
    query, key, value = (
        part(x).view(heads).transpose(1, 2) for part in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    weights = (query @ key.transpose(2, 3) * attention.scaling + bias).softmax(-1)
    return attention.out_proj((weights.to(value.dtype) @ value).transpose(1, 2).flatten(2))
